//! What makes clang a compiler for the portable ABI, and an assembler for each ISA. Everything here decides
//! what objects contain, so that a change makes built sysroots out of date (see `unit::Compiler::identity`).

use super::invocation::Invocation;
use crate::sysroot::{Language, Sysroot};
use maize_abi::Isa;
use std::ffi::OsString;
use std::path::PathBuf;

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

/// Where clang finds the headers of the libraries that every program has.
#[derive(Clone, Debug, Default)]
pub struct Headers {
    /// The libc's, unless they are not wanted.
    pub libc: Option<PathBuf>,
    /// Those of SIMD intrinsics, in place of the ones that clang has for each ISA.
    pub intrinsics: Option<PathBuf>,
    /// The C++ library's, if there are C++ sources and they want them.
    pub cxx: Option<PathBuf>,
}

impl Headers {
    /// Those that a command line wants of a sysroot.
    pub fn of(invocation: &Invocation, sysroot: &Sysroot) -> Headers {
        let cxx = invocation.headers_for() == Some(Language::Cxx);
        Headers {
            libc: invocation.headers.then(|| sysroot.include_directory()),
            intrinsics: invocation.headers.then(|| sysroot.intrinsics_include_directory()),
            cxx: cxx.then(|| sysroot.cxx_include_directory()),
        }
    }

    /// After the directories of the user's `-isystem`, as with clang; the C++ library's headers include the libc's of the same names.
    fn options(&self) -> Vec<OsString> {
        let mut options = Vec::new();
        if let Some(directory) = &self.cxx {
            options.extend(["-cxx-isystem".into(), directory.into()]);
        }
        for directory in self.libc.iter().chain(&self.intrinsics) {
            options.extend(["-Xclang", "-internal-isystem", "-Xclang"].map(OsString::from));
            options.push(directory.into());
        }
        options
    }
}

/// Options that make clang, or clang++, compile to the portable ABI.
pub fn compile_options(driver: Language, headers: &Headers) -> Vec<OsString> {
    // Without sources, or for preprocessed ones, clang would warn of each option that has no effect.
    let mut options = vec![OsString::from("--start-no-unused-arguments")];
    if driver == Language::Cxx {
        options.push("--driver-mode=g++".into());
    }
    options.extend(ABI.iter().map(OsString::from));
    options.extend(ISA_MACROS.iter().map(|name| OsString::from(format!("-U{name}"))));
    options.extend(headers.options());
    options.push("--end-no-unused-arguments".into());
    options
}

/// Options that make clang preprocess and assemble for one ISA, whose own macros are defined.
pub fn assemble_options(isa: Isa, headers: &Headers) -> Vec<OsString> {
    let target: &[&str] = match isa {
        Isa::X86_64 => &["--target=x86_64-linux-musl"],
        Isa::Aarch64 => &["--target=aarch64-linux-musl"],
        // Relaxation would move what the layout has fixed.
        Isa::Riscv64 => &["--target=riscv64-linux-musl", "-march=rv64gc", "-mabi=lp64d", "-mno-relax"],
    };
    // Most options of a C compilation mean nothing to an assembler: no warning about each, three times.
    let common = ["--no-default-config", "-nostdinc", "-Qunused-arguments", "-D__maize__=1"];
    let mut options: Vec<OsString> = target.iter().copied().chain(common).map(OsString::from).collect();
    options.extend(headers.options());
    options
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::process::Command;

    fn macros(options: &[OsString], language: &str) -> BTreeSet<String> {
        let source = ["-dM", "-E", "-x", language, "/dev/null"];
        let output = Command::new("clang-22").args(options).args(source).output().unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().filter_map(|line| line.split([' ', '(']).nth(1)).map(String::from).collect()
    }

    #[test]
    fn no_macro_tells_a_program_that_its_isa_is_x86_64() {
        for (driver, language) in [(Language::C, "c"), (Language::C, "c++"), (Language::Cxx, "c++")] {
            let headers = Headers::default();
            let portable = macros(&compile_options(driver, &headers), language);
            let foreign = [Isa::Aarch64, Isa::Riscv64].map(|isa| macros(&assemble_options(isa, &headers), language));
            let elsewhere: BTreeSet<String> = foreign.into_iter().flatten().collect();
            let only_here: Vec<_> = portable.difference(&elsewhere).collect();
            // `__maize__` is defined for assembly files too.
            assert!(only_here.is_empty(), "{only_here:?}");
            assert!(portable.contains("__maize__"));
        }
    }

    #[test]
    fn assembly_files_can_tell_their_isa() {
        for (isa, name) in [(Isa::X86_64, "__x86_64__"), (Isa::Aarch64, "__aarch64__"), (Isa::Riscv64, "__riscv")] {
            assert!(macros(&assemble_options(isa, &Headers::default()), "c").contains(name), "{name}");
        }
    }
}
