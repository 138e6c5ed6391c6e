/* What a thread is known by stays: its id, its name, the stack for its signals, the time it has used. */
#define _GNU_SOURCE
#include "crowd.h"
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 4 };

static _Atomic int others;
static pid_t ids[THREADS];

static long nanoseconds(clockid_t clock)
{
    struct timespec time = { 0, 0 };
    if (clock_gettime(clock, &time) != 0)
        return -1;
    return time.tv_sec * 1000000000 + time.tv_nsec;
}

static void *look(void *argument)
{
    long index = (long)argument, differences = 0, last = 0;
    char name[16], shown[17] = "";
    snprintf(name, sizeof name, "crowd %ld", index);
    prctl(PR_SET_NAME, name);
    stack_t stack = { .ss_sp = malloc(65536 + (size_t)index * 4096), .ss_size = 65536 + (size_t)index * 4096 }, seen;
    sigaltstack(&stack, 0);
    pid_t id = ids[index] = gettid();
    clockid_t clock;
    pthread_getcpuclockid(pthread_self(), &clock);
    others++;
    while (others < THREADS)
        sched_yield();
    for (int round = 0; round < 40; round++) {
        work((uint64_t)index, 400);
        prctl(PR_GET_NAME, shown);
        sigaltstack(0, &seen);
        long now = nanoseconds(CLOCK_THREAD_CPUTIME_ID), same = nanoseconds(clock);
        differences += gettid() != id;
        differences += strcmp(name, shown) != 0 ? 1000 : 0;
        differences += seen.ss_sp != stack.ss_sp || seen.ss_size != stack.ss_size ? 100000 : 0;
        differences += now <= last || same < now || same > now + 500000000 ? 10000000 : 0;
        last = now;
    }
    stack.ss_flags = SS_DISABLE;
    sigaltstack(&stack, 0);
    free(stack.ss_sp);
    return (void *)differences;
}

void identity(void)
{
    pthread_t threads[THREADS];
    others = 0;
    for (long i = 0; i < THREADS; i++)
        threads[i] = begin(look, i);
    for (int i = 0; i < THREADS; i++)
        printf("differences %ld\n", end(threads[i]));
    int repeated = 0;
    for (int i = 0; i < THREADS; i++)
        for (int j = 0; j < THREADS; j++)
            repeated += (i != j && ids[i] == ids[j]) || ids[i] == getpid();
    printf("repeated %d main %d\n", repeated, gettid() == getpid());
}
