//! Writes results so that a reader never sees half of one.

use super::error::CcError;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

/// Writes a result to a file, or to standard output if it is `-`. A regular file is replaced as a whole.
///
/// # Errors
/// [`CcError::Write`].
pub fn write(path: &Path, content: &[u8]) -> Result<(), CcError> {
    let done = match fs::metadata(path) {
        _ if path.as_os_str() == "-" => io::stdout().write_all(content),
        // `-o /dev/null`
        Ok(metadata) if !metadata.is_file() => fs::write(path, content),
        _ => replace(path, content),
    };
    done.map_err(CcError::write(path))
}

fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}", std::process::id()));
    let temporary = path.with_file_name(name);
    let done = fs::write(&temporary, content).and_then(|()| fs::rename(&temporary, path));
    if done.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    done
}
