//! What the runtime keeps for each thread: a [`Thread`] at a place of its own in portable memory, which stays the thread's wherever the program goes.
//! [`life`] is threads' beginning and end, [`settings`] what the kernel keeps for a thread, [`arrive`] how threads come to another host process.

pub mod arrive;
pub mod life;
mod settings;

use super::{block_word, usage};
use crate::isa;
use crate::local;
use crate::memory;
use crate::points::Wanted;
use crate::signal::state::Signals;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use maize_abi::layout::thread as block;
use maize_abi::layout::{THREAD_SIZE, THREADS_START};
use settings::Settings;

/// One thread.
#[repr(C, align(16))]
pub struct Thread {
    leaf: UnsafeCell<[u64; 8]>,
    /// Signals of the thread.
    pub signals: Signals,
    /// Whether the thread is to stop at its next migration point.
    pub wanted: Wanted,
    /// The last fault that was not of a missing page: its instruction and its address.
    fault: [AtomicU64; 2],
    /// Where it has stopped: the address of a `migration::Interrupted` on its machine stack; 0 if it has not.
    pub stopped_at: AtomicU64,
    /// The signals that waited for it when timers were noted for the destination of a move.
    pub waited_before: AtomicU64,
    /// In a move: the record of its outermost frame.
    pub outermost: AtomicU64,
    /// [`FREE`], [`BEGINNING`] or [`IN_USE`]. The kernel frees the place when the thread has ended.
    state: AtomicU32,
    /// Not 0 while the thread that has made this one looks at it.
    creators: AtomicU32,
    /// The id that the program knows; 0 before there is one, [`CLAIMED`] while it is being told.
    id: AtomicU64,
    /// The id in this host process.
    host_id: AtomicU64,
    thread_pointer: AtomicU64,
    /// The mapping in this host process that is its machine stack; 0 if it has the kernel's.
    stack_base: AtomicU64,
    /// What the program asked to be cleared when it ends (set_tid_address(2)).
    cleared_at_end: AtomicU64,
    /// Nanoseconds of processor time used in host processes before this one, and in this one when the program was about to leave.
    time_before: AtomicU64,
    time_here: AtomicU64,
    settings: UnsafeCell<Settings>,
}

// SAFETY: the leaf and the settings are used by their own thread only; everything else is atomic or protects itself.
unsafe impl Sync for Thread {}

const _: () = assert!(size_of::<Thread>() as u64 <= THREAD_SIZE);

const FREE: u32 = 0;
const BEGINNING: u32 = 1;
const IN_USE: u32 = 2;

/// As an id: a thread is about to tell it.
const CLAIMED: u64 = u64::MAX;

/// How many places for threads there are.
static PLACES: AtomicU64 = AtomicU64::new(0);

/// How many threads there are that have not begun to end.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// Bytes of a machine stack. It holds return addresses and values in registers only; locals are on the shadow stack.
const STACK_SIZE: u64 = 1 << 20;

/// How many threads the program has.
pub fn thread_count() -> u64 {
    COUNT.load(Ordering::Relaxed)
}

/// All threads, with those that have begun to end but still are.
pub fn threads() -> impl Iterator<Item = &'static Thread> {
    places().filter(|thread| thread.state.load(Ordering::Acquire) == IN_USE)
}

/// All threads but the calling one.
pub fn others() -> impl Iterator<Item = &'static Thread> {
    let own = Thread::current();
    threads().filter(move |thread| !core::ptr::eq(*thread, own))
}

/// The id in this host process of a thread that the program knows by another.
pub fn host_id_of(id: u64) -> Option<u64> {
    // 0 is the id of a thread that has none yet.
    let is_known = |thread: &&Thread| id != 0 && thread.id.load(Ordering::Acquire) == id;
    threads().find(is_known).map(Thread::host_id)
}

fn places() -> impl Iterator<Item = &'static Thread> {
    (0..PLACES.load(Ordering::Acquire)).map(place)
}

fn place(index: u64) -> &'static Thread {
    // SAFETY: called with places that are mapped; zeros are a thread whose place is free.
    unsafe { &*((THREADS_START + index * THREAD_SIZE) as *const Thread) }
}

impl Thread {
    const fn beginning() -> Thread {
        Thread {
            leaf: UnsafeCell::new([0; 8]),
            signals: Signals::new(),
            wanted: Wanted::new(),
            fault: [const { AtomicU64::new(0) }; 2],
            stopped_at: AtomicU64::new(0),
            waited_before: AtomicU64::new(0),
            outermost: AtomicU64::new(0),
            state: AtomicU32::new(BEGINNING),
            creators: AtomicU32::new(0),
            id: AtomicU64::new(0),
            host_id: AtomicU64::new(0),
            thread_pointer: AtomicU64::new(0),
            stack_base: AtomicU64::new(0),
            cleared_at_end: AtomicU64::new(0),
            time_before: AtomicU64::new(0),
            time_here: AtomicU64::new(0),
            settings: UnsafeCell::new(Settings::unknown()),
        }
    }

