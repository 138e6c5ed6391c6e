// What the units about initialisation share.
#ifndef INITIALISERS_HPP
#define INITIALISERS_HPP

#include <string>
#include <vector>

// Made at the first use, whichever unit that is in.
std::vector<std::string> &journal();

struct Entry {
    explicit Entry(const char *name) { journal().push_back(name); }
};

// In every unit that includes this, and once in the program.
inline Entry inline_variable("inline variable");

template <typename T>
struct Registered {
    static Entry entry;
    static int touch() { return reinterpret_cast<char *>(&entry) != nullptr; }
};
template <typename T>
Entry Registered<T>::entry("template");

// Has a constructor and a destructor of its own for each thread; the variables are defined in the other unit.
struct Local {
    explicit Local(int n) : number(n) { made++; }
    ~Local();
    int number;
    static inline int made = 0;
};
extern thread_local Local local_elsewhere;
extern thread_local int local_constant;
inline thread_local Local local_inline(30);

int other_unit_value();

#endif
