//! Makes sure that the sysroot is there before anything needs it.

use super::error::CcError;
use super::invocation::Invocation;
use super::portable::Headers;
use super::unit::Compiler;
use crate::sysroot::{self, BuildOptions, Language, Progress, Sysroot, SysrootError};
use maize_terminal::StatusLine;
use std::sync::Mutex;

/// Shows how far the build of the sysroot has come.
#[derive(Default)]
pub struct BuildLine {
    line: StatusLine,
    step: Mutex<String>,
}

impl BuildLine {
    /// Shows it in place of what there was before.
    pub fn show(&self, progress: Progress<'_>) {
        let mut step = self.step.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        match progress {
            Progress::Step(name) => {
                name.clone_into(&mut step);
                self.line.show(&format!("maize: building {name}"));
            }
            Progress::Units { done, total } => {
                self.line.show(&format!("maize: building {step}: {done} of {total} files"));
            }
        }
    }
}

/// The sysroot of this version of Maize with what programs in a language need, built first if it is missing or out of date.
///
/// # Errors
/// Why it could not be built.
pub fn sysroot(language: Language) -> Result<Sysroot, SysrootError> {
    let compiler = Compiler::new();
    let sysroot = Sysroot::locate()?;
    if sysroot.is_current(language, &compiler) {
        return Ok(sysroot);
    }
    let line = BuildLine::default();
    build_with(language, &compiler, &|progress| line.show(progress))
}

/// The headers that a command line's sources need, on disk.
///
/// # Errors
/// Why they could not be built.
pub fn headers(invocation: &Invocation) -> Result<Headers, CcError> {
    match invocation.headers_for() {
        Some(language) => Ok(Headers::of(invocation, &sysroot(language)?)),
        None => Ok(Headers::default()),
    }
}

/// Builds what of the sysroot is missing or out of date, of what programs in a language need.
///
/// # Errors
/// Why it could not be built.
pub fn build_sysroot(language: Language, progress: &(dyn Fn(Progress<'_>) + Sync)) -> Result<Sysroot, SysrootError> {
    build_with(language, &Compiler::new(), progress)
}

fn build_with(
    language: Language,
    compiler: &Compiler,
    progress: &(dyn Fn(Progress<'_>) + Sync),
) -> Result<Sysroot, SysrootError> {
    sysroot::build(language, &BuildOptions::new(compiler), progress)
}
