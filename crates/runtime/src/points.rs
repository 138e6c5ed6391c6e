//! Having a thread stop at its next migration point.
//!
//! Points are no code (`maize_abi::site_table::Point`): while somebody wants a thread, all of them are overwritten with traps. The trap's
//! handler takes the traps away and sends the thread to `__maize_point`. While a thread is in a system call nothing is overwritten:
//! it looks for itself when it enters or leaves one.
//!
//! Another thread that runs into a trap meanwhile sleeps until it is gone; that is not long, for the
//! thread that is wanted reaches a point or a system call without the help of others.

use crate::continuation::unwind::SiteTable;
use crate::events::{self, Pass};
use crate::isa;
use crate::local;
use crate::process::Thread;
use crate::signal::calls::without_signals;
use crate::sync::{Lock, wait_while, wake};
use crate::syscall::kernel;
use crate::syscall::numbers::*;
use core::sync::atomic::{AtomicU32, Ordering, compiler_fence};
use maize_abi::layout::PAGE_SIZE;
use maize_abi::site_table::Point;

/// Whether a thread is to stop, and what has been done for it. It belongs to the host process, like the traps.
pub struct Wanted {
    state: AtomicU32,
    in_call: AtomicU32,
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

impl Wanted {
    /// A thread that nobody wants, and that is not in a system call.
    pub const fn new() -> Wanted {
        Wanted { state: AtomicU32::new(NO), in_call: AtomicU32::new(0) }
    }

    /// In a process to which the program has come, or a child: what was done in another is not so here.
    pub fn reset(&self) {
        self.state.store(NO, Ordering::Relaxed);
    }

    /// Takes note that the calling thread is wanted; it will look when it makes its next system call.
    pub fn note(&self) {
        let _ = self.state.compare_exchange(NO, NOTED, Ordering::Relaxed, Ordering::Relaxed);
    }
}

/// Has the calling thread stop at its next point, or at the end of the system call that it is in.
pub fn want() {
    let wanted = &Thread::current().wanted;
    wanted.note();
    if wanted.in_call.load(Ordering::Relaxed) == 0 {
        arm(wanted);
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
        arm(wanted);
    }
}

/// The calling thread has stopped, or ends. Returns whether it was wanted.
pub fn heard() -> bool {
    let state = &Thread::current().wanted.state;
    // A handler in between may only make it `NOTED` or `ARMED`.
    match state.compare_exchange(NOTED, NO, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => true,
        Err(NO) => false,
        Err(_) => {
            without_signals(|| {
                state.store(NO, Ordering::Relaxed);
                change(|armed| armed - 1);
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
        overwrite(false);
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
        while wanted.state.load(Ordering::Relaxed) != ARMED {
            match local::ARMED.load(Ordering::Acquire) {
                0 => break,
                armed => wait_while(&local::ARMED, armed),
            }
        }
    }
    if wanted.state.load(Ordering::Relaxed) == ARMED {
        stops = heard();
    }
    // SAFETY: by the contract above.
    unsafe { counter.write(if stops { point.target.into() } else { on }) };
    true
}

/// Sets traps at all points that stay, or takes them away when no thread needs them.
pub fn keep_traps(kept: bool) {
    without_signals(|| change(|armed| if kept { armed + 1 } else { armed - 1 }));
}

/// Sets again, in a text that has traps, those that [`remove`] has taken away.
pub fn renew_traps() {
    without_signals(|| {
        let _text = TEXT.lock();
        overwrite(true);
    });
}

/// Takes one trap away. The text is writable as long as events are counted.
fn remove(point: &Point) {
    let page = isa::page();
    // SAFETY: by the linker's table there is an instruction of this length.
    unsafe { write(point, page.nop, page.nop_length) };
    isa::instructions_changed();
}

/// Held by who changes the text.
#[unsafe(link_section = ".maize.local")]
static TEXT: Lock<()> = Lock::new(());

fn arm(wanted: &Wanted) {
    without_signals(|| {
        if wanted.state.swap(ARMED, Ordering::Relaxed) != ARMED {
            change(|armed| armed + 1);
        }
    });
}

/// Changes for how many threads there are traps, with signals kept out. While there is any trap, or may be, the count is not 0: who
/// runs into one then waits.
fn change(count: impl FnOnce(u32) -> u32) {
    let _text = TEXT.lock();
    let before = local::ARMED.load(Ordering::Relaxed);
    let after = count(before);
    if before == 0 {
        local::ARMED.store(after, Ordering::Release);
        overwrite(true);
    } else if after == 0 {
        overwrite(false);
        local::ARMED.store(0, Ordering::Release);
        wake(&local::ARMED, u32::MAX >> 1);
    } else {
        local::ARMED.store(after, Ordering::Release);
        if events::count() {
            // Some may have been taken away.
            overwrite(true);
        }
    }
}

/// Overwrites all points with traps, or with what they were.
fn overwrite(with_traps: bool) {
    let Some(table) = SiteTable::of_this_image() else { return };
    let page = isa::page();
    let start = table.text().start & !(PAGE_SIZE - 1);
    let size = table.text().end.next_multiple_of(PAGE_SIZE) - start;
    let protect = |protection| {
        // SAFETY: the text stays executable; its threads find either instruction at each point.
        unsafe { kernel::call(MPROTECT, [start, size, protection]) }
    };
    if protect(PROT_READ | PROT_WRITE | PROT_EXEC) < 0 {
        return;
    }
    let instruction = if with_traps { page.trap } else { page.nop };
    for point in table.points {
        // SAFETY: the linker lists addresses of instructions of this length, and the text is writable.
        unsafe { write(point, instruction, page.nop_length) };
    }
    // While events are counted it is written often.
    if !(with_traps && events::count()) {
        protect(PROT_READ | PROT_EXEC);
    }
    isa::instructions_changed();
}

/// Writes what is at a point, unless it is there: emulators translate anew what is written.
///
/// # Safety
/// There is an instruction of this length, and the text is writable.
unsafe fn write(point: &Point, instruction: u64, length: u64) {
    /// # Safety
    /// That of a write to the address.
    unsafe fn replace<T: PartialEq>(address: u32, instruction: T) {
        let place = u64::from(address) as *mut T;
        // SAFETY: by the contract above.
        unsafe {
            if place.read_volatile() != instruction {
                place.write_volatile(instruction);
                isa::instruction_changed(address.into());
            }
        }
    }
    // SAFETY: by the contract above.
    unsafe {
        match length {
            1 => replace(point.address, instruction as u8),
            2 => replace(point.address, instruction as u16),
            _ => replace(point.address, instruction as u32),
        }
    }
}
