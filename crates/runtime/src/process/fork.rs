//! New processes. A child is a copy of its parent. While the node keeps the table of processes, it is the node's child for the kernel, so that
//! neither parent nor child is bound to its host process, and has a control socket of its own.

use super::node::{self, Line};
use super::{control, identity, thread, timers, usage};
use crate::events;
use crate::local;
use crate::memory;
use crate::memory::calls::KEPT_DESCRIPTORS;
use crate::migration::absent;
use crate::migration::channel::{self, close};
use crate::migration::gather;
use crate::points;
use crate::signal;
use crate::signal::calls::without_signals;
use crate::syscall::kernel;
use crate::syscall::numbers::*;
use core::sync::atomic::Ordering;
use maize_abi::control::{Kind, Message};
use maize_abi::processes::Request;

const SIGCHLD: u64 = 17;
/// The bits of `clone`'s flags that are the signal for the parent.
const SIGNAL: u64 = 0xff;

/// `clone` of a process.
///
/// # Safety
/// That of the call.
pub unsafe fn clone([flags, _, parent_tid, child_tid, _, _]: [u64; 6]) -> i64 {
    if flags & CLONE_THREAD != 0 {
        // Threads are made by `__maize_thread_create`.
        return -EINVAL;
    }
    absent::await_all();
    // Two processes cannot share a Maize program's memory.
    let flags = flags & !(CLONE_VM | CLONE_VFORK | CLONE_SETTLS);
    if node::is_served() {
        // A signal must not find a process that is neither of the two.
        // SAFETY: by the contract above.
        if let Some(result) = without_signals(|| unsafe { fork_served(flags, parent_tid, child_tid) }) {
            return result;
        }
    }
    // SAFETY: by the contract above.
    let result = unsafe { copy(flags, parent_tid, child_tid) };
    if result == 0 {
        begin_child(None);
    }
    result
}

/// Makes a copy of the process: 0 in the copy.
///
/// # Safety
/// That of `clone`.
unsafe fn copy(flags: u64, parent_tid: u64, child_tid: u64) -> i64 {
    let arguments =
        if kernel::is_x86_64() { [flags, 0, parent_tid, child_tid, 0] } else { [flags, 0, parent_tid, 0, child_tid] };
    // No other thread may hold the lock when the copy is made: it does not exist there to release it.
    let map = memory::map();
    // SAFETY: by the contract above; the child goes on on a copy of this stack.
    let result = unsafe { kernel::call(CLONE, arguments) };
    drop(map);
    result
}

/// `None` if the node is gone.
///
/// # Safety
/// That of `clone`; all signals are kept out.
unsafe fn fork_served(flags: u64, parent_tid: u64, child_tid: u64) -> Option<i64> {
    let line = Line::take();
    let control = line.ask(Request::Forking, &[], None).and_then(|answer| answer.descriptors().first().copied());
    let Some(control) = control else { return if node::is_served() { Some(-EAGAIN) } else { None } };
    // SAFETY: by the contract above.
    let made = unsafe {
        match copy(flags & !SIGNAL | CLONE_PARENT, parent_tid, child_tid) {
            // Emulators do not let a process give its children to its parent.
            result if result == -EINVAL => copy_orphaned(flags, child_tid),
            result => result,
        }
    };
    if made == 0 {
        drop(line);
        begin_child(Some(control.into()));
        return Some(0);
    }
    close(control.into());
    let id = line.number(Request::Forked, &[u64::from(made > 0)]);
    if made < 0 {
        return Some(made);
    }
    if flags & CLONE_PARENT_SETTID != 0 && id > 0 {
        // SAFETY: by the contract above.
        unsafe { (parent_tid as *mut i32).write(id as i32) };
    }
    Some(id)
}

/// Makes a copy whose parent is the node: that of a process that ends at once, whose children the node adopts. Returns 0 in the copy.
///
/// # Safety
/// That of `clone`; all signals are kept out.
unsafe fn copy_orphaned(flags: u64, child_tid: u64) -> i64 {
    // SAFETY: by the contract above.
    unsafe {
        let between = copy(SIGCHLD, 0, 0);
        if between == 0 {
            let child = copy(flags & !CLONE_PARENT_SETTID, 0, child_tid);
            if child == 0 {
                return 0;
            }
            loop {
                kernel::call(EXIT_GROUP, [u64::from(child < 0)]);
            }
        }
        if between < 0 {
            return between;
        }
        let mut status = 0i32;
        while kernel::call(WAIT4, [between as u64, &raw mut status as u64, 0, 0]) == -EINTR {}
        // The kernel has told of that process's end. The node sends nothing until it knows the child.
        let (set, now) = (signal::bit(SIGCHLD), [0u64; 2]);
        kernel::call(RT_SIGTIMEDWAIT, [&raw const set as u64, 0, now.as_ptr() as u64, 8]);
        if status == 0 { between } else { -EAGAIN }
    }
}

/// In the child: what belonged to the parent's host process does not belong to this one.
fn begin_child(own_control: Option<i64>) {
    let socket = local::CONTROL.swap(-1, Ordering::Relaxed);
    if socket >= 0 {
        close(socket);
    }
    for descriptor in [&local::TRANSFER, &local::DESTINATION] {
        let descriptor = descriptor.swap(-1, Ordering::Relaxed);
        if descriptor >= 0 {
            close(descriptor);
        }
    }
    local::ATTENTION.store(0, Ordering::Relaxed);
    identity::begin(identity::ask_host_pid());
    if let Some(own) = own_control {
        introduce(own);
    }
    thread::life::begin_child();
    gather::begin_child();
    events::begin_child();
    timers::begin_child();
    usage::begin_child();
    control::begin_child();
    points::begin_child();
    signal::calls::begin_child();
}

/// Tells the node of this process, and learns the id that programs know it by.
fn introduce(control: i64) {
    // SAFETY: takes no pointers; the descriptor is the runtime's.
    let kept = unsafe { kernel::call(FCNTL, [control as u64, F_DUPFD_CLOEXEC, KEPT_DESCRIPTORS]) };
    let control = if kept < 0 {
        control
    } else {
        close(control);
        kept
    };
    local::CONTROL.store(control, Ordering::Relaxed);
    channel::send(control, &Message::new(Kind::Born, [identity::host_pid(), 0, 0, 0, 0, 0, 0, 0]), &[]);
    match channel::receive(control, true).map(|received| received.message) {
        Some(message) if message.kind() == Some(Kind::Run) => identity::begin(message.values[4]),
        _ => node::leave(),
    }
}
