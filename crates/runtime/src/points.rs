//! Having a thread stop at its next migration point.
//!
//! Points are no code (`maize_abi::site_table::Point`): while somebody wants a thread, they are overwritten with [`traps`]. The trap's
//! handler takes the traps away and sends the thread to `__maize_point`. While a thread is in a system call nothing is overwritten:
//! it looks for itself when it enters or leaves one.
//!
//! Another thread that runs into a trap meanwhile sleeps until it is gone; that is not long, for the
//! thread that is wanted reaches a point or a system call without the help of others.

mod traps;

use crate::continuation::unwind::SiteTable;
use crate::events::{self, Pass};
use crate::isa;
use crate::local;
use crate::migration::gather;
use crate::process::{Thread, stack_top};
use crate::signal::calls::without_signals;
use crate::sync::{Lock, wait_while, wake};
use core::sync::atomic::{AtomicU32, Ordering, compiler_fence};
use traps::{Traps, remove};

/// Whether a thread is to stop, and what has been done for it. It belongs to the host process, like the traps.
pub struct Wanted {
    state: AtomicU32,
    in_call: AtomicU32,
    /// How often it has been called; [`EVERYWHERE`] if it must stop wherever it is.
    calls: AtomicU32,
    /// Whether it is wanted so that the program can move.
    for_move: AtomicU32,
}

impl Default for Wanted {
    fn default() -> Wanted {
        Wanted::new()
    }
}

const NO: u32 = 0;
/// It is wanted, and will look for itself.
const NOTED: u32 = 1;
/// It is wanted, and one of those for whom there are traps.
const ARMED: u32 = 2;

/// After so many calls in vain there are traps everywhere.
const EVERYWHERE: u32 = 8;

/// How many words of the stack are looked at for return addresses.
const STACK_WORDS: u64 = 2048;
/// Further below its top a stack does not reach: the address is one of another stack.
const DEEPEST_STACK: u64 = 1 << 30;

impl Wanted {
    /// A thread that nobody wants, and that is not in a system call.
    pub const fn new() -> Wanted {
        Wanted {
            state: AtomicU32::new(NO),
            in_call: AtomicU32::new(0),
            calls: AtomicU32::new(0),
            for_move: AtomicU32::new(0),
        }
    }

    /// In a process to which the program has come, or a child: what was done in another is not so here.
    pub fn reset(&self) {
        self.state.store(NO, Ordering::Relaxed);
        self.calls.store(0, Ordering::Relaxed);
        self.for_move.store(0, Ordering::Relaxed);
    }

    /// Whether it has been called so that the program can move, since it last stopped.
    pub fn is_for_move(&self) -> bool {
        self.for_move.load(Ordering::Relaxed) != 0
    }

    /// Takes note that the calling thread is wanted; it will look when it makes its next system call.
    pub fn note(&self) {
        self.note_calls(1);
    }

    fn note_calls(&self, calls: u32) {
        self.calls.fetch_add(calls, Ordering::Relaxed);
        let _ = self.state.compare_exchange(NO, NOTED, Ordering::Relaxed, Ordering::Relaxed);
    }
}

/// Has the calling thread stop at its next point, or at the end of the system call that it is in.
pub fn want() {
    let wanted = &Thread::current().wanted;
    wanted.note_calls(EVERYWHERE);
    if wanted.in_call.load(Ordering::Relaxed) == 0 {
        arm(wanted, [0; 2], u64::MAX);
    }
}

/// As [`want`], so that the program can move, but for points of the functions on the stack only: who wants the thread calls again, ever later, until
/// it has stopped.
///
/// # Safety
/// Called by the handler of a signal with the kernel's `ucontext`.
pub unsafe fn want_near(ucontext: u64) {
    let wanted = &Thread::current().wanted;
    wanted.for_move.store(1, Ordering::Relaxed);
    wanted.note();
    if wanted.in_call.load(Ordering::Relaxed) == 0 {
        let page = isa::page();
        // SAFETY: by the contract above.
        let register = |offset| unsafe { ((ucontext + offset) as *const u64).read() };
        // A leaf function's return address may be in a register.
        let at = [page.ucontext_program_counter, page.ucontext_return_address].map(register);
        arm(wanted, at, register(page.ucontext_stack_pointer));
    }
}

/// The calling thread begins a system call. Returns whether it was wanted, which it is not any more.
pub fn begin_call() -> bool {
    let wanted = &Thread::current().wanted;
    wanted.in_call.store(1, Ordering::Relaxed);
    compiler_fence(Ordering::SeqCst);
    wanted.state.load(Ordering::Relaxed) != NO && heard()
}

/// The calling thread goes back from a system call to the program.
pub fn end_call() {
    let wanted = &Thread::current().wanted;
    wanted.in_call.store(0, Ordering::Relaxed);
    compiler_fence(Ordering::SeqCst);
    if wanted.state.load(Ordering::Relaxed) != NO {
        let here = 0u64;
        arm(wanted, [0; 2], &raw const here as u64);
    }
}

