/* A program that writes all of its memory again and again, faster than any link takes it, and looks at each page before: one that does not hold what it was given last is an error.
 * The arguments are megabytes and rounds. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { PAGE = 4096, WORDS = PAGE / 8 };

static uint64_t expected(uint64_t round, size_t page)
{
    return round ? (round * 0x9e3779b97f4a7c15ull) ^ page : 0;
}

int main(int count, char **arguments)
{
    if (count != 3)
        return 2;
    size_t pages = strtoul(arguments[1], NULL, 10) * 256;
    uint64_t rounds = strtoull(arguments[2], NULL, 10), digest = 0;
    uint64_t *memory = calloc(pages, PAGE);
    if (!memory)
        return 2;
    for (uint64_t round = 1; round <= rounds; round++) {
        for (size_t page = 0; page < pages; page++) {
            uint64_t *words = memory + page * WORDS;
            for (size_t word = 0; word < WORDS; word++) {
                if (words[word] != expected(round - 1, page)) {
                    printf("round %llu: page %zu is another\n", (unsigned long long)round, page);
                    return 3;
                }
                words[word] = expected(round, page);
            }
            digest = digest * 31 + words[0];
        }
        if (round % 20 == 0) {
            printf("%llu\n", (unsigned long long)round);
            fflush(stdout);
        }
    }
    printf("digest %llx\n", (unsigned long long)digest);
    return 0;
}
