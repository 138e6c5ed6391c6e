// Exceptions while others are handled or under way: exception_ptr, nested exceptions, handlers within handlers.
#include "cxx.hpp"
#include <exception>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

std::uint64_t busy(std::uint64_t n)
{
    Random random{static_cast<std::uint32_t>(n)};
    std::uint64_t sum = 0;
    for (unsigned i = 0; i < 500; i++)
        sum = sum * 31 + random();
    return sum;
}

// Runs code of its own while an exception passes, which throws and catches another one.
struct Guard {
    Hash &hash;
    int depth;
    ~Guard()
    {
        hash << static_cast<std::uint64_t>(std::uncaught_exceptions()) << busy(static_cast<std::uint64_t>(depth));
        if (depth == 0)
            return;
        try {
            Guard inner{hash, depth - 1};
            throw depth;
        } catch (int caught) {
            hash << static_cast<std::uint64_t>(caught);
        }
    }
};

void fail(int depth)
{
    if (depth == 0)
        throw std::runtime_error("innermost");
    try {
        fail(depth - 1);
    } catch (...) {
        std::throw_with_nested(std::logic_error("level " + std::to_string(depth) + " " + std::to_string(busy(1) % 10)));
    }
}

void unnest(Hash &hash, const std::exception &error)
{
    hash << error.what();
    try {
        std::rethrow_if_nested(error);
    } catch (const std::exception &inner) {
        unnest(hash, inner);
    }
}

// A handler in which another exception is thrown and caught, over and over.
std::uint64_t handlers(Hash &hash, int depth)
{
    try {
        throw depth;
    } catch (int outer) {
        std::uint64_t value = busy(static_cast<std::uint64_t>(outer));
        if (depth > 0)
            value += handlers(hash, depth - 1);
        try {
            throw;
        } catch (int again) {
            hash << static_cast<std::uint64_t>(again);
        }
        return value + static_cast<std::uint64_t>(outer);
    }
}

std::exception_ptr capture(int n)
{
    try {
        if (n % 2)
            throw std::out_of_range(std::to_string(n));
        throw n;
    } catch (...) {
        return std::current_exception();
    }
}

} // namespace

void nested_exceptions()
{
    Hash hash;
    for (int round = 0; round < 200; round++) {
        try {
            Guard guard{hash, round % 6};
            throw std::runtime_error("outermost");
        } catch (const std::runtime_error &error) {
            hash << error.what();
        }
    }
    report("destructors", hash);
    for (int round = 0; round < 100; round++) {
        try {
            fail(round % 20);
        } catch (const std::exception &error) {
            unnest(hash, error);
        }
        hash << handlers(hash, round % 15);
    }
    report("nested", hash);

    std::vector<std::exception_ptr> kept;
    for (int n = 0; n < 2000; n++) {
        kept.push_back(capture(n));
        std::exception_ptr pointer = kept[static_cast<std::size_t>(n) / 2];
        for (int times = 0; times < 2; times++) {
            try {
                busy(static_cast<std::uint64_t>(n));
                std::rethrow_exception(pointer);
            } catch (int number) {
                hash << static_cast<std::uint64_t>(number);
            } catch (const std::exception &error) {
                hash << error.what();
            }
        }
        if (n % 3 == 0)
            std::swap(kept[static_cast<std::size_t>(n) / 3], kept.back());
    }
    auto made = std::make_exception_ptr(std::string("made"));
    try {
        std::rethrow_exception(made);
    } catch (const std::string &text) {
        hash << text;
    }
    report("pointers", hash);
}
