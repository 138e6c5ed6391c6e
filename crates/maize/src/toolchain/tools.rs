//! The binary utilities: LLVM's, which take a multi-ISA object for the x86-64 object that it also is.

use maize_abi::Isa;
use maize_abi::image::{OBJECT_SECTION_PREFIX, OBJECT_VERSION_SECTION};
use maize_image::Image;
use maize_terminal as terminal;
use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// Becomes one of LLVM's tools; returns an exit status if that cannot be.
pub fn execute(tool: &str, arguments: &[OsString]) -> i32 {
    let (programs, others): (Vec<&OsString>, Vec<&OsString>) =
        arguments.iter().partition(|argument| tool == "strip" && is_program(argument));
    if !programs.is_empty() {
        // What `make install` strips must still run afterwards.
        for program in &programs {
            let name = program.to_string_lossy();
            terminal::note(&format!("{name}: left as it is; link with `maize cc -s` to leave out symbols"));
        }
        if others.iter().all(|argument| argument.to_string_lossy().starts_with('-')) {
            return 0;
        }
    }
    let program = format!("llvm-{tool}-22");
    let mut command = Command::new(&program);
    if tool == "strip" {
        command.args(kept_sections().map(|name| format!("--keep-section={name}")));
    }
    let error = command.args(others).exec();
    terminal::error(&format!("cannot run {program}: {error}; install it (Debian: apt-get install llvm-22)"));
    127
}

/// The other ISAs' objects, which are like debug information to a strip program.
fn kept_sections() -> impl Iterator<Item = String> {
    let objects = Isa::ALL.into_iter().map(|isa| format!("{OBJECT_SECTION_PREFIX}{}", isa.name()));
    objects.chain([OBJECT_VERSION_SECTION.to_owned()])
}

fn is_program(argument: &OsString) -> bool {
    !argument.to_string_lossy().starts_with('-') && Image::open(argument).is_ok()
}
