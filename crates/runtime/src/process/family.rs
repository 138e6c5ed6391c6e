//! System calls about other processes, answered by the node's table: waiting for children, sending signals, groups and sessions.

use super::{identity, node, usage};
use crate::syscall::kernel;
use crate::syscall::numbers::*;
use core::sync::atomic::{AtomicU32, Ordering};
use maize_abi::processes::Request;

const P_ALL: u64 = 0;
const P_PID: u64 = 1;
const P_PGID: u64 = 2;
const WNOHANG: u64 = 1;
const WEXITED: u64 = 4;
const WNOWAIT: u64 = 0x0100_0000;
/// `WSTOPPED`, `WEXITED`, `WCONTINUED`, `WNOWAIT` and `WNOHANG`: others are about threads.
const WAIT_OPTIONS: u64 = 0x0100_000f;
const SIGCHLD: u64 = 17;

const CLD_KILLED: u64 = 2;
const CLD_DUMPED: u64 = 3;
const CLD_STOPPED: u64 = 5;
const CLD_CONTINUED: u64 = 6;

/// The process has begun a session of its own, which the kernel is to know of wherever it is.
static DETACHED: AtomicU32 = AtomicU32::new(0);

/// The answer to a call that does not wait, or `None` if it is not one of these.
///
/// # Safety
/// That of the call.
pub unsafe fn call(number: u64, arguments: &[u64; 6]) -> Option<i64> {
    let [a1, a2, a3, ..] = *arguments;
    let result = match number {
        GETPPID => node::number(Request::Parent, &[]),
        GETPGID => node::number(Request::Group, &[a1]),
        GETSID => node::number(Request::Session, &[a1]),
        SETPGID => node::number(Request::SetGroup, &[a1, a2]),
        SETSID => begin_session(),
        // To itself the kernel sends it as well, and at once.
        KILL if a1 as u32 as u64 != identity::program_pid() => {
            let code = 0;
            node::number(Request::Kill, &[a1, a2, code, sender(), 0])
        }
        RT_SIGQUEUEINFO if a1 as u32 as u64 != identity::program_pid() => {
            // SAFETY: by the contract above, a `siginfo_t`.
            let [_, code, sender, value] = unsafe { (a3 as *const [u64; 4]).read() };
            if code as i32 >= 0 {
                return Some(-EPERM);
            }
            node::number(Request::Kill, &[a1, a2, code, sender, value])
        }
        _ => return None,
    };
    // If the node has gone, the kernel knows what there is to know.
    node::is_served().then_some(result)
}

/// `si_pid` and `si_uid` of what this process sends.
fn sender() -> u64 {
    // SAFETY: takes no pointers.
    identity::program_pid() | (unsafe { kernel::call(GETUID, []) } as u64) << 32
}

fn begin_session() -> i64 {
    let result = node::number(Request::SetSession, &[]);
    if result >= 0 {
        DETACHED.store(1, Ordering::Relaxed);
        detach();
    }
    result
}

/// Has the kernel, too, take the process out of its session, if it has left it: it has no controlling terminal then.
pub fn detach() {
    if DETACHED.load(Ordering::Relaxed) != 0 {
        // SAFETY: takes no pointers. A host process that leads a group stays in its session.
        unsafe { kernel::call(SETSID, []) };
    }
}

/// Whether the kernel knows of children, of a process whose table the node does not keep.
pub fn has_children() -> bool {
    let mut information = [0u64; 16];
    let options = WNOHANG | WEXITED | WNOWAIT;
    // SAFETY: room for a `siginfo_t`.
    unsafe { kernel::call(WAITID, [P_ALL, 0, information.as_mut_ptr() as u64, options, 0]) != -ECHILD }
}

/// `wait4` and `waitid`, without waiting. `None` if there is nothing to tell yet, and the call is to wait.
///
/// # Safety
/// That of the call.
pub unsafe fn wait(number: u64, arguments: &[u64; 6]) -> Option<i64> {
    let [a1, a2, a3, a4, a5, _] = *arguments;
    let (kind, id, options, usage_address) = if number == WAIT4 {
        let (kind, id) = match a1 as i32 {
            -1 => (P_ALL, 0),
            group if group <= 0 => (P_PGID, u64::from(group.unsigned_abs())),
            id => (P_PID, id as u64),
        };
        (kind, id, a3 | WEXITED, a4)
    } else {
        (a1, a2, a4, a5)
    };
    let Some(answer) = node::ask(Request::Wait, &[kind, id, options & WAIT_OPTIONS], None) else {
        return Some(-ECHILD);
    };
    let [found, code, status, user, system, uid, ..] = answer.message.values;
    let is_found = found as i64 > 0;
    if (found as i64) < 0 || !is_found && options & WNOHANG == 0 {
        return if is_found || found as i64 != 0 { Some(found as i64) } else { None };
    }
    // SAFETY: by the contract above.
    unsafe {
        let mut words = [0u64; usage::WORDS];
        for (to, from) in words.chunks_exact_mut(2).zip([user, system]) {
            to.copy_from_slice(&[from / 1_000_000, from % 1_000_000]);
        }
        if usage_address != 0 && is_found {
            (usage_address as *mut [u64; usage::WORDS]).write_unaligned(words);
        }
        if is_found && options & WNOWAIT == 0 && !matches!(code, CLD_STOPPED | CLD_CONTINUED) {
            usage::add_child(&words);
        }
        if number == WAITID {
            if a3 != 0 {
                let words = if is_found { [SIGCHLD, code, found | uid << 32, status] } else { [0; 4] };
                (a3 as *mut [u64; 4]).write(words);
            }
            return Some(0);
        }
        if a2 != 0 && is_found {
            (a2 as *mut u32).write(wait_status(code, status));
        }
    }
    Some(found as i64)
}

/// The status of `wait4` from the parts that `waitid` gives.
fn wait_status(code: u64, status: u64) -> u32 {
    (match code {
        CLD_KILLED => status,
        CLD_DUMPED => status | 0x80,
        CLD_STOPPED => status << 8 | 0x7f,
        CLD_CONTINUED => 0xffff,
        _ => status << 8,
    }) as u32
}
