/*
 * What the kernels share: the problem classes, the random numbers and the verification of the NAS Parallel Benchmarks
 * (Bailey et al., RNR-94-007). The kernels are written from that report; the values that they verify against are those that NASA
 * publishes. Each is called with the letter of a class, prints its results, and ends with status 0 if they verify.
 */
#ifndef NPB_H
#define NPB_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Problem classes; each kernel has a table of parameters indexed by them. */
enum { CLASS_S, CLASS_W, CLASS_A, CLASSES };

#define NPB_SEED 271828183u
#define NPB_OTHER_SEED 314159265u
#define NPB_PI 3.141592653589793238

/* The class that the command line asks for. Prints the heading. */
static int npb_class(int argc, char **argv, const char *kernel)
{
    static const char letters[CLASSES + 1] = "SWA";
    const char *letter = argc == 2 && argv[1][0] && !argv[1][1] ? strchr(letters, argv[1][0]) : NULL;
    if (!letter) {
        fprintf(stderr, "usage: %s S|W|A\n", argv[0]);
        exit(2);
    }
    printf("%s class %c\n", kernel, *letter);
    return (int)(letter - letters);
}

/* Ends the program if there is not enough memory: the kernels allocate at start only. */
static inline void *npb_allocate(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (!memory) {
        fprintf(stderr, "not enough memory\n");
        exit(2);
    }
    return memory;
}

/* The next of the uniform numbers in (0, 1): x = 5^13 x mod 2^46. The report computes this in pairs of doubles; this is the same. */
static inline double npb_random(uint64_t *x)
{
    *x = (*x * 1220703125u) & ((UINT64_C(1) << 46) - 1);
    return (double)*x * 0x1p-46;
}

/* The state after so many numbers. */
static inline uint64_t npb_skip(uint64_t x, uint64_t count)
{
    for (uint64_t factor = 1220703125u; count; count >>= 1, factor *= factor)
        if (count & 1)
            x *= factor;
    return x & ((UINT64_C(1) << 46) - 1);
}

/* Prints a result and whether it is as published. */
static inline bool npb_check(const char *name, double found, double published, double tolerance)
{
    bool right = fabs((found - published) / published) <= tolerance;
    printf("%-10s %20.12e %s\n", name, found, right ? "as published" : "WRONG");
    return right;
}

/* Says whether all was right; the status of the program. */
static int npb_verdict(bool right)
{
    printf("verification %s\n", right ? "successful" : "FAILED");
    return right ? 0 : 1;
}

#endif
