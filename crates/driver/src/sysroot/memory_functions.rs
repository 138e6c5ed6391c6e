//! `memcpy`, `memmove` and `memset`, the one part of the libc that is assembly: what clang makes of `libc/memory` for x86-64, for which musl's
//! are slow with few bytes, musl's own for AArch64, and what clang makes of musl's C for an ISA for which musl has none. They never
//! reach a migration point, so no ISA ever sees another's activation of them.

use super::error::SysrootError;
use super::musl::Sources;
use super::{Tools, command, embedded};
use maize_abi::Isa;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The ISA that has them from Maize.
const OWN_ISA: Isa = Isa::X86_64;
/// Where those are.
pub const OWN: &str = "libc/memory/";

/// Their names.
pub const FUNCTIONS: &[&str] = &["memcpy", "memmove", "memset"];

/// The preprocessor's name, musl's name and clang's options for each ISA.
fn isa_names(isa: Isa) -> (&'static str, &'static str, &'static [&'static str]) {
    match isa {
        Isa::X86_64 => ("__x86_64__", "x86_64", &["--target=x86_64-linux-musl"]),
        Isa::Aarch64 => ("__aarch64__", "aarch64", &["--target=aarch64-linux-musl"]),
        Isa::Riscv64 => ("__riscv", "riscv64", &["--target=riscv64-linux-musl", "-march=rv64gc", "-mabi=lp64d"]),
    }
}

/// Writes one assembly file per function, to be assembled once per ISA.
///
/// # Errors
/// clang's, or a file that cannot be written.
pub fn generate(musl: &Path, port: &Path, directory: &Path, tools: &Tools) -> Result<Sources, SysrootError> {
    fs::create_dir_all(directory).map_err(SysrootError::write(directory))?;
    let mut sources = Sources::new();
    for function in FUNCTIONS {
        let mut text = format!("\t.section .text.{function},\"ax\",%progbits\n\t.balign 64\n");
        for (index, isa) in Isa::ALL.into_iter().enumerate() {
            let implementation = implementation([musl, port, directory], tools, function, isa)?;
            let directive = if index == 0 { "if" } else { "elif" };
            let (macro_name, ..) = isa_names(isa);
            // Writing to a string cannot fail.
            let _ = writeln!(text, "#{directive} defined({macro_name})\n#include \"{}\"", implementation.display());
        }
        text.push_str("#endif\n\t.section .note.GNU-stack,\"\",%progbits\n");
        let path = directory.join(format!("{function}.S"));
        fs::write(&path, text).map_err(SysrootError::write(&path))?;
        sources.insert(format!("string/{function}"), path);
    }
    Ok(sources)
}

/// Gives musl as it builds itself for an ISA the functions that Maize's has there.
///
/// # Errors
/// A file that cannot be removed or written.
pub fn replace(musl: &Path, isa: Isa) -> Result<(), SysrootError> {
    if isa != OWN_ISA {
        return Ok(());
    }
    let directory = musl.join("src/string").join(isa_names(isa).1);
    for function in FUNCTIONS {
        let path = directory.join(format!("{function}.s"));
        fs::remove_file(&path).map_err(SysrootError::write(&path))?;
    }
    embedded::unpack(OWN, &directory)
}

fn implementation(
    [musl, port, directory]: [&Path; 3],
    tools: &Tools,
    function: &str,
    isa: Isa,
) -> Result<PathBuf, SysrootError> {
    let (_, name, options) = isa_names(isa);
    let of_musl = musl.join("src/string");
    let assembly = of_musl.join(name).join(format!("{function}.S"));
    let source = match isa {
        OWN_ISA => port.join("memory"),
        _ if assembly.exists() => return Ok(assembly),
        _ => of_musl,
    };
    let path = directory.join(format!("{function}.{name}.s"));
    let mut clang = Command::new(&tools.clang);
    clang.args(options).args(["-std=c99", "-ffreestanding", "-nostdinc", "-O3", "-w", "-ffunction-sections"]);
    clang.args([
        "-fno-pic",
        "-fomit-frame-pointer",
        "-fno-asynchronous-unwind-tables",
        "-fno-ident",
        "-fno-addrsig",
        "-S",
        "-o",
    ]);
    clang.arg(&path).arg(source.join(format!("{function}.c")));
    for include in [musl.join("arch/generic"), musl.join("include"), directory.join("../include")] {
        clang.arg("-I").arg(include);
    }
    command::run(&mut clang, "clang-22")?;
    Ok(path)
}
