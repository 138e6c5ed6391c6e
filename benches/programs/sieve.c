/* Primes below a bound, several times: tight loops over bytes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BOUND = 2000000 };
static unsigned char composite[BOUND];

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 40;
    unsigned count = 0;
    for (int round = 0; round < rounds; round++) {
        memset(composite, 0, sizeof composite);
        for (unsigned i = 2; i < BOUND; i++) {
            if (composite[i])
                continue;
            count++;
            for (unsigned j = i * 2; j < BOUND; j += i)
                composite[j] = 1;
        }
    }
    printf("%u\n", count);
    return 0;
}
