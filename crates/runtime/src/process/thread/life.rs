//! Threads' beginning and end.
//!
//! The kernel is told to clear the word that frees a thread's place when the thread has ended: from then on it certainly uses no memory. What the
//! program asked to be cleared the thread clears itself, as the last of what it does.

use super::{CLAIMED, COUNT, FREE, STACK_SIZE, Thread, places, threads};
use crate::isa;
use crate::memory;
use crate::points;
use crate::process::identity;
use crate::signal::calls::block_all;
use crate::syscall::kernel;
use crate::syscall::numbers::*;
use core::sync::atomic::{AtomicU32, Ordering};
use maize_abi::layout::PAGE_SIZE;

/// What a new thread needs to know, on its stack.
#[derive(Clone, Copy)]
#[repr(C, align(16))]
struct Start {
    thread: &'static Thread,
    function: u64,
    argument: u64,
    flags: u64,
    parent_tid: u64,
    child_tid: u64,
}

/// Maps a machine stack, with a guard below; returns its address.
pub(super) fn map_stack() -> Option<u64> {
    let base = memory::map_for_host(STACK_SIZE)?;
    // SAFETY: the memory is fresh.
    unsafe { kernel::call(MPROTECT, [base, PAGE_SIZE, 0]) };
    Some(base)
}

/// The program's first thread begins. `None` if there is no memory for it.
///
/// # Safety
/// Called once; `thread_pointer` is a thread block that nothing uses, and becomes the thread pointer; the shadow stack is unused below its pointer.
pub unsafe fn begin_first(thread_pointer: u64, shadow_stack: u64) -> Option<()> {
    let thread = Thread::take()?;
    // SAFETY: by the contract above.
    unsafe {
        thread.fill_block(thread_pointer, shadow_stack);
        isa::set_host_thread_pointer(thread_pointer);
    }
    thread.be_first();
    thread.begin();
    Some(())
}

impl Thread {
    /// It is the calling thread, which is the only one of this host process.
    pub(super) fn be_first(&self) {
        self.host_id.store(identity::host_pid(), Ordering::Release);
        // SAFETY: the word outlives the thread.
        unsafe { kernel::call(SET_TID_ADDRESS, [self.state_address()]) };
    }

    /// Tells the thread's id to who is to know it, as the kernel would. Its creator and the thread itself both do: the program must find it when either goes on.
    ///
    /// # Safety
    /// That of `clone(2)` with these flags.
    unsafe fn tell_id(&self, start: &Start, host_id: u64) -> u64 {
        self.host_id.store(host_id, Ordering::Release);
        if self.id.compare_exchange(0, CLAIMED, Ordering::Acquire, Ordering::Acquire).is_ok() {
            let id = unused_id(host_id);
            for (flag, address) in [(CLONE_PARENT_SETTID, start.parent_tid), (CLONE_CHILD_SETTID, start.child_tid)] {
                if start.flags & flag != 0 {
                    // SAFETY: by the contract above.
                    unsafe { (address as *mut i32).write(id as i32) };
                }
            }
            self.set_id(id);
        }
        loop {
            match self.id.load(Ordering::Acquire) {
                // SAFETY: takes no pointers.
                CLAIMED => unsafe { kernel::call(SCHED_YIELD, []) },
                id => return id,
            };
        }
    }
}

/// An id for a new thread: the kernel's, unless a thread that has come from elsewhere has it.
fn unused_id(host_id: u64) -> u64 {
    let is_used = |id: &u64| *id == identity::program_pid() || threads().any(|thread| thread.id() == *id);
    (host_id..).find(|id| !is_used(id)).unwrap_or(host_id)
}

/// A new thread (`maize_abi::symbols::THREAD_CREATE`).
///
/// # Safety
/// That of `clone(2)`; `thread_pointer` is a thread block, and `stack` the top of unused portable memory.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __maize_thread_create(
    function: u64,
    stack: u64,
    flags: u64,
    argument: u64,
    parent_tid: u64,
    thread_pointer: u64,
    child_tid: u64,
) -> i64 {
    if flags & CLONE_SETTLS == 0 {
        return -EINVAL;
    }
    let Some(base) = map_stack() else { return -EAGAIN };
    let Some(thread) = Thread::take() else {
        // SAFETY: the stack was made just now.
        unsafe { kernel::call(MUNMAP, [base, STACK_SIZE]) };
        return -EAGAIN;
    };
    thread.signals.set_mask(Thread::current().signals.mask());
    thread.stack_base.store(base, Ordering::Relaxed);
    if flags & CLONE_CHILD_CLEARTID != 0 {
        thread.set_cleared_at_end(child_tid);
    }
    thread.creators.store(1, Ordering::Relaxed);
    let told = Start { thread, function, argument, flags, parent_tid, child_tid };
    let start = (base + STACK_SIZE - size_of::<Start>() as u64) as *mut Start;
    // SAFETY: the memory is fresh, and the block is the caller's to give.
    let result = unsafe {
        start.write(told);
        thread.fill_block(thread_pointer, stack & !15);
        thread.begin();
        match thread.run(flags, start as u64, begin as *const () as u64) {
            host_id if host_id > 0 => thread.tell_id(&told, host_id as u64) as i64,
            error => {
                thread.abandon();
                kernel::call(MUNMAP, [base, STACK_SIZE]);
                error
            }
        }
    };
    thread.creators.store(0, Ordering::Release);
    result
}

