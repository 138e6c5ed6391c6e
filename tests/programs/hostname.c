// Says in each step what it, a child, and a file of the kernel's call the machine, and prints a line where that is something else than in the step before: for tests of moves between nodes.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void name(char *to, size_t size) {
    struct utsname system;
    char file[65] = "";
    FILE *stream = fopen("/proc/sys/kernel/hostname", "r");
    if (!stream || uname(&system) || !fgets(file, sizeof file, stream))
        _exit(3);
    fclose(stream);
    file[strcspn(file, "\n")] = 0;
    snprintf(to, size, "%s %s", system.nodename, file);
}

int main(int count, char **words) {
    char last[200] = "", now[200];
    name(now, sizeof now);
    if (count == 2 && !strcmp(words[1], "child"))
        return printf("child: %s\n", now) < 0;
    for (int step = 0, steps = atoi(words[1]); step < steps; step++) {
        name(now, sizeof now);
        if (strcmp(last, now))
            printf("%s\n", strcpy(last, now));
        printf("step %d\n", step);
        fflush(stdout);
        struct timespec rest = {0, 20000000};
        nanosleep(&rest, 0);
    }
    if (!fork()) {
        execl(words[2], words[2], "child", (char *)0);
        _exit(4);
    }
    int status;
    return wait(&status) < 0 || status;
}
