// What random programs share. They print one sum, into which everything goes that they do, in order.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>

namespace {

using u64 = std::uint64_t;

u64 sum = 1;
// Each call takes one; what finds none returns at once, so all programs end.
int fuel = 400;
int depth = 0;

void mix(u64 value) { sum = (sum ^ value) * 0x100000001b3 + (sum >> 47); }

// Finite, and the same on every ISA.
double tame(double d) { return d < 1e6 && d > -1e6 ? d : 1.5; }
u64 bits(double d) { u64 value; std::memcpy(&value, &d, sizeof value); return value; }
double real(u64 value) { return double(value & 0xffff) / 8; }
u64 ratio(u64 a, u64 b) { return b ? a / b : a; }

struct Pair { u64 first; double second; };
struct Large { u64 items[5]; };

struct Deeper { Deeper() { depth++; fuel--; } ~Deeper() { depth--; } };
bool exhausted() { return fuel <= 0 || depth > 24; }

// Says that it was destroyed, and in what order.
struct Guard {
    u64 value;
    explicit Guard(u64 v) : value(v) { mix(v); }
    Guard(const Guard &) = delete;
    ~Guard() { mix(~value + (std::uncaught_exceptions() << 8)); }
};

struct Error { u64 code; explicit Error(u64 c) : code(c) {} virtual ~Error() {} virtual u64 what() const { return code; } };
struct Mild : Error { using Error::Error; u64 what() const override { return code * 3; } };
struct Tag { double weight = 0.5; virtual ~Tag() {} };
struct Grave : Tag, Error { explicit Grave(u64 c) : Error(c) { weight = real(c); } u64 what() const override { return code + bits(weight); } };
struct Plain { u64 a, b; };

template <typename T, int N> struct Buffer {
    T items[N];
    explicit Buffer(u64 seed) { for (int i = 0; i < N; i++) items[i] = T(seed * (i + 1)); }
    template <typename F> void map(F f) { for (T &item : items) item = T(f(u64(item))); }
    template <typename F> u64 fold(u64 start, F f) const { for (const T &item : items) start = f(start, u64(item)); return start; }
    u64 total() const { return fold(N, [](u64 a, u64 b) { return a * 31 + b; }); }
};

template <typename T> struct Owner {
    T *object;
    explicit Owner(T *o) : object(o) {}
    Owner(const Owner &) = delete;
    ~Owner() { delete object; }
    T *operator->() const { return object; }
    T &operator*() const { return *object; }
};

template <typename F> u64 apply(F f, u64 x) { Deeper deeper; if (exhausted()) return x; return f(x) + 1; }
template <typename F> u64 shielded(F f, u64 x) { try { return f(x); } catch (const Error &e) { mix(e.what()); return x; } }
u64 total() { return 7; }
template <typename T, typename... Rest> u64 total(T first, Rest... rest) { return u64(first) * 5 + total(rest...); }
template <int N> u64 unrolled(u64 x) { if constexpr (N == 0) return x; else return unrolled<N - 1>(x * 3 + N) ^ x; }