impl Thread {
    /// Has a thread of the host process run `function(argument)`, with the argument's address as the top of its stack; returns its id in this host process.
    ///
    /// # Safety
    /// Nothing else uses the memory below the argument, and the thread pointer is a block of this thread's.
    pub(super) unsafe fn run(&self, flags: u64, argument: u64, function: u64) -> i64 {
        let words = (argument - 16) as *mut [u64; 2];
        let flags = flags & !(CLONE_PARENT_SETTID | CLONE_CHILD_SETTID) | CLONE_CHILD_CLEARTID;
        let thread_pointer = self.thread_pointer.load(Ordering::Relaxed);
        // SAFETY: by the contract above.
        unsafe {
            words.write([function, argument]);
            isa::clone_thread(flags, words as u64, 0, thread_pointer, self.state_address())
        }
    }

    /// It has not begun after all.
    fn abandon(&self) {
        COUNT.fetch_sub(1, Ordering::Relaxed);
        self.state.store(FREE, Ordering::Release);
    }
}

/// Where a new thread begins.
///
/// # Safety
/// Called once by the thread, with what [`__maize_thread_create`] has left on its stack.
unsafe extern "C" fn begin(start: *const Start) -> ! {
    // SAFETY: by the contract above; nothing of this frame is needed any more when the program's function is entered.
    unsafe {
        let start = start.read();
        start.thread.tell_id(&start, kernel::call(GETTID, []) as u64);
        isa::enter_resumed(start.thread.stack_top(), start.function, start.argument)
    }
}

/// The calling thread ends: nobody waits for it, and signal handlers, which need its block, are kept out. Returns its machine stack, and what is to be cleared.
fn leave() -> (u64, u64) {
    block_all();
    points::heard();
    COUNT.fetch_sub(1, Ordering::Relaxed);
    let thread = Thread::current();
    (thread.stack_base.load(Ordering::Relaxed), thread.cleared_at_end.load(Ordering::Relaxed))
}

/// Clears what the program asked for and wakes who waits for it: from now on the thread's block may be gone. Unmaps the machine stack and ends the
/// thread; the kernel's stack of the host process's first thread stays.
///
/// # Safety
/// The address is 0 or that of a word of the program's; nothing of the thread's is used any more.
unsafe fn finish(stack_base: u64, cleared: u64, status: u64) -> ! {
    let (munmap, exit) = (kernel::native_number(MUNMAP).unwrap_or(0), kernel::native_number(EXIT).unwrap_or(0));
    // SAFETY: by the contract above.
    unsafe {
        if cleared != 0 {
            (*(cleared as *const AtomicU32)).store(0, Ordering::Release);
            kernel::call(FUTEX, [cleared, FUTEX_WAKE, 1]);
        }
        if stack_base != 0 {
            isa::unmap_and_exit(munmap, stack_base, STACK_SIZE, exit)
        }
        loop {
            kernel::call(EXIT, [status]);
        }
    }
}

/// Ends the calling thread.
///
/// # Safety
/// Nothing of the thread's is used any more.
pub unsafe fn exit_thread(status: u64) -> ! {
    let (stack_base, cleared) = leave();
    // SAFETY: by the contract above.
    unsafe { finish(stack_base, cleared, status) }
}

/// Ends the calling thread and unmaps portable memory of its (`maize_abi::symbols::THREAD_EXIT`).
///
/// # Safety
/// Nothing of the thread's is used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __maize_thread_exit(base: u64, size: u64) -> ! {
    let (stack_base, cleared) = leave();
    // SAFETY: by the contract above.
    unsafe {
        memory::calls::munmap(base, size);
        finish(stack_base, cleared, 0)
    }
}

/// A thread's outermost function has returned.
///
/// # Safety
/// Called by the assembly at the bottom of the stack.
#[unsafe(no_mangle)]
unsafe extern "C" fn __maize_thread_returned(status: u64) -> ! {
    // SAFETY: there is no frame left.
    unsafe { exit_thread(status) }
}

/// In the child of a `fork`: the thread that called it is the only one, and the process's first.
pub fn begin_child() {
    let own = Thread::current();
    for other in places() {
        other.creators.store(0, Ordering::Relaxed);
        if !core::ptr::eq(other, own) {
            other.state.store(FREE, Ordering::Relaxed);
        }
    }
    COUNT.store(1, Ordering::Relaxed);
    own.set_cleared_at_end(0);
    own.time_before.store(0, Ordering::Relaxed);
    own.be_first();
}
