/* What programs of several threads do, a file for each kind. Each prints the same wherever its threads run and however often they move, and runs
 * long enough (tens of milliseconds natively) that moves fall into the middle of it. */
#ifndef CROWD_H
#define CROWD_H

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

void cancelling(void);
void coming(void);
void forking(void);
void identity(void);
void leaving(void);
void meeting(void);
void signalling(void);
void timing(void);
void waiting(void);

/* Some work: about a millisecond for each 1000 rounds. */
uint64_t work(uint64_t seed, int rounds);

static inline pthread_t begin(void *(*function)(void *), long argument)
{
    pthread_t thread;
    if (pthread_create(&thread, 0, function, (void *)argument) != 0) {
        puts("no thread");
        exit(1);
    }
    return thread;
}

static inline long end(pthread_t thread)
{
    void *result;
    if (pthread_join(thread, &result) != 0)
        puts("not joined");
    return (long)result;
}

#endif
