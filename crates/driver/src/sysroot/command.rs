//! Runs programs of the host and turns their failures into errors that show what they printed.

use super::error::SysrootError;
use std::process::{Command, Stdio};

/// Runs a command to its end and returns its standard output. `package` says where the program comes from.
///
/// # Errors
/// [`SysrootError::Start`], [`SysrootError::Failed`].
pub fn run(command: &mut Command, package: &'static str) -> Result<String, SysrootError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output =
        command.stdin(Stdio::null()).output().map_err(|source| SysrootError::Start { program, package, source })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let mut printed = String::from_utf8_lossy(&output.stdout).into_owned();
    printed.push_str(&String::from_utf8_lossy(&output.stderr));
    let tail = printed.trim_end().char_indices().rev().nth(8000).map_or(0, |(index, _)| index);
    Err(SysrootError::Failed {
        program: format!("{command:?}"),
        status: output.status.to_string(),
        output: printed[tail..].trim_end().to_owned(),
    })
}
