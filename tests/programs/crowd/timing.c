/* Timers that run a function in a thread, or send a signal to one. */
#define _GNU_SOURCE
#include "crowd.h"
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid /* glibc lacks the name */
#endif

enum { TICKS = 8 };

static _Atomic int ticks, ours, theirs;
static _Thread_local int is_receiver;

static void tick(union sigval value) { ticks += value.sival_int; }

static void handle(int signal)
{
    (void)signal;
    if (is_receiver)
        ours++;
    else
        theirs++;
}

/* A timer that sends a signal to the calling thread. */
static int begin_timer(timer_t *timer, int signal, struct itimerspec spans)
{
    struct sigevent event;
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = signal;
    event.sigev_notify_thread_id = gettid();
    return timer_create(CLOCK_MONOTONIC, &event, timer) != 0 || timer_settime(*timer, 0, &spans, 0) != 0;
}

static void *receive(void *argument)
{
    is_receiver = 1;
    timer_t timer;
    if (begin_timer(&timer, SIGUSR2, (struct itimerspec){ { 0, 5000000 }, { 0, 5000000 } }))
        return (void *)-1;
    while (ours < TICKS)
        work(1, 100);
    timer_delete(timer);
    return argument;
}

/* What a timer has sent that is deleted before it was heard of. Anybody else would be killed by it. */
static void *forget(void *argument)
{
    sigset_t one, pending;
    int number = SIGRTMIN + 3;
    sigemptyset(&one);
    sigaddset(&one, number);
    pthread_sigmask(SIG_BLOCK, &one, 0);
    timer_t timer;
    if (begin_timer(&timer, number, (struct itimerspec){ { 0, 0 }, { 0, 100000 } }))
        return (void *)-1;
    do
        sigpending(&pending);
    while (!sigismember(&pending, number));
    /* Time for moves: before and after, the kernel no longer knows whose it was. */
    work(6, 30000);
    timer_delete(timer);
    work(6, 30000);
    return argument;
}

void timing(void)
{
    ticks = ours = theirs = 0;
    struct sigaction action = { .sa_handler = handle, .sa_flags = SA_RESTART };
    sigaction(SIGUSR2, &action, 0);
    pthread_t receiver = begin(receive, 5);
    struct sigevent event;
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_THREAD;
    event.sigev_notify_function = tick;
    event.sigev_value.sival_int = 1;
    timer_t timer;
    struct itimerspec spans = { { 0, 5000000 }, { 0, 5000000 } };
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0 || timer_settime(timer, 0, &spans, 0) != 0)
        puts("no timer");
    while (ticks < TICKS)
        work(1, 100);
    timer_delete(timer);
    pthread_t forgetful = begin(forget, 6);
    printf("receiver %ld theirs %d forgetful %ld\n", end(receiver), theirs, end(forgetful));
    signal(SIGUSR2, SIG_DFL);
}
