//! The multi-ISA executable: composing, reading and taking apart. docs/format.md describes it byte
//! by byte. In reading order: `program` (an ELF executable in pieces), `write` (and back), `note`
//! and `descriptor` (what Maize adds), `compression`, `compose`, `image`, `standalone`.

mod compose;
mod compression;
mod descriptor;
mod image;
mod note;
mod program;
mod sites;
mod standalone;
mod write;

pub use compose::{IsaPart, Parts, compose};
pub use image::Image;
pub use note::seal;

pub(crate) use descriptor::Head;
pub(crate) use program::{Place, Program};
use write::write;

/// Name of the section at `DESCRIPTOR_BASE`.
const DESCRIPTOR_SECTION: &[u8] = b".maize.descriptor";
/// Name of the section of the note that holds the header.
const NOTE_SECTION: &[u8] = b".note.maize";
