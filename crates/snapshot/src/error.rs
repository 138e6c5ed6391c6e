//! What can be wrong with a snapshot.

use crate::link::LONGEST;
use crate::section::{Kind, VERSION};
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Where in a snapshot something is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// What the section holds.
    pub kind: Kind,
    /// Which section of the file it is, from 0.
    pub section: u64,
    /// Byte of the file at which it starts.
    pub offset: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "section {} ({}, at byte {})", self.section, self.kind.name(), self.offset)
    }
}

/// Why a snapshot could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// It does not start as one.
    #[error("not a snapshot; name a file that `maize checkpoint` has made")]
    Other,
    /// It is of another version of the format.
    #[error(
        "a snapshot of version {0} of the format, and this maize reads version {VERSION}; use the maize that made it"
    )]
    Version(u32),
    /// It ends too early.
    #[error("the snapshot was cut off after byte {0}; take another one")]
    Cut(u64),
    /// There is something after its end.
    #[error("the snapshot goes on after its end at byte {0}; it was changed after it was made")]
    Long(u64),
    /// The head of a section does not have its checksum.
    #[error("the snapshot is damaged at byte {0}: what is there is not the head of a section; take another one")]
    Head(u64),
    /// The bytes of a section do not have their checksum.
    #[error("the snapshot is damaged: {0} does not have its checksum; take another one")]
    Checksum(Place),
    /// A section cannot be expanded.
    #[error("the snapshot is damaged: {0} cannot be expanded; take another one")]
    Expand(Place),
    /// Sections do not fit together.
    #[error("the snapshot contradicts itself: {0}; take another one")]
    Contradiction(String),
    /// What describes the program is not understood.
    #[error("the snapshot's description of the program is not understood: {0}")]
    Metadata(serde_json::Error),
    /// What it builds on is not there.
    #[error("it holds only what has changed since {}, which is not beside it; put that back there, or restore a snapshot that needs no other", .0.display())]
    NoBase(PathBuf),
    /// What it builds on is another snapshot.
    #[error("it holds only what has changed since {}, and that is another snapshot by now; put the right one back, or restore a snapshot that needs no other", .0.display())]
    OtherBase(PathBuf),
    /// Something is wrong with what it builds on.
    #[error("it holds only what has changed since {}, and there: {source}", .name.display())]
    Base {
        /// The name of its file.
        name: PathBuf,
        /// What.
        source: Box<SnapshotError>,
    },
    /// It builds on itself, by way of others.
    #[error("it builds on itself, by way of {}; it was changed after it was made: restore another one", .0.display())]
    Loop(PathBuf),
    /// It builds on one that builds on one, and so on.
    #[error("it builds on more than {LONGEST} others, one on the other; restore a snapshot that needs no other")]
    LongChain,
    /// The system failed.
    #[error("{0}")]
    System(#[from] io::Error),
}
