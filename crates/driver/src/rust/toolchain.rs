//! The host's rustc: whether Maize can read the bitcode that it writes.

use super::error::RustError;
use std::ffi::OsString;
use std::process::Command;

/// A version that writes bitcode of Maize's LLVM.
const SUPPORTED: &str = "1.95";

/// Checks that a compiler, called with `arguments` first (such as `+1.95`), writes bitcode that Maize can read.
///
/// # Errors
/// If it cannot be run or its LLVM is later than Maize's.
pub fn check(program: &OsString, arguments: &[OsString]) -> Result<(), RustError> {
    let name = program.to_string_lossy().into_owned();
    let output = Command::new(program).args(arguments).arg("-vV").output();
    let output = output.map_err(|source| RustError::Start { program: name.clone(), source })?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let theirs = llvm_version(&text).ok_or_else(|| RustError::NoLlvm { program: name.clone() })?;
    let (ours, ..) = inkwell::support::get_llvm_version();
    if theirs > ours {
        let release = field(&text, "release: ").unwrap_or_default().to_owned();
        return Err(RustError::NewerLlvm { program: name, release, theirs, ours, supported: SUPPORTED });
    }
    Ok(())
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

/// The major version of LLVM in the output of `rustc -vV`.
fn llvm_version(text: &str) -> Option<u32> {
    field(text, "LLVM version: ")?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::llvm_version;

    #[test]
    fn the_version_of_llvm_is_found() {
        assert_eq!(llvm_version("rustc 1.95.0\nhost: x86_64-unknown-linux-gnu\nLLVM version: 22.1.2\n"), Some(22));
        assert_eq!(llvm_version("rustc 1.95.0 (cranelift)\n"), None);
    }
}
