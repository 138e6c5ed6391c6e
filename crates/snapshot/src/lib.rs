//! The snapshot of a program: a stream of sections that can be written to a file and read again on any ISA. docs/snapshot.md has the
//! format byte by byte; what is in it comes from and goes to `maize-node`. No system calls are made here.

mod error;
mod metadata;
mod reader;
mod section;
mod writer;

pub use error::{Place, SnapshotError};
pub use metadata::{
    Change, Content, Descriptor, Executable, File, FileKind, Mapped, Metadata, Pipe, Process, Relation, Signal,
};
pub use reader::Reader;
pub use section::{CHUNK, Kind, MAGIC, Piece, VERSION};
pub use writer::Writer;
