//! Why `maize cc` or `maize c++` could not do what it was asked to, apart from what clang itself reports.

use crate::link::LinkError;
use crate::sysroot::SysrootError;
use maize_abi::Isa;
use maize_image::object_file::ObjectError;
use maize_passes::PassError;
use std::io;
use std::path::PathBuf;

/// Why `maize cc` or `maize c++` could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CcError {
    /// An option asks for something that multi-ISA programs do not have.
    #[error("{option}: {reason}")]
    Refused {
        /// The option.
        option: String,
        /// Why, and what to do.
        reason: &'static str,
    },
    /// An option lacks its value.
    #[error("argument to '{option}' is missing (expected 1 value)")]
    MissingValue {
        /// The option.
        option: String,
    },
    /// An option's value is not one it knows.
    #[error("{option}: unknown value `{value}`; use {expected}")]
    UnknownValue {
        /// The option.
        option: &'static str,
        /// What was given.
        value: String,
        /// What could be given.
        expected: String,
    },
    /// A source in a language other than C and C++.
    #[error("{}: {language} is not supported; Maize compiles C, C++ and assembly", path.display())]
    Language {
        /// The source.
        path: PathBuf,
        /// Its language.
        language: String,
    },
    /// `-o` with several results.
    #[error("cannot specify -o when generating multiple output files")]
    SeveralOutputs,
    /// An input that is not there.
    #[error("no such file or directory: '{}'", path.display())]
    NoSuchFile {
        /// The input.
        path: PathBuf,
    },
    /// A shared library among the inputs.
    #[error("{}: shared libraries cannot be linked into a multi-ISA program; link an archive (.a) that `maize cc` and `maize ar` made", path.display())]
    SharedLibrary {
        /// The library.
        path: PathBuf,
    },
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A program of the host could not be started.
    #[error("cannot run {program}: {source}; install it (Debian: apt-get install {package})")]
    Start {
        /// The program.
        program: String,
        /// Where it comes from.
        package: &'static str,
        /// Why.
        source: io::Error,
    },
    /// clang failed; what it had to say is on standard error already, or in `output`.
    #[error("clang failed with status {code}{}{output}", if output.is_empty() { "" } else { ":\n" })]
    Clang {
        /// Its exit status.
        code: i32,
        /// What it printed, unless that has been shown.
        output: String,
    },
    /// The unit uses what exists on one ISA only, or code generation failed.
    #[error("{}{source}", if names_its_place(source) { String::new() } else { format!("{}: ", path.display()) })]
    Pass {
        /// The source.
        path: PathBuf,
        /// Why.
        source: PassError,
    },
    /// An assembly file does not assemble for an ISA.
    #[error(
        "{}: does not assemble for {}; give it code for each ISA, told apart by `#if defined(__x86_64__)`, `__aarch64__` and `__riscv`",
        path.display(), isa.name()
    )]
    Assembly {
        /// The source.
        path: PathBuf,
        /// The ISA.
        isa: Isa,
        /// clang's exit status.
        code: i32,
    },
    /// The objects of the ISAs do not form one multi-ISA object.
    #[error("{}: {source}", path.display())]
    Object {
        /// The source.
        path: PathBuf,
        /// Why.
        source: ObjectError,
    },
    /// The sysroot is missing or out of date, and could not be built.
    #[error("the sysroot could not be built: {0}")]
    Sysroot(#[from] SysrootError),
    /// The link failed.
    #[error("{0}")]
    Link(#[from] LinkError),
}

/// Whether a message starts with `file:line`.
fn names_its_place(error: &PassError) -> bool {
    match error {
        PassError::InlineAssembly { location, .. }
        | PassError::IsaIntrinsic { location, .. }
        | PassError::Unsupported { location, .. } => location.is_some(),
        _ => false,
    }
}

impl CcError {
    /// The exit status that goes with it: clang's own where clang failed, else 1.
    pub fn exit_code(&self) -> i32 {
        match self {
            CcError::Clang { code, .. } | CcError::Assembly { code, .. } => *code,
            _ => 1,
        }
    }

    /// Whether the user has been told already, by clang.
    pub fn is_reported(&self) -> bool {
        matches!(self, CcError::Clang { output, .. } if output.is_empty())
    }

    pub(super) fn read(path: &std::path::Path) -> impl FnOnce(io::Error) -> CcError {
        let path = path.to_owned();
        move |source| CcError::Read { path, source }
    }

    pub(super) fn write(path: &std::path::Path) -> impl FnOnce(io::Error) -> CcError {
        let path = path.to_owned();
        move |source| CcError::Write { path, source }
    }
}
