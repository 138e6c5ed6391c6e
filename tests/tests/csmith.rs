//! Random programs by csmith, in C and in its C++, which is C with classes' operators: each prints the checksum that gcc's build prints.
//!
//! `MAIZE_RANDOM_SEED` sets the first seed (0), `MAIZE_RANDOM_COUNT` how many (see [`maize_tests::Kind`]).

use anyhow::Result;
use maize_tests::{Kind, generated};
use std::path::Path;

/// Where csmith's headers are; and its C++ has initial values too large for what they initialise.
const OPTIONS: &[&str] = &["-I/usr/include/csmith", "-Wno-narrowing"];
/// Programs that compile in a tenth of the time of those that csmith makes unless told, with the same features.
const SMALL: [&str; 6] = ["--max-funcs", "3", "--max-block-depth", "3", "--max-block-size", "3"];

fn csmith(seed: u64, directory: &Path, language: &[&str]) -> Result<String> {
    let seed_text = seed.to_string();
    let arguments = [&["--seed", &seed_text], &SMALL[..], language].concat();
    let program = generated("csmith", &arguments, directory)?;
    Ok(format!(
        "#define main static program\n{program}\n#undef main\n#ifdef __cplusplus\nextern \"C\"\n#endif\nvoid program_{seed}(void) {{ char name[] = \"\", *arguments[] = {{name, 0}}; program(1, arguments); }}\n"
    ))
}

#[test]
fn random_c_programs_print_the_checksums_of_the_native_build() -> Result<()> {
    let generate = |seed, directory: &Path| csmith(seed, directory, &[]);
    let kind = Kind { name: "random_c_programs", extension: "c", options: OPTIONS, generate };
    kind.test(env!("CARGO_TARGET_TMPDIR"), 200)
}

#[test]
fn random_cxx_programs_print_the_checksums_of_the_native_build() -> Result<()> {
    let generate = |seed, directory: &Path| csmith(seed, directory, &["--lang-cpp", "--cpp11"]);
    let kind = Kind { name: "random_cxx_programs", extension: "cpp", options: OPTIONS, generate };
    kind.test(env!("CARGO_TARGET_TMPDIR"), 40)
}
