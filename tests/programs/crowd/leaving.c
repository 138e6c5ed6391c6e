/* The first thread ends before the others. The last of these ends the process. */
#include "crowd.h"

static pthread_t first;

static void *stay(void *argument)
{
    if (argument == 0)
        printf("first %ld\n", end(first));
    uint64_t value = work((uint64_t)(long)argument, 60000);
    if (argument == 0) {
        printf("stayed %016llx\n", (unsigned long long)value);
        work(7, 60000);
        exit(7);
    }
    return 0;
}

void leaving(void)
{
    first = pthread_self();
    for (long i = 0; i < 3; i++)
        begin(stay, i);
    work(1, 5000);
    pthread_exit((void *)42);
}
