/* A thread forks while others work. The child has that thread alone, makes others, and moves by itself. */
#define _GNU_SOURCE
#include "crowd.h"
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

static _Atomic int quit;

static void *compute(void *argument)
{
    long rounds = 0;
    while (!quit) {
        work((uint64_t)(long)argument, 30);
        rounds++;
    }
    return (void *)(long)(rounds > 0);
}

static void *in_child(void *argument) { return (void *)(long)(work((uint64_t)(long)argument, 6000) % 100); }

static void *make_child(void *argument)
{
    long sum = 0;
    for (int round = 0; round < 3; round++) {
        pid_t child = fork();
        if (child == 0) {
            if (gettid() != getpid())
                _exit(1);
            pthread_t threads[2] = { begin(in_child, (long)argument), begin(in_child, round) };
            work(5, 5000);
            _exit((int)(end(threads[0]) + end(threads[1])));
        }
        int status = 0;
        if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
            return (void *)-1;
        sum = sum * 31 + WEXITSTATUS(status);
    }
    return (void *)sum;
}

void forking(void)
{
    quit = 0;
    pthread_t workers[2] = { begin(compute, 1), begin(compute, 2) };
    pthread_t parents[2] = { begin(make_child, 3), begin(make_child, 4) };
    for (int i = 0; i < 2; i++)
        printf("children %ld\n", end(parents[i]));
    quit = 1;
    printf("workers %ld\n", end(workers[0]) + end(workers[1]));
}
