/* Goes DEPTH activations deep, computes there for a while, and comes back up checking every frame. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static volatile uint64_t work;

static void compute(long rounds)
{
    for (long i = 0; i < rounds; i++)
        work = work * 6364136223846793005u + 1442695040888963407u;
}

static uint64_t descend(long depth, long rounds, uint64_t above)
{
    volatile double kept = (double)depth / 3;
    if (depth == 0) {
        compute(rounds);
        return above;
    }
    uint64_t below = descend(depth - 1, rounds, above * 31 + (uint64_t)depth);
    if (kept != (double)depth / 3) {
        printf("frame %ld is damaged\n", depth);
        exit(1);
    }
    return below ^ (above + (uint64_t)depth);
}

int main(int argc, char **argv)
{
    long depth = argc > 1 ? atol(argv[1]) : 10000, rounds = argc > 2 ? atol(argv[2]) : 100000000;
    printf("%016llx\n", (unsigned long long)descend(depth, rounds, 1));
    printf("%016llx\n", (unsigned long long)work);
    return 0;
}