/// The calling thread has stopped, or ends. Returns whether it was wanted.
pub fn heard() -> bool {
    let Wanted { state, calls, for_move, .. } = &Thread::current().wanted;
    calls.store(0, Ordering::Relaxed);
    for_move.store(0, Ordering::Relaxed);
    // A handler in between may only make it `NOTED` or `ARMED`.
    match state.compare_exchange(NOTED, NO, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => true,
        Err(NO) => false,
        Err(_) => {
            without_signals(|| {
                state.store(NO, Ordering::Relaxed);
                change(|armed| armed - 1, |_| ());
            });
            true
        }
    }
}

/// In the child of a `fork`: the calling thread is alone, and nobody wants it. Another may have been changing the text.
pub fn begin_child() {
    Thread::current().wanted.reset();
    let unfinished = TEXT.reopen();
    if local::ARMED.swap(0, Ordering::Relaxed) != 0 || unfinished {
        TEXT.lock().clear_unknown();
    }
}

/// Called by the handler of `SIGTRAP`, with signals kept out: whether the trap was a point's. Then the thread goes on at
/// `__maize_point` if it is wanted, or else where it was.
///
/// # Safety
/// `ucontext` is the kernel's.
pub unsafe fn trapped(ucontext: u64) -> bool {
    let page = isa::page();
    let counter = (ucontext + page.ucontext_program_counter) as *mut u64;
    // SAFETY: by the contract above.
    let address = unsafe { counter.read() } - page.trap_length;
    let Some(table) = SiteTable::of_this_image() else { return false };
    let Some(point) = table.point(address) else { return false };
    let wanted = &Thread::current().wanted;
    let mut stops = false;
    let mut on = address;
    if events::count() {
        // The trap stays.
        on += page.nop_length;
        match events::pass_point(&table, point) {
            Pass::On => {}
            Pass::Spent => remove(point),
            Pass::Stop => stops = true,
        }
    } else {
        // Whoever is to stop for a move need not wait for a trap of its own.
        while wanted.state.load(Ordering::Relaxed) != ARMED && !gather::is_asked() {
            match local::ARMED.load(Ordering::Acquire) {
                0 => break,
                armed => wait_while(&local::ARMED, armed),
            }
        }
    }
    if wanted.state.load(Ordering::Relaxed) == ARMED {
        stops = heard();
    }
    stops |= gather::is_asked();
    // SAFETY: by the contract above.
    unsafe { counter.write(if stops { point.target.into() } else { on }) };
    true
}

/// Has those look again whether they are to stop for a move who wait for others' traps to go.
pub fn wake_waiting() {
    wake(&local::ARMED, u32::MAX >> 1);
}

/// Sets traps at all points that stay, or takes them away when no thread needs them.
pub fn keep_traps(kept: bool) {
    without_signals(|| change(|armed| if kept { armed + 1 } else { armed - 1 }, Traps::set_everywhere));
}

/// Sets again, in a text that has traps, those that [`remove`] has taken away.
pub fn renew_traps() {
    without_signals(|| TEXT.lock().set_everywhere());
}

/// Held by who changes the text.
#[unsafe(link_section = ".maize.local")]
static TEXT: Lock<Traps> = Lock::new(Traps::none());

/// Sets traps around these addresses and the return addresses on the stack, or everywhere if it has come to that.
fn arm(wanted: &Wanted, around: [u64; 2], stack_pointer: u64) {
    without_signals(|| {
        let is_new = wanted.state.swap(ARMED, Ordering::Relaxed) != ARMED;
        let is_near = wanted.calls.load(Ordering::Relaxed) < EVERYWHERE && !events::count();
        change(
            |armed| armed + u32::from(is_new),
            |traps| match is_near {
                true => traps.set_around(around.into_iter().chain(stack_words(stack_pointer))),
                false => traps.set_everywhere(),
            },
        );
    });
}

/// Words of the calling thread's stack from an address on; none if it is not in that stack.
fn stack_words(from: u64) -> impl Iterator<Item = u64> {
    let (from, top) = (from & !7, stack_top());
    let is_here = top.checked_sub(from).is_some_and(|depth| depth < DEEPEST_STACK);
    let end = if is_here { top.min(from + STACK_WORDS * 8) } else { from };
    // SAFETY: the stack is mapped from its pointer to its top.
    (from..end).step_by(8).map(|address| unsafe { (address as *const u64).read_volatile() })
}

/// Changes for how many threads there are traps, and which, with signals kept out. While there is any trap, or may be, the count is not 0: who
/// runs into one then waits.
fn change(count: impl FnOnce(u32) -> u32, set: impl FnOnce(&mut Traps)) {
    let mut traps = TEXT.lock();
    let after = count(local::ARMED.load(Ordering::Relaxed));
    if after == 0 {
        traps.clear();
        local::ARMED.store(0, Ordering::Release);
        wake(&local::ARMED, u32::MAX >> 1);
    } else {
        local::ARMED.store(after, Ordering::Release);
        set(&mut traps);
    }
}
