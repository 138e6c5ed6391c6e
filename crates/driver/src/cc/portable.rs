//! What makes clang a compiler for the portable ABI, and an assembler for each ISA. Everything here decides
//! what objects contain, so that a change makes built sysroots out of date (see `unit::Compiler::identity`).

use maize_abi::Isa;
use std::ffi::OsString;
use std::path::Path;

/// The portable ABI's options. They come before the user's, who may undo those that only select macros.
pub const ABI: &[&str] = &[
    "--no-default-config",
    "--target=x86_64-linux-musl",
    "-nostdinc",
    "-mlong-double-64",
    "-ffp-contract=off",
    "-fno-strict-float-cast-overflow",
    "-fno-pic",
    "-fno-stack-protector",
    "-fno-stack-clash-protection",
    "-fcf-protection=none",
    "-D__maize__=1",
];

/// What must hold whatever the user says, in a form that makes clang silent about it. Fast arithmetic would include
/// contraction, which only some ISAs do in one step. Assignment tracking ties debug information to single stores by
/// identities that a function's resume clone would share with the function.
pub const LAST: &[&str] = &["-Xclang", "-ffp-contract=off", "-Xclang", "-fexperimental-assignment-tracking=disabled"];

/// Macros by which programs would take ISA-specific paths: what `clang -dM -E` defines for x86-64 and for
/// neither AArch64 nor RISC-V, less those that describe the portable ABI itself. The last stands for inline
/// assembly with flag outputs, which every ISA has and portable code has not.
pub const ISA_MACROS: &[&str] = &[
    "__x86_64__",
    "__x86_64",
    "__amd64__",
    "__amd64",
    "__k8__",
    "__k8",
    "__tune_k8__",
    "__MMX__",
    "__SSE__",
    "__SSE2__",
    "__SSE_MATH__",
    "__SSE2_MATH__",
    "__FXSR__",
    "__SEG_FS",
    "__SEG_GS",
    "__seg_fs",
    "__seg_gs",
    "__FLOAT128__",
    "__SIZEOF_FLOAT128__",
    "__NO_MATH_INLINES",
    "__REGISTER_PREFIX__",
    "__code_model_small__",
    "__GCC_ASM_FLAG_OUTPUTS__",
];

/// Options that make clang compile C to the portable ABI, with the libc's headers if there is a directory of them.
pub fn compile_options(include: Option<&Path>) -> Vec<OsString> {
    // Without sources, or for preprocessed ones, clang would warn of each option that has no effect.
    let mut options = vec![OsString::from("--start-no-unused-arguments")];
    options.extend(ABI.iter().map(OsString::from));
    options.extend(ISA_MACROS.iter().map(|name| OsString::from(format!("-U{name}"))));
    options.extend(header_options(include));
    options.push("--end-no-unused-arguments".into());
    options
}

/// Options that make clang preprocess and assemble for one ISA, whose own macros are defined.
pub fn assemble_options(isa: Isa, include: Option<&Path>) -> Vec<OsString> {
    let target: &[&str] = match isa {
        Isa::X86_64 => &["--target=x86_64-linux-musl"],
        Isa::Aarch64 => &["--target=aarch64-linux-musl"],
        // Relaxation would move what the layout has fixed.
        Isa::Riscv64 => &["--target=riscv64-linux-musl", "-march=rv64gc", "-mabi=lp64d", "-mno-relax"],
    };
    // Most options of a C compilation mean nothing to an assembler: no warning about each, three times.
    let common = ["--no-default-config", "-nostdinc", "-Qunused-arguments", "-D__maize__=1"];
    let mut options: Vec<OsString> = target.iter().copied().chain(common).map(OsString::from).collect();
    options.extend(header_options(include));
    options
}

fn header_options(include: Option<&Path>) -> Vec<OsString> {
    include.map(|directory| vec!["-isystem".into(), directory.into()]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::process::Command;

    fn macros(options: &[OsString]) -> BTreeSet<String> {
        let output =
            Command::new("clang-22").args(options).args(["-dM", "-E", "-x", "c", "/dev/null"]).output().unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().filter_map(|line| line.split([' ', '(']).nth(1)).map(String::from).collect()
    }

    #[test]
    fn no_macro_tells_a_program_that_its_isa_is_x86_64() {
        let portable = macros(&compile_options(None));
        let elsewhere: BTreeSet<String> =
            [Isa::Aarch64, Isa::Riscv64].iter().flat_map(|&isa| macros(&assemble_options(isa, None))).collect();
        let only_here: Vec<_> = portable.difference(&elsewhere).collect();
        // `__maize__` is defined for assembly files too.
        assert!(only_here.is_empty(), "{only_here:?}");
        assert!(portable.contains("__maize__"));
    }

    #[test]
    fn assembly_files_can_tell_their_isa() {
        for (isa, name) in [(Isa::X86_64, "__x86_64__"), (Isa::Aarch64, "__aarch64__"), (Isa::Riscv64, "__riscv")] {
            assert!(macros(&assemble_options(isa, None)).contains(name), "{name}");
        }
    }
}
