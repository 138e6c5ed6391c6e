//! Static archives, written by llvm-ar.

use super::command;
use super::error::SysrootError;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Creates an archive of `objects`. Names of its members are unique if the objects' file names are.
///
/// # Errors
/// [`SysrootError::Write`], and those of [`command::run`].
pub fn create(archiver: &Path, archive: &Path, objects: &[&Path], work: &Path) -> Result<(), SysrootError> {
    let list = work.join("members.rsp");
    let names: String = objects.iter().map(|object| format!("\"{}\"\n", object.display())).collect();
    fs::write(&list, names).map_err(SysrootError::write(&list))?;
    let mut command = Command::new(archiver);
    command.arg("rcsD").arg(archive);
    if !objects.is_empty() {
        command.arg(format!("@{}", list.display()));
    }
    command::run(&mut command, "llvm-22").map(drop)
}
