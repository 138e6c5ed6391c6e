// Coroutines: generators, and tasks that hand over to one another.
#include "cxx.hpp"
#include <coroutine>
#include <cstdio>
#include <deque>
#include <exception>
#include <memory>
#include <utility>
#include <vector>

namespace {

template <typename T>
class Generator {
public:
    struct promise_type {
        T value{};
        std::exception_ptr thrown;
        Generator get_return_object() { return Generator(std::coroutine_handle<promise_type>::from_promise(*this)); }
        std::suspend_always initial_suspend() { return {}; }
        std::suspend_always final_suspend() noexcept { return {}; }
        std::suspend_always yield_value(T next)
        {
            value = next;
            return {};
        }
        void return_void() {}
        void unhandled_exception() { thrown = std::current_exception(); }
    };

    Generator(Generator &&other) noexcept : handle(std::exchange(other.handle, nullptr)) {}
    ~Generator()
    {
        if (handle)
            handle.destroy();
    }
    bool next()
    {
        handle.resume();
        if (handle.promise().thrown)
            std::rethrow_exception(handle.promise().thrown);
        return !handle.done();
    }
    T value() const { return handle.promise().value; }

private:
    explicit Generator(std::coroutine_handle<promise_type> handle) : handle(handle) {}
    std::coroutine_handle<promise_type> handle;
};

struct Tree {
    std::unique_ptr<Tree> left, right;
    std::uint32_t key;
};

void insert(std::unique_ptr<Tree> &tree, std::uint32_t key)
{
    if (!tree)
        tree = std::make_unique<Tree>(Tree{nullptr, nullptr, key});
    else
        insert(key < tree->key ? tree->left : tree->right, key);
}

Generator<std::uint32_t> in_order(const Tree *tree)
{
    if (!tree)
        co_return;
    for (auto left = in_order(tree->left.get()); left.next();)
        co_yield left.value();
    co_yield tree->key;
    for (auto right = in_order(tree->right.get()); right.next();)
        co_yield right.value();
}

// A lazy task. Whoever awaits it goes on when it has ended, without the stack growing: one resumes the other by a tail call.
class Task {
public:
    struct promise_type {
        std::uint64_t value = 0;
        std::coroutine_handle<> awaiting = std::noop_coroutine();
        Task get_return_object() { return Task(std::coroutine_handle<promise_type>::from_promise(*this)); }
        std::suspend_always initial_suspend() { return {}; }
        auto final_suspend() noexcept
        {
            struct Final {
                bool await_ready() noexcept { return false; }
                std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> handle) noexcept
                {
                    return handle.promise().awaiting;
                }
                void await_resume() noexcept {}
            };
            return Final{};
        }
        void return_value(std::uint64_t result) { value = result; }
        void unhandled_exception() { std::terminate(); }
    };

    Task(Task &&other) noexcept : handle(std::exchange(other.handle, nullptr)) {}
    ~Task()
    {
        if (handle)
            handle.destroy();
    }
    bool await_ready() const { return handle.done(); }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting)
    {
        handle.promise().awaiting = awaiting;
        return handle;
    }
    std::uint64_t await_resume() const { return handle.promise().value; }
    std::uint64_t run()
    {
        handle.resume();
        return handle.promise().value;
    }

private:
    explicit Task(std::coroutine_handle<promise_type> handle) : handle(handle) {}
    std::coroutine_handle<promise_type> handle;
};

Task leaf(std::uint64_t n) { co_return n * 2654435761u % 1000; }

Task sum(int count)
{
    std::uint64_t total = 0;
    for (int i = 0; i < count; i++)
        total = total * 3 + co_await leaf(static_cast<std::uint64_t>(i));
    co_return total;
}

Task nested(int depth)
{
    if (depth == 0)
        co_return 1;
    std::uint64_t left = co_await nested(depth - 1);
    std::uint64_t right = co_await nested(depth - 1);
    co_return left + right * 3;
}

// Several that take turns.
struct Turn {
    std::deque<std::coroutine_handle<>> &queue;
    bool await_ready() { return false; }
    void await_suspend(std::coroutine_handle<> handle) { queue.push_back(handle); }
    void await_resume() {}
};

Task worker(std::deque<std::coroutine_handle<>> &queue, Hash &hash, int number)
{
    for (int i = 0; i < 2000; i++) {
        hash << static_cast<std::uint64_t>(number * 10000 + i);
        co_await Turn{queue};
    }
    co_return static_cast<std::uint64_t>(number);
}

} // namespace

void coroutines()
{
    Hash hash;
    Random random;
    std::unique_ptr<Tree> tree;
    for (int i = 0; i < 20000; i++)
        insert(tree, random());
    for (auto keys = in_order(tree.get()); keys.next();)
        hash << keys.value();
    report("generators", hash);

    hash << sum(1000000).run() << nested(16).run();
    report("tasks", hash);

    std::deque<std::coroutine_handle<>> queue;
    std::vector<Task> workers;
    for (int i = 0; i < 50; i++) {
        workers.push_back(worker(queue, hash, i));
        workers.back().run();
    }
    while (!queue.empty()) {
        auto next = queue.front();
        queue.pop_front();
        next.resume();
    }
    report("turns", hash);
}
