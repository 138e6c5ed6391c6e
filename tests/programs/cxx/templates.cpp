// Templates, closures, std::function, std::variant, ranges: code that exists in several units and is merged.
#include "cxx.hpp"
#include <algorithm>
#include <any>
#include <array>
#include <concepts>
#include <functional>
#include <numeric>
#include <optional>
#include <ranges>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

namespace {

template <typename T>
concept Number = std::integral<T> || std::floating_point<T>;

template <Number... T>
constexpr auto sum_of_squares(T... values)
{
    return (... + (values * values));
}

template <typename Derived>
struct Counter {
    std::uint64_t run(int rounds)
    {
        std::uint64_t total = 0;
        for (int i = 0; i < rounds; i++)
            total = total * 7 + static_cast<Derived *>(this)->step(i);
        return total;
    }
};
struct Odd : Counter<Odd> {
    std::uint64_t step(int i) { return 2 * static_cast<std::uint64_t>(i) + 1; }
};
struct Even : Counter<Even> {
    std::uint64_t step(int i) { return 2 * static_cast<std::uint64_t>(i); }
};

template <int N>
struct Fibonacci {
    static constexpr std::uint64_t value = Fibonacci<N - 1>::value + Fibonacci<N - 2>::value;
};
template <>
struct Fibonacci<1> {
    static constexpr std::uint64_t value = 1;
};
template <>
struct Fibonacci<0> {
    static constexpr std::uint64_t value = 0;
};

struct Leaf {
    std::int64_t value;
};
struct Node;
using Expression = std::variant<Leaf, std::vector<Node>>;
struct Node {
    char operation;
    Expression operand;
};

Node build(Random &random, int depth)
{
    if (depth == 0)
        return {'v', Leaf{static_cast<std::int64_t>(random() % 100)}};
    std::vector<Node> children;
    for (unsigned i = 0; i < 2 + random() % 2; i++)
        children.push_back(build(random, depth - 1));
    return {"+*-"[random() % 3], std::move(children)};
}

std::int64_t evaluate(const Node &node)
{
    return std::visit(
        [&](const auto &operand) -> std::int64_t {
            if constexpr (std::is_same_v<std::decay_t<decltype(operand)>, Leaf>) {
                return operand.value;
            } else {
                std::int64_t result = node.operation == '*';
                for (const Node &child : operand) {
                    std::int64_t value = evaluate(child);
                    result = node.operation == '*' ? (result * value) % 1000003
                           : node.operation == '+' ? result + value
                                                   : result - value;
                }
                return result;
            }
        },
        node.operand);
}

} // namespace

void templates()
{
    Hash hash;
    hash << Fibonacci<80>::value << static_cast<std::uint64_t>(sum_of_squares(1, 2.5, 3L));
    hash << Odd().run(2000000) << Even().run(2000000);
    report("static", hash);

    std::vector<std::function<std::uint64_t(std::uint64_t)>> functions;
    for (std::uint64_t i = 0; i < 50; i++) {
        functions.emplace_back([i](std::uint64_t n) { return n * 3 + i; });
        // Too large for the function object: it is kept in the heap.
        std::array<std::uint64_t, 8> table;
        std::iota(table.begin(), table.end(), i);
        functions.emplace_back([table](std::uint64_t n) { return n ^ table[n % 8]; });
    }
    std::uint64_t value = 1;
    for (int round = 0; round < 20000; round++)
        for (const auto &function : functions)
            value = function(value);
    hash << value;
    report("closures", hash);

    Random random;
    Node tree = build(random, 9);
    for (int round = 0; round < 20; round++)
        hash << static_cast<std::uint64_t>(evaluate(tree));
    report("variant", hash);

    for (int round = 0; round < 300; round++) {
        auto chosen = std::views::iota(round, round + 2000) | std::views::filter([](int n) { return n % 3 == 1; }) |
                      std::views::transform([](int n) { return n * n; }) | std::views::take(500) | std::views::common;
        hash << static_cast<std::uint64_t>(std::accumulate(chosen.begin(), chosen.end(), 0L));
        auto [low, high] = std::ranges::minmax(chosen);
        hash << static_cast<std::uint64_t>(low) << static_cast<std::uint64_t>(high);
    }
    std::any any = std::string("any");
    hash << std::any_cast<const std::string &>(any);
    any = std::make_tuple(1, 'c', std::optional<int>(7));
    hash << static_cast<std::uint64_t>(*std::get<2>(std::any_cast<std::tuple<int, char, std::optional<int>>>(any)));
    report("ranges", hash);
}
