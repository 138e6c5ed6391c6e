// Thread-local objects with constructors and destructors, defined here and in another unit.
#include "cxx.hpp"
#include "initialisers.hpp"
#include <cstdio>

namespace {

thread_local Local here(20);
thread_local std::string trail = "thread " + std::to_string(here.number);

std::uint64_t use(int round)
{
    static thread_local std::uint64_t calls = 0;
    static thread_local Local of_function(round + 100);
    calls++;
    here.number += round % 3;
    local_elsewhere.number ^= round;
    local_inline.number += of_function.number;
    local_constant += here.number % 5;
    if (trail.size() > 64)
        trail.clear();
    trail += static_cast<char>('a' + round % 26);
    return calls + static_cast<std::uint64_t>(here.number + local_elsewhere.number + local_inline.number);
}

} // namespace

Local::~Local() { std::printf("destroyed: local %d\n", number % 1000); }

void thread_locals()
{
    Hash hash;
    for (int round = 0; round < 3000000; round++)
        hash << use(round);
    hash << trail << static_cast<std::uint64_t>(local_constant) << static_cast<std::uint64_t>(Local::made);
    report("values", hash);
}
