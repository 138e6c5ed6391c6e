// Exceptions that pass through C: callbacks of the libc, and a C function of the program, which has nothing to destroy.
#include "cxx.hpp"
#include <cstdlib>
#include <search.h>
#include <stdexcept>
#include <string>
#include <vector>

extern "C" long each(long count, long (*callback)(long, void *), void *data);

namespace {

struct Stop {
    int comparisons;
};

int comparisons, limit;

int compare(const void *a, const void *b)
{
    if (++comparisons == limit)
        throw Stop{comparisons};
    int left = *static_cast<const int *>(a), right = *static_cast<const int *>(b);
    return (left > right) - (left < right);
}

long sum_until(long n, void *data)
{
    auto *list = static_cast<std::vector<long> *>(data);
    if (list->size() == 700)
        throw std::length_error("enough");
    list->push_back(n * n);
    return n;
}

long nest(long n, void *data)
{
    if (n % 10 == 9)
        throw n;
    long inner = 0;
    try {
        inner = each(n % 30, nest, data);
    } catch (long caught) {
        inner = -caught;
    }
    *static_cast<Hash *>(data) << static_cast<std::uint64_t>(inner);
    return inner;
}

} // namespace

void foreign_frames()
{
    Hash hash;
    Random random;
    std::vector<int> numbers(3000);
    for (int round = 0; round < 60; round++) {
        for (int &number : numbers)
            number = static_cast<int>(random());
        comparisons = 0;
        limit = round % 2 ? static_cast<int>(random() % 30000) : -1;
        try {
            std::qsort(numbers.data(), numbers.size(), sizeof(int), compare);
        } catch (const Stop &stop) {
            hash << static_cast<std::uint64_t>(stop.comparisons == limit);
        }
        int key = numbers[100];
        limit = comparisons + 1 + round % 3;
        try {
            hash << static_cast<std::uint64_t>(std::bsearch(&key, numbers.data(), numbers.size(), sizeof(int), compare) != nullptr);
        } catch (const Stop &stop) {
            hash << static_cast<std::uint64_t>(stop.comparisons - limit);
        }
    }
    report("sorts", hash);
    for (int round = 0; round < 200; round++) {
        std::vector<long> list;
        try {
            hash << static_cast<std::uint64_t>(each(500 + 2 * round, sum_until, &list));
        } catch (const std::length_error &error) {
            hash << error.what();
        }
        hash << list.size() << static_cast<std::uint64_t>(list.back());
    }
    report("callbacks", hash);
    for (int round = 0; round < 3; round++) {
        try {
            hash << static_cast<std::uint64_t>(each(9 + round % 2, nest, &hash));
        } catch (long caught) {
            hash << static_cast<std::uint64_t>(caught);
        }
    }
    report("recursion", hash);
}
