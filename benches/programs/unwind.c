/* unwind FRAMES BYTES: what others do with as many activations. Prints nanoseconds: libgcc's unwinder over the frames for the first time, then in
 * the median of 101 times, and memcpy of the bytes, each time to other memory. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unwind.h>

enum { TIMES = 101 };

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static int ascending(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static uint64_t median(uint64_t *times)
{
    qsort(times, TIMES, sizeof *times, ascending);
    return times[TIMES / 2];
}

static _Unwind_Reason_Code count(struct _Unwind_Context *context, void *frames)
{
    (void)context;
    ++*(long *)frames;
    return _URC_NO_REASON;
}

static void measure(long depth, size_t bytes)
{
    uint64_t unwinding[TIMES], copying[TIMES], first = 0;
    for (int i = 0; i < TIMES; i++) {
        long frames = 0;
        uint64_t start = now();
        _Unwind_Backtrace(count, &frames);
        unwinding[i] = now() - start;
        if (i == 0)
            first = unwinding[0];
        if (frames < depth)
            abort();
    }
    char *from = malloc(bytes), *to = malloc(bytes * TIMES);
    memset(from, 1, bytes);
    memset(to, 2, bytes * TIMES);
    for (int i = 0; i < TIMES; i++) {
        uint64_t start = now();
        memcpy(to + bytes * (size_t)i, from, bytes);
        copying[i] = now() - start;
    }
    printf("%llu %llu %llu\n", (unsigned long long)first, (unsigned long long)median(unwinding),
           (unsigned long long)median(copying));
}

static __attribute__((noinline)) long descend(long depth, long frames, size_t bytes)
{
    volatile long kept = depth;
    if (depth == 0)
        measure(frames, bytes);
    else
        descend(depth - 1, frames, bytes);
    return kept;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    long frames = atol(argv[1]);
    return descend(frames > 3 ? frames - 3 : 0, frames - 2, (size_t)atol(argv[2])) < 0;
}
