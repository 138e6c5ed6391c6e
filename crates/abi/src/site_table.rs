//! The site table: for every call at which an activation can be suspended, how to step to its
//! caller and where its save pad is. One table per ISA, made at link time from `.eh_frame` and the
//! LSDAs, mapped read-only at [`crate::layout::DESCRIPTOR_BASE`].
//!
//! ```text
//! Descriptor | Site[site_count], sorted by start | Shape words
//! ```
//!
//! Stepping out of a frame suspended at a site, with CFA as in DWARF 5 section 6.4:
//! `cfa = reg[shape.cfa_register] + shape.cfa_offset`, each saved register is at `cfa + offset`,
//! the caller's stack pointer is `cfa` (every ABI here), its program counter is the saved return address.

/// First bytes of a descriptor.
pub const MAGIC: [u8; 8] = *b"MAIZEISA";
/// Version of the descriptor and of the site table.
pub const VERSION: u32 = 1;

/// Found at [`crate::layout::DESCRIPTOR_BASE`] in every ISA's image.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Descriptor {
    /// [`MAGIC`].
    pub magic: [u8; 8],
    /// [`VERSION`].
    pub version: u32,
    /// [`crate::Isa::number`].
    pub isa: u32,
    /// Address of the first byte of text; code offsets count from here.
    pub text_start: u64,
    /// Address after the last byte of text.
    pub text_end: u64,
    /// Address of the first [`Site`].
    pub sites: u64,
    /// Number of sites.
    pub site_count: u64,
    /// Address of the first word of the shapes.
    pub shapes: u64,
    /// Number of 32-bit words of all shapes together.
    pub shape_words: u64,
    /// Bytes of the descriptor, sites and shapes together.
    pub total_size: u64,
}

/// One call at which an activation can be suspended. A return address `r` belongs to the site with
/// `start < r - text_start <= end`. Sites do not overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Site {
    /// Offset from the start of text of the first byte of the call's range.
    pub start: u32,
    /// Offset after the last byte of the call's range; normally the return address.
    pub end: u32,
    /// Offset of the save pad.
    pub pad: u32,
    /// Index of the first word of this site's shape.
    pub shape: u32,
}

/// How one shape is laid out in 32-bit words:
/// word 0 = `cfa_register | saved_count << 16`, word 1 = `cfa_offset` (signed),
/// word 2 = bytes the stack pointer is above its value in the body while the call's arguments are
/// pushed (DWARF `DW_CFA_GNU_args_size`; added to the stack pointer before the pad runs),
/// then per saved register one word `register << 24 | (offset + 2^23)`, offset relative to the CFA, bytes.
/// Registers are DWARF numbers of the ISA's psABI; the return address is listed under
/// [`RETURN_ADDRESS`]; floating-point registers keep their DWARF numbers.
pub mod shape {
    /// Words before the list of saved registers.
    pub const HEADER_WORDS: usize = 3;
    /// Register number under which the return address is listed.
    pub const RETURN_ADDRESS: u32 = 0xff;
    /// Bias of a saved register's offset.
    pub const OFFSET_BIAS: i64 = 1 << 23;

    /// Packs one saved register.
    pub const fn saved(register: u32, offset: i64) -> u32 {
        (register << 24) | ((offset + OFFSET_BIAS) as u32 & 0x00ff_ffff)
    }

    /// Unpacks one saved register into its number and its offset from the CFA.
    pub const fn unpack(word: u32) -> (u32, i64) {
        (word >> 24, (word & 0x00ff_ffff) as i64 - OFFSET_BIAS)
    }
}
