//! Where the sockets of running programs are: `$XDG_RUNTIME_DIR/maize/programs/PID.sock`, or below `/run/maize` for root and
//! `/tmp/maize-UID` for others. PID is that of `maize run`.

use rustix::process::geteuid;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

const EXTENSION: &str = "sock";

/// The directory, whether it is there or not.
pub(crate) fn path() -> PathBuf {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").filter(|value| Path::new(value).is_absolute());
    let base = match runtime {
        Some(runtime) => Path::new(&runtime).join("maize"),
        None if geteuid().is_root() => PathBuf::from("/run/maize"),
        None => PathBuf::from(format!("/tmp/maize-{}", geteuid().as_raw())),
    };
    base.join("programs")
}

/// The socket of the program that this process runs.
pub(crate) fn socket(directory: &Path, pid: u32) -> PathBuf {
    directory.join(format!("{pid}.{EXTENSION}"))
}

/// Makes the directory, for this user alone.
pub(crate) fn create(directory: &Path) -> io::Result<()> {
    if let Some(base) = directory.parent() {
        make_private(base)?;
    }
    make_private(directory)
}

/// Somebody else's directory, or one that others can write to, may hold sockets that are not what they seem.
fn make_private(directory: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => check(directory),
        result => result,
    }
}

/// That a directory is this user's own.
pub(crate) fn check(directory: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(directory)?;
    if !metadata.is_dir() || metadata.uid() != geteuid().as_raw() || metadata.mode() & 0o022 != 0 {
        let text = format!("{} belongs to somebody else, or others can write to it", directory.display());
        return Err(io::Error::other(text));
    }
    Ok(())
}

/// The ids of processes that have a socket, in order.
pub(crate) fn programs() -> io::Result<Vec<u32>> {
    let directory = path();
    let entries = match fs::read_dir(&directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    check(&directory)?;
    let mut pids = Vec::new();
    for entry in entries {
        let name = PathBuf::from(entry?.file_name());
        let stem: Option<u32> = name.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
        pids.extend(stem.filter(|_| name.extension().is_some_and(|extension| extension == EXTENSION)));
    }
    pids.sort_unstable();
    Ok(pids)
}
