//! `maize completions` and `maize man`.

use crate::arguments::Arguments;
use crate::error::{CommandError, print};
use clap::CommandFactory as _;
use std::fs;
use std::path::Path;

/// Prints a completion script.
///
/// # Errors
/// If standard output cannot be written to.
pub fn completions(shell: clap_complete::Shell) -> Result<(), CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "maize", &mut script);
    print(&String::from_utf8_lossy(&script))
}

/// Writes a page for the command and one for each subcommand.
///
/// # Errors
/// If the directory cannot be written to.
pub fn pages(directory: &Path) -> Result<(), CommandError> {
    fs::create_dir_all(directory).map_err(CommandError::write(directory))?;
    clap_mangen::generate_to(Arguments::command(), directory).map_err(CommandError::write(directory))
}
