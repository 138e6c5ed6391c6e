/* Function pointers: tables in read-only data, in the heap, compared, passed to libraries, and returned. */
#include "features.h"
#include <stdio.h>
#include <stdlib.h>

typedef uint64_t operation(uint64_t, uint64_t);

static uint64_t add(uint64_t a, uint64_t b) { return a + b; }
static uint64_t subtract(uint64_t a, uint64_t b) { return a - b; }
static uint64_t multiply(uint64_t a, uint64_t b) { return a * (b | 1); }
static uint64_t rotate(uint64_t a, uint64_t b) { return a << (b & 63) | a >> (-b & 63); }

static operation *const table[] = {add, subtract, multiply, rotate};

/* Objects with a table of methods, as C programs write classes. */
struct shape;
struct methods { const char *name; double (*area)(const struct shape *); operation *combine; };
struct shape { const struct methods *methods; double width, height; };

static double rectangle_area(const struct shape *shape) { return shape->width * shape->height; }
static double triangle_area(const struct shape *shape) { return shape->width * shape->height / 2; }
static const struct methods rectangle = {"rectangle", rectangle_area, add};
static const struct methods triangle = {"triangle", triangle_area, rotate};

static operation *choose(unsigned which) { return table[which % 4]; }

void function_tables(void)
{
    operation **heap = malloc(1000 * sizeof *heap);
    struct shape *shapes = malloc(1000 * sizeof *shapes);
    uint32_t state = 3;
    for (int i = 0; i < 1000; i++) {
        uint32_t random = next_random(&state);
        heap[i] = choose(random);
        shapes[i] = (struct shape){random & 64 ? &rectangle : &triangle, random % 100, random % 37};
    }
    uint64_t value = 1, adds = 0;
    double area = 0;
    for (int round = 0; round < 3000; round++) {
        for (int i = 0; i < 1000; i++) {
            value = heap[i](value, (uint64_t)i + (uint64_t)round);
            adds += heap[i] == add;
            value = shapes[i].methods->combine(value, 3);
            area += shapes[i].methods->area(&shapes[i]);
        }
        heap[round % 1000] = choose(next_random(&state));
    }
    printf("%016llx %llu %.1f %s\n", (unsigned long long)value, (unsigned long long)adds, area, shapes[7].methods->name);
    free(heap);
    free(shapes);
}
