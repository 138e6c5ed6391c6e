/* _Thread_local variables: initialised, zero, aligned, extern, static in a function, and their addresses. */
#include "features.h"
#include <stdio.h>

_Thread_local int initialised = 42;
static _Thread_local long zero;
static _Thread_local _Alignas(64) char aligned[64];
static _Thread_local struct { unsigned values[16]; const char *text; } table = {{1, 2, 3}, "thread"};

static int counter(void)
{
    static _Thread_local int calls = 100;
    return ++calls;
}

void thread_locals(void)
{
    long *address = &zero;
    uint64_t hash = MIX_START;
    for (int round = 0; round < 10000000; round++) {
        initialised += round & 3;
        *address += initialised;
        table.values[round & 15] += (unsigned)counter();
        aligned[round & 63] ^= (char)round;
        hash = mix(hash, (uint64_t)(zero + (long)table.values[(round + 5) & 15] + aligned[(round + 1) & 63]));
    }
    printf("%d %ld %s %d %016llx\n", initialised, zero, table.text, counter(), (unsigned long long)hash);
    printf("same address: %d, aligned: %d\n", address == &zero, (int)((uintptr_t)aligned % 64));
}
