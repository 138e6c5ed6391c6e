// Most of its time the program is in a function that has no loop in this unit's copy of it.
#include "sum.hpp"
#include <cstdio>

int main()
{
    std::printf("%lu %lu\n", sum_below(400'000'000), sum_elsewhere(1'000));
    return 0;
}
