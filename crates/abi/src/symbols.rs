//! Names by which compiler, libc, runtime and linker know each other. All have C linkage; those
//! called from portable code take and return only 64-bit integers and pointers, so that no ISA's
//! rules for narrow integers matter.

/// Defined by the runtime: `i64 (i64 number, i64 a1, ..., i64 a6)`, every system call of the libc.
/// A migration point while it blocks.
pub const SYSCALL: &str = "__maize_syscall";
/// `i1 ()`: stands for whether the thread is wanted at a migration point. No such function exists; code generation puts
/// something that can be overwritten with a trap in its place.
pub const REQUESTED: &str = "__maize_requested";
/// Defined by the runtime: `void ()`, where a thread goes that is wanted at a migration point. It preserves all registers.
pub const POINT: &str = "__maize_point";
/// Section of objects that lists migration points: pairs of 8-byte addresses, that of what can be overwritten, and where
/// the trap then leads.
pub const POINTS_SECTION: &str = ".maize.points";
/// Defined by the runtime: `void (ptr jmp_buf, ptr record)`. Saves its caller's frame into the record, and
/// where the frame is into the `jmp_buf`; returns once only (the second return is the record's resume clone).
pub const SETJMP_SAVE: &str = "__maize_setjmp_save";
/// Defined by the runtime: `void (ptr thread_pointer)`.
pub const SET_THREAD_POINTER: &str = "__maize_set_thread_pointer";
/// Defined by the libc: `noreturn void (ptr initial_stack)`, what the runtime calls when it is set up. `initial_stack` is in
/// portable memory, laid out as the kernel does (argc, argv, envp, auxiliary vector).
pub const LIBC_START: &str = "__maize_libc_start";
/// Defined by the runtime: `i64 (ptr function, ptr stack, i64 flags, ptr argument, ptr parent_tid, ptr thread_pointer, ptr child_tid)`,
/// `clone` with `CLONE_THREAD`: a thread that calls `i32 function(ptr argument)` and then exits. `stack` is the top of its
/// shadow stack; returns the thread's id or a negated errno.
pub const THREAD_CREATE: &str = "__maize_thread_create";
/// Defined by the runtime: `noreturn void (ptr base, i64 size)`, unmaps the memory that holds the calling thread's
/// shadow stack and thread pointer, and ends the thread.
pub const THREAD_EXIT: &str = "__maize_thread_exit";
/// Suffix of a function's resume clone.
pub const RESUME_SUFFIX: &str = ".resume";

/// Prefix of the absolute symbol that holds a thread-local variable's offset from the thread pointer.
/// The linker defines one for each that objects ask for.
pub const TLS_OFFSET_PREFIX: &str = "__maize_tls_offset.";
/// Sections of thread-local variables: initialised and zero.
pub const TLS_DATA_SECTION: &str = ".maize.tdata";
/// Section of thread-local variables that start as zero.
pub const TLS_BSS_SECTION: &str = ".maize.tbss";
/// Writable section of the runtime that belongs to the node: never moved, page-aligned by the linker.
pub const LOCAL_SECTION: &str = ".maize.local";

/// The archive with the runtime.
pub const RUNTIME_ARCHIVE: &str = "libmaize_runtime.a";

/// Symbols the linker defines.
pub mod linker {
    /// First byte of text.
    pub const TEXT_START: &str = "__maize_text_start";
    /// After the last byte of text.
    pub const TEXT_END: &str = "__maize_text_end";
    /// First byte of writable portable data (page-aligned).
    pub const DATA_START: &str = "__maize_data_start";
    /// First byte of the `.bss` of all but the runtime, which is at the end of the data (page-aligned).
    pub const PROGRAM_BSS_START: &str = "__maize_program_bss_start";
    /// After the last byte of `.bss` (page-aligned).
    pub const DATA_END: &str = "__maize_data_end";
    /// First byte of the node-local section (page-aligned).
    pub const LOCAL_START: &str = "__maize_local_start";
    /// After the last byte of the node-local section (page-aligned).
    pub const LOCAL_END: &str = "__maize_local_end";
    /// First byte of the TLS image.
    pub const TLS_START: &str = "__maize_tls_start";
    /// After the last initialised byte of the TLS image.
    pub const TLS_FILE_END: &str = "__maize_tls_file_end";
    /// After the last byte of the TLS image.
    pub const TLS_END: &str = "__maize_tls_end";
    /// Absolute: alignment of the TLS image.
    pub const TLS_ALIGN: &str = "__maize_tls_align";
    /// Absolute: offset of the TLS image from the thread pointer.
    pub const TLS_OFFSET: &str = "__maize_tls_image_offset";
}
