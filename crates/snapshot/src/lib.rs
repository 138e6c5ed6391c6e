//! The snapshot of a program: a stream of sections that can be written to a file and read again on any ISA. docs/snapshot.md has the
//! format byte by byte; what is in it comes from and goes to `maize-node`. No system calls are made here.

mod error;
mod image;
mod lineage;
mod link;
mod metadata;
mod reader;
mod section;
mod terminal;
mod writer;

pub use error::{Place, SnapshotError};
pub use image::{Image, ImageRef, Stored};
pub use lineage::{Base, Id, Lineage};
pub use link::LONGEST;
pub use metadata::{
    Change, Content, Descriptor, Executable, Expiry, File, FileKind, FileWatch, Mapped, Metadata, Pipe, Process,
    Relation, Signal, Socket, SocketName, SocketOption, SocketState, Watch,
};
pub use reader::Reader;
pub use section::{CHUNK, Kind, MAGIC, Piece, VERSION};
pub use terminal::{Terminal, TerminalSize, TerminalState, Typed};
pub use writer::{Packs, Writer};
