/* memcpy, memmove and memset of every small size, at every distance of what overlaps, and of some large ones. */
#include "features.h"
#include <stdio.h>
#include <string.h>

enum { ROOM = 9216, MIDDLE = 512 };

static unsigned char moved[ROOM], expected[ROOM];

static void fill(uint32_t *state)
{
    for (int i = 0; i < ROOM; i++)
        moved[i] = expected[i] = (unsigned char)next_random(state);
}

static void move_bytes(unsigned char *to, const unsigned char *from, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        size_t at = to < from ? i : size - 1 - i;
        /* Not to be made a call of memmove again. */
        *(volatile unsigned char *)(to + at) = from[at];
    }
}

static unsigned differences;

static void compare(const char *what, size_t size, long distance)
{
    if (memcmp(moved, expected, ROOM) != 0 && differences++ < 10)
        printf("%s of %zu bytes over %ld is wrong\n", what, size, distance);
}

void memory_functions(void)
{
    uint32_t state = 3;
    fill(&state);
    for (size_t size = 0; size <= 300; size += size < 140 ? 1 : 7) {
        for (long distance = -80; distance <= 80; distance += size < 70 ? 1 : 3) {
            memmove(moved + MIDDLE + distance, moved + MIDDLE, size);
            move_bytes(expected + MIDDLE + distance, expected + MIDDLE, size);
            compare("memmove", size, distance);
        }
        size_t offset = next_random(&state) % 64;
        memcpy(moved + 1024 + offset, moved + 2048 - offset, size);
        move_bytes(expected + 1024 + offset, expected + 2048 - offset, size);
        compare("memcpy", size, (long)offset);
        memset(moved + 4096 + offset, (int)size, size);
        for (size_t i = 0; i < size; i++)
            expected[4096 + offset + i] = (unsigned char)size;
        compare("memset", size, (long)offset);
    }
    for (size_t size = 2000; size < 4500; size += 333) {
        for (long distance = -200; distance <= 200; distance += 67) {
            memmove(moved + MIDDLE + distance, moved + MIDDLE, size);
            move_bytes(expected + MIDDLE + distance, expected + MIDDLE, size);
            compare("memmove", size, distance);
        }
        memset(moved + 4096 + size % 64, 7, size);
        for (size_t i = 0; i < size; i++)
            expected[4096 + size % 64 + i] = 7;
        compare("memset", size, 0);
    }
    uint64_t hash = MIX_START;
    for (int i = 0; i < ROOM; i++)
        hash = mix(hash, moved[i]);
    printf("memory %016llx, %u differences\n", (unsigned long long)hash, differences);
}
