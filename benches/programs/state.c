/* Holds so many KB that a compressor gets to two thirds or so, changes so many of its pages each millisecond, and waits until the file "stop" is there. Standard C and POSIX. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PAGE = 4096 / sizeof(uint32_t) };

int main(int argc, char **argv)
{
    size_t count = (argc > 1 ? strtoul(argv[1], NULL, 10) : 0) * 1024 / sizeof(uint32_t), next = 0;
    unsigned long changes = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
    uint32_t *words = malloc(count * sizeof(uint32_t) + 1), state = 1;
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        words[i] = state >> (i % 2 ? 4 : 20);
    }
    puts("ready");
    fflush(stdout);
    while (access("stop", F_OK) != 0) {
        for (unsigned long i = 0; i < changes; i++, next = (next + PAGE) % count)
            words[next]++;
        usleep(1000);
    }
    return count > 0 && words[count / 2] == 0;
}
