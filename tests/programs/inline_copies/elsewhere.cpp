// Compiled without optimisation, and linked first: it is this unit's copy that the program has.
#include "sum.hpp"

unsigned long sum_elsewhere(unsigned long count) { return sum_below(count); }
