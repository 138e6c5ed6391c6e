/* 128-bit integers: arithmetic that is inline on some ISAs and a helper's on others, live across calls. */
#include "features.h"
#include <stdio.h>

typedef unsigned __int128 u128;
typedef __int128 i128;

static void print_u128(u128 value)
{
    char digits[40], *at = digits + sizeof digits;
    *--at = 0;
    do
        *--at = (char)('0' + (int)(value % 10));
    while (value /= 10);
    printf("%s\n", at);
}

static u128 power(u128 base, unsigned exponent, u128 modulus)
{
    u128 result = 1;
    for (; exponent; exponent >>= 1, base = base * base % modulus)
        if (exponent & 1)
            result = result * base % modulus;
    return result;
}

static i128 mean(i128 a, i128 b) { return a / 2 + b / 2; }

void int128(void)
{
    u128 value = 1;
    i128 sum = 0;
    double fractions = 0;
    for (unsigned round = 1; round < 100000; round++) {
        value += power(value, round, ((u128)1 << 61) - 1) * round;
        sum = mean(sum, (i128)(value >> 3) - ((i128)1 << 100)) ^ (i128)(value << (round & 63));
        fractions += (double)(value >> 20) / ((double)(u128)sum + 1.0);
    }
    print_u128(value);
    print_u128(sum < 0 ? (u128)-sum : (u128)sum);
    printf("%d %.9e\n", sum < 0, fractions);
}
