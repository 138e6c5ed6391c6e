/* 10,000 activations at once, each with locals whose addresses are in the heap while it lives. */
#include "features.h"
#include <stdio.h>
#include <stdlib.h>

struct link { long *local; double *fraction; struct link *outer; };

static long deepest(const struct link *link)
{
    long total = 0;
    /* Long enough at the bottom for several moves of the whole stack. */
    for (int round = 0; round < 1500; round++)
        for (const struct link *at = link; at; at = at->outer) {
            *at->local += round;
            total += *at->local + (long)*at->fraction;
        }
    return total;
}

static long descend(int depth, struct link *outer)
{
    long local = depth;
    double fraction = depth / 4.0;
    struct link *link = malloc(sizeof *link);
    *link = (struct link){&local, &fraction, outer};
    long below = depth == 1 ? deepest(link) : descend(depth - 1, link);
    long *seen = link->local;
    free(link);
    /* The address is still this frame's, and what the bottom wrote through it is here. */
    return below + local * (seen == &local) + (long)fraction;
}

static unsigned ackermann(unsigned m, unsigned n)
{
    return m == 0 ? n + 1 : n == 0 ? ackermann(m - 1, 1) : ackermann(m - 1, ackermann(m, n - 1));
}

void recursion(void)
{
    printf("%ld\n", descend(10000, NULL));
    printf("%u\n", ackermann(2, 2000));
}
