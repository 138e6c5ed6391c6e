/* x86's SIMD intrinsics up to AVX2, as programs use them: vectors live across calls that may move. */
#include "features.h"
#include <immintrin.h>
#include <stdio.h>
#include <stdlib.h>

/* Portable code has no ISA to be for. */
#ifdef __maize__
#define FOR(isa) __attribute__((noinline))
#else
#define FOR(isa) __attribute__((target(isa), noinline))
#endif

enum { SIZE = 4096 };

/* The first place of a byte, 16 at a time. */
FOR("sse2") static int find(const unsigned char *bytes, int size, unsigned char wanted)
{
    __m128i wanteds = _mm_set1_epi8((char)wanted);
    for (int i = 0; i < size; i += 16) {
        __m128i chunk = _mm_loadu_si128((const __m128i *)(bytes + i));
        int mask = _mm_movemask_epi8(_mm_cmpeq_epi8(chunk, wanteds));
        if (mask)
            return i + __builtin_ctz((unsigned)mask);
    }
    return -1;
}

/* Set bits by a table of 16 entries (Mula). */
FOR("avx2") static uint64_t population(const unsigned char *bytes, int size)
{
    const __m256i table = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3,
                                           2, 3, 3, 4);
    const __m256i low = _mm256_set1_epi8(15);
    __m256i sum = _mm256_setzero_si256();
    for (int i = 0; i < size; i += 32) {
        __m256i chunk = _mm256_loadu_si256((const __m256i *)(bytes + i));
        __m256i first = _mm256_shuffle_epi8(table, _mm256_and_si256(chunk, low));
        __m256i second = _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(chunk, 4), low));
        sum = _mm256_add_epi64(sum, _mm256_sad_epu8(_mm256_add_epi8(first, second), _mm256_setzero_si256()));
    }
    uint64_t parts[4];
    _mm256_storeu_si256((__m256i *)parts, sum);
    return parts[0] + parts[1] + parts[2] + parts[3];
}

FOR("avx") static float dot(const float *a, const float *b, int size)
{
    __m256 sum = _mm256_setzero_ps();
    for (int i = 0; i < size; i += 8)
        sum = _mm256_add_ps(_mm256_mul_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i)), sum);
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps(sum, 1));
    half = _mm_hadd_ps(half, half);
    return _mm_cvtss_f32(_mm_hadd_ps(half, half));
}

FOR("sse4.1") static void sort_lanes(int32_t *values)
{
    /* A sorting network of four rows, then rows become columns. */
    __m128i row[4];
    for (int i = 0; i < 4; i++)
        row[i] = _mm_loadu_si128((const __m128i *)(values + 4 * i));
    static const int pairs[][2] = {{0, 1}, {2, 3}, {0, 2}, {1, 3}, {1, 2}};
    for (int i = 0; i < 5; i++) {
        __m128i a = row[pairs[i][0]], b = row[pairs[i][1]];
        row[pairs[i][0]] = _mm_min_epi32(a, b);
        row[pairs[i][1]] = _mm_max_epi32(a, b);
    }
    __m128i low = _mm_unpacklo_epi32(row[0], row[1]), high = _mm_unpackhi_epi32(row[0], row[1]);
    __m128i low2 = _mm_unpacklo_epi32(row[2], row[3]), high2 = _mm_unpackhi_epi32(row[2], row[3]);
    _mm_storeu_si128((__m128i *)values, _mm_unpacklo_epi64(low, low2));
    _mm_storeu_si128((__m128i *)(values + 4), _mm_unpackhi_epi64(low, low2));
    _mm_storeu_si128((__m128i *)(values + 8), _mm_unpacklo_epi64(high, high2));
    _mm_storeu_si128((__m128i *)(values + 12), _mm_unpackhi_epi64(high, high2));
}

/* A product of polynomials over two elements. */
FOR("pclmul,sse4.1") static uint64_t carryless(uint64_t a, uint64_t b)
{
    __m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128((int64_t)a), _mm_cvtsi64_si128((int64_t)b), 0);
    return (uint64_t)_mm_extract_epi64(product, 0) ^ (uint64_t)_mm_extract_epi64(product, 1);
}

FOR("f16c,avx") static float through_half(float value)
{
    return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtps_ph(_mm_set1_ps(value), 0)));
}

/* Vectors that are live across a call. */
FOR("avx2") static uint64_t gather(const int32_t *values, const int32_t *indices, int rounds)
{
    __m256i sum = _mm256_setzero_si256();
    for (int i = 0; i < rounds; i++) {
        __m256i index = _mm256_loadu_si256((const __m256i *)(indices + 8 * i));
        char *text = malloc(16);
        snprintf(text, 16, "%d", _mm256_extract_epi32(index, 3));
        sum = _mm256_add_epi32(sum, _mm256_i32gather_epi32(values, index, 4));
        sum = _mm256_xor_si256(sum, _mm256_set1_epi32(text[0]));
        free(text);
    }
    int32_t parts[8];
    _mm256_storeu_si256((__m256i *)parts, sum);
    uint64_t hash = MIX_START;
    for (int i = 0; i < 8; i++)
        hash = mix(hash, (uint64_t)parts[i]);
    return hash;
}

static void once(uint32_t state)
{
    unsigned char *bytes = _mm_malloc(SIZE, 64);
    int32_t *numbers = malloc(SIZE * sizeof *numbers), *indices = malloc(SIZE * sizeof *indices);
    float *x = malloc(SIZE * sizeof *x), *y = malloc(SIZE * sizeof *y);
    for (int i = 0; i < SIZE; i++) {
        bytes[i] = (unsigned char)(next_random(&state) % 255);
        numbers[i] = (int32_t)next_random(&state);
        indices[i] = (int32_t)(next_random(&state) % SIZE);
        x[i] = (float)(next_random(&state) % 1000) / 8;
        y[i] = (float)(next_random(&state) % 1000) / 3;
    }
    bytes[SIZE - 7] = 255;
    printf("found %d %d\n", find(bytes, SIZE, 255), find(bytes, SIZE - 16, 255));
    printf("bits %llu\n", (unsigned long long)population(bytes, SIZE));
    printf("dot %.9g\n", (double)dot(x, y, SIZE));
    uint64_t hash = MIX_START;
    for (int i = 0; i < SIZE; i += 16)
        sort_lanes(numbers + i);
    for (int i = 0; i < SIZE; i++)
        hash = mix(hash, (uint64_t)numbers[i]);
    printf("sorted %016llx\n", (unsigned long long)hash);
    hash = MIX_START;
    for (int i = 1; i < SIZE; i++)
        hash = mix(hash, carryless(hash, (uint64_t)numbers[i]));
    printf("carryless %016llx\n", (unsigned long long)hash);
    double sum = 0;
    for (int i = 0; i < SIZE; i++)
        sum += (double)through_half(y[i]);
    printf("half %.17g\n", sum);
    printf("gathered %016llx\n", (unsigned long long)gather(numbers, indices, SIZE / 8));
    _mm_free(bytes);
    free(numbers);
    free(indices);
    free(x);
    free(y);
}

void intrinsics(void)
{
    for (uint32_t seed = 1; seed <= 10; seed++)
        once(seed);
}
