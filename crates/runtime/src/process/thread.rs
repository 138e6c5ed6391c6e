//! What the runtime keeps for each thread, and threads' beginning and end. Only programs of one thread move so far.

use super::block_word;
use crate::isa;
use crate::memory;
use crate::points::{self, Wanted};
use crate::signal::calls::block_all;
use crate::signal::state::Signals;
use crate::syscall::kernel;
use crate::syscall::numbers::*;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU64, Ordering};
use maize_abi::layout::PAGE_SIZE;
use maize_abi::layout::thread as block;

/// One thread. The main thread's moves with the program; the others' are on their machine stacks.
#[repr(C, align(16))]
pub struct Thread {
    leaf: UnsafeCell<[u64; 8]>,
    /// Signals of the thread.
    pub signals: Signals,
    /// Whether the thread is to stop at its next migration point.
    pub wanted: Wanted,
    /// Top of the machine stack; 0 for the main thread, which has the kernel's.
    stack_top: AtomicU64,
    /// The mapping that is the machine stack.
    stack_base: AtomicU64,
}

// SAFETY: the leaf is used by its own thread only; everything else is atomic or protects itself.
unsafe impl Sync for Thread {}

/// The main thread.
static MAIN: Thread = Thread::new();

static COUNT: AtomicU64 = AtomicU64::new(1);

/// Bytes of a machine stack. It holds return addresses and values in registers only; locals are on the shadow stack.
const STACK_SIZE: u64 = 1 << 20;

/// How many threads the program has.
pub fn thread_count() -> u64 {
    COUNT.load(Ordering::Relaxed)
}

impl Thread {
    const fn new() -> Thread {
        Thread {
            leaf: UnsafeCell::new([0; 8]),
            signals: Signals::new(),
            wanted: Wanted::new(),
            stack_top: AtomicU64::new(0),
            stack_base: AtomicU64::new(0),
        }
    }

    /// The thread that asks. Threads do not end while others look at them.
    pub fn current() -> &'static Thread {
        // SAFETY: the word was set by `start` or `__maize_thread_create`, and copied with the block.
        unsafe { &*(block_word(block::HOST_BLOCK).read() as *const Thread) }
    }

    /// The main thread.
    pub fn main() -> &'static Thread {
        &MAIN
    }

    /// Top of the machine stack; 0 for the main thread.
    pub(super) fn stack_top(&self) -> u64 {
        self.stack_top.load(Ordering::Relaxed)
    }

    /// Room for a leaf record.
    pub(super) fn leaf(&self) -> u64 {
        self.leaf.get() as u64
    }

    /// Fills in the words of a thread block.
    ///
    /// # Safety
    /// The block is writable and not in use.
    pub(super) unsafe fn fill_block(&self, thread_pointer: u64, shadow_stack: u64) {
        let words = [
            (block::SELF, thread_pointer),
            (block::SHADOW_STACK, shadow_stack),
            (block::HOST_BLOCK, self as *const Thread as u64),
        ];
        for (offset, value) in words {
            // SAFETY: by the contract above.
            unsafe { ((thread_pointer + offset) as *mut u64).write(value) };
        }
    }
}

/// After a `fork`, in the child: the thread that called it is the only one.
pub(super) fn forget_others() {
    COUNT.store(1, Ordering::Relaxed);
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
    let Some(base) = memory::map_for_host(STACK_SIZE) else { return -EAGAIN };
    let thread_at = (base + STACK_SIZE - size_of::<Thread>() as u64) & !63;
    let start = thread_at - 16;
    // SAFETY: the memory is fresh, and the block is the caller's to give.
    unsafe {
        kernel::call(MPROTECT, [base, PAGE_SIZE, 0]);
        let thread = &mut *(thread_at as *mut Thread);
        *thread = Thread::new();
        thread.signals.set_mask(Thread::current().signals.mask());
        *thread.stack_top.get_mut() = start;
        *thread.stack_base.get_mut() = base;
        thread.fill_block(thread_pointer, stack & !15);
        *(start as *mut [u64; 2]) = [function, argument];
        COUNT.fetch_add(1, Ordering::Relaxed);
        let result = isa::clone_thread(flags, start, parent_tid, thread_pointer, child_tid);
        if result < 0 {
            COUNT.fetch_sub(1, Ordering::Relaxed);
            kernel::call(MUNMAP, [base, STACK_SIZE]);
        }
        result
    }
}

/// The calling thread ends: nobody waits for it, and signal handlers, which need its block, are kept out.
fn leave() {
    block_all();
    points::heard();
    COUNT.fetch_sub(1, Ordering::Relaxed);
}

/// Ends the calling thread. The main thread's stack is the kernel's and stays.
///
/// # Safety
/// Nothing of the thread's is used any more.
pub unsafe fn exit_thread(status: u64) -> ! {
    let base = Thread::current().stack_base.load(Ordering::Relaxed);
    let (munmap, exit) = (kernel::native_number(MUNMAP).unwrap_or(0), kernel::native_number(EXIT).unwrap_or(0));
    // SAFETY: by the contract above.
    unsafe {
        if base != 0 {
            leave();
            isa::unmap_and_exit(munmap, base, STACK_SIZE, exit)
        }
        loop {
            kernel::call(EXIT, [status]);
        }
    }
}

/// Ends the calling thread and unmaps portable memory of its (`maize_abi::symbols::THREAD_EXIT`).
///
/// # Safety
/// Nothing of the thread's is used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __maize_thread_exit(base: u64, size: u64) -> ! {
    let stack = Thread::current().stack_base.load(Ordering::Relaxed);
    let (munmap, exit) = (kernel::native_number(MUNMAP).unwrap_or(0), kernel::native_number(EXIT).unwrap_or(0));
    // SAFETY: by the contract above.
    unsafe {
        leave();
        memory::calls::munmap(base, size);
        isa::unmap_and_exit(munmap, stack, STACK_SIZE, exit)
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
