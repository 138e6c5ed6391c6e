//! `maize rustc` and `maize cargo`: Rust programs for every ISA.
//!
//! The host's rustc compiles a program and everything it depends on, the standard library too, to one module of LLVM bitcode
//! (fat LTO whose code generation is left to the linker: `-Clto=fat -Clinker-plugin-lto`) and calls Maize to link it ([`linker`]).
//! Build scripts and procedural macros are the host's own programs: `maize cargo` names a target, so that cargo tells them apart.

mod cargo;
mod error;
mod flags;
mod linker;
mod rustc;
mod toolchain;

pub use error::RustError;

use maize_terminal as terminal;
use std::ffi::OsString;

/// `maize cargo`: returns cargo's exit status.
pub fn cargo(arguments: &[OsString]) -> i32 {
    cargo::run(arguments).unwrap_or_else(|error| report(&error))
}

/// `maize rustc`: returns rustc's exit status.
pub fn rustc(arguments: &[OsString]) -> i32 {
    rustc::run(arguments).unwrap_or_else(|error| report(&error))
}

/// What rustc calls to link: returns an exit status.
pub fn linker(arguments: &[OsString]) -> i32 {
    match linker::run(arguments) {
        Ok(()) => 0,
        Err(error) => report(&error),
    }
}

fn report(error: &RustError) -> i32 {
    terminal::error(error);
    1
}
