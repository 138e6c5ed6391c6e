/* crowd [NAME ...]: does the named things in the order given, or all. */
#include "crowd.h"
#include <string.h>

static const struct {
    const char *name;
    void (*run)(void);
} things[] = {
    {"cancelling", cancelling}, {"coming", coming},         {"forking", forking}, {"identity", identity},
    {"meeting", meeting},       {"signalling", signalling}, {"timing", timing},   {"waiting", waiting},
    /* Does not return. */
    {"leaving", leaving},
};

uint64_t work(uint64_t seed, int rounds)
{
    uint64_t value = seed * 2 + 1;
    for (int round = 0; round < rounds; round++)
        for (int step = 0; step < 500; step++) {
            value ^= value << 13;
            value ^= value >> 7;
            value ^= value << 17;
        }
    return value;
}

int main(int argc, char **argv)
{
    setvbuf(stdout, 0, _IOLBF, 0);
    for (size_t i = 0; i < sizeof things / sizeof *things; i++)
        for (int argument = 1; argument < argc || (argc == 1 && argument == 1); argument++)
            if (argc == 1 || strcmp(argv[argument], things[i].name) == 0) {
                printf("== %s\n", things[i].name);
                things[i].run();
            }
    return 0;
}
