//! New processes. A child is a copy of its parent in the same host process's place: it runs on, but it does not move, since no node
//! knows of it.

use super::{identity, thread};
use crate::events;
use crate::local;
use crate::memory;
use crate::points;
use crate::signal;
use crate::syscall::kernel;
use crate::syscall::numbers::*;
use core::sync::atomic::Ordering;

/// `clone` of a process.
///
/// # Safety
/// That of the call.
pub unsafe fn clone([flags, _, parent_tid, child_tid, _, _]: [u64; 6]) -> i64 {
    if flags & CLONE_THREAD != 0 {
        // Threads are made by `__maize_thread_create`.
        return -EINVAL;
    }
    // Two processes cannot share a Maize program's memory.
    let flags = flags & !(CLONE_VM | CLONE_VFORK | CLONE_SETTLS);
    let arguments =
        if kernel::is_x86_64() { [flags, 0, parent_tid, child_tid, 0] } else { [flags, 0, parent_tid, 0, child_tid] };
    // No other thread may hold the lock when the copy is made: it does not exist there to release it.
    let map = memory::map();
    // SAFETY: by the contract above; the child goes on on a copy of this stack.
    let result = unsafe { kernel::call(CLONE, arguments) };
    drop(map);
    if result == 0 {
        begin_child();
    }
    result
}

fn begin_child() {
    let control = local::CONTROL.swap(-1, Ordering::Relaxed);
    if control >= 0 {
        // SAFETY: the descriptor is the runtime's.
        unsafe { kernel::call(CLOSE, [control as u64]) };
    }
    local::ATTENTION.store(0, Ordering::Relaxed);
    identity::begin();
    thread::forget_others();
    events::begin_child();
    points::begin_child();
    signal::calls::begin_child();
}
