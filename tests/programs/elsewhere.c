// What a program can find out about where it runs, and do with its streams: for tests of programs on other nodes.
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t caught;

static void note(int signal) {
    caught = signal;
}

int main(int count, char **words) {
    const char *what = count > 1 ? words[1] : "";
    const char *more = count > 2 ? words[2] : "0";
    if (!strcmp(what, "surroundings")) {
        char directory[4096];
        mode_t mask = umask(0);
        struct winsize size = {0, 0, 0, 0};
        ioctl(0, TIOCGWINSZ, &size);
        printf("%s %s %s %03o %d%d%d %dx%d\n", getenv("MARK") ? getenv("MARK") : "-", getcwd(directory, sizeof directory), words[0],
               (unsigned)mask, isatty(0), isatty(1), isatty(2), size.ws_row, size.ws_col);
        for (int word = 2; word < count; word++)
            printf("[%s]", words[word]);
        puts("");
        return 0;
    }
    if (!strcmp(what, "copy")) {
        static char buffer[5000];
        unsigned long sum = 0, total = 0;
        size_t length;
        while ((length = fread(buffer, 1, sizeof buffer, stdin)) > 0) {
            for (size_t at = 0; at < length; at++)
                sum = sum * 31 + (unsigned char)buffer[at];
            total += length;
            fwrite(buffer, 1, length, stdout);
        }
        fprintf(stderr, "%lu bytes, %lx\n", total, sum);
        return 3;
    }
    if (!strcmp(what, "end"))
        return atoi(more);
    if (!strcmp(what, "raise")) {
        puts("before");
        fflush(stdout);
        raise(atoi(more));
        return 0;
    }
    if (!strcmp(what, "wait")) {
        signal(SIGINT, note);
        signal(SIGUSR1, note);
        signal(SIGHUP, note);
        sigset_t all, none;
        sigfillset(&all);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &all, 0);
        puts("ready");
        fflush(stdout);
        for (;;) {
            sigsuspend(&none);
            printf("caught %s\n", caught == SIGINT ? "INT" : caught == SIGHUP ? "HUP" : "USR1");
            fflush(stdout);
            // Where the output may be gone.
            if (caught == SIGHUP && count > 2)
                close(open(more, O_CREAT | O_WRONLY, 0600));
            if (caught != SIGUSR1)
                return 42;
        }
    }
    if (!strcmp(what, "spin"))
        for (volatile unsigned long turns = 0;; turns++)
            ;
    if (!strcmp(what, "outlive")) {
        if (!fork()) {
            while (clock() < CLOCKS_PER_SEC / 5)
                ;
            _exit(0);
        }
        wait(0);
        for (;;)
            pause();
    }
    fprintf(stderr, "what?\n");
    return 99;
}
