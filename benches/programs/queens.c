/* Solutions of the N queens problem: recursion with little work in each call. */
#include <stdio.h>
#include <stdlib.h>

static unsigned solve(unsigned all, unsigned columns, unsigned left, unsigned right)
{
    unsigned count = 0;
    if (columns == all)
        return 1;
    for (unsigned free = all & ~(columns | left | right); free;) {
        unsigned bit = free & -free;
        free ^= bit;
        count += solve(all, columns | bit, (left | bit) << 1, (right | bit) >> 1);
    }
    return count;
}

int main(int argc, char **argv)
{
    int size = argc > 1 ? atoi(argv[1]) : 15;
    printf("%u\n", solve((1u << size) - 1, 0, 0, 0));
    return 0;
}
