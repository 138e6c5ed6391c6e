// An inline function of which each unit has a copy. Optimisation makes a formula of the loop.
#ifndef SUM_HPP
#define SUM_HPP

[[gnu::noinline]] inline unsigned long sum_below(unsigned long count)
{
    unsigned long sum = 0;
    for (unsigned long i = 0; i < count; i++)
        sum += i;
    return sum;
}

unsigned long sum_elsewhere(unsigned long count);

#endif
