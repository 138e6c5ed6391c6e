/* Threads that only compute hear signals sent to them, one after the other. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sched.h>

enum { THREADS = 3, SIGNALS = 20 };
static _Atomic int heard[THREADS];
static _Thread_local int number;
static _Atomic int ready, stop;

static void handler(int signal) { (void)signal; heard[number]++; }

static void *compute(void *argument)
{
    number = (int)(long)argument;
    ready++;
    unsigned long value = number;
    while (!stop)
        for (int i = 0; i < 1000; i++)
            value = value * 6364136223846793005ul + 1442695040888963407ul;
    return (void *)(value & 1);
}

int main(void)
{
    pthread_t threads[THREADS];
    struct sigaction action = { .sa_handler = handler };
    sigaction(SIGUSR1, &action, 0);
    for (long i = 0; i < THREADS; i++)
        pthread_create(&threads[i], 0, compute, (void *)i);
    /* A signal before that would be counted for another thread. */
    while (ready < THREADS)
        sched_yield();
    for (int round = 0; round < SIGNALS; round++)
        for (int i = 0; i < THREADS; i++) {
            pthread_kill(threads[i], SIGUSR1);
            while (heard[i] <= round)
                sched_yield();
        }
    stop = 1;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], 0);
    printf("%d %d %d\n", heard[0], heard[1], heard[2]);
    return 0;
}
