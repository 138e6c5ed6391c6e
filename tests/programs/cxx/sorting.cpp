// Algorithms that call back into the program, from C++'s library and from C's.
#include "cxx.hpp"
#include <algorithm>
#include <cstdlib>
#include <functional>
#include <numeric>
#include <random>
#include <string>
#include <vector>

namespace {

struct Record {
    std::string key;
    std::uint32_t number;
    bool operator<(const Record &other) const { return key < other.key; }
};

std::vector<Record> records(Random &random, int count)
{
    std::vector<Record> result;
    for (int i = 0; i < count; i++)
        result.push_back({std::to_string(random() % 1000), random()});
    return result;
}

void add(Hash &hash, const std::vector<Record> &records)
{
    for (const Record &record : records)
        hash << record.key << record.number;
}

} // namespace

void sorting()
{
    Hash hash;
    Random random;
    for (int round = 0; round < 5; round++) {
        auto list = records(random, 5000);
        std::stable_sort(list.begin(), list.end());
        add(hash, list);
        std::uint64_t comparisons = 0;
        std::sort(list.begin(), list.end(), [&comparisons](const Record &a, const Record &b) {
            comparisons++;
            return a.number != b.number ? a.number < b.number : a.key > b.key;
        });
        hash << comparisons;
        add(hash, list);
        std::nth_element(list.begin(), list.begin() + 100, list.end());
        hash << list[100].key;
        std::make_heap(list.begin(), list.end());
        std::sort_heap(list.begin(), list.end());
        std::shuffle(list.begin(), list.end(), std::mt19937(42));
        add(hash, list);
    }
    report("sort", hash);

    std::vector<int> numbers(20000);
    for (int round = 0; round < 5; round++) {
        std::generate(numbers.begin(), numbers.end(), [&] { return static_cast<int>(random() % 100000); });
        std::qsort(numbers.data(), numbers.size(), sizeof(int), [](const void *a, const void *b) {
            int left = *static_cast<const int *>(a), right = *static_cast<const int *>(b);
            return (left > right) - (left < right);
        });
        for (int i = 0; i < 1000; i++)
            hash << static_cast<std::uint64_t>(
                std::lower_bound(numbers.begin(), numbers.end(), static_cast<int>(random())) - numbers.begin());
        hash << std::inner_product(numbers.begin(), numbers.end(), numbers.rbegin(), std::uint64_t{0}, std::plus<>(),
                                   std::multiplies<std::uint64_t>());
    }
    report("callbacks", hash);

    std::string permutation = "abcdefgh";
    do
        hash << permutation;
    while (std::next_permutation(permutation.begin(), permutation.end(), std::less<>()));
    report("permutations", hash);
}
