//! What the kernel keeps for each thread, and a thread that is made anew must be given: priority, processors, name, alternate stack and mask.

use super::Thread;
use crate::points;
use crate::process::control::{NAME_SIZE, PR_GET_NAME, PR_SET_NAME};
use crate::process::identity;
use crate::signal::calls as signals;
use crate::syscall::kernel;
use crate::syscall::numbers::*;

/// Words of a set of 1024 processors.
const PROCESSORS: usize = 16;
const PRIO_PROCESS: u64 = 0;

/// Settings of a thread.
pub(super) struct Settings {
    /// As `getpriority` returns it, 20 less the nice value; 0 if it is not known.
    priority: i64,
    processors: [u64; PROCESSORS],
    name: [u8; NAME_SIZE],
}

impl Settings {
    /// Before they are noted.
    pub(super) const fn unknown() -> Settings {
        Settings { priority: 0, processors: [0; PROCESSORS], name: [0; NAME_SIZE] }
    }

    /// What the kernel keeps for the calling thread, but for its name.
    fn of_host() -> Settings {
        let mut settings = Settings::unknown();
        // SAFETY: buffers are as large as the calls are told, or as they are by definition.
        unsafe {
            settings.priority = kernel::call(GETPRIORITY, [PRIO_PROCESS, 0]);
            let processors = settings.processors.as_mut_ptr() as u64;
            if kernel::call(SCHED_GETAFFINITY, [0, 8 * PROCESSORS as u64, processors]) < 0 {
                settings.processors = [0; PROCESSORS];
            }
        }
        settings
    }
}

impl Thread {
    /// Notes, before a move, what the kernel keeps for the calling thread.
    pub fn note(&self) {
        self.note_time();
        let mut settings = Settings::of_host();
        // SAFETY: the name is as large as the call is told; only the thread itself uses its settings.
        unsafe {
            kernel::call(PRCTL, [PR_GET_NAME, settings.name.as_mut_ptr() as u64, 0, 0, 0]);
            *self.settings.get() = settings;
        }
    }

    /// Gives the calling thread what was kept for it. From then on signals come to it.
    pub fn adopt_settings(&self) {
        let host = Settings::of_host();
        // SAFETY: as above; buffers are as large as the calls are told, or as they are by definition.
        unsafe {
            let settings = &*self.settings.get();
            if settings.priority > 0 && settings.priority != host.priority {
                kernel::call(SETPRIORITY, [PRIO_PROCESS, 0, (20 - settings.priority) as u64]);
            }
            // Asking is quick, setting is not.
            if settings.processors != [0; PROCESSORS] && settings.processors != host.processors {
                let processors = settings.processors.as_ptr() as u64;
                kernel::call(SCHED_SETAFFINITY, [0, 8 * PROCESSORS as u64, processors]);
            }
            if settings.name[0] != 0 && self.id() != identity::program_pid() {
                kernel::call(PRCTL, [PR_SET_NAME, settings.name.as_ptr() as u64, 0, 0, 0]);
            }
        }
        self.adopt_signals();
    }

    /// Has the kernel treat signals to the calling thread as the program wants.
    fn adopt_signals(&self) {
        let stack = self.signals.alternate_stack();
        if stack != [0; 3] {
            // SAFETY: the program's `stack_t`, whose memory has come along.
            unsafe { kernel::call(SIGALTSTACK, [stack.as_ptr() as u64, 0]) };
        }
        signals::set_mask(self.signals.mask());
        if self.signals.deliverable(self.signals.mask()) != 0 {
            points::want();
        }
    }
}
