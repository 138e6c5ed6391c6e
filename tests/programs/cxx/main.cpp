// cxx [NAME ...]: runs the named features in the order given, or all.
#include "cxx.hpp"
#include <cstdio>
#include <cstring>

namespace {

struct Feature {
    const char *name;
    void (*run)();
};

constexpr Feature features[] = {
    {"classes", classes},
    {"containers", containers},
    {"coroutines", coroutines},
    {"exceptions", exceptions},
    {"files", files},
    {"foreign_frames", foreign_frames},
    {"initialisers", initialisers},
    {"memory", memory},
    {"nested_exceptions", nested_exceptions},
    {"numbers", numbers},
    {"sorting", sorting},
    {"streams", streams},
    {"templates", templates},
    {"text", text},
    {"thread_locals", thread_locals},
};

void run(const Feature &feature)
{
    std::printf("== %s\n", feature.name);
    feature.run();
}

} // namespace

void report(const char *name, const Hash &hash) { std::printf("%s %016lx\n", name, hash.value); }

int main(int argc, char **argv)
{
    if (argc == 1)
        for (const Feature &feature : features)
            run(feature);
    for (int argument = 1; argument < argc; argument++) {
        const Feature *found = nullptr;
        for (const Feature &feature : features)
            if (std::strcmp(feature.name, argv[argument]) == 0)
                found = &feature;
        if (!found) {
            std::fprintf(stderr, "%s: unknown feature %s\n", argv[0], argv[argument]);
            return 2;
        }
        run(*found);
    }
    return 0;
}
