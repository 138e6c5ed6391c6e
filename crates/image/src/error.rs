//! What can be wrong with a multi-ISA executable or with the parts one is to be made from. Every
//! message names the cause and the next step.

use maize_abi::Isa;
use std::path::PathBuf;

/// An error of [`crate::compose`], [`crate::Image`] and [`crate::inspect()`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The file could not be read.
    #[error("cannot read {}: check that the path is right and the file readable", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Something is wrong with the contents of this file.
    #[error("{}: {fault}", path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// What is wrong. Part of the message, hence no `source`.
        fault: Box<ImageError>,
    },
    /// The bytes are not a 64-bit little-endian ELF file.
    #[error("the file is not an ELF executable: name a program built with `maize cc`")]
    NotElf,
    /// The file is the beginning of an ELF file.
    #[error(
        "the file ends after {found} bytes, before what its ELF headers say is in it: it was cut off; copy it again from an \
         intact copy, or build it again"
    )]
    CutOff {
        /// Bytes the file has.
        found: u64,
    },
    /// The file is an ELF file, but one without a multi-ISA header.
    #[error("the file is not a multi-ISA executable: build it with `maize cc`")]
    NotMultiIsa,
    /// The file is a multi-ISA executable of a version that this code does not know.
    #[error(
        "the file has version {found} of the multi-ISA format, but this `maize` reads version {supported}: \
         build the program again, or use the `maize` it was built with"
    )]
    Version {
        /// Version in the file.
        found: u32,
        /// The version that can be read.
        supported: u32,
    },
    /// The file is shorter or longer than when it was linked.
    #[error(
        "the file is {found} bytes long, but was {expected} when it was linked: it was cut off, or changed by a \
         tool such as `strip`; copy it again from an intact copy, or build it again"
    )]
    WrongLength {
        /// Bytes the file had when it was linked.
        expected: u64,
        /// Bytes the file has.
        found: u64,
    },
    /// The checksum does not match.
    #[error(
        "the file was changed after it was linked (its checksum is {found:08x}, not {expected:08x}): \
         copy it again from an intact copy, or build it again"
    )]
    Changed {
        /// Checksum in the file.
        expected: u32,
        /// Checksum of the bytes found.
        found: u32,
    },
    /// The file is intact by its checksum, but contradicts itself.
    #[error("the file contradicts the multi-ISA format ({reason}): build it again with `maize cc`")]
    Malformed {
        /// Which rule of docs/format.md is broken.
        reason: String,
    },
    /// The file has no code for this ISA.
    #[error("the file has no code for {}, only for {available}: build it for that ISA too", isa.name())]
    NoSuchIsa {
        /// The ISA asked for.
        isa: Isa,
        /// The ISAs the file has, separated by commas.
        available: String,
    },
    /// The list of parts to compose is wrong.
    #[error("cannot compose a multi-ISA executable: {reason}; give x86_64 first and every ISA once")]
    Parts {
        /// What is wrong with the list.
        reason: String,
    },
    /// The linker's output for one ISA cannot become a part.
    #[error("the linker's output for {} cannot be used: {reason}; check the linker script and link again", isa.name())]
    Linked {
        /// The ISA.
        isa: Isa,
        /// Which rule of docs/format.md is broken.
        reason: String,
    },
    /// The descriptor for one ISA cannot be used.
    #[error("the descriptor for {} cannot be used: {reason}; make its site table again", isa.name())]
    Descriptor {
        /// The ISA.
        isa: Isa,
        /// Which rule of docs/format.md is broken.
        reason: String,
    },
}

impl ImageError {
    /// A rule of the format that a file breaks.
    pub(crate) fn malformed(reason: impl Into<String>) -> ImageError {
        ImageError::Malformed { reason: reason.into() }
    }

    /// Names the file at fault.
    pub(crate) fn in_file(self, path: impl Into<PathBuf>) -> ImageError {
        ImageError::InFile { path: path.into(), fault: Box::new(self) }
    }
}
