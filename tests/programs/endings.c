/* Ends after a while: `exit N`, `return N`, `abort`, `signal N`, or `fault` (a write to address 16). */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static volatile uint64_t state = 1;

static void at_exit(void) { puts("at exit"); }

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "return";
    int number = argc > 2 ? atoi(argv[2]) : 0;
    atexit(at_exit);
    for (int i = 0; i < 60000000; i++)
        state = state * 6364136223846793005u + 1;
    printf("%016llx\n", (unsigned long long)state);
    fflush(stdout);
    if (strcmp(how, "exit") == 0)
        exit(number);
    if (strcmp(how, "abort") == 0)
        abort();
    if (strcmp(how, "signal") == 0)
        raise(number);
    if (strcmp(how, "fault") == 0)
        *(volatile int *)(uintptr_t)(number + 16) = 1;
    return number;
}
