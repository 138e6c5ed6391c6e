/* The libc's qsort, and a quicksort of our own with tiny inner loops, both with a callback. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { COUNT = 1000000 };
typedef int comparison(const void *, const void *);

static int by_value(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

static void quicksort(uint32_t *values, long count, comparison *compare)
{
    while (count > 1) {
        uint32_t pivot = values[count / 2];
        long i = 0, j = count - 1;
        while (i <= j) {
            while (compare(&values[i], &pivot) < 0)
                i++;
            while (compare(&values[j], &pivot) > 0)
                j--;
            if (i <= j) {
                uint32_t value = values[i];
                values[i++] = values[j];
                values[j--] = value;
            }
        }
        quicksort(values, j + 1, compare);
        values += i;
        count -= i;
    }
}

int main(int argc, char **argv)
{
    static uint32_t values[COUNT], copy[COUNT];
    int rounds = argc > 1 ? atoi(argv[1]) : 3;
    uint32_t state = 1;
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < COUNT; i++)
            values[i] = copy[i] = (state = state * 1664525u + 1013904223u) >> 4;
        comparison *volatile compare = by_value;
        quicksort(values, COUNT, compare);
        qsort(copy, COUNT / 4, sizeof *copy, by_value);
        printf("%u %u\n", values[COUNT / 2], copy[COUNT / 8]);
    }
    return 0;
}
