/* Threads that are cancelled: while they wait, at a point of their own, after being asked not to be; and what they clean up. */
#include "crowd.h"
#include <stdatomic.h>
#include <unistd.h>

static _Atomic int cleaned, ready, sent;
static int ends[2];

static void clean(void *argument) { cleaned += (int)(long)argument; }

static void *in_read(void *argument)
{
    char byte;
    pthread_cleanup_push(clean, argument);
    ready++;
    (void)!read(ends[0], &byte, 1);
    pthread_cleanup_pop(0);
    return 0;
}

static void *at_test(void *argument)
{
    pthread_cleanup_push(clean, argument);
    ready++;
    for (;;) {
        work(1, 50);
        pthread_testcancel();
    }
    pthread_cleanup_pop(0);
    return 0;
}

static void *later(void *argument)
{
    int old;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
    ready++;
    work(2, 20000);
    while (!sent)
        work(2, 50);
    cleaned += 1000;
    pthread_setcancelstate(old, 0);
    pthread_cleanup_push(clean, argument);
    pthread_testcancel();
    pthread_cleanup_pop(0);
    return 0;
}

static int delay;

static void *about_to_read(void *argument)
{
    char byte;
    ready++;
    work(4, delay);
    (void)!read(ends[0], &byte, 1);
    return argument;
}

/* Asked at about the time at which they begin to wait. */
static void just_then(void)
{
    int cancelled = 0;
    for (int round = 0; round < 1000; round++) {
        ready = 0;
        delay = round % 37;
        pthread_t thread = begin(about_to_read, 0);
        while (!ready)
            sched_yield();
        work(5, round % 41);
        pthread_cancel(thread);
        cancelled += (void *)end(thread) == PTHREAD_CANCELED;
    }
    printf("cancelled %d just then\n", cancelled);
}

void cancelling(void)
{
    static void *(*const functions[])(void *) = { in_read, at_test, later };
    cleaned = 0;
    if (pipe(ends) != 0)
        puts("no pipe");
    for (int round = 0; round < 6; round++) {
        pthread_t threads[3];
        ready = sent = 0;
        for (int i = 0; i < 3; i++)
            threads[i] = begin(functions[i], 1 << i);
        while (ready < 3)
            sched_yield();
        work(3, 3000);
        for (int i = 0; i < 3; i++)
            pthread_cancel(threads[i]);
        sent = 1;
        int cancelled = 0;
        for (int i = 0; i < 3; i++)
            cancelled += (void *)end(threads[i]) == PTHREAD_CANCELED;
        printf("cancelled %d cleaned %d\n", cancelled, cleaned);
    }
    just_then();
    close(ends[0]);
    close(ends[1]);
}
