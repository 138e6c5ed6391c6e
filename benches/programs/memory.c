/* A program with so many megabytes of memory, of which it changes a page at random, and checks what was in it, for so many seconds. It prints how often. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { WORDS = 4096 / 8, BATCH = 4096 };

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

int main(int count, char **arguments)
{
    size_t pages = (count > 1 ? strtoul(arguments[1], 0, 10) : 1) * 256;
    double seconds = count > 2 ? atof(arguments[2]) : 1;
    uint64_t *memory = malloc(pages * WORDS * sizeof *memory);
    for (size_t index = 0; index < pages * WORDS; index++)
        memory[index] = index;
    uint64_t random = 1;
    unsigned long changes = 0;
    for (double end = now() + seconds; now() < end; changes += BATCH) {
        for (int index = 0; index < BATCH; index++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            size_t page = (random >> 33) % pages;
            if (memory[page * WORDS + 1] != page * WORDS + 1) {
                printf("page %zu has %llu\n", page, (unsigned long long)memory[page * WORDS + 1]);
                return 1;
            }
            memory[page * WORDS]++;
        }
    }
    printf("%lu\n", changes);
    return 0;
}
