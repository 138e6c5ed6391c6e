//! What is kept of a program in its directory, for whoever asks later.

use crate::directory::{Draft, read_if_there, write_private};
use crate::error::{NodeError, Result};
use crate::message::ProgramStatus;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

const NAME: &str = "record.json";

/// Reads it. `None` if there is none that can be read.
pub(crate) fn read(program: &Path) -> Option<ProgramStatus> {
    serde_json::from_str(&read_if_there(&program.join(NAME)).ok()??).ok()
}

/// Writes it.
pub(crate) fn write(program: &Path, status: &ProgramStatus) -> Result<()> {
    let path = program.join(NAME);
    write_private(&path, &bytes(&path, status)?)
}

/// Writes it but for its name.
pub(crate) fn prepare(program: &Path, status: &ProgramStatus) -> Result<Draft> {
    let path = program.join(NAME);
    Draft::new(prepared(program), &path, &bytes(&path, status)?)
}

/// Gives the one that was prepared its name, as its writer was killed before it could, unless there is another.
pub(crate) fn complete(program: &Path) -> Result<()> {
    let path = program.join(NAME);
    if path.exists() {
        return Ok(());
    }
    fs::rename(prepared(program), &path).map_err(NodeError::file("write", &path))
}

fn prepared(program: &Path) -> PathBuf {
    program.join(NAME).with_extension("prepared")
}

/// When it was written last; its program has ended or left since, if it does not run.
pub(crate) fn changed(program: &Path) -> Option<SystemTime> {
    fs::metadata(program.join(NAME)).and_then(|metadata| metadata.modified()).ok()
}

fn bytes(path: &Path, status: &ProgramStatus) -> Result<Vec<u8>> {
    serde_json::to_vec(status).map_err(|error| NodeError::file("write", path)(std::io::Error::other(error)))
}
