//! Running lld.

use super::LinkOptions;
use super::error::LinkError;
use super::inputs::Inputs;
use super::script;
use maize_abi::symbols::POINTS_SECTION;
use maize_image::object_file::SITES_SECTION;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

const LINKER: &str = "ld.lld-22";

/// Links x86-64 and returns the trace of what was loaded.
pub fn link_native(inputs: &Inputs, options: &LinkOptions, work: &Path, output: &Path) -> Result<String, LinkError> {
    let path = work.join("x86_64.ld");
    write(&path, script::native(&inputs.thread_locals))?;
    let mut command = command("elf_x86_64", &path, output);
    command.arg("--trace").args(&options.linker_arguments).args(&inputs.arguments);
    // Sections are laid out alike for every ISA, so none may be dropped for one only.
    command.arg("--no-gc-sections");
    run(&mut command)
}

/// The part of the command line that every ISA shares.
pub fn command(emulation: &str, script: &Path, output: &Path) -> Command {
    let mut command = Command::new(LINKER);
    command.args([
        "-m",
        emulation,
        "-static",
        "--no-pie",
        "--no-relax",
        "--discard-locals",
        "-z",
        "max-page-size=4096",
        "-z",
        "norelro",
    ]);
    // Sites and points of functions that another object's copy has taken the place of get the address 0.
    command.args([
        format!("-zdead-reloc-in-nonalloc={SITES_SECTION}=0"),
        format!("-zdead-reloc-in-nonalloc={POINTS_SECTION}=0"),
    ]);
    command.arg("-T").arg(script).arg("-o").arg(output);
    command
}

/// Runs a tool and returns what it wrote to standard output; its messages go to standard error.
pub fn run(command: &mut Command) -> Result<String, LinkError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stderr(Stdio::inherit()).output().map_err(|source| LinkError::Tool { program, source })?;
    if !output.status.success() {
        return Err(LinkError::Linker { status: output.status.code() });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Writes a file of the link's own.
pub fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<(), LinkError> {
    fs::write(path, content).map_err(|source| LinkError::Write { path: path.to_owned(), source })
}
