//! `maize sysroot`.

use crate::arguments::{Sysroot, SysrootAction};
use crate::error::{CommandError, print};
use maize_driver::cc;
use maize_driver::sysroot::{Language, Progress, Sysroot as Directory};
use std::io::{IsTerminal as _, stderr};

/// Builds the sysroot, or tells where it is.
///
/// # Errors
/// If it could not be built.
pub fn execute(options: &Sysroot) -> Result<(), CommandError> {
    let sysroot = match options.action {
        SysrootAction::Path => Directory::locate()?,
        SysrootAction::Build { cxx } => build(if cxx { Language::Cxx } else { Language::C })?,
    };
    print(&format!("{}\n", sysroot.root().display()))
}

fn build(language: Language) -> Result<Directory, CommandError> {
    let terminal = stderr().is_terminal();
    let line = cc::terminal::StatusLine::new();
    let progress = |progress: Progress<'_>| match progress {
        // A log keeps what was built, without the counting.
        Progress::Step(name) if !terminal => eprintln!("maize: building {name}"),
        progress => line.show_build(progress),
    };
    Ok(cc::build_sysroot(language, &progress)?)
}
