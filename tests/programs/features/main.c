/* features [NAME ...]: runs the named features, or all. */
#include "features.h"
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    void (*run)(void);
} features[] = {
    {"aggregates", aggregates},     {"atomics", atomics},
    {"computed_goto", computed_goto}, {"function_tables", function_tables},
    {"int128", int128},             {"library", library},
    {"nonlocal_jumps", nonlocal_jumps}, {"recursion", recursion},
    {"signals", signals},           {"sorting", sorting},
    {"stack_memory", stack_memory}, {"thread_locals", thread_locals},
    {"variadics", variadics},       {"vectors", vectors},
};

static int wanted(const char *name, int count, char **names)
{
    if (count == 0)
        return 1;
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return 1;
    return 0;
}

int main(int argc, char **argv)
{
    int found = 0;
    for (size_t i = 0; i < sizeof features / sizeof *features; i++) {
        if (wanted(features[i].name, argc - 1, argv + 1)) {
            printf("== %s\n", features[i].name);
            features[i].run();
            found++;
        }
    }
    if (argc > 1 && found != argc - 1) {
        fprintf(stderr, "%s: unknown feature\n", argv[0]);
        return 2;
    }
    return 0;
}
