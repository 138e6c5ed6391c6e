// Arithmetic of the library: random distributions, complex numbers, valarray, 128-bit integers, bits.
#include "cxx.hpp"
#include <bit>
#include <cmath>
#include <complex>
#include <numeric>
#include <random>
#include <ratio>
#include <valarray>

namespace {

std::uint64_t bits(double number) { return std::bit_cast<std::uint64_t>(number); }

} // namespace

void numbers()
{
    Hash hash;
    std::mt19937_64 engine(7);
    // Those that need no logarithm, which libcs round differently.
    std::uniform_real_distribution<> uniform(-1, 2);
    std::bernoulli_distribution coin(0.3);
    std::uniform_int_distribution<> dice(1, 6);
    std::discrete_distribution<> weighted({1, 2, 3, 4});
    for (int i = 0; i < 50000; i++)
        hash << static_cast<std::uint64_t>(dice(engine)) << static_cast<std::uint64_t>(coin(engine))
             << bits(uniform(engine)) << static_cast<std::uint64_t>(weighted(engine));
    report("random", hash);

    std::complex<double> z(0.3, 0.5);
    for (int i = 0; i < 200000; i++) {
        z = z * z + std::complex<double>(-0.4, 0.6);
        if (std::norm(z) > 4)
            z = std::conj(z) * 0.125;
        hash << bits(z.real()) << bits(z.imag());
    }
    report("complex", hash);

    std::valarray<double> values(1000);
    std::iota(std::begin(values), std::end(values), 1);
    for (int i = 0; i < 500; i++) {
        values = std::sqrt(values * 3.0 + values.cshift(i)) + 0.5;
        std::valarray<double> some = values[std::slice(0, 10, 7)];
        hash << bits(values.sum()) << bits(some.max());
    }
    report("valarray", hash);

    unsigned __int128 wide = 1;
    for (int i = 1; i < 200000; i++) {
        wide = wide * 6364136223846793005u + static_cast<unsigned>(i);
        auto low = static_cast<std::uint64_t>(wide);
        hash << static_cast<std::uint64_t>(wide / 1000000007u) << std::popcount(low) + std::countl_zero(low)
             << std::rotl(low, i % 64) << std::gcd(low, std::uint64_t{5040});
        hash << bits(std::fma(static_cast<double>(low), 1e-3, i / 3.0)) << bits(std::lerp(1.0, 2.0, 1.0 / i));
    }
    report("wide", hash);
}
