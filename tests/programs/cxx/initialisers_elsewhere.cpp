// The other unit of `initialisers` and `thread_locals`.
#include "initialisers.hpp"

namespace {

Entry first("first of the other unit");
int value = static_cast<int>(std::string("dynamic").size());

} // namespace

int other_unit_value() { return value + Registered<int>::touch() + Registered<char>::touch(); }

thread_local Local local_elsewhere(other_unit_value());
thread_local int local_constant = 5;
