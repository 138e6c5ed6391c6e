//! Questions about the compiler. clang answers most; those about the sysroot get our answers.

use super::clang::{Clang, LINKER, exit_code};
use super::error::CcError;
use super::invocation::{Input, Invocation};
use super::portable::{self, Headers};
use crate::sysroot::Sysroot;
use maize_abi::Isa;
use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

/// Answers the questions of a command line, and returns the exit status.
///
/// # Errors
/// If clang could not be started, or there is no place for a sysroot.
pub fn answer(clang: &Clang, invocation: &Invocation, arguments: &[OsString]) -> Result<i32, CcError> {
    let sysroot = Sysroot::locate()?;
    for word in &invocation.clang {
        let text = word.to_string_lossy();
        let text = text.strip_prefix('-').filter(|rest| rest.starts_with('-')).unwrap_or(&text);
        match text {
            "-print-sysroot" => return print(sysroot.root()),
            "-print-libgcc-file-name" => {
                return print(sysroot.default_archives().last().unwrap_or(&sysroot.library_directory()));
            }
            "-dumpfullversion" => return ask(clang, invocation, &["-dumpversion".into()]),
            "-version" => return version(clang),
            _ => {}
        }
        if let Some(name) = text.strip_prefix("-print-file-name=") {
            let path = sysroot.library_directory().join(name);
            if path.exists() {
                return print(&path);
            }
        }
    }
    ask(clang, invocation, arguments)
}

/// Whether a command line without inputs asks the linker for its version, as CMake and Meson do.
pub fn asks_linker(invocation: &Invocation) -> bool {
    let version = |input: &Input| matches!(input, Input::Argument(word) if ["--version", "-v", "-V"].iter().any(|name| word == name));
    let nothing_else = !invocation.inputs.iter().any(|input| !matches!(input, Input::Argument(_)));
    nothing_else && invocation.inputs.iter().any(version)
}

/// Has the linker tell its version.
///
/// # Errors
/// If it could not be started.
pub fn linker_version() -> Result<i32, CcError> {
    let status = Command::new(LINKER).arg("--version").status();
    let start = |source| CcError::Start { program: LINKER.to_owned(), package: "lld-22", source };
    Ok(exit_code(status.map_err(start)?))
}

/// clang's own text comes first: build systems take the first number they see for the compiler's version.
fn version(clang: &Clang) -> Result<i32, CcError> {
    let code = clang.run(&["--target=x86_64-linux-musl".into(), "--version".into()])?.code;
    let isas = Isa::ALL.map(Isa::name).join(", ");
    let text = format!("Maize {} for {isas}\n", env!("CARGO_PKG_VERSION"));
    std::io::stdout().write_all(text.as_bytes()).map_err(CcError::write(Path::new("standard output")))?;
    Ok(code)
}

fn ask(clang: &Clang, invocation: &Invocation, arguments: &[OsString]) -> Result<i32, CcError> {
    let headers = Headers::of(invocation, &Sysroot::locate()?);
    let mut all = portable::compile_options(invocation.driver, &headers);
    all.extend_from_slice(arguments);
    Ok(clang.run(&all)?.code)
}

fn print(answer: impl AsRef<OsStr>) -> Result<i32, CcError> {
    use std::os::unix::ffi::OsStrExt as _;
    let line = [answer.as_ref().as_bytes(), b"\n"].concat();
    std::io::stdout().write_all(&line).map_err(CcError::write(Path::new("standard output")))?;
    Ok(0)
}
