// The containers, with strings in them.
#include "cxx.hpp"
#include <bitset>
#include <deque>
#include <forward_list>
#include <iterator>
#include <list>
#include <map>
#include <queue>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace {

std::string word(Random &random)
{
    std::string text;
    for (unsigned i = 0; i < random() % 30; i++)
        text.push_back(static_cast<char>('a' + random() % 26));
    return text;
}

} // namespace

void containers()
{
    Hash hash;
    Random random;
    std::map<std::string, int> counts;
    std::unordered_map<std::string, std::vector<int>> places;
    for (int i = 0; i < 30000; i++) {
        std::string key = word(random).substr(0, 3);
        counts[key]++;
        places[key].push_back(i);
    }
    for (const auto &[key, count] : counts)
        hash << key << static_cast<std::uint64_t>(count) << places.at(key).back();
    // The order is the hash function's, which must be the same everywhere.
    for (const auto &[key, list] : places)
        hash << key << list.size();
    report("maps", hash);

    std::multiset<int, std::greater<>> numbers;
    std::unordered_set<std::uint64_t> seen;
    for (int i = 0; i < 50000; i++) {
        numbers.insert(static_cast<int>(random() % 1000));
        if (!seen.insert(random() % 5000).second)
            numbers.erase(numbers.begin());
    }
    for (int number : numbers)
        hash << number;
    report("sets", hash);

    std::deque<std::string> deque;
    std::list<std::string> list;
    std::forward_list<int> forward;
    for (int i = 0; i < 20000; i++) {
        (random() % 2 ? deque.emplace_back(word(random)) : deque.emplace_front(word(random))) += 'x';
        if (deque.size() > 100) {
            list.splice(list.begin(), std::list<std::string>{deque.back()});
            deque.pop_back();
        }
        forward.push_front(i % 7);
    }
    list.sort();
    list.unique([](const std::string &a, const std::string &b) { return a[0] == b[0]; });
    forward.remove_if([](int n) { return n % 2; });
    for (const std::string &text : list)
        hash << text;
    hash << static_cast<std::uint64_t>(std::distance(forward.begin(), forward.end()));
    report("sequences", hash);

    std::priority_queue<std::pair<std::uint32_t, std::string>> queue;
    std::vector<bool> flags(1000);
    std::bitset<777> bits;
    for (int i = 0; i < 30000; i++) {
        queue.emplace(random(), word(random));
        flags[random() % 1000].flip();
        bits ^= bits << (random() % 100) | std::bitset<777>(random());
        if (queue.size() > 200)
            queue.pop();
    }
    for (; !queue.empty(); queue.pop())
        hash << queue.top().first << queue.top().second;
    for (bool flag : flags)
        hash << flag;
    hash << bits.to_string();
    report("adaptors", hash);
}
