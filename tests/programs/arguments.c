/* What a program is started with: arguments, environment, page size, standard input. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        printf("%d: [%s]\n", i, argv[i]);
    const char *variable = getenv("MAIZE_TEST_VARIABLE");
    printf("%d arguments, variable [%s], page %ld, auxv %lu\n", argc, variable ? variable : "unset", sysconf(_SC_PAGESIZE),
           getauxval(AT_PAGESZ));
    unsigned long sum = 0;
    for (int c; (c = getchar()) != EOF;)
        sum = sum * 31 + (unsigned)c;
    printf("input %lx\n", sum);
    return 0;
}
