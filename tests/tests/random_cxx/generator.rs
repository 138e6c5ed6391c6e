//! Makes a C++ program of a seed: classes, then functions that use them and each other, then what starts them.
//!
//! Programs have no undefined behaviour, and nothing that compilers may do in different orders or leave out shows: calls with effects are
//! statements of their own, arithmetic is unsigned or tame, and what is copied says nothing about it.

use crate::classes::Class;
use crate::statements::Body;
use std::fmt::Write;

const PRELUDE: &str = include_str!("prelude.hpp");

/// Sebastiano Vigna's splitmix64.
pub struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// A constant: mostly small.
    pub fn constant(&mut self) -> u64 {
        if self.once_in(6) { self.next() } else { self.next() % 50 }
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// What bodies of functions can refer to.
pub struct Scope {
    pub classes: Vec<Class>,
    pub functions: usize,
    /// Whether there are containers of the standard library.
    pub library: bool,
}

/// The program of a seed; `program_SEED` runs it.
pub fn program(seed: u64) -> String {
    let mut random = Random(seed);
    // These take long to compile.
    let library = seed.is_multiple_of(10);
    let mut code = String::new();
    if library {
        code.push_str("#include <functional>\n#include <map>\n#include <memory>\n#include <stdexcept>\n#include <string>\n#include <variant>\n#include <vector>\n");
    }
    code.push_str(PRELUDE);
    let functions = 2 + random.below(3);
    for index in 0..functions {
        let _ = writeln!(code, "u64 function_{index}(u64 a, double d, Pair p);");
    }
    code.push_str("Pair pair_of(u64 a, double d);\nLarge large_of(u64 a);\n\n");
    let mut scope = Scope { classes: Vec::new(), functions, library };
    for index in 0..2 + random.below(3) {
        let class = Class::new(index, &scope, &mut random);
        class.define(&mut code, &scope, &mut random);
        scope.classes.push(class);
    }
    for index in 0..functions {
        let _ = writeln!(code, "u64 function_{index}(u64 a, double d, Pair p)\n{{");
        code.push_str(&Body::new(&scope, &mut random).whole(3));
        code.push_str("}\n\n");
    }
    let body = Body::new(&scope, &mut random).whole(1);
    let _ = writeln!(
        code,
        "Pair pair_of(u64 a, double d)\n{{\n    Pair p = {{a, d}};\n    auto inner = [&]() -> u64 {{\n{body}    }};\n    u64 x = inner();\n    return {{x, tame(d + real(x))}};\n}}\n"
    );
    let body = Body::new(&scope, &mut random).whole(1);
    let _ = writeln!(
        code,
        "Large large_of(u64 a)\n{{\n    double d = 0.25;\n    Pair p = {{a, d}};\n    auto inner = [&]() -> u64 {{\n{body}    }};\n    u64 x = inner();\n    return {{{{x, a, x ^ a, 5, x + 1}}}};\n}}\n"
    );
    let _ = write!(
        code,
        "}} // namespace\n\nextern \"C\" void program_{seed}(void)\n{{\n    for (int i = 0; i < {functions}; i++) {{\n        try {{\n            switch (i) {{\n"
    );
    for index in 0..functions {
        let _ = writeln!(
            code,
            "            case {index}: mix(function_{index}({}, 1.5, {{3, 0.5}})); break;",
            random.constant()
        );
    }
    code.push_str("            }\n        } catch (const Error &e) {\n            mix(e.what());\n        } catch (...) {\n            mix(99);\n        }\n        fuel = 400;\n    }\n    std::printf(\"%016llx\\n\", (unsigned long long)sum);\n}\n");
    code
}
