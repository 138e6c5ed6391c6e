//! Random programs in C++, of a generator of our own, as csmith's C++ has no exceptions, virtual calls or templates: each prints what g++'s build prints.
//!
//! `MAIZE_RANDOM_SEED` sets the first seed (0), `MAIZE_RANDOM_COUNT` how many (see [`maize_tests::Kind`]).

mod classes;
mod generator;
mod statements;

use anyhow::Result;
use maize_tests::Kind;

#[test]
fn random_programs_with_exceptions_print_what_the_native_build_prints() -> Result<()> {
    let kind = Kind {
        name: "random_programs_with_exceptions",
        extension: "cpp",
        options: &["-std=c++17"],
        generate: |seed, _| Ok(generator::program(seed)),
    };
    kind.test(env!("CARGO_TARGET_TMPDIR"), 40)
}
