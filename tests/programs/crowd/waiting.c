/* Threads that wait in the kernel while others work: for a pipe, a poll, a signal, a time, a semaphore, a condition, another thread. */
#define _GNU_SOURCE
#include "crowd.h"
#include <errno.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

static int ends[2], polled[2], event;
static sem_t semaphore;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static int is_set;

static void *in_read(void *argument)
{
    char text[16] = "";
    long got = 0;
    while (got < 6) {
        long count = read(ends[0], text + got, sizeof text - 1 - (size_t)got);
        if (count <= 0)
            return (void *)-1;
        got += count;
    }
    (void)argument;
    return (void *)(strcmp(text, "abcdef") == 0 ? got : -2);
}

static void *in_poll(void *argument)
{
    struct pollfd watched = { .fd = polled[0], .events = POLLIN };
    (void)argument;
    return (void *)(long)(poll(&watched, 1, -1) * 100 + (watched.revents & POLLIN));
}

static void *in_epoll(void *argument)
{
    int epoll = epoll_create1(0);
    struct epoll_event watched = { .events = EPOLLIN, .data = { .u64 = 77 } }, found;
    epoll_ctl(epoll, EPOLL_CTL_ADD, event, &watched);
    int count = epoll_wait(epoll, &found, 1, -1);
    close(epoll);
    (void)argument;
    return (void *)(long)(count * 1000 + (long)found.data.u64);
}

static void *in_sigwait(void *argument)
{
    sigset_t set;
    int signal = 0;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    (void)argument;
    return (void *)(long)(sigwait(&set, &signal) * 1000 + signal);
}

static void *in_sleep(void *argument)
{
    struct timespec before, after, span = { 0, 80000000 };
    clock_gettime(CLOCK_MONOTONIC, &before);
    int result = nanosleep(&span, 0);
    clock_gettime(CLOCK_MONOTONIC, &after);
    long slept = (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
    (void)argument;
    return (void *)(long)(result == 0 && slept >= 79);
}

static void *in_semaphore(void *argument)
{
    long count = 0;
    while (count < 5 && sem_wait(&semaphore) == 0)
        count++;
    (void)argument;
    return (void *)count;
}

static void *in_condition(void *argument)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (long)argument;
    pthread_mutex_lock(&mutex);
    int result = 0;
    while (!is_set && result == 0)
        result = pthread_cond_timedwait(&condition, &mutex, &until);
    pthread_mutex_unlock(&mutex);
    return (void *)(long)result;
}

static void *in_condition_in_vain(void *argument)
{
    static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 60000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&mutex);
    int result;
    while ((result = pthread_cond_timedwait(&never, &mutex, &until)) == 0) {
    }
    pthread_mutex_unlock(&mutex);
    (void)argument;
    return (void *)(long)(result == ETIMEDOUT);
}

void waiting(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &set, 0);
    is_set = 0;
    sem_init(&semaphore, 0, 0);
    event = eventfd(0, 0);
    if (pipe(ends) != 0 || pipe(polled) != 0 || event < 0)
        puts("no pipe");
    static void *(*const waits[])(void *) = { in_read, in_poll, in_epoll, in_sigwait, in_sleep, in_semaphore,
                                              in_condition, in_condition_in_vain };
    enum { COUNT = sizeof waits / sizeof *waits };
    pthread_t threads[COUNT];
    for (int i = 0; i < COUNT; i++)
        threads[i] = begin(waits[i], 100);
    for (int i = 0; i < 5; i++) {
        work(1, 8000);
        sem_post(&semaphore);
    }
    (void)!write(ends[1], "abc", 3);
    work(2, 8000);
    (void)!write(ends[1], "def", 3);
    (void)!write(polled[1], "x", 1);
    work(3, 8000);
    uint64_t one = 1;
    (void)!write(event, &one, sizeof one);
    pthread_kill(threads[3], SIGUSR2);
    work(4, 8000);
    pthread_mutex_lock(&mutex);
    is_set = 1;
    pthread_cond_broadcast(&condition);
    pthread_mutex_unlock(&mutex);
    for (int i = 0; i < COUNT; i++)
        printf("waited %ld\n", end(threads[i]));
    close(ends[0]), close(ends[1]), close(polled[0]), close(polled[1]), close(event);
    pthread_sigmask(SIG_UNBLOCK, &set, 0);
}
