//! The site table: for every call at which an activation can be suspended, how to step to its
//! caller and where its live values are. One table per ISA, made at link time from `.eh_frame` and the
//! stack maps, mapped read-only at [`crate::layout::DESCRIPTOR_BASE`].
//!
//! ```text
//! Descriptor | Site[site_count], sorted by return address | Point[point_count], sorted by address |
//! Function[function_count], sorted by start | Handler[handler_count], sorted by start | words: shapes and location lists
//! ```
//!
//! The points are the places that can be overwritten with a trap, to have the program stop at a migration point; the functions are those that
//! have points; the handlers say what functions do when an exception passes through them.
//!
//! Stepping out of a frame suspended at a site, with CFA as in DWARF 5 section 6.4:
//! `cfa = reg[shape.cfa_register] + shape.cfa_offset`, each saved register is at `cfa + offset`,
//! the caller's stack pointer is `cfa` (every ABI here), its program counter is the saved return address.

/// First bytes of a descriptor.
pub const MAGIC: [u8; 8] = *b"MAIZEISA";
/// Version of the descriptor and of the site table.
pub const VERSION: u32 = 5;

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
    /// Address of the first byte of text.
    pub text_start: u64,
    /// Address after the last byte of text.
    pub text_end: u64,
    /// Address of the first [`Site`].
    pub sites: u64,
    /// Number of sites.
    pub site_count: u64,
    /// Address of the first [`Point`].
    pub points: u64,
    /// Number of points.
    pub point_count: u64,
    /// Address of the first [`Function`].
    pub functions: u64,
    /// Number of functions that have points.
    pub function_count: u64,
    /// Address of the first [`Handler`].
    pub handlers: u64,
    /// Number of handlers.
    pub handler_count: u64,
    /// Address of the first word of shapes and location lists.
    pub words: u64,
    /// Number of these 32-bit words.
    pub word_count: u64,
    /// Bytes of the descriptor and all that follows it.
    pub total_size: u64,
}

/// One call at which an activation can be suspended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Site {
    /// The call's return address.
    pub return_address: u32,
    /// Address of the function's resume clone.
    pub resume: u32,
    /// The site's number in records.
    pub number: u32,
    /// Index of the first word of this site's shape.
    pub shape: u32,
    /// Index of the first word of its location list: the number of locations, then these (see [`location`]).
    pub locations: u32,
}

/// One place that can be overwritten with a trap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Point {
    /// Address of what does nothing there.
    pub address: u32,
    /// Where the trap leads: the address of code that calls `__maize_point`.
    pub target: u32,
}

/// A function that has points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Function {
    /// Its address.
    pub start: u32,
    /// Address after its last instruction.
    pub end: u32,
}

/// A function with a language-specific data area (Itanium C++ ABI: Exception Handling, 1.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Handler {
    /// Address of the function.
    pub start: u32,
    /// Address after its last instruction.
    pub end: u32,
    /// Address of the area.
    pub language_data: u32,
    /// Address of the personality routine, which reads it.
    pub personality: u32,
}

/// How one shape is laid out in 32-bit words:
/// word 0 = `cfa_register | saved_count << 16`, word 1 = `cfa_offset` (signed),
/// then per saved register one word `register << 24 | (offset + 2^23)`, offset relative to the CFA, bytes.
/// Registers are DWARF numbers of the ISA's psABI; the return address is listed under
/// [`shape::RETURN_ADDRESS`]; floating-point registers keep their DWARF numbers.
pub mod shape {
    /// Words before the list of saved registers.
    pub const HEADER_WORDS: usize = 2;
    /// Register number under which the return address is listed.
    pub const RETURN_ADDRESS: u32 = 0xff;
    /// Bias of a saved register's offset.
    pub const OFFSET_BIAS: i64 = 1 << 23;

    /// Packs one saved register; `None` if the offset does not fit.
    pub const fn saved(register: u32, offset: i64) -> Option<u32> {
        if register > RETURN_ADDRESS || offset < -OFFSET_BIAS || offset >= OFFSET_BIAS {
            return None;
        }
        Some((register << 24) | ((offset + OFFSET_BIAS) as u32 & 0x00ff_ffff))
    }

    /// Unpacks one saved register into its number and its offset from the CFA.
    pub const fn unpack(word: u32) -> (u32, i64) {
        (word >> 24, (word & 0x00ff_ffff) as i64 - OFFSET_BIAS)
    }
}

/// Where one word of a record comes from: a location is a 32-bit word `kind << 30 | register << 22 | (offset + 2^21)`.
pub mod location {
    /// The value is in a register.
    pub const KIND_REGISTER: u32 = 0;
    /// The value is in memory at register + offset.
    pub const KIND_MEMORY: u32 = 1;
    /// The value is in the next two words, low half first.
    pub const KIND_CONSTANT: u32 = 2;

    /// The word before a constant.
    pub const CONSTANT: u32 = KIND_CONSTANT << 30;
    const OFFSET_BITS: u32 = 22;
    const BIAS: i32 = 1 << (OFFSET_BITS - 1);

    /// A value in the register with this DWARF number.
    pub const fn register(register: u32) -> u32 {
        (KIND_REGISTER << 30) | (register << OFFSET_BITS) | BIAS as u32
    }

    /// A value in memory; `None` if the offset does not fit.
    pub const fn memory(register: u32, offset: i32) -> Option<u32> {
        if register > 0xff || offset < -BIAS || offset >= BIAS {
            return None;
        }
        Some((KIND_MEMORY << 30) | (register << OFFSET_BITS) | (offset + BIAS) as u32)
    }

    /// Kind, register and offset of a location word.
    pub const fn unpack(word: u32) -> (u32, u32, i32) {
        let offset = (word & ((1 << OFFSET_BITS) - 1)) as i32 - BIAS;
        (word >> 30, (word >> OFFSET_BITS) & 0xff, offset)
    }
}
