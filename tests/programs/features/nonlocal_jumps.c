/* setjmp and longjmp: from nested frames, several targets at once, many times, and out of a signal handler. */
#include "features.h"
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static jmp_buf targets[8];
static sigjmp_buf from_handler;

static void dive(int depth, int target, int value, uint64_t *hash)
{
    volatile int local = depth * value;
    if (depth == 0)
        longjmp(targets[target], value);
    dive(depth - 1, target, value, hash);
    *hash = mix(*hash, (uint64_t)local); /* never reached */
}

/* Sets a target at every level; the innermost frame jumps to one of them. */
static int nested(int level, uint32_t *state, uint64_t *hash)
{
    volatile int kept = level * 1000;
    int value = setjmp(targets[level]);
    if (value != 0) {
        *hash = mix(*hash, (uint64_t)(kept + value));
        return kept + value;
    }
    kept++;
    if (level < 7)
        return nested(level + 1, state, hash) + 1;
    uint32_t random = next_random(state);
    dive((int)(random % 20), (int)((random >> 8) % 8), (int)((random >> 12) % 100) + 1, hash);
    return -1;
}

/* A loop whose body fails and is retried, as interpreters do. */
static int retry(int failures)
{
    volatile int attempts = 0;
    int *heap = malloc(sizeof *heap);
    *heap = failures;
    setjmp(targets[0]);
    if (attempts < failures) {
        attempts++;
        longjmp(targets[0], attempts);
    }
    int result = attempts * 10 + *heap;
    free(heap);
    return result;
}

static void jump_out(int signal)
{
    siglongjmp(from_handler, signal);
}

void nonlocal_jumps(void)
{
    uint32_t state = 5;
    uint64_t hash = MIX_START;
    for (int round = 0; round < 300000; round++) {
        int result = nested(0, &state, &hash);
        hash = mix(hash, (uint64_t)result);
    }
    for (int round = 1; round < 300; round++)
        hash = mix(hash, (uint64_t)retry(round));
    printf("%016llx\n", (unsigned long long)hash);

    volatile int jumps = 0;
    signal(SIGUSR2, jump_out);
    /* The signal is unblocked again each time only if the mask was saved. */
    if (sigsetjmp(from_handler, 1) != 0)
        jumps++;
    if (jumps < 200)
        raise(SIGUSR2);
    signal(SIGUSR2, SIG_DFL);
    printf("%d jumps out of a handler\n", jumps);
}
