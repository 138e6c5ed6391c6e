//! Process ids. A program keeps the process id it started with, whatever host process it is in: the C standard library and
//! programs keep copies of it.

use super::node;
use super::thread::{Thread, host_id_of};
use crate::local::HOST_PID;
use crate::signal::state::Information;
use crate::syscall::kernel;
use crate::syscall::numbers::*;
use core::sync::atomic::{AtomicU64, Ordering};
use maize_abi::processes::{Request, unwrap_code};

/// The program's process id, which is also its main thread's id.
static PROGRAM_PID: AtomicU64 = AtomicU64::new(0);

/// This host process's id.
pub fn host_pid() -> u64 {
    match HOST_PID.load(Ordering::Relaxed) {
        0 => ask_host_pid(),
        pid => pid,
    }
}

/// Asks the kernel for it, in a process that is new.
pub fn ask_host_pid() -> u64 {
    // SAFETY: takes no pointers.
    let pid = unsafe { kernel::call(GETPID, []) } as u64;
    HOST_PID.store(pid, Ordering::Relaxed);
    pid
}

/// The process id that the program knows.
pub fn program_pid() -> u64 {
    PROGRAM_PID.load(Ordering::Relaxed)
}

/// Whether the program has mutexes with priority inheritance: the kernel wants its own ids of threads in them.
static HAS_HOST_IDS: AtomicU64 = AtomicU64::new(0);

/// Notes that it may have some.
pub fn give_host_ids() {
    HAS_HOST_IDS.store(1, Ordering::Relaxed);
}

/// Whether memory of the program's holds ids that mean something in this host process only.
pub fn has_host_ids() -> bool {
    HAS_HOST_IDS.load(Ordering::Relaxed) != 0
}

/// The program starts as the process with this id. Also for the child of a `fork`.
pub fn begin(id: u64) {
    PROGRAM_PID.store(id, Ordering::Relaxed);
    Thread::current().set_id(id);
}

/// An id that the program names, as the kernel knows it: its own, or that of one of its threads. Process groups are named by their
/// negated id.
pub fn own_to_host(id: u64) -> u64 {
    let program = program_pid() as i32;
    match id as i32 {
        id if id == program => host_pid(),
        id if id == -program => host_pid().wrapping_neg(),
        _ => host_id_of(id as u32 as u64).unwrap_or(id),
    }
}

/// An id that the program names, as the kernel knows it.
pub fn to_host(id: u64) -> u64 {
    let own = own_to_host(id);
    if own == id && id as i32 > 1 && id as u32 as u64 != program_pid() && node::is_served() {
        let located = node::number(Request::Locate, &[id]);
        return if located > 0 { located as u64 } else { id };
    }
    own
}

/// Gives a signal that has come the `si_code` and sender that the program is to see.
pub fn name_sender(information: &mut Information) {
    match unwrap_code(information.code()) {
        Some(code) => information.set_code(code),
        // `SI_USER`, `SI_QUEUE`, `SI_MESGQ`, `SI_TKILL`: those that have a sender.
        None if matches!(information.code(), 0 | -1 | -3 | -6) => {
            information.set_sender(to_program(information.sender()));
        }
        None => {}
    }
}

/// An id that the kernel names, as the program knows it.
pub fn to_program(id: i64) -> i64 {
    if id == host_pid() as i64 { program_pid() as i64 } else { id }
}
