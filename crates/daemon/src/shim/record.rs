//! What is kept of a program in its directory, for whoever asks later.

use crate::directory::{read_if_there, write_private};
use crate::error::{NodeError, Result};
use crate::message::ProgramStatus;
use std::path::Path;

const NAME: &str = "record.json";

/// Reads it. `None` if there is none that can be read.
pub(crate) fn read(program: &Path) -> Option<ProgramStatus> {
    serde_json::from_str(&read_if_there(&program.join(NAME)).ok()??).ok()
}

/// Writes it.
pub(crate) fn write(program: &Path, status: &ProgramStatus) -> Result<()> {
    let path = program.join(NAME);
    let bytes =
        serde_json::to_vec(status).map_err(|error| NodeError::file("write", &path)(std::io::Error::other(error)))?;
    write_private(&path, &bytes)
}
