//! Makes sure that the sysroot is there before anything needs it.

use super::terminal::StatusLine;
use super::unit::Compiler;
use crate::sysroot::{self, BuildOptions, Progress, Sysroot, SysrootError};

/// The sysroot of this version of Maize, built first if it is missing or out of date.
///
/// # Errors
/// Why it could not be built.
pub fn sysroot() -> Result<Sysroot, SysrootError> {
    let compiler = Compiler::new();
    let sysroot = Sysroot::locate()?;
    if sysroot.is_current(&compiler) {
        return Ok(sysroot);
    }
    let line = StatusLine::new();
    build_with(&compiler, &|progress| line.show_build(progress))
}

/// Builds what of the sysroot is missing or out of date.
///
/// # Errors
/// Why it could not be built.
pub fn build_sysroot(progress: &(dyn Fn(Progress<'_>) + Sync)) -> Result<Sysroot, SysrootError> {
    build_with(&Compiler::new(), progress)
}

fn build_with(compiler: &Compiler, progress: &(dyn Fn(Progress<'_>) + Sync)) -> Result<Sysroot, SysrootError> {
    sysroot::build(&BuildOptions::new(compiler), progress)
}
