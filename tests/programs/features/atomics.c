/* C11 atomics of every size, in one thread: that they are inline or a helper's on every ISA. */
#include "features.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

static _Atomic unsigned char tiny;
static _Atomic unsigned short small;
static _Atomic uint32_t word = 1;
static _Atomic uint64_t wide = 1;
static _Atomic(const char *) text = "first";
static atomic_flag flag = ATOMIC_FLAG_INIT;

void atomics(void)
{
    unsigned failures = 0, taken = 0;
    for (uint32_t round = 0; round < 1000000; round++) {
        atomic_fetch_add(&tiny, 3);
        atomic_fetch_xor_explicit(&small, (unsigned short)round, memory_order_relaxed);
        uint32_t seen = atomic_load_explicit(&word, memory_order_acquire);
        while (!atomic_compare_exchange_weak(&word, &seen, seen * 3 + round))
            failures += 0;
        failures += !atomic_compare_exchange_strong(&word, &(uint32_t){seen}, 0);
        wide += atomic_exchange(&wide, wide ^ round) | 1;
        taken += !atomic_flag_test_and_set(&flag);
        if (round % 5 == 0)
            atomic_flag_clear(&flag);
        atomic_thread_fence(memory_order_seq_cst);
    }
    text = "second";
    printf("%u %u %u %llu %s %u %u\n", tiny, small, word, (unsigned long long)wide, text, failures, taken);
}
