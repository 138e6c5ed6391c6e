//! Where things live in a Maize process. The same on every ISA; docs/format.md draws the map.
//!
//! Code and the data image lie in the low 2 GiB, so that every ISA's small code model reaches them.
//! Memory the program obtains at run time lies in the portable range, which is free natively and
//! under qemu-user on every ISA and below the limit of RISC-V Sv39.

/// Size of a page, bytes. Every ISA's Linux must be configured with 4 KiB pages.
pub const PAGE_SIZE: u64 = 4096;

/// Address of an ISA's descriptor ([`crate::site_table::Descriptor`]) and site table. Tables are below the program, which may
/// have large variables, and near it: qemu-user keeps a record for every page between a file's first and last.
pub const DESCRIPTOR_BASE: u64 = 0x0040_0000;

/// Address of an ISA's own read-only data (constant pools, jump tables) on ISAs other than x86-64,
/// whose private constants share the common `.rodata`.
pub const PRIVATE_RODATA_BASE: u64 = 0x0600_0000;

/// Address of the ELF header of the x86-64 image; text follows, then `.rodata`, `.data`, `.bss`.
pub const IMAGE_BASE: u64 = 0x0800_0000;

/// First address of the portable range.
pub const PORTABLE_START: u64 = 0x10_0000_0000;
/// End (exclusive) of the portable range.
pub const PORTABLE_END: u64 = 0x28_0000_0000;

/// The runtime's own portable memory: process state, argument strings, tables.
pub const RUNTIME_START: u64 = PORTABLE_START;
/// End (exclusive) of the runtime's own portable memory.
pub const RUNTIME_END: u64 = 0x10_1000_0000;

/// Start of what the runtime keeps for each thread.
pub const THREADS_START: u64 = RUNTIME_END;
/// End (exclusive) of that.
pub const THREADS_END: u64 = 0x10_9000_0000;
/// Bytes for each thread.
pub const THREAD_SIZE: u64 = 4 * PAGE_SIZE;

/// Start of the program break.
pub const BREAK_START: u64 = 0x11_0000_0000;
/// Highest value the program break can take.
pub const BREAK_END: u64 = 0x15_0000_0000;

/// Start of the area from which `mmap` without a hint is served.
pub const MMAP_START: u64 = 0x15_0000_0000;
/// End (exclusive) of the area from which `mmap` is served.
pub const MMAP_END: u64 = 0x27_0000_0000;

/// Start of the area that holds frame records while a program moves.
pub const RECORDS_START: u64 = 0x27_0000_0000;
/// End (exclusive) of the area that holds frame records.
pub const RECORDS_END: u64 = PORTABLE_END;

/// Offsets from the thread pointer. The thread pointer is portable: it addresses the same memory
/// on every ISA. Thread-local variables follow at [`thread::TLS_GAP`] (TLS variant I).
pub mod thread {
    /// The thread pointer itself, which x86-64 code loads from `%fs:0`.
    pub const SELF: u64 = 0;
    /// The shadow stack pointer.
    pub const SHADOW_STACK: u64 = 8;
    /// Address of what the runtime keeps for the thread.
    pub const THREAD: u64 = 16;
    /// Bytes reserved at the thread pointer before thread-local variables start
    /// (musl's `GAP_ABOVE_TP`); the offset of the TLS image is this or its alignment, whichever is larger.
    pub const TLS_GAP: u64 = 64;
}
