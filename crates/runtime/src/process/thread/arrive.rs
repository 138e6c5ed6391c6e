//! Threads that have come to this host process with the program.

use super::life::map_stack;
use super::{STACK_SIZE, Thread, others, threads};
use crate::continuation::resume::resume;
use crate::isa;
use crate::process::identity;
use crate::sync::{wait_while, wake};
use crate::syscall::numbers::*;
use core::sync::atomic::{AtomicU32, Ordering};

/// `clone` as for `pthread_create`.
const FLAGS: u64 = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS;

/// Room at the top of a new stack for what the first function is told.
const ROOM: u64 = 64;

/// Whether the threads that have come run.
#[unsafe(link_section = ".maize.local")]
static OPEN: AtomicU32 = AtomicU32::new(0);

/// Which thread the host process's first thread becomes in a process to which the program has come: the program's first, if there still is
/// that, and else any.
pub fn first() -> Option<&'static Thread> {
    threads().find(|thread| thread.id() == identity::program_pid()).or_else(|| threads().next())
}

/// The thread that has become the calling one has come to this host process.
///
/// # Safety
/// Its thread pointer is in the memory that has come.
pub unsafe fn arrive_first(thread: &Thread) {
    thread.stack_base.store(0, Ordering::Relaxed);
    // SAFETY: by the contract above.
    unsafe { isa::set_host_thread_pointer(thread.thread_pointer.load(Ordering::Relaxed)) };
    thread.arrive();
    thread.be_first();
}

/// Begins all threads but the first; they wait until [`let_go`]. Signals are kept out.
///
/// # Errors
/// Why not, for people.
pub fn arrive_others() -> Result<(), &'static str> {
    for thread in others() {
        let base = map_stack().ok_or("there is no memory for the stack of a thread")?;
        thread.stack_base.store(base, Ordering::Relaxed);
        thread.arrive();
        // SAFETY: the stack is fresh, the thread's block has come along.
        let host_id = unsafe { thread.run(FLAGS, base + STACK_SIZE - ROOM, go_on as *const () as u64) };
        if host_id < 0 {
            return Err("a thread cannot be made");
        }
        thread.host_id.store(host_id as u64, Ordering::Release);
    }
    Ok(())
}

/// Lets the threads run that have come.
pub fn let_go() {
    OPEN.store(1, Ordering::Release);
    wake(&OPEN, u32::MAX >> 1);
}

/// Where a thread goes on that has come with the program.
unsafe extern "C" fn go_on() -> ! {
    while OPEN.load(Ordering::Acquire) == 0 {
        wait_while(&OPEN, 0);
    }
    Thread::current().adopt_settings();
    // SAFETY: the stack has been made for this; the records have come along.
    unsafe { run_on() }
}

/// The calling thread goes on where its records say.
///
/// # Safety
/// They have come with the program's memory, and nothing on the thread's machine stack is needed.
pub unsafe fn run_on() -> ! {
    let thread = Thread::current();
    // SAFETY: by the contract above.
    unsafe { resume(thread.stack_top(), thread.outermost.load(Ordering::Relaxed)) }
}

impl Thread {
    /// What was so in another host process is not so here.
    fn arrive(&self) {
        self.wanted.reset();
        self.stopped_at.store(0, Ordering::Relaxed);
        self.time_before.fetch_add(self.time_here.swap(0, Ordering::Relaxed), Ordering::Relaxed);
    }
}
