//! `maize-toolchain`: compilers and binary utilities, which `maize` becomes when it is asked for one. It is a program of its own because LLVM, which is part of it, takes longer to load
//! than most of what `maize` does (docs/why.md).

mod sysroot;
mod tools;

use maize_driver::sysroot::Language;
use std::env;
use std::ffi::OsString;
use std::fmt::Display;
use std::path::Path;
use std::process::ExitCode;

/// For LLVM's allocations, too: glibc's spends half of the time of large units on searching its lists (docs/why.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What is wrong with the command line itself.
const USAGE: i32 = 2;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().collect();
    let name = arguments.first().map(|path| Path::new(path).file_name().unwrap_or_default().to_string_lossy());
    // rustc calls its linker by the name of a symbolic link, as build scripts do their compiler.
    let code = match name.as_deref().and_then(|name| name.strip_prefix("maize-")).filter(|tool| *tool != "toolchain") {
        Some(tool) => execute(tool, &arguments[1..]),
        None => match arguments.get(1).and_then(|word| word.to_str()) {
            Some(tool) => execute(tool, &arguments[2..]),
            None => unknown("nothing"),
        },
    };
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

fn execute(tool: &str, arguments: &[OsString]) -> i32 {
    match tool {
        "cc" => maize_driver::cc::main(Language::C, arguments),
        "c++" => maize_driver::cc::main(Language::Cxx, arguments),
        "rustc" => maize_driver::rust::rustc(arguments),
        "cargo" => maize_driver::rust::cargo(arguments),
        "rust-linker" => maize_driver::rust::linker(arguments),
        "ar" | "ranlib" | "nm" | "strip" => tools::execute(tool, arguments),
        "sysroot" if arguments == ["path"] => sysroot::path(),
        "sysroot" if arguments == ["build"] => sysroot::build(Language::C),
        "sysroot" if arguments == ["build", "--cxx"] => sysroot::build(Language::Cxx),
        _ => unknown(tool),
    }
}

fn unknown(what: &str) -> i32 {
    report(&format!("maize-toolchain is called by maize, not with {what}; see `maize --help`"));
    USAGE
}

/// Tells what has gone wrong; returns the exit status for it.
fn report(error: &dyn Display) -> i32 {
    maize_terminal::error(error);
    1
}
