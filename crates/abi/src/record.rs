//! Frame records: one suspended activation of an instrumented function, in portable memory.
//!
//! ```text
//! offset  size  field
//!      0     8  resume    address of the function's resume clone (the same on every ISA)
//!      8     4  site      index of the call at which the activation is suspended
//!     12     4  size      bytes of the whole record, a multiple of 16
//!     16     8  inner     address of the record of the activation it called
//!     24     -  values    the SSA values live after the call, as words of 8 bytes
//! ```
//!
//! Records start on 16-byte boundaries. The runtime writes them by the site table. A resume clone is called with the record's address as its only argument.

/// Offset of the resume clone's address.
pub const RESUME: u64 = 0;
/// Offset of the site index (u32).
pub const SITE: u64 = 8;
/// Offset of the record's size (u32).
pub const SIZE: u64 = 12;
/// Offset of the inner record's address.
pub const INNER: u64 = 16;
/// Offset of the first saved value.
pub const VALUES: u64 = 24;
/// Alignment of a record.
pub const ALIGN: u64 = 16;
/// A record may not be larger than this, so that the runtime can check for room before it writes one.
pub const MAX_SIZE: u64 = 1 << 16;

/// Set in the site index of functions that call `setjmp`: the first saved value is the address of the
/// activation's shadow frame, by which `longjmp` recognises it after a move.
pub const OWNER_SITE: u32 = 1 << 31;

/// The fixed part of a record as the runtime sees it.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Header {
    /// Address of the resume clone.
    pub resume: u64,
    /// Index of the call site within the function.
    pub site: u32,
    /// Size of the whole record, bytes.
    pub size: u32,
    /// Address of the record of the activation this one called; 0 for the innermost.
    pub inner: u64,
}
