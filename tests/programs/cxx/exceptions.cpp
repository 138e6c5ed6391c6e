// Exceptions thrown through many frames, some of which have moved between being entered and being unwound.
#include "cxx.hpp"
#include <csetjmp>
#include <cstdio>
#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <typeinfo>
#include <vector>

namespace {

struct Failure : std::runtime_error {
    Failure(int depth, const std::string &text) : std::runtime_error(text), depth(depth) {}
    int depth;
};
struct Left {
    virtual ~Left() = default;
    int left = 1;
};
struct Right {
    virtual ~Right() = default;
    int right = 2;
};
struct Both : Left, Right {
    int both = 3;
};
struct Large {
    std::uint64_t words[100];
};

// Notes its destruction, in order.
struct Note {
    Hash &hash;
    std::uint64_t number;
    ~Note() { hash << number; }
};

std::uint64_t busy(std::uint64_t n)
{
    Random random{static_cast<std::uint32_t>(n)};
    std::uint64_t sum = n;
    for (unsigned i = 0; i < 200 + n % 300; i++)
        sum = sum * 31 + random();
    return sum;
}

// Goes `depth` frames down and throws there; every frame has something to destroy, and work to do before and after.
std::uint64_t descend(Hash &hash, int depth, int fail_at, std::uint64_t carried)
{
    Note note{hash, carried};
    std::string text = "depth " + std::to_string(depth);
    std::uint64_t before = busy(carried + static_cast<std::uint64_t>(depth));
    if (depth == fail_at)
        throw Failure(depth, text);
    std::uint64_t result = descend(hash, depth + 1, fail_at, before % 1000);
    hash << text;
    return result + before;
}

// Every other frame catches, changes something and throws again.
std::uint64_t relay(Hash &hash, int depth)
{
    Note note{hash, static_cast<std::uint64_t>(depth)};
    std::uint64_t local = busy(static_cast<std::uint64_t>(depth));
    if (depth == 0)
        throw Failure(0, "bottom");
    if (depth % 2)
        return relay(hash, depth - 1) + local;
    try {
        return relay(hash, depth - 1) ^ local;
    } catch (Failure &failure) {
        hash << busy(local) << local << failure.what();
        failure.depth++;
        throw;
    }
}

void throw_kind(int kind)
{
    switch (kind % 9) {
    case 0: throw 42;
    case 1: throw 2.5;
    case 2: throw "text";
    case 3: throw std::string("string");
    case 4: throw Both();
    case 5: throw static_cast<Right *>(new Both());
    case 6: throw Large{{1, 2, 3}};
    case 7: throw std::out_of_range("range");
    default: throw nullptr;
    }
}

std::uint64_t catch_kind(int kind)
{
    std::uint64_t seen = busy(static_cast<std::uint64_t>(kind));
    try {
        throw_kind(kind);
    } catch (int number) {
        return seen + static_cast<std::uint64_t>(number);
    } catch (double number) {
        return seen + static_cast<std::uint64_t>(number * 2);
    } catch (const char *text) {
        return seen + static_cast<std::uint64_t>(text ? text[0] : 1000);
    } catch (const std::string &text) {
        return seen + text.size();
    } catch (const Right &right) {
        return seen + static_cast<std::uint64_t>(right.right) + static_cast<std::uint64_t>(dynamic_cast<const Both &>(right).both);
    } catch (Right *right) {
        std::unique_ptr<Right> owned(right);
        return seen + static_cast<std::uint64_t>(dynamic_cast<Both *>(right)->left);
    } catch (Large large) {
        return seen + large.words[2];
    } catch (const std::logic_error &error) {
        return seen + static_cast<std::uint64_t>(error.what()[0]);
    } catch (...) {
        return seen + 1;
    }
    return 0;
}

struct Member {
    explicit Member(int n) : number(n)
    {
        if (n % 5 == 3)
            throw Failure(n, "member");
    }
    int number;
};

// A function-try-block: what the members' constructors throw is seen, and thrown on.
struct Whole {
    Whole(Hash &hash, int n)
    try : first{hash, 1}, second(n), third{hash, 3} {
        if (n % 7 == 2)
            throw std::length_error("whole");
    } catch (const Failure &failure) {
        hash << static_cast<std::uint64_t>(failure.depth);
    } catch (const std::length_error &error) {
        hash << error.what();
        throw std::invalid_argument("instead");
    }
    Note first;
    Member second;
    Note third;
};

int function_try_block(int n)
try {
    if (n % 2)
        throw n;
    return n;
} catch (int caught) {
    return -caught;
}

// Throws while an array is made: the elements made so far are destroyed.
struct Element {
    Element()
    {
        if (++made % 50 == 0)
            throw made;
        alive++;
    }
    ~Element() { alive--; }
    static inline int made = 0, alive = 0;
};

std::uint64_t loops(Hash &hash, int rounds)
{
    std::uint64_t caught = 0, normal = 0, total = 0;
    for (int i = 0; i < rounds; i++) {
        Note note{hash, static_cast<std::uint64_t>(i)};
        try {
            total += busy(static_cast<std::uint64_t>(i));
            if (i % 3 == 1)
                continue;
            if (i % 5 == 2)
                throw i;
            normal++;
        } catch (int n) {
            caught += static_cast<std::uint64_t>(n);
            if (n % 2)
                continue;
            total ^= busy(static_cast<std::uint64_t>(n));
        }
        total += caught + normal;
    }
    return total;
}

// What comes back to a setjmp in a try block is in that block again.
void jumps(Hash &hash)
{
    std::jmp_buf buffer;
    for (int n = 0; n < 3000; n++) {
        volatile int round = 0;
        try {
            hash << static_cast<std::uint64_t>(setjmp(buffer)) << busy(static_cast<std::uint64_t>(n));
            round = round + 1;
            if (round < 5)
                std::longjmp(buffer, round * 10);
            if (n % 3 != 0)
                throw n;
            hash << 1u;
        } catch (int number) {
            hash << static_cast<std::uint64_t>(number + round);
        }
    }
}

// More arguments than there are registers for: what was pushed for a call has to go when it ends in a landing pad.
__attribute__((noinline)) std::uint64_t pushed(std::uint64_t a, std::uint64_t b, std::uint64_t c, std::uint64_t d, std::uint64_t e,
                                               std::uint64_t f, std::uint64_t g, std::uint64_t h, bool i, std::uint64_t *j)
{
    *j = busy(a + b + c + d + e + f + g + h);
    if (i)
        throw static_cast<int>(*j % 1000);
    return *j;
}

__attribute__((noinline)) std::uint64_t clean(Hash &hash, std::uint64_t n)
{
    std::uint64_t sum = 0;
    Note note{hash, n};
    return pushed(n, n + 1, n + 2, n + 3, n + 4, n + 5, n + 6, n + 7, n % 3 == 0, &sum) + sum;
}

void arguments(Hash &hash)
{
    for (std::uint64_t n = 0; n < 3000; n++) {
        try {
            hash << clean(hash, n);
        } catch (int number) {
            hash << static_cast<std::uint64_t>(number);
        }
    }
}

} // namespace

