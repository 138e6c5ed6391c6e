//! What belongs to this host process and not to the program: it stays when the program moves, and every new process starts with
//! the values given here. Nothing here may point to portable data.

use core::sync::atomic::{AtomicI64, AtomicU32, AtomicU64};

/// For how many threads migration points are overwritten with traps.
#[unsafe(link_section = ".maize.local")]
pub static ARMED: AtomicU32 = AtomicU32::new(0);

/// Whether events are counted (`events`), so that traps stay.
#[unsafe(link_section = ".maize.local")]
pub static COUNTS: AtomicU32 = AtomicU32::new(0);

/// The node has something to say on the control socket.
#[unsafe(link_section = ".maize.local")]
pub static ATTENTION: AtomicU32 = AtomicU32::new(0);

/// How often the node has called. Threads that wait for children sleep on it.
#[unsafe(link_section = ".maize.local")]
pub static CALLS: AtomicU32 = AtomicU32::new(0);

/// Processor time used when the node called, ns; 0 if it has not called.
#[unsafe(link_section = ".maize.local")]
pub static CALLED_AT: AtomicU64 = AtomicU64::new(0);

/// The control socket, or -1 if the program cannot move.
#[unsafe(link_section = ".maize.local")]
pub static CONTROL: AtomicI64 = AtomicI64::new(-1);

/// The socket by which the program is about to move, or -1. Another thread may fork before it stops.
#[unsafe(link_section = ".maize.local")]
pub static TRANSFER: AtomicI64 = AtomicI64::new(-1);

/// The process to which it is about to move, as a pidfd, or -1.
#[unsafe(link_section = ".maize.local")]
pub static DESTINATION: AtomicI64 = AtomicI64::new(-1);

/// Pages may be missing that the node brings (`migration::absent`).
#[unsafe(link_section = ".maize.local")]
pub static ABSENT: AtomicU32 = AtomicU32::new(0);

/// Regions are closed where pages are missing (`migration::closed`).
#[unsafe(link_section = ".maize.local")]
pub static CLOSED: AtomicU32 = AtomicU32::new(0);

/// Regions have been closed in this process, so that `SIGSEGV` is the runtime's own.
#[unsafe(link_section = ".maize.local")]
pub static CLOSED_ONCE: AtomicU32 = AtomicU32::new(0);

/// The userfaultfd by which pages are brought, if this process has to keep it, or -1.
#[unsafe(link_section = ".maize.local")]
pub static WATCH: AtomicI64 = AtomicI64::new(-1);

/// The node's process, as the sender of signals.
#[unsafe(link_section = ".maize.local")]
pub static NODE: AtomicI64 = AtomicI64::new(0);

/// Where the main thread's machine stack starts.
#[unsafe(link_section = ".maize.local")]
pub static STACK_TOP: AtomicU64 = AtomicU64::new(0);

/// The vDSO's `clock_gettime`, or 0.
#[unsafe(link_section = ".maize.local")]
pub static VDSO_CLOCK: AtomicU64 = AtomicU64::new(0);

/// Whether system calls are to be printed.
#[unsafe(link_section = ".maize.local")]
pub static TRACE_CALLS: AtomicU32 = AtomicU32::new(0);

/// The process id that the kernel knows this process by, or 0 if not asked for yet.
#[unsafe(link_section = ".maize.local")]
pub static HOST_PID: AtomicU64 = AtomicU64::new(0);
