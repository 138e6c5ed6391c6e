/* A program that hands its work out to processes that it forks, and waits for each. It makes the same system calls in every run. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static uint64_t mix(uint64_t value)
{
    value ^= value >> 31;
    return value * UINT64_C(0x9e3779b97f4a7c15) + 1;
}

static uint64_t compute(uint64_t seed, int rounds)
{
    uint64_t value = seed;
    for (int round = 0; round < rounds; round++)
        value = mix(value);
    return value;
}

int main(int count, char **arguments)
{
    int workers = count > 1 ? atoi(arguments[1]) : 5;
    uint64_t sum = 0;
    for (int worker = 0; worker < workers; worker++) {
        int ends[2], status;
        uint64_t found = 0;
        if (pipe(ends) < 0)
            return 1;
        fflush(stdout);
        pid_t child = fork();
        if (child < 0)
            return 1;
        if (child == 0) {
            found = compute(worker + sum, 20000);
            exit(write(ends[1], &found, sizeof found) == sizeof found ? worker : 99);
        }
        close(ends[1]);
        if (read(ends[0], &found, sizeof found) != sizeof found || waitpid(child, &status, 0) != child)
            return 1;
        close(ends[0]);
        sum = compute(sum ^ found, 300);
        printf("%d: %016llx, status %d\n", worker, (unsigned long long)found, WEXITSTATUS(status));
    }
    printf("%016llx\n", (unsigned long long)sum);
    return 0;
}
