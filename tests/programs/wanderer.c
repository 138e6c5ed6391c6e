// Computes for a while and says how far it is: for tests of moves between nodes. It writes to standard output, to standard error and, if a file is named, to that; reads
// the program's own file; and checks that the process ids that it knows stay.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct node {
    struct node *next;
    uint64_t value;
};

static uint64_t mix(uint64_t value, int depth) {
    char pad[32];
    memset(pad, depth, sizeof pad);
    if (depth == 0)
        return value * 0x9e3779b97f4a7c15u ^ value >> 29;
    return mix(value ^ (uint64_t)pad[depth % 32], depth - 1) + (uint64_t)depth;
}

int main(int count, char **words) {
    if (count < 3)
        return 2;
    int steps = atoi(words[1]);
    unsigned work = (unsigned)atoi(words[2]);
    FILE *file = count > 3 ? fopen(words[3], "w") : 0;
    int with_child = count > 4;
    pid_t own = getpid(), child = 0;
    if (with_child && (child = fork()) == 0) {
        uint64_t value = 7;
        for (unsigned round = 0; round < (unsigned)steps * work; round++)
            value = mix(value, 12);
        _exit((int)(value % 50));
    }
    struct node *list = 0;
    uint64_t value = 1;
    double sum = 0;
    for (int step = 0; step < steps; step++) {
        for (unsigned round = 0; round < work; round++)
            value = mix(value, 12);
        sum += 1.0 / (double)(step + 1);
        struct node *node = malloc(sizeof *node);
        node->next = list;
        node->value = value;
        list = node;
        if (getpid() != own)
            puts("another process id");
        printf("step %d %016llx %.12f\n", step, (unsigned long long)value, sum);
        fflush(stdout);
        if (step % 16 == 0)
            fprintf(stderr, "%d\n", step);
        if (file)
            fprintf(file, "%016llx\n", (unsigned long long)value);
    }
    uint64_t all = 0;
    for (struct node *node = list; node; node = node->next)
        all = all * 31 + node->value;
    int status = 0;
    if (with_child && waitpid(child, &status, 0) != child)
        puts("another child");
    printf("end %016llx %d\n", (unsigned long long)all, WEXITSTATUS(status));
    return 7;
}
