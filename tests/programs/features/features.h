/* Every feature of C that must survive moves between ISAs, a file each. A feature prints what it
 * computed; the output must be the same whatever ran it, and wherever it moved. Each runs long
 * enough (tens of milliseconds natively) that moves fall into the middle of it. */
#ifndef FEATURES_H
#define FEATURES_H

#include <stddef.h>
#include <stdint.h>

void aggregates(void);
void atomics(void);
void computed_goto(void);
void directories(void);
void function_tables(void);
void int128(void);
void intrinsics(void);
void library(void);
void nonlocal_jumps(void);
void recursion(void);
void signals(void);
void sorting(void);
void stack_memory(void);
void thread_locals(void);
void variadics(void);
void vectors(void);

/* One step of FNV-1a over 64-bit words. */
static inline uint64_t mix(uint64_t hash, uint64_t word) { return (hash ^ word) * 0x100000001b3u; }
#define MIX_START 0xcbf29ce484222325u

/* A small generator of numbers, the same everywhere. */
static inline uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

#endif
