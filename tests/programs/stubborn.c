/* Spends seconds in one call of a library function that has no migration point. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    size_t needle_size = 6000, size = argc > 1 ? (size_t)atol(argv[1]) : 600000;
    char *haystack = malloc(size + 1), *needle = malloc(needle_size + 1);
    memset(haystack, 'a', size);
    memset(needle, 'A', needle_size);
    haystack[size] = 0;
    needle[needle_size - 1] = 'b';
    needle[needle_size] = 0;
    /* The search of Maize's libc takes time in proportion to the product of the lengths. */
    puts(strcasestr(haystack, needle) ? "found" : "not found");
    return 0;
}
