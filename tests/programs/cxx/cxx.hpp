// Every feature of C++ that must survive moves between ISAs, a file each. A feature prints what it
// computed; the output must be the same whatever ran it, and wherever it moved. Each runs long
// enough (tens of milliseconds natively) that moves fall into the middle of it.
#ifndef CXX_HPP
#define CXX_HPP

#include <cstdint>
#include <string_view>

void classes();
void containers();
void coroutines();
void exceptions();
void files();
void foreign_frames();
void initialisers();
void memory();
void nested_exceptions();
void numbers();
void sorting();
void streams();
void templates();
void text();
void thread_locals();

// FNV-1a over 64-bit words.
struct Hash {
    std::uint64_t value = 0xcbf29ce484222325u;

    Hash &operator<<(std::uint64_t word)
    {
        value = (value ^ word) * 0x100000001b3u;
        return *this;
    }
    Hash &operator<<(std::string_view text)
    {
        for (unsigned char c : text)
            *this << std::uint64_t{c};
        return *this;
    }
};

// Prints a hash under a name.
void report(const char *name, const Hash &hash);

// A small generator of numbers, the same everywhere.
struct Random {
    using result_type = std::uint32_t;
    std::uint32_t state = 1;

    std::uint32_t operator()()
    {
        state = state * 1664525u + 1013904223u;
        return state >> 8;
    }
    static constexpr std::uint32_t min() { return 0; }
    static constexpr std::uint32_t max() { return 0xffffff; }
};

#endif
