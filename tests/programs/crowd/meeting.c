/* Threads that meet at mutexes, conditions, barriers, locks for readers and writers, semaphores, and atomics. */
#include "crowd.h"
#include <semaphore.h>
#include <stdatomic.h>

enum { THREADS = 5, ROUNDS = 60 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static long turn;
static uint64_t history;

static void *take_turns(void *argument)
{
    long number = (long)argument;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t value = work((uint64_t)number, 300);
        pthread_mutex_lock(&mutex);
        while (turn % THREADS != number)
            pthread_cond_wait(&changed, &mutex);
        turn++;
        history = history * 31 + value;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&mutex);
    }
    return 0;
}

static pthread_barrier_t barrier;
static uint64_t cells[THREADS];

static void *step_together(void *argument)
{
    long number = (long)argument;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t left = cells[(number + THREADS - 1) % THREADS];
        pthread_barrier_wait(&barrier);
        cells[number] = work(cells[number] ^ left, 200);
        pthread_barrier_wait(&barrier);
    }
    return 0;
}

static pthread_rwlock_t shared = PTHREAD_RWLOCK_INITIALIZER;
static uint64_t pair[2];

static void *read_and_write(void *argument)
{
    long number = (long)argument, torn = 0;
    for (int round = 0; round < 4 * ROUNDS; round++) {
        if ((round + number) % 4 == 0) {
            pthread_rwlock_wrlock(&shared);
            pair[0]++;
            work(1, 20);
            pair[1]++;
        } else {
            pthread_rwlock_rdlock(&shared);
            torn += pair[0] != pair[1];
        }
        pthread_rwlock_unlock(&shared);
    }
    return (void *)torn;
}

static sem_t full, empty;
static uint64_t box;

static void *produce(void *argument)
{
    for (uint64_t item = 1; item <= 8 * ROUNDS; item++) {
        sem_wait(&empty);
        box = work(item, 20);
        sem_post(&full);
    }
    return argument;
}

static pthread_spinlock_t spin;
static _Atomic uint64_t counted;
static uint64_t plain;
static _Thread_local uint64_t own;

static void *count(void *argument)
{
    for (int round = 0; round < 20000; round++) {
        counted++;
        own++;
        pthread_spin_lock(&spin);
        plain++;
        pthread_spin_unlock(&spin);
    }
    (void)argument;
    return (void *)own;
}

static void together(void *(*function)(void *), long *results)
{
    pthread_t threads[THREADS];
    for (long i = 0; i < THREADS; i++)
        threads[i] = begin(function, i);
    for (int i = 0; i < THREADS; i++) {
        long result = end(threads[i]);
        if (results)
            results[i] = result;
    }
}

void meeting(void)
{
    long results[THREADS];
    turn = 0;
    together(take_turns, 0);
    printf("turns %ld %016llx\n", turn, (unsigned long long)history);

    pthread_barrier_init(&barrier, 0, THREADS);
    for (int i = 0; i < THREADS; i++)
        cells[i] = (uint64_t)i + 1;
    together(step_together, 0);
    for (int i = 0; i < THREADS; i++)
        printf("cell %016llx\n", (unsigned long long)cells[i]);
    pthread_barrier_destroy(&barrier);

    together(read_and_write, results);
    printf("pair %llu %llu torn %ld\n", (unsigned long long)pair[0], (unsigned long long)pair[1],
           results[0] + results[1] + results[2] + results[3] + results[4]);

    sem_init(&full, 0, 0);
    sem_init(&empty, 0, 1);
    pthread_t producer = begin(produce, 0);
    uint64_t taken = 0;
    for (int item = 0; item < 8 * ROUNDS; item++) {
        sem_wait(&full);
        taken = taken * 31 + box;
        sem_post(&empty);
    }
    end(producer);
    printf("taken %016llx\n", (unsigned long long)taken);

    pthread_spin_init(&spin, 0);
    together(count, results);
    printf("counted %llu %llu own %ld\n", (unsigned long long)counted, (unsigned long long)plain, results[2]);
}
