/* qsort and bsearch of the libc with callbacks that run long enough to move in the middle of a comparison. */
#include "features.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry { uint32_t key; char name[12]; };
static unsigned long comparisons;

static uint32_t weight(uint32_t key)
{
    for (int i = 0; i < 3000; i++)
        key = key * 22695477u + 1;
    return key;
}

static int by_weight(const void *a, const void *b)
{
    uint32_t left = weight(((const struct entry *)a)->key), right = weight(((const struct entry *)b)->key);
    comparisons++;
    return (left > right) - (left < right);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

void sorting(void)
{
    enum { COUNT = 1000, MANY = 60000 };
    struct entry *entries = malloc(MANY * sizeof *entries);
    uint32_t state = 9;
    for (int i = 0; i < MANY; i++) {
        entries[i].key = next_random(&state);
        snprintf(entries[i].name, sizeof entries[i].name, "n%08x", next_random(&state));
    }
    qsort(entries, COUNT, sizeof *entries, by_weight);
    uint64_t hash = MIX_START;
    for (int i = 0; i < COUNT; i++) {
        hash = mix(hash, entries[i].key);
        if (i > 0 && by_weight(&entries[i - 1], &entries[i]) > 0)
            printf("out of order at %d\n", i);
    }
    qsort(entries, MANY, sizeof *entries, by_name);
    unsigned found = 0;
    for (int i = 0; i < MANY; i++)
        found += bsearch(&entries[i], entries, MANY, sizeof *entries, by_name) != NULL;
    /* How often it compares is the libc's affair. */
    printf("%016llx %u %s %s %d\n", (unsigned long long)hash, found, entries[0].name, entries[MANY - 1].name,
           comparisons > COUNT);
    free(entries);
}
