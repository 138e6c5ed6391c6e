// Static objects: when they are made, by whom, and how often. main's output shows that all were.
#include "initialisers.hpp"
#include "cxx.hpp"
#include <cstdio>

std::vector<std::string> &journal()
{
    static std::vector<std::string> entries;
    return entries;
}

namespace {

Entry first("first of the unit");
int computed = [] {
    journal().push_back("computed");
    return static_cast<int>(journal().size());
}();
Entry last("last of the unit");

[[gnu::constructor(200)]] void early() { journal().push_back("constructor 200"); }
[[gnu::constructor(101)]] void earliest() { journal().push_back("constructor 101"); }

[[gnu::destructor]] void late() { std::printf("destructor\n"); }
[[gnu::destructor]] void later() { std::printf("another destructor\n"); }
[[gnu::destructor(150)]] void latest() { std::printf("destructor 150\n"); }

std::uint32_t sum_of_random(int seed, int count)
{
    Random random{static_cast<std::uint32_t>(seed)};
    std::uint32_t sum = 0;
    for (int i = 0; i < count; i++)
        sum += random();
    return sum;
}

// The guard variable sees to it that only the first call makes the object.
int guarded(int n)
{
    static int value = static_cast<int>(sum_of_random(n, 20000000));
    return value + n;
}

// An object whose initialiser throws is not made: the next call tries again.
std::uint32_t never_made(int n)
{
    static std::uint32_t value = [n]() -> std::uint32_t { throw sum_of_random(n, 200000); }();
    return value;
}

struct AtExit {
    const char *name;
    ~AtExit() { std::printf("destroyed: %s\n", name); }
};
AtExit one{"one"}, two{"two"};

} // namespace

void initialisers()
{
    std::string all;
    for (const std::string &entry : journal())
        all += entry + "; ";
    std::printf("%s\ncomputed %d, other unit %d, templates %d %d\n", all.c_str(), computed > 0, other_unit_value(),
                Registered<int>::touch(), Registered<long>::touch());
    static AtExit three{"three"};
    Hash hash;
    for (int i = 0; i < 100; i++)
        hash << static_cast<std::uint64_t>(guarded(i));
    report("guarded", hash);
    for (int i = 0; i < 100; i++) {
        try {
            hash << never_made(i);
        } catch (std::uint32_t sum) {
            hash << sum + 1;
        }
    }
    report("never made", hash);
}
