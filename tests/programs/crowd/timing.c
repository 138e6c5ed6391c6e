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

static void *receive(void *argument)
{
    is_receiver = 1;
    struct sigevent event;
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = SIGUSR2;
    event.sigev_notify_thread_id = gettid();
    timer_t timer;
    struct itimerspec spans = { { 0, 5000000 }, { 0, 5000000 } };
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0 || timer_settime(timer, 0, &spans, 0) != 0)
        return (void *)-1;
    while (ours < TICKS)
        work(1, 100);
    timer_delete(timer);
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
    printf("receiver %ld theirs %d\n", end(receiver), theirs);
    signal(SIGUSR2, SIG_DFL);
}
