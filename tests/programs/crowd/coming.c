/* Threads that come and go all the time: joined, detached, made by others; with keys and what is to be done at their end. */
#include "crowd.h"
#include <stdatomic.h>
#include <string.h>

static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Atomic long destroyed, detached;
static _Thread_local char name[32];

static void destroy(void *value)
{
    destroyed += *(long *)value;
    free(value);
}

static void make_key(void) { pthread_key_create(&key, destroy); }

static void clean(void *argument) { *(long *)argument += 1; }

static void *leaf(void *argument)
{
    long number = (long)argument, cleaned = 0;
    uint64_t hash;
    pthread_once(&once, make_key);
    long *value = malloc(sizeof *value);
    *value = number;
    pthread_setspecific(key, value);
    snprintf(name, sizeof name, "leaf %ld", number);
    pthread_cleanup_push(clean, &cleaned);
    hash = work((uint64_t)number, 150);
    pthread_cleanup_pop(1);
    return (void *)((long)(hash % 1000) + (long)strlen(name) + cleaned);
}

static void *branch(void *argument)
{
    long sum = 0, number = (long)argument;
    for (int round = 0; round < 12; round++) {
        pthread_t leaves[3];
        for (long i = 0; i < 3; i++)
            leaves[i] = begin(leaf, number * 100 + round * 3 + i);
        for (int i = 0; i < 3; i++)
            sum += end(leaves[i]);
    }
    return (void *)sum;
}

static void *alone(void *argument)
{
    work((uint64_t)(long)argument, 100);
    detached++;
    return 0;
}

static long depth_reached(int depth)
{
    volatile long here = depth;
    long below = depth == 0 ? 0 : depth_reached(depth - 1);
    return below + (here == depth);
}

static void *deep(void *argument)
{
    long sum = 0;
    for (int round = 0; round < 200; round++)
        sum += depth_reached((int)(long)argument);
    return (void *)sum;
}

void coming(void)
{
    destroyed = detached = 0;
    pthread_t branches[3];
    for (long i = 0; i < 3; i++)
        branches[i] = begin(branch, i + 1);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    for (long i = 0; i < 60; i++) {
        pthread_t thread;
        while (pthread_create(&thread, &attributes, alone, (void *)i) != 0)
            sched_yield();
    }
    for (int i = 0; i < 3; i++)
        printf("branch %ld\n", end(branches[i]));
    while (detached < 60)
        sched_yield();
    printf("destroyed %ld detached %ld\n", destroyed, detached);
    pthread_t thread = begin(deep, 900);
    printf("deep %ld\n", end(thread));
}
