//! The multi-ISA executable's own header: what the ELF note says. docs/format.md gives it byte by byte.

/// Version of the multi-ISA format. A reader refuses any other.
pub const VERSION: u32 = 2;
/// Name of the ELF note (owner), with its terminating NUL.
pub const NOTE_NAME: &[u8] = b"Maize\0";
/// Type of the ELF note that holds the image header.
pub const NOTE_TYPE: u32 = 1;
/// Section (in object files) that holds one further ISA's object; the ISA's name follows.
pub const OBJECT_SECTION_PREFIX: &str = ".maize.object.";
/// Section (in object files) that holds the format version of the object.
pub const OBJECT_VERSION_SECTION: &str = ".maize.version";
/// Section (in executables) that holds one ISA's part, compressed; the ISA's name follows.
pub const IMAGE_SECTION_PREFIX: &str = ".maize.image.";
