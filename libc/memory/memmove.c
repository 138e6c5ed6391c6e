/* memmove for x86-64, and as FUNCTION any other name. Up to 128 bytes all loads come before all stores, at both ends and overlapping in the middle, so
 * that there is no loop and no byte by byte; musl's `rep movsq` takes some 30 cycles to begin. */
#include "words.h"

#ifndef FUNCTION
#define FUNCTION memmove
#endif

/* From here on the processor's own copying is as fast. */
enum { LARGE = 4096 };

#define ENDS(type)                                                                                                     \
    do {                                                                                                               \
        type first = *(const type *)s, last = *(const type *)(s + n - sizeof(type));                                   \
        *(type *)d = first;                                                                                            \
        *(type *)(d + n - sizeof(type)) = last;                                                                        \
    } while (0)

struct four {
    word16 a, b, c, d;
};

static inline __attribute__((always_inline)) struct four load(const unsigned char *s)
{
    return (struct four){*(const word16 *)s, *(const word16 *)(s + 16), *(const word16 *)(s + 32), *(const word16 *)(s + 48)};
}

static inline __attribute__((always_inline)) void store(unsigned char *d, struct four words)
{
    *(word16 *)d = words.a;
    *(word16 *)(d + 16) = words.b;
    *(word16 *)(d + 32) = words.c;
    *(word16 *)(d + 48) = words.d;
}

void *FUNCTION(void *to, const void *from, size_t n)
{
    unsigned char *d = to;
    const unsigned char *s = from;
    if (n <= 16) {
        if (n >= 8)
            ENDS(word8);
        else if (n >= 4)
            ENDS(word4);
        else if (n >= 2)
            ENDS(word2);
        else if (n)
            *d = *s;
        return to;
    }
    if (n <= 32) {
        ENDS(word16);
        return to;
    }
    if (n <= 64) {
        word16 a = *(const word16 *)s, b = *(const word16 *)(s + 16);
        word16 y = *(const word16 *)(s + n - 32), z = *(const word16 *)(s + n - 16);
        *(word16 *)d = a;
        *(word16 *)(d + 16) = b;
        *(word16 *)(d + n - 32) = y;
        *(word16 *)(d + n - 16) = z;
        return to;
    }
    struct four first = load(s), last = load(s + n - 64);
    if (n > 128) {
        if ((size_t)(d - s) >= n) {
            /* Ascending: to below, or nothing in common. */
            if (n >= LARGE && (size_t)(s - d) >= 64) {
                void *target = d;
                __asm__ volatile("rep movsb" : "+D"(target), "+S"(s), "+c"(n) : : "memory");
                return to;
            }
            size_t i = 16 - ((uintptr_t)d & 15);
            struct four next = load(s + i);
            /* What is stored may be the beginning of what comes next, which is therefore loaded already. */
            *(word16 *)d = first.a;
            for (; i + 64 < n - 64; i += 64) {
                struct four now = next;
                next = load(s + i + 64);
                store(d + i, now);
            }
            store(d + i, next);
            store(d + n - 64, last);
        } else {
            size_t i = n;
            for (; i > 128; i -= 64)
                store(d + i - 64, load(s + i - 64));
            store(d + i - 64, load(s + i - 64));
            store(d, first);
        }
        return to;
    }
    store(d, first);
    store(d + n - 64, last);
    return to;
}
