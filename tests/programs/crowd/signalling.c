/* Signals to single threads: handled, blocked for a while, waited for; and masks that are each thread's own. */
#include "crowd.h"
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

enum { THREADS = 4, SIGNALS = 12 };

static _Atomic int heard[THREADS], wrong, ready, blocked, sent, quit;
static _Thread_local int number;

static void handle(int signal, siginfo_t *information, void *context)
{
    (void)context;
    if (signal != SIGUSR1 || information->si_signo != SIGUSR1)
        wrong++;
    heard[number]++;
}

static void *compute(void *argument)
{
    number = (int)(long)argument;
    ready++;
    uint64_t value = 0;
    while (!quit)
        value += work((uint64_t)number, 50);
    return (void *)(long)(value != 0);
}

static void *block(void *argument)
{
    sigset_t set, old, waiting;
    number = (int)(long)argument;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, &old);
    blocked++;
    while (!sent)
        work(1, 20);
    work(2, 30000);
    sigpending(&waiting);
    /* Even numbers have one waiting for them, odd ones have not. */
    long result = sigismember(&waiting, SIGUSR1) * 10 + heard[number];
    pthread_sigmask(SIG_SETMASK, &old, 0);
    work(3, 1000);
    return (void *)(result * 10 + heard[number]);
}

void signalling(void)
{
    pthread_t threads[THREADS];
    struct sigaction action = { .sa_sigaction = handle, .sa_flags = SA_SIGINFO };
    sigaction(SIGUSR1, &action, 0);
    memset((void *)heard, 0, sizeof heard);
    ready = blocked = sent = quit = 0;
    for (long i = 0; i < THREADS; i++)
        threads[i] = begin(compute, i);
    while (ready < THREADS)
        sched_yield();
    for (int round = 0; round < SIGNALS; round++)
        for (int i = 0; i < THREADS; i++) {
            pthread_kill(threads[i], SIGUSR1);
            while (heard[i] <= round)
                sched_yield();
        }
    quit = 1;
    for (int i = 0; i < THREADS; i++)
        end(threads[i]);
    printf("heard %d %d %d %d wrong %d\n", heard[0], heard[1], heard[2], heard[3], wrong);

    memset((void *)heard, 0, sizeof heard);
    for (long i = 0; i < THREADS; i++)
        threads[i] = begin(block, i);
    while (blocked < THREADS)
        sched_yield();
    for (int i = 0; i < THREADS; i += 2)
        pthread_kill(threads[i], SIGUSR1);
    sent = 1;
    for (int i = 0; i < THREADS; i++)
        printf("blocked %03ld\n", end(threads[i]));
    signal(SIGUSR1, SIG_DFL);
}
