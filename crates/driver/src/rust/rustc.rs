//! `maize rustc`: rustc with the flags that make programs portable.

use super::error::RustError;
use super::flags::{TARGET, Tools};
use super::toolchain;
use crate::cc::exit_code;
use std::env;
use std::ffi::OsString;
use std::process::Command;

/// Runs rustc and returns its exit status.
///
/// # Errors
/// If it cannot be run, or its target or version will not do.
pub fn run(arguments: &[OsString]) -> Result<i32, RustError> {
    let program = env::var_os("RUSTC").filter(|path| !path.is_empty()).unwrap_or_else(|| "rustc".into());
    let is_toolchain = |argument: &OsString| argument.to_string_lossy().starts_with('+');
    let (toolchain, rest) = match arguments.first() {
        Some(first) if is_toolchain(first) => arguments.split_at(1),
        _ => arguments.split_at(0),
    };
    toolchain::check(&program, toolchain)?;
    check_target(rest)?;
    let mut command = Command::new(&program);
    command.args(toolchain).args(rest).arg("--target").arg(TARGET).args(Tools::install()?.rustc_flags());
    if makes_program(rest) {
        command.arg("-Clto=fat");
    }
    let start = |source| RustError::Start { program: program.to_string_lossy().into_owned(), source };
    Ok(exit_code(command.status().map_err(start)?))
}

/// The values of an option, given as `NAME=VALUE` or as two words.
pub fn values(arguments: &[OsString], name: &str) -> Vec<String> {
    let mut values = Vec::new();
    let mut words = arguments.iter().map(|word| word.to_string_lossy());
    while let Some(word) = words.next() {
        if word == name {
            values.extend(words.next().map(String::from));
        } else if let Some(value) = word.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')) {
            values.push(value.to_owned());
        }
    }
    values
}

/// Refuses targets other than the portable one.
///
/// # Errors
/// [`RustError::Target`].
pub fn check_target(arguments: &[OsString]) -> Result<(), RustError> {
    match values(arguments, "--target").into_iter().find(|target| target != TARGET) {
        Some(target) => Err(RustError::Target { target, portable: TARGET }),
        None => Ok(()),
    }
}

/// Only what is linked can be optimised as a whole; rustc refuses it for libraries.
fn makes_program(arguments: &[OsString]) -> bool {
    let types = values(arguments, "--crate-type");
    types.is_empty() || types.iter().any(|kind| kind.split(',').any(|kind| kind == "bin"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn only_the_portable_target_is_taken() {
        assert!(check_target(&words("-O main.rs")).is_ok());
        assert!(check_target(&words("--target x86_64-unknown-linux-gnu main.rs")).is_ok());
        let error = check_target(&words("main.rs --target=riscv64gc-unknown-linux-gnu")).unwrap_err();
        assert!(error.to_string().contains("leave the option out"), "{error}");
    }

    #[test]
    fn libraries_are_told_from_programs() {
        assert!(makes_program(&words("main.rs")));
        assert!(makes_program(&words("--crate-type bin main.rs")));
        assert!(!makes_program(&words("--crate-type=rlib lib.rs")));
    }
}
