/* Variable arguments: integers, doubles, structs of each way of being passed, and va_copy. */
#include "features.h"
#include <stdarg.h>
#include <stdio.h>

struct small { int a; };
struct pair { double x; long y; };
struct floats { float a, b; };
struct large { char name[24]; double values[3]; };

/* "i", "l", "d", "s", "p" (pair), "f" (floats), "S" (small), "L" (large). */
static uint64_t sum(const char *types, ...)
{
    va_list arguments;
    uint64_t hash = MIX_START;
    va_start(arguments, types);
    for (const char *type = types; *type; type++) {
        switch (*type) {
        case 'i': hash = mix(hash, (uint64_t)va_arg(arguments, int)); break;
        case 'l': hash = mix(hash, (uint64_t)va_arg(arguments, long long)); break;
        case 'd': hash = mix(hash, (uint64_t)(int64_t)(va_arg(arguments, double) * 1000)); break;
        case 's': hash = mix(hash, (uint64_t)va_arg(arguments, const char *)[0]); break;
        case 'S': hash = mix(hash, (uint64_t)va_arg(arguments, struct small).a); break;
        case 'p': {
            struct pair pair = va_arg(arguments, struct pair);
            hash = mix(mix(hash, (uint64_t)(int64_t)pair.x), (uint64_t)pair.y);
            break;
        }
        case 'f': {
            struct floats floats = va_arg(arguments, struct floats);
            hash = mix(hash, (uint64_t)(int64_t)(floats.a * 8 + floats.b));
            break;
        }
        case 'L': {
            struct large large = va_arg(arguments, struct large);
            for (int i = 0; i < 3; i++)
                hash = mix(hash, (uint64_t)(int64_t)large.values[i] + (uint64_t)large.name[i]);
            break;
        }
        }
    }
    va_end(arguments);
    return hash;
}

static double total(int count, va_list arguments)
{
    double total = 0;
    for (int i = 0; i < count; i++)
        total += va_arg(arguments, double);
    return total;
}

/* Reads its arguments twice. */
static double twice(int count, ...)
{
    va_list first, second;
    va_start(first, count);
    va_copy(second, first);
    double result = total(count, first) * 10 + total(count, second);
    va_end(second);
    va_end(first);
    return result;
}

static int format(char *buffer, size_t size, const char *pattern, ...)
{
    va_list arguments;
    va_start(arguments, pattern);
    int length = vsnprintf(buffer, size, pattern, arguments);
    va_end(arguments);
    return length;
}

void variadics(void)
{
    struct small small = {7};
    struct pair pair = {2.5, -3};
    struct floats floats = {1.5f, 2.25f};
    struct large large = {"large", {1, 2, 3}};
    uint64_t hash = MIX_START;
    double doubles = 0;
    for (int round = 0; round < 300000; round++) {
        small.a = round;
        pair.x = round / 2.0;
        large.values[1] = round;
        /* More than the registers of any ISA hold. */
        hash = mix(hash, sum("idspSfLldidididididididp", round, 0.5 * round, "text", pair, small, floats, large,
                             1LL << 40, 1.25, 1, 1.0, 2, 2.0, 3, 3.0, 4, 4.0, 5, 5.0, 6, 6.0, 7, 7.0, pair));
        doubles += twice(9, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, (double)round);
    }
    char text[100];
    int length = format(text, sizeof text, "%d %s %.3f %c %lld %5.1e %x", 42, "string", 3.14159, 'c', 1LL << 50, 12345.678,
                        0xbeef);
    printf("%016llx %.1f\n%s (%d)\n", (unsigned long long)hash, doubles, text, length);
}