    /// The thread that asks. Threads do not end while others look at them.
    pub fn current() -> &'static Thread {
        // SAFETY: the word was set by `fill_block`, and copied with the block.
        unsafe { &*(block_word(block::THREAD).read() as *const Thread) }
    }

    /// A thread that is to begin, in a place that is free; `None` if there is no memory for one.
    fn take() -> Option<&'static Thread> {
        let is_taken = |thread: &&Thread| {
            thread.creators.load(Ordering::Acquire) == 0
                && thread.state.compare_exchange(FREE, BEGINNING, Ordering::Acquire, Ordering::Relaxed).is_ok()
        };
        let taken = loop {
            match places().find(is_taken) {
                Some(taken) => break taken,
                None => memory::add_thread(&PLACES)?,
            }
        };
        // SAFETY: a place that is not free belongs to who has taken it, until it is in use.
        unsafe { core::ptr::from_ref(taken).cast_mut().write(Thread::beginning()) };
        Some(taken)
    }

    /// It is one of the threads from now on.
    fn begin(&self) {
        COUNT.fetch_add(1, Ordering::Relaxed);
        self.state.store(IN_USE, Ordering::Release);
    }

    /// The id that the program knows.
    pub fn id(&self) -> u64 {
        self.id.load(Ordering::Relaxed)
    }

    /// The id in this host process; 0 if the thread has not begun to run.
    pub fn host_id(&self) -> u64 {
        self.host_id.load(Ordering::Acquire)
    }

    /// Whether this fault of the calling thread's is another than the last.
    pub fn is_first_fault(&self, fault: [u64; 2]) -> bool {
        let mut is_first = false;
        for (last, this) in self.fault.iter().zip(fault) {
            is_first |= last.swap(this, Ordering::Relaxed) != this;
        }
        is_first
    }

    /// What of the program's memory the host's handler of signals uses, and the kernel when it calls it: ranges.
    pub fn used_by_handler(&self) -> [[u64; 2]; 2] {
        let block = self.thread_pointer.load(Ordering::Relaxed);
        let [stack, _, size] = self.signals.alternate_stack();
        [[block, block + block::TLS_GAP], [stack, stack.saturating_add(size)]]
    }

    /// Top of the machine stack.
    pub(super) fn stack_top(&self) -> u64 {
        match self.stack_base.load(Ordering::Relaxed) {
            0 => local::STACK_TOP.load(Ordering::Relaxed),
            base => base + STACK_SIZE,
        }
    }

    /// Room for a leaf record.
    pub(super) fn leaf(&self) -> u64 {
        self.leaf.get() as u64
    }

    /// What the kernel is to clear when the thread has ended.
    fn state_address(&self) -> u64 {
        self.state.as_ptr() as u64
    }

    /// `set_tid_address`.
    pub fn set_cleared_at_end(&self, address: u64) {
        self.cleared_at_end.store(address, Ordering::Relaxed);
    }

    /// Fills in the words of its block.
    ///
    /// # Safety
    /// The block is writable, and this thread's.
    unsafe fn fill_block(&self, thread_pointer: u64, shadow_stack: u64) {
        self.thread_pointer.store(thread_pointer, Ordering::Relaxed);
        let words = [
            (block::SELF, thread_pointer),
            (block::SHADOW_STACK, shadow_stack),
            (block::THREAD, core::ptr::from_ref(self) as u64),
        ];
        for (offset, value) in words {
            // SAFETY: by the contract above.
            unsafe { ((thread_pointer + offset) as *mut u64).write(value) };
        }
    }

    /// Has the calling thread use another block from now on.
    ///
    /// # Safety
    /// Both blocks are the thread's.
    pub(super) unsafe fn move_block(&self, thread_pointer: u64) {
        let shadow_stack = super::shadow_stack();
        // SAFETY: by the contract above.
        unsafe {
            self.fill_block(thread_pointer, shadow_stack);
            isa::set_host_thread_pointer(thread_pointer);
        }
    }

    /// Makes the thread known by an id.
    pub(super) fn set_id(&self, id: u64) {
        self.id.store(id, Ordering::Release);
    }

    /// Processor time that it had used before it came to this host process, ns.
    pub fn time_before(&self) -> u64 {
        self.time_before.load(Ordering::Relaxed)
    }

    /// Before a move: notes what the calling thread has used here.
    fn note_time(&self) {
        self.time_here.store(usage::thread_time(), Ordering::Relaxed);
    }
}
