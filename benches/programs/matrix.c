/* Product of matrices of doubles: nested loops that the vectoriser takes. */
#include <stdio.h>
#include <stdlib.h>

enum { SIZE = 400 };
static double a[SIZE][SIZE], b[SIZE][SIZE], c[SIZE][SIZE];

static void multiply(void)
{
    for (int i = 0; i < SIZE; i++)
        for (int k = 0; k < SIZE; k++)
            for (int j = 0; j < SIZE; j++)
                c[i][j] += a[i][k] * b[k][j];
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 40;
    double trace = 0;
    for (int i = 0; i < SIZE; i++)
        for (int j = 0; j < SIZE; j++)
            a[i][j] = (i * j % 17) / 4.0, b[i][j] = (i + j) % 13;
    for (int round = 0; round < rounds; round++)
        multiply();
    for (int i = 0; i < SIZE; i++)
        trace += c[i][i];
    printf("%f\n", trace);
    return 0;
}
