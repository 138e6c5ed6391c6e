//! `prctl`: what a process sets for itself. Most of it the kernel keeps for the host process, which `host_state` carries on.

use super::{Thread, identity, node};
use crate::sync::Lock;
use crate::syscall::kernel;
use crate::syscall::numbers::*;
use core::sync::atomic::{AtomicU64, Ordering};
use maize_abi::processes::Request;

const PR_SET_PDEATHSIG: u64 = 1;
const PR_GET_PDEATHSIG: u64 = 2;
const PR_GET_DUMPABLE: u64 = 3;
const PR_SET_DUMPABLE: u64 = 4;
/// Sets the calling thread's name.
pub const PR_SET_NAME: u64 = 15;
/// Asks for it.
pub const PR_GET_NAME: u64 = 16;
const PR_SET_TIMERSLACK: u64 = 29;
const PR_GET_TIMERSLACK: u64 = 30;
const PR_SET_NO_NEW_PRIVS: u64 = 38;
const PR_GET_NO_NEW_PRIVS: u64 = 39;

/// Bytes of a thread's name, with its end.
pub const NAME_SIZE: usize = 16;

/// The signal that the process wants when its parent ends, while the node has to see to it.
static PARENT_END: AtomicU64 = AtomicU64::new(0);

/// The name of the first thread. An emulator has one of its own.
static NAME: Lock<[u8; NAME_SIZE]> = Lock::new([0; NAME_SIZE]);

/// The settings of a process that are one number each.
#[derive(Clone, Copy)]
pub struct Settings {
    dumpable: i64,
    timer_slack: i64,
    no_new_privileges: i64,
}

impl Settings {
    /// Before they are read.
    pub const UNKNOWN: Settings = Settings { dumpable: 1, timer_slack: 0, no_new_privileges: 0 };

    /// Those of the calling process.
    pub fn read() -> Settings {
        // SAFETY: these take no pointers.
        let get = |option| unsafe { kernel::call(PRCTL, [option, 0, 0, 0, 0]) };
        Settings {
            dumpable: get(PR_GET_DUMPABLE),
            timer_slack: get(PR_GET_TIMERSLACK),
            no_new_privileges: get(PR_GET_NO_NEW_PRIVS),
        }
    }

    /// Gives them to the calling process.
    pub fn write(self) {
        let set = |option, value: i64| {
            if value >= 0 {
                // SAFETY: these take no pointers.
                unsafe { kernel::call(PRCTL, [option, value as u64, 0, 0, 0]) };
            }
        };
        set(PR_SET_DUMPABLE, self.dumpable);
        set(PR_SET_TIMERSLACK, self.timer_slack);
        if self.no_new_privileges == 1 {
            set(PR_SET_NO_NEW_PRIVS, 1);
        }
        show_name();
    }
}

/// Names the program as the kernel does, by the last part of a path.
pub fn begin(path: &[u8]) {
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    {
        let mut kept = NAME.lock();
        *kept = [0; NAME_SIZE];
        for (to, &from) in kept.iter_mut().take(NAME_SIZE - 1).zip(name) {
            *to = from;
        }
    }
    show_name();
}

fn show_name() {
    let name = NAME.lock();
    // SAFETY: the name is 16 bytes with its end.
    unsafe { kernel::call(PRCTL, [PR_SET_NAME, name.as_ptr() as u64, 0, 0, 0]) };
}

/// What the runtime answers of `prctl`, or has to know.
///
/// # Safety
/// That of the call.
pub unsafe fn call(option: u64, argument: u64) -> Option<i64> {
    let is_first = Thread::current().id() == identity::program_pid();
    match option {
        PR_SET_PDEATHSIG if node::is_served() => {
            let result = node::number(Request::ParentEnd, &[argument]);
            if result == 0 {
                PARENT_END.store(argument, Ordering::Relaxed);
            }
            Some(result)
        }
        PR_GET_PDEATHSIG if node::is_served() => {
            // SAFETY: by the contract above.
            unsafe { (argument as *mut i32).write(PARENT_END.load(Ordering::Relaxed) as i32) };
            Some(0)
        }
        PR_SET_NAME if is_first => {
            let mut name = NAME.lock();
            for (index, to) in name.iter_mut().enumerate().take(NAME_SIZE - 1) {
                // SAFETY: by the contract above; the string is read up to its end.
                *to = unsafe { ((argument + index as u64) as *const u8).read() };
                if *to == 0 {
                    break;
                }
            }
            None
        }
        _ => None,
    }
}

/// A child of `fork` has not asked for a signal when its parent ends.
pub fn begin_child() {
    NAME.reopen();
    PARENT_END.store(0, Ordering::Relaxed);
}
