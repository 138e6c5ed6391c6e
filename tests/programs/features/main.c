/* features [NAME ...]: runs the named features in the order given, or all. */
#include "features.h"
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    void (*run)(void);
} features[] = {
    {"aggregates", aggregates},     {"atomics", atomics},
    {"computed_goto", computed_goto}, {"directories", directories},
    {"function_tables", function_tables}, {"int128", int128},
    {"intrinsics", intrinsics},
    {"library", library},           {"nonlocal_jumps", nonlocal_jumps},
    {"recursion", recursion},       {"signals", signals},
    {"sorting", sorting},           {"stack_memory", stack_memory},
    {"thread_locals", thread_locals}, {"variadics", variadics},
    {"vectors", vectors},
};

static void run(size_t index)
{
    printf("== %s\n", features[index].name);
    features[index].run();
}

int main(int argc, char **argv)
{
    size_t count = sizeof features / sizeof *features;
    for (size_t i = 0; argc == 1 && i < count; i++)
        run(i);
    for (int argument = 1; argument < argc; argument++) {
        size_t i = 0;
        while (i < count && strcmp(features[i].name, argv[argument]) != 0)
            i++;
        if (i == count) {
            fprintf(stderr, "%s: unknown feature %s\n", argv[0], argv[argument]);
            return 2;
        }
        run(i);
    }
    return 0;
}
