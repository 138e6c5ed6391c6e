/* Prints its resource limits round after round, and lowers one of them itself in the third. Arguments: rounds, and microseconds between two of them. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    static const int kinds[] = {RLIMIT_CPU, RLIMIT_FSIZE, RLIMIT_DATA, RLIMIT_STACK, RLIMIT_CORE, RLIMIT_RSS, RLIMIT_NOFILE, RLIMIT_AS};
    int rounds = argc > 1 ? atoi(argv[1]) : 1, pause = argc > 2 ? atoi(argv[2]) : 0;
    for (int round = 0; round < rounds; round++) {
        struct rlimit limit;
        printf("%d:", round);
        for (unsigned kind = 0; kind < sizeof kinds / sizeof *kinds; kind++) {
            if (getrlimit(kinds[kind], &limit))
                return 1;
            printf(" %d %llx/%llx", kinds[kind], (unsigned long long)limit.rlim_cur, (unsigned long long)limit.rlim_max);
        }
        printf("\n");
        fflush(stdout);
        if (round == 2) {
            getrlimit(RLIMIT_NOFILE, &limit);
            limit.rlim_cur -= 10;
            limit.rlim_max -= 20;
            if (setrlimit(RLIMIT_NOFILE, &limit))
                return 2;
        }
        if (pause)
            usleep(pause);
    }
    return 0;
}
