//! The files that `build.rs` embeds: paths relative to the workspace, and their contents.

use super::error::SysrootError;
use super::stamp;
use std::fs;
use std::path::Path;

/// A file of the workspace as it was when this executable was built.
pub struct EmbeddedFile {
    /// Path in the workspace, with forward slashes.
    pub path: &'static str,
    /// What is in it.
    pub content: &'static [u8],
}

/// The embedded crates other than the runtime itself, which inherit from the workspace.
pub const LIBRARY_CRATES: &[&str] = &["crates/abi"];

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// Files whose path starts with `prefix`.
pub fn under(prefix: &str) -> impl Iterator<Item = &'static EmbeddedFile> {
    FILES.iter().filter(move |file| file.path.starts_with(prefix))
}

/// Changes with the files whose path starts with `prefix`.
pub fn hash(prefix: &str) -> String {
    stamp::key(under(prefix).flat_map(|file| [file.path.as_bytes(), file.content]))
}

/// Writes the files whose path starts with `prefix` below `destination`, without the prefix.
///
/// # Errors
/// [`SysrootError::Write`].
pub fn unpack(prefix: &str, destination: &Path) -> Result<(), SysrootError> {
    write_all(prefix, prefix.len(), destination)
}

/// Writes the files whose path starts with `prefix` below `destination`, with their whole path.
///
/// # Errors
/// [`SysrootError::Write`].
pub fn unpack_whole(prefix: &str, destination: &Path) -> Result<(), SysrootError> {
    write_all(prefix, 0, destination)
}

fn write_all(prefix: &str, strip: usize, destination: &Path) -> Result<(), SysrootError> {
    for file in under(prefix) {
        let path = destination.join(&file.path[strip..]);
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(SysrootError::write(directory))?;
        }
        fs::write(&path, file.content).map_err(SysrootError::write(&path))?;
    }
    Ok(())
}
