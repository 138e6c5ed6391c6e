//! `maize sysroot`.

use crate::report;
use maize_driver::cc::{self, BuildLine};
use maize_driver::sysroot::{Language, Progress, Sysroot, SysrootError};
use std::io::{self, IsTerminal as _, Write as _, stderr, stdout};

/// Tells where the sysroot is.
pub fn path() -> i32 {
    Sysroot::locate().map_or_else(|error| report(&error), |sysroot| print(&sysroot))
}

/// Builds what programs of a language need, and tells where it is.
pub fn build(language: Language) -> i32 {
    made(language).map_or_else(|error| report(&error), |sysroot| print(&sysroot))
}

fn made(language: Language) -> Result<Sysroot, SysrootError> {
    let terminal = stderr().is_terminal();
    let line = BuildLine::default();
    cc::build_sysroot(language, &|progress| match progress {
        // A log keeps what was built, without the counting.
        Progress::Step(name) if !terminal => eprintln!("maize: building {name}"),
        progress => line.show(progress),
    })
}

/// A reader that has seen enough, such as `head`, is no error.
fn print(sysroot: &Sysroot) -> i32 {
    match writeln!(stdout(), "{}", sysroot.root().display()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => report(&error),
        _ => 0,
    }
}