void exceptions()
{
    Hash hash;
    for (int round = 0; round < 200; round++) {
        try {
            descend(hash, 0, round % 60, static_cast<std::uint64_t>(round));
        } catch (const std::exception &error) {
            hash << error.what() << static_cast<std::uint64_t>(dynamic_cast<const Failure &>(error).depth);
        }
    }
    report("deep", hash);
    for (int round = 0; round < 100; round++) {
        try {
            relay(hash, round % 50);
        } catch (const Failure &failure) {
            hash << static_cast<std::uint64_t>(failure.depth);
        }
    }
    report("rethrown", hash);
    for (int kind = 0; kind < 5000; kind++)
        hash << catch_kind(kind);
    report("kinds", hash);
    for (int n = 0; n < 2000; n++) {
        try {
            Whole whole(hash, n);
            hash << static_cast<std::uint64_t>(whole.second.number);
        } catch (const Failure &failure) {
            hash << failure.what();
        } catch (const std::invalid_argument &error) {
            hash << error.what();
        }
        hash << static_cast<std::uint64_t>(function_try_block(n));
        try {
            std::unique_ptr<Element[]> elements(new Element[static_cast<std::size_t>(n % 40)]);
        } catch (int made) {
            hash << static_cast<std::uint64_t>(made);
        }
        hash << static_cast<std::uint64_t>(Element::alive);
    }
    report("constructors", hash);
    hash << loops(hash, 10000);
    report("loops", hash);
    jumps(hash);
    report("jumps", hash);
    arguments(hash);
    report("arguments", hash);

    // What the language and the library throw themselves.
    auto caught = [&](const std::function<void()> &body) {
        try {
            body();
        } catch (const std::exception &error) {
            hash << typeid(error).name() << static_cast<std::uint64_t>(dynamic_cast<const std::bad_alloc *>(&error) != nullptr);
        }
    };
    Left left;
    Left &reference = left;
    const std::type_info *nothing = nullptr;
    for (int round = 0; round < 200; round++) {
        caught([&] { hash << static_cast<std::uint64_t>(dynamic_cast<Both &>(reference).both); });
        caught([&] { hash << std::vector<int>(3).at(static_cast<std::size_t>(round + 3)); });
        caught([&] { hash << std::string("abc").substr(static_cast<std::size_t>(round + 4)); });
        caught([&] { hash << static_cast<std::uint64_t>(std::stoi("none")); });
        caught([&] { std::function<void()>()(); });
        caught([&] { std::vector<int>().reserve(~std::size_t{0} / 2); });
        caught([&] { hash << reinterpret_cast<std::uintptr_t>(::operator new(~std::size_t{0} / 2)); });
        caught([&] {
            volatile int size = -1;
            // Volatile, too: a compiler may leave out what allocates for a pointer that nobody sees.
            int *volatile array = new int[static_cast<std::size_t>(size)];
            hash << reinterpret_cast<std::uintptr_t>(array);
        });
    }
    report("library", hash);
    std::printf("%d in flight, %d current, %d\n", std::uncaught_exceptions(), std::current_exception() != nullptr,
                nothing == nullptr);
}
