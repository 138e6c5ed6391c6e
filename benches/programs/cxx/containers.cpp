// Containers, strings and algorithms of the standard library: ordered and hash maps, a heap, sorting, and a text that is counted word by
// word. The argument is the number of rounds; what is printed depends on every result.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <numeric>
#include <queue>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace {

class Random {
public:
    explicit Random(std::uint64_t seed) : state(seed) {}

    std::uint64_t operator()()
    {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        return state;
    }

    std::uint64_t below(std::uint64_t limit) { return (*this)() % limit; }

private:
    std::uint64_t state;
};

class Digest {
public:
    void add(std::uint64_t number) { value = (value ^ number) * 0x100000001b3; }

    void add(std::string_view text)
    {
        for (unsigned char letter : text)
            add(std::uint64_t{letter});
    }

    std::uint64_t value = 0xcbf29ce484222325;
};

std::vector<std::string> vocabulary(Random &random, std::size_t size)
{
    std::vector<std::string> words;
    for (std::size_t i = 0; i < size; i++) {
        std::string word;
        // Some fit into the string itself, others do not.
        for (auto length = random.below(30) + 1; length > 0; length--)
            word += static_cast<char>('a' + random.below(26));
        words.push_back(std::move(word));
    }
    return words;
}

// Counts the words of a text, and ranks them.
void words(Random &random, Digest &digest)
{
    auto known = vocabulary(random, 2000);
    std::string text;
    for (int i = 0; i < 40000; i++) {
        auto rank = random.below(known.size()) * random.below(known.size()) / known.size();
        text.append(known[rank]).push_back(random.below(9) ? ' ' : '\n');
    }
    std::unordered_map<std::string, unsigned> counts;
    for (std::size_t start = 0, end; (end = text.find_first_of(" \n", start)) != std::string::npos; start = end + 1)
        counts[text.substr(start, end - start)]++;
    std::vector<std::pair<std::string, unsigned>> ranked(counts.begin(), counts.end());
    std::sort(ranked.begin(), ranked.end(), [](const auto &a, const auto &b) {
        return a.second != b.second ? a.second > b.second : a.first < b.first;
    });
    for (const auto &[word, count] : ranked) {
        digest.add(word);
        digest.add(count);
    }
}

// Inserts into, looks up in and removes from an ordered map.
void ordered(Random &random, Digest &digest)
{
    std::map<std::uint64_t, std::string> tree;
    for (int i = 0; i < 60000; i++) {
        auto key = random.below(20000);
        switch (random.below(4)) {
        case 0:
            tree.erase(key);
            break;
        case 1:
            if (auto found = tree.lower_bound(key); found != tree.end())
                digest.add(found->first);
            break;
        default:
            tree.insert_or_assign(key, std::to_string(key * 7919));
        }
    }
    for (const auto &[key, value] : tree)
        digest.add(value);
}

// Shortest paths in a random graph, with a heap.
void paths(Random &random, Digest &digest)
{
    constexpr std::size_t vertices = 8000;
    std::vector<std::vector<std::pair<unsigned, unsigned>>> edges(vertices);
    for (auto &from : edges)
        for (int i = 0; i < 6; i++)
            from.emplace_back(random.below(vertices), random.below(1000) + 1);
    std::vector<std::uint64_t> distances(vertices, UINT64_MAX);
    using Entry = std::pair<std::uint64_t, unsigned>;
    std::priority_queue<Entry, std::vector<Entry>, std::greater<>> open;
    distances[0] = 0;
    open.emplace(0, 0);
    while (!open.empty()) {
        auto [distance, at] = open.top();
        open.pop();
        if (distance > distances[at])
            continue;
        for (auto [to, length] : edges[at])
            if (distance + length < distances[to]) {
                distances[to] = distance + length;
                open.emplace(distances[to], to);
            }
    }
    for (auto distance : distances)
        digest.add(distance);
}

// Algorithms over sequences, with predicates called through std::function.
void sequences(Random &random, Digest &digest)
{
    std::vector<std::uint32_t> numbers(100000);
    std::generate(numbers.begin(), numbers.end(), [&] { return static_cast<std::uint32_t>(random()); });
    std::function<bool(std::uint32_t)> odd = [](std::uint32_t number) { return number & 1; };
    auto middle = std::stable_partition(numbers.begin(), numbers.end(), odd);
    std::sort(numbers.begin(), middle);
    std::stable_sort(middle, numbers.end(), [](auto a, auto b) { return a % 1000 < b % 1000; });
    std::nth_element(numbers.begin(), numbers.begin() + 5000, middle, std::greater<>());
    digest.add(numbers[5000]);
    digest.add(std::inner_product(numbers.begin(), middle, numbers.rbegin(), std::uint64_t{0}));
    std::set<std::uint32_t> some(numbers.begin(), numbers.begin() + 4000);
    std::deque<std::uint32_t> queue(some.begin(), some.end());
    std::list<std::uint32_t> list;
    while (!queue.empty()) {
        list.push_front(queue.front());
        queue.pop_front();
        if (!queue.empty() && odd(queue.back())) {
            list.push_back(queue.back());
            queue.pop_back();
        }
    }
    list.sort();
    list.unique([](auto a, auto b) { return a / 4096 == b / 4096; });
    for (auto number : list)
        digest.add(number);
}

}  // namespace

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? std::atoi(argv[1]) : 20;
    Random random(0x9e3779b97f4a7c15);
    Digest digest;
    for (int round = 0; round < rounds; round++) {
        words(random, digest);
        ordered(random, digest);
        paths(random, digest);
        sequences(random, digest);
    }
    std::printf("%016llx\n", static_cast<unsigned long long>(digest.value));
}
