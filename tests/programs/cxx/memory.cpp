// Ownership, allocators, alignment, arrays with destructors.
#include "cxx.hpp"
#include <cstddef>
#include <memory>
#include <memory_resource>
#include <new>
#include <string>
#include <vector>

namespace {

struct Tracked {
    explicit Tracked(std::uint64_t n = 0) : number(n) { alive++; }
    Tracked(const Tracked &other) : number(other.number) { alive++, copies++; }
    Tracked(Tracked &&other) noexcept : number(other.number) { alive++, moves++; }
    Tracked &operator=(const Tracked &) = default;
    ~Tracked()
    {
        alive--;
        order << number;
    }
    std::uint64_t number;
    static inline std::int64_t alive, copies, moves;
    static inline Hash order;
};

struct alignas(64) Aligned {
    std::uint64_t words[8];
};

struct Tree : std::enable_shared_from_this<Tree> {
    std::vector<std::shared_ptr<Tree>> children;
    std::weak_ptr<Tree> parent;
    std::uint64_t number = 0;

    std::uint64_t depth() const
    {
        auto up = parent.lock();
        return up ? up->depth() + 1 : 0;
    }
};

} // namespace

void memory()
{
    Hash hash;
    Random random;
    for (int round = 0; round < 2000; round++) {
        std::vector<Tracked> vector;
        for (unsigned i = 0; i < random() % 40; i++)
            vector.emplace_back(i);
        std::vector<Tracked> copy = vector;
        auto array = std::make_unique<Tracked[]>(random() % 20);
        vector.erase(vector.begin(), vector.begin() + static_cast<long>(vector.size() / 2));
    }
    hash << static_cast<std::uint64_t>(Tracked::alive) << static_cast<std::uint64_t>(Tracked::copies)
         << static_cast<std::uint64_t>(Tracked::moves) << Tracked::order.value;
    report("lifetimes", hash);

    auto root = std::make_shared<Tree>();
    std::vector<std::weak_ptr<Tree>> all{root};
    for (int i = 0; i < 20000; i++) {
        auto parent = all[random() % all.size()].lock();
        auto child = std::make_shared<Tree>();
        child->parent = parent;
        child->number = random();
        parent->children.push_back(child);
        all.push_back(child);
        hash << child->depth() << static_cast<std::uint64_t>(child->shared_from_this().use_count());
    }
    root->children.resize(1);
    std::uint64_t left = 0;
    for (const auto &tree : all)
        left += !tree.expired();
    hash << left;
    report("shared", hash);

    int deleted = 0;
    auto deleter = [&deleted](const int *pointer) {
        deleted += *pointer;
        delete pointer;
    };
    for (int i = 0; i < 50000; i++) {
        std::unique_ptr<int, decltype(deleter)> owned(new int(i % 10), deleter);
        std::shared_ptr<int> shared(new int(1), deleter);
        auto aligned = std::make_unique<Aligned>();
        hash << reinterpret_cast<std::uintptr_t>(aligned.get()) % 64;
    }
    hash << deleted;
    report("deleters", hash);

    for (int round = 0; round < 200; round++) {
        std::byte buffer[4096];
        std::pmr::monotonic_buffer_resource arena(buffer, sizeof buffer);
        std::pmr::unsynchronized_pool_resource pool(&arena);
        std::pmr::vector<std::pmr::string> strings(&pool);
        for (int i = 0; i < 200; i++)
            strings.emplace_back(std::string(random() % 60, static_cast<char>('a' + i % 26)));
        for (const auto &string : strings)
            hash << std::string_view(string);
    }
    report("arenas", hash);
}
