//! The process: what the rest of the runtime asks about the program as a whole. [`start`] is where it begins, [`thread`] what is kept
//! for each thread, [`identity`] the process ids it sees, [`host_state`] what the kernel keeps for it. [`fork`], [`execute`] and [`family`] are
//! about other processes, for which [`node`] asks the node.

pub mod control;
pub mod execute;
pub mod family;
pub mod fork;
pub mod host_state;
pub mod identity;
pub mod node;
pub mod proc_files;
pub mod start;
pub mod terminals;
pub mod thread;
pub mod timers;
pub mod usage;

use crate::events;
use crate::isa;
use crate::signal;
use crate::syscall::kernel;
use crate::syscall::numbers::*;
use core::sync::atomic::{AtomicU64, Ordering};
use maize_abi::layout::thread as block;

pub use thread::{Thread, thread_count, threads};

/// How often the program's machine stacks have been rebuilt.
static EPOCH: AtomicU64 = AtomicU64::new(1);

/// A word of the current thread's block.
fn block_word(offset: u64) -> *mut u64 {
    (isa::thread_pointer() + offset) as *mut u64
}

/// The current thread's shadow stack pointer.
pub fn shadow_stack() -> u64 {
    // SAFETY: the thread pointer addresses the thread's block.
    unsafe { block_word(block::SHADOW_STACK).read() }
}

/// Sets the current thread's shadow stack pointer.
///
/// # Safety
/// Nothing between the two values is used any more, or the memory between them is free.
pub unsafe fn set_shadow_stack(pointer: u64) {
    // SAFETY: the thread pointer addresses the thread's block.
    unsafe { block_word(block::SHADOW_STACK).write(pointer) }
}

/// Changes whenever machine contexts kept in memory stop being valid.
pub fn epoch() -> u64 {
    EPOCH.load(Ordering::Relaxed)
}

/// Makes machine contexts kept in memory invalid: stacks have been rebuilt.
pub fn next_epoch() {
    EPOCH.fetch_add(1, Ordering::Relaxed);
}

/// Where the current thread's machine stack starts.
pub fn stack_top() -> u64 {
    Thread::current().stack_top()
}

/// Room for the leaf record of a `longjmp` by the current thread.
pub fn jump_leaf() -> u64 {
    Thread::current().leaf()
}

/// Called in the new process of a move, when memory and descriptors are in place: makes its threads, which wait. Signals are kept out.
///
/// # Errors
/// Why not, for people.
///
/// # Safety
/// The program's memory is in place, and nothing of it runs.
pub unsafe fn arrive() -> Result<(), &'static str> {
    let first = thread::arrive::first().ok_or("it has no thread")?;
    // SAFETY: by the contract above.
    unsafe { thread::arrive::arrive_first(first) };
    thread::arrive::arrive_others()
}

/// Called after a move, in the new process, before any of the program's code runs: makes the kernel keep for this process what the old one's
/// kept, except for descriptors, memory and waiting signals. From here on the node keeps the table of processes, if it is `served`.
pub fn settle(served: bool) {
    next_epoch();
    if served && !node::is_served() {
        node::serve();
        signal::calls::tell_of_children();
    }
    family::detach();
    signal::calls::install_all();
    events::begin();
    host_state::restore();
    timers::restore();
    signal::watched::renew();
}

/// Called before a move, in the old process: notes in portable memory what the kernel keeps for it.
pub fn depart() {
    host_state::save();
    timers::save();
    usage::depart();
}

/// The libc sets its thread's block.
///
/// # Safety
/// `thread_pointer` is a thread block as `maize_abi::layout::thread` describes it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __maize_set_thread_pointer(thread_pointer: u64) {
    // SAFETY: by the contract above.
    unsafe { Thread::current().move_block(thread_pointer) }
}

/// A message on standard error.
pub fn complain(message: &str) {
    for part in ["maize: ", message, "\n"] {
        // SAFETY: the kernel only reads the text.
        unsafe { kernel::call(WRITE, [2, part.as_ptr() as u64, part.len() as u64]) };
    }
}

/// Ends the program, as `abort` does, after a message on standard error.
pub fn fatal(message: &str) -> ! {
    complain(message);
    signal::calls::kill_with(signal::ABORT)
}
