//! Programs that are installed beside `maize`, and which it becomes.

use crate::error::CommandError;
use std::env;
use std::ffi::OsStr;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

/// A node, which is there all the time, and small.
pub const DAEMON: &str = "maized";
/// The compilers: all of LLVM is in it.
pub const TOOLCHAIN: &str = "maize-toolchain";

/// Becomes one of them, with these arguments; returns why it cannot.
pub fn execute<A: AsRef<OsStr>>(name: &'static str, arguments: impl IntoIterator<Item = A>) -> CommandError {
    let beside = env::current_exe().ok().map(|own| own.with_file_name(name)).filter(|path| path.is_file());
    let path = beside.unwrap_or_else(|| PathBuf::from(name));
    let source = Command::new(&path).args(arguments).exec();
    CommandError::NotBeside { path, source }
}
