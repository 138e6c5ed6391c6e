//! Why a Rust program could not be built, apart from what rustc and cargo report themselves.

use crate::cc::CcError;
use crate::sysroot::SysrootError;
use std::io;
use std::path::PathBuf;

/// Why a Rust program could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RustError {
    /// rustc or cargo could not be started.
    #[error("cannot run {program}: {source}; install Rust (https://rustup.rs) or put it on the PATH")]
    Start {
        /// The program.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// rustc does not say which LLVM it is built with.
    #[error("`{program} -vV` does not tell the version of LLVM; Maize needs a rustc with the LLVM back end")]
    NoLlvm {
        /// The compiler.
        program: String,
    },
    /// rustc's bitcode is of a later LLVM than Maize's.
    #[error(
        "{program} {release} writes bitcode of LLVM {theirs}, and Maize reads that of LLVM {ours} and earlier; use rustc {supported} (`maize cargo +{supported} ...`)"
    )]
    NewerLlvm {
        /// The compiler.
        program: String,
        /// Its version.
        release: String,
        /// Its LLVM's major version.
        theirs: u32,
        /// Maize's LLVM's major version.
        ours: u32,
        /// A version of rustc that will do.
        supported: &'static str,
    },
    /// A target other than the one that portable programs are compiled for.
    #[error(
        "--target {target}: every program is for all ISAs; leave the option out (the portable ABI is compiled for as {portable})"
    )]
    Target {
        /// What was asked for.
        target: String,
        /// What is used.
        portable: &'static str,
    },
    /// An object with machine code of one ISA in a link.
    #[error("{}: has code for one ISA only; compile C code of crates with `maize cc` (`maize cargo` tells build scripts to)", path.display())]
    OneIsa {
        /// The object.
        path: PathBuf,
    },
    /// What `maize cc` has in common with the link of a Rust program.
    #[error("{0}")]
    Cc(#[from] CcError),
    /// The sysroot is missing or out of date, and could not be built.
    #[error("the sysroot could not be built: {0}")]
    Sysroot(#[from] SysrootError),
}
