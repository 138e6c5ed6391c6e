//! Snapshots that build on each other: each holds what the program has changed since the one before, and the first is whole. If a newer one takes the name of the one that it builds on,
//! that gets another name first: `NAME.base-0`, `NAME.base-1` and so on, which exist until a whole one has the name NAME.

use crate::precopy::Precopy;
use maize_snapshot::{Base, Id};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// How many build on one that is whole, at most: to restore the last all are read.
const MOST: usize = 32;

/// A snapshot on disk.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) path: PathBuf,
    pub(crate) id: Id,
    /// Its device and inode.
    pub(crate) identity: [u64; 2],
    pub(crate) bytes: u64,
    /// The name of the file that it builds on.
    pub(crate) base: Option<PathBuf>,
}

/// Those of one program, and what has been changed since the last.
pub(crate) struct Chain {
    pub(crate) precopy: Precopy,
    /// The whole one is first.
    pub(crate) links: Vec<Link>,
}

impl Chain {
    /// What a snapshot at this path can build on, if it can.
    pub(crate) fn foundation(&self, path: &Path) -> Option<Foundation> {
        let (whole, later) = self.links.split_first()?;
        let last = self.links.last()?;
        let is_long = later.len() >= MOST || later.iter().map(|link| link.bytes).sum::<u64>() >= whole.bytes;
        if is_long || directory(path) != directory(&last.path) || identity(&last.path) != Some(last.identity) {
            return None;
        }
        let found = identity(path);
        if found != Some(last.identity) {
            let replaces_older = self.links.iter().any(|link| Some(link.identity) == found);
            let name = PathBuf::from(last.path.file_name()?);
            return (!replaces_older).then_some(Foundation { base: Base { id: last.id, name }, other_name: None });
        }
        let other_name = base_name(path, later.len());
        // One that was left by a run that was killed: the snapshot at this path does not build on it.
        let _ = fs::remove_file(&other_name);
        fs::hard_link(path, &other_name).ok()?;
        let base = Base { id: last.id, name: PathBuf::from(other_name.file_name()?) };
        let is_right = identity(&other_name) == Some(last.identity);
        Some(Foundation { base, other_name: Some(other_name) }).filter(|_| is_right)
    }
}

/// What a snapshot builds on. If it has got another name for that it loses this when this is dropped, unless it is to be kept.
pub(crate) struct Foundation {
    base: Base,
    other_name: Option<PathBuf>,
}

impl Foundation {
    pub(crate) fn base(&self) -> Base {
        self.base.clone()
    }

    /// The snapshot is on disk.
    pub(crate) fn keep(&mut self) {
        self.other_name = None;
    }
}

impl Drop for Foundation {
    fn drop(&mut self) {
        // If it stays nothing is lost: it is replaced next time.
        let _ = self.other_name.take().map(fs::remove_file);
    }
}

/// A whole snapshot is at this path now: those on which one of this name was built are not needed any more.
pub(crate) fn remove_older(path: &Path) {
    for index in 0..=MOST {
        // Few of these are there.
        let _ = fs::remove_file(base_name(path, index));
    }
}

/// Where the snapshot is that was at this path when it was the one with this number in its chain.
fn base_name(path: &Path, index: usize) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".base-{index}"));
    PathBuf::from(name)
}

fn identity(path: &Path) -> Option<[u64; 2]> {
    fs::symlink_metadata(path).ok().map(|metadata| [metadata.dev(), metadata.ino()])
}

/// Where a file is.
pub(crate) fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
