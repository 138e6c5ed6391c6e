/* Loops that the optimiser turns into vector code, and vector types of the compiler, live across calls that may move. */
#include "features.h"
#include <stdio.h>
#include <stdlib.h>

typedef float float4 __attribute__((vector_size(16)));
typedef int32_t int8 __attribute__((vector_size(32)));

enum { SIZE = 4096 };

static void saxpy(float *restrict y, const float *restrict x, float a)
{
    for (int i = 0; i < SIZE; i++)
        y[i] = y[i] * 0.5f + x[i] * a;
}

static int64_t dot(const int32_t *restrict a, const int32_t *restrict b)
{
    int64_t sum = 0;
    for (int i = 0; i < SIZE; i++)
        sum += (int64_t)a[i] * b[i];
    return sum;
}

static unsigned count_above(const unsigned char *bytes, unsigned char limit)
{
    unsigned count = 0;
    for (int i = 0; i < SIZE; i++)
        count += bytes[i] > limit;
    return count;
}

static void clamp(int32_t *values, int32_t low, int32_t high)
{
    for (int i = 0; i < SIZE; i++)
        values[i] = values[i] < low ? low : values[i] > high ? high : values[i] * 3 + 1;
}

/* Not inlined, so that vectors live across the call. */
static __attribute__((noinline)) float4 step(float4 value, int round)
{
    float4 by = {1, 2, 3, (float)(round & 7)};
    for (int i = 0; i < 10; i++)
        value = value * 0.25f + by;
    return value;
}

void vectors(void)
{
    float *x = malloc(SIZE * sizeof *x), *y = calloc(SIZE, sizeof *y);
    int32_t *a = malloc(SIZE * sizeof *a), *b = malloc(SIZE * sizeof *b);
    unsigned char *bytes = malloc(SIZE);
    uint32_t state = 11;
    for (int i = 0; i < SIZE; i++) {
        x[i] = (float)(next_random(&state) % 1000) / 8;
        a[i] = (int32_t)(next_random(&state) % 2000) - 1000;
        b[i] = (int32_t)next_random(&state);
        bytes[i] = (unsigned char)next_random(&state);
    }
    uint64_t hash = MIX_START;
    float4 sum = {0, 0, 0, 0};
    int8 integers = {1, 2, 3, 4, 5, 6, 7, 8};
    for (int round = 0; round < 6000; round++) {
        saxpy(y, x, (float)(round % 16) / 4);
        clamp(a, -100000 - round, 100000 + round);
        hash = mix(hash, (uint64_t)dot(a, b) + count_above(bytes, (unsigned char)round));
        float4 before = sum * 0.5f;
        sum = step(sum, round) + before;
        integers = (integers << 1) ^ (integers >> 3) ^ (int8){round, round, round, round, 1, 2, 3, 4};
        hash = mix(hash, (uint64_t)(uint32_t)integers[round & 7] + (uint64_t)(int64_t)sum[round & 3]);
    }
    double total = 0;
    for (int i = 0; i < SIZE; i++)
        total += (double)y[i] + a[i];
    printf("%016llx %.6f %.6f %.6f\n", (unsigned long long)hash, total, (double)sum[0], (double)sum[3]);
    free(x), free(y), free(a), free(b), free(bytes);
}
