//! Process ids. A program keeps the process id it started with, whatever host process it is in: the C standard library and
//! programs keep copies of it.

use crate::local::HOST_PID;
use crate::syscall::kernel;
use crate::syscall::numbers::*;
use core::sync::atomic::{AtomicU64, Ordering};

/// The program's process id, which is also its main thread's id.
static PROGRAM_PID: AtomicU64 = AtomicU64::new(0);

/// This host process's id.
pub fn host_pid() -> u64 {
    match HOST_PID.load(Ordering::Relaxed) {
        0 => {
            // SAFETY: takes no pointers.
            let pid = unsafe { kernel::call(GETPID, []) } as u64;
            HOST_PID.store(pid, Ordering::Relaxed);
            pid
        }
        pid => pid,
    }
}

/// The process id that the program knows.
pub fn program_pid() -> u64 {
    PROGRAM_PID.load(Ordering::Relaxed)
}

/// The program starts in this process: their ids are the same. Also for the child of a `fork`.
pub fn begin() {
    HOST_PID.store(0, Ordering::Relaxed);
    PROGRAM_PID.store(host_pid(), Ordering::Relaxed);
}

/// An id that the program names, as the kernel knows it. Process groups are named by their negated id.
pub fn to_host(id: u64) -> u64 {
    let program = program_pid() as i32;
    match id as i32 {
        id if id == program => host_pid(),
        id if id == -program => host_pid().wrapping_neg(),
        _ => id,
    }
}

/// An id that the kernel names, as the program knows it.
pub fn to_program(id: i64) -> i64 {
    if id == host_pid() as i64 { program_pid() as i64 } else { id }
}
