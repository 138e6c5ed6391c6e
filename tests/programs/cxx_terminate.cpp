// cxx_terminate WAY: ways in which an exception ends a program.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <string>

namespace {

std::string text(const char *way) { return std::string("ended by ") + way; }

void cannot_throw(const char *way) noexcept { throw std::runtime_error(text(way)); }

struct ThrowsWhileUnwinding {
    const char *way;
    ~ThrowsWhileUnwinding() noexcept(false) { throw std::logic_error(text(way)); }
};

struct ThrowsWhenDestroyed {
    const char *way;
    ~ThrowsWhenDestroyed() { throw std::logic_error(text(way)); }
};

void own_handler()
{
    try {
        std::rethrow_exception(std::current_exception());
    } catch (const std::exception &error) {
        std::printf("terminate: %s\n", error.what());
    }
    std::fflush(stdout);
    std::_Exit(7);
}

// Long enough to be moved.
unsigned busy()
{
    unsigned value = 1;
    for (int i = 0; i < 30000000; i++)
        value = value * 1664525u + 1013904223u;
    return value;
}

} // namespace

int main(int argc, char **argv)
{
    const char *way = argc > 1 ? argv[1] : "";
    std::printf("%u\n", busy());
    std::fflush(stdout);
    if (!std::strcmp(way, "uncaught"))
        throw std::runtime_error(text(way));
    if (!std::strcmp(way, "uncaught number"))
        throw 42;
    if (!std::strcmp(way, "noexcept"))
        cannot_throw(way);
    if (!std::strcmp(way, "rethrow of nothing"))
        throw;
    if (!std::strcmp(way, "destructor"))
        ThrowsWhenDestroyed{way};
    if (!std::strcmp(way, "unwinding"))
        try {
            ThrowsWhileUnwinding thrower{way};
            throw std::runtime_error("first");
        } catch (const std::exception &) {
            return 1;
        }
    if (!std::strcmp(way, "handler")) {
        std::set_terminate(own_handler);
        cannot_throw(way);
    }
    if (!std::strcmp(way, "exit in handler"))
        try {
            throw 9;
        } catch (int status) {
            std::exit(status);
        }
    return 2;
}
