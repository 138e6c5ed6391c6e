/* A program with so many megabytes of random words, which in each step changes one word in so many pages, drawn at random, and then rests for so many microseconds. After each 10 ms or more it prints
 * when that was (microseconds since 1970), the steps that it has done, and the longest time between two (microseconds). */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    return time.tv_sec * (int64_t)1000000 + time.tv_nsec / 1000;
}

static uint64_t next(void)
{
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

int main(int count, char **arguments)
{
    if (count != 4)
        return 2;
    size_t words = strtoul(arguments[1], 0, 10) << 17, pages = strtoul(arguments[2], 0, 10);
    long rest = atol(arguments[3]);
    uint64_t *memory = mmap(NULL, words * sizeof *memory, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return 1;
    for (size_t index = 0; index < words; index++)
        memory[index] = next();
    int64_t begun = now(), last = begun, longest = 0;
    for (unsigned long steps = 1;; steps++) {
        for (size_t page = 0; page < pages; page++)
            memory[next() % words] = steps;
        if (rest)
            nanosleep(&(struct timespec){.tv_nsec = rest * 1000}, NULL);
        int64_t time = now();
        if (time - last > longest)
            longest = time - last;
        last = time;
        if (time - begun >= 10000) {
            printf("%lld %lu %lld\n", (long long)time, steps, (long long)longest);
            fflush(stdout);
            begun = time, longest = 0, steps = 0;
        }
    }
}
