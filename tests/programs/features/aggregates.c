/* Structs by value in every class of size, unions, bit-fields, packed and over-aligned types. */
#include "features.h"
#include <stdio.h>
#include <string.h>

struct two { int a, b; };
struct mixed { double x; int n; };
struct vector { float x, y, z; };
struct big { uint64_t words[9]; struct two pair; };
union either { double number; uint64_t bits; char bytes[8]; };
struct fields {
    unsigned first : 3;
    signed second : 5;
    unsigned : 0;
    uint64_t third : 37;
    unsigned fourth : 1;
    _Bool fifth : 1;
};
struct __attribute__((packed)) tight { char c; unsigned i; short s; double d; };
struct wide { _Alignas(32) int n; char text[10]; };

static struct two make_two(int n) { return (struct two){n, -n}; }
static struct mixed make_mixed(struct two two, double scale) { return (struct mixed){two.a * scale, two.b}; }
static struct vector cross(struct vector a, struct vector b)
{
    return (struct vector){a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
}

/* Passed and returned in memory; changes its own copy only. */
static struct big turn(struct big big, int by)
{
    struct big result = big;
    for (int i = 0; i < 9; i++)
        result.words[(i + by) % 9] = big.words[i] + (uint64_t)by;
    big.words[0] = 0;
    result.pair = make_two((int)result.words[3]);
    return result;
}

static uint64_t fields_step(struct fields *fields, int round)
{
    fields->first += 3;
    fields->second -= 7;
    fields->third = fields->third * 5 + (uint64_t)round;
    fields->fourth ^= fields->third >> 30;
    fields->fifth = fields->second;
    return fields->first + (uint64_t)(int64_t)fields->second + fields->third + fields->fourth * 2u + fields->fifth;
}

void aggregates(void)
{
    struct big big = {{1, 2, 3, 4, 5, 6, 7, 8, 9}, {0, 0}};
    struct fields fields = {1, -2, 12345, 1, 0};
    struct vector vector = {1, 2, 3};
    struct tight tight = {'c', 0, 1, 0.5};
    uint64_t hash = MIX_START;
    for (int round = 0; round < 2000000; round++) {
        big = turn(big, round % 9);
        struct mixed mixed = make_mixed(make_two(round), 0.5);
        union either either = {.number = mixed.x + mixed.n};
        vector = cross(vector, (struct vector){0.5f, (float)(round % 7), 1});
        if (vector.x * vector.x + vector.y * vector.y > 1e6f)
            vector = (struct vector){1, 2, 3};
        tight.i += (unsigned)round;
        tight.d += tight.s;
        struct wide wide = {round, "wide"};
        struct wide copies[2] = {wide, wide};
        hash = mix(hash, either.bits + (uint64_t)either.bytes[7]);
        hash = mix(hash, fields_step(&fields, round) + (uint64_t)big.pair.b);
        hash = mix(hash, (uint64_t)(int64_t)vector.z + (uint64_t)tight.i + (uint64_t)copies[1].n);
    }
    printf("%016llx %zu %zu %zu %.1f\n", (unsigned long long)hash, sizeof(struct fields), sizeof(struct tight),
           sizeof(struct wide), tight.d);
}
