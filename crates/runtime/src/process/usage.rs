//! Processor time. The kernel counts it per host process; a program's is the sum over those that it has been in, and that of its children
//! is the sum over those that it has waited for.

use super::thread::{Thread, threads};
use super::{identity, node};
use crate::sync::Lock;
use crate::syscall::kernel;
use crate::syscall::numbers::*;
use core::sync::atomic::{AtomicU64, Ordering};

/// Words of `struct rusage`: two times of two words each, then 14 numbers.
pub const WORDS: usize = 18;
/// Index of the greatest size of resident memory, which is not added up.
const MAXIMUM_SIZE: usize = 4;

const RUSAGE_SELF: u64 = 0;
const RUSAGE_CHILDREN: u64 = u64::MAX;
const TICKS_PER_SECOND: u64 = 100;

type Usage = [u64; WORDS];

/// What was used in host processes before this one.
static BEFORE: Lock<Usage> = Lock::new([0; WORDS]);
/// What children have used that have been waited for.
static CHILDREN: Lock<Usage> = Lock::new([0; WORDS]);
/// Nanoseconds of processor time used in host processes before this one.
static TIME_BEFORE: AtomicU64 = AtomicU64::new(0);

fn add(to: &mut Usage, from: &Usage) {
    for (index, (to, &from)) in to.iter_mut().zip(from).enumerate() {
        *to = if index == MAXIMUM_SIZE { (*to).max(from) } else { *to + from };
    }
    for microseconds in [1, 3] {
        to[microseconds - 1] += to[microseconds] / 1_000_000;
        to[microseconds] %= 1_000_000;
    }
}

fn of_host(who: u64) -> (i64, Usage) {
    let mut usage = [0; WORDS];
    // SAFETY: the buffer is a `struct rusage`.
    let result = unsafe { kernel::call(GETRUSAGE, [who, usage.as_mut_ptr() as u64]) };
    (result, usage)
}

/// Before a move: notes what has been used here. A move that fails takes it back with [`stay`].
pub fn depart() {
    add(&mut BEFORE.lock(), &of_host(RUSAGE_SELF).1);
    TIME_BEFORE.fetch_add(host_time(), Ordering::Relaxed);
}

/// What the program has used so far, to be given back to [`stay`].
pub fn noted() -> (Usage, u64) {
    (*BEFORE.lock(), TIME_BEFORE.load(Ordering::Relaxed))
}

/// The program has not moved after all.
pub fn stay((usage, time): (Usage, u64)) {
    *BEFORE.lock() = usage;
    TIME_BEFORE.store(time, Ordering::Relaxed);
}

/// A child of `fork` has used nothing.
pub fn begin_child() {
    BEFORE.reopen();
    CHILDREN.reopen();
    stay(([0; WORDS], 0));
    *CHILDREN.lock() = [0; WORDS];
}

/// A child has been waited for.
pub fn add_child(usage: &Usage) {
    add(&mut CHILDREN.lock(), usage);
}

/// Nanoseconds of processor time used in this host process.
pub fn host_time() -> u64 {
    time_by(CLOCK_PROCESS_CPUTIME_ID)
}

/// Nanoseconds of processor time used by the calling thread in this host process.
pub fn thread_time() -> u64 {
    time_by(CLOCK_THREAD_CPUTIME_ID)
}

fn time_by(clock: u64) -> u64 {
    let mut time = [0u64; 2];
    // SAFETY: a `struct timespec`.
    unsafe { kernel::call(CLOCK_GETTIME, [clock, time.as_mut_ptr() as u64]) };
    time[0] * 1_000_000_000 + time[1]
}

/// The kernel's clocks of processor time have, with all bits inverted, the id of a process or thread in their upper 29 bits; bit 2 says that it is a thread's.
const CLOCK_ID_BITS: u32 = 3;
const CLOCK_OF_THREAD: u64 = 4;

/// The id of the thread or process whose clock this is.
fn owner(clock: u64) -> Option<u64> {
    ((clock as i32) < 0).then(|| u64::from(!(clock as i32 >> CLOCK_ID_BITS) as u32))
}

/// A clock as the kernel names it here.
pub fn clock_to_host(clock: u64) -> u64 {
    match owner(clock) {
        Some(id) if id != 0 => {
            let host = !(identity::own_to_host(id) as u32) << CLOCK_ID_BITS;
            u64::from(host) | clock & ((1 << CLOCK_ID_BITS) - 1)
        }
        _ => clock,
    }
}

/// Nanoseconds of processor time, by this clock, that the program had used before it came to this host process; 0 for other clocks.
pub fn time_before(clock: u64) -> u64 {
    let of_process = TIME_BEFORE.load(Ordering::Relaxed);
    match owner(clock) {
        None if clock == CLOCK_PROCESS_CPUTIME_ID => of_process,
        None if clock == CLOCK_THREAD_CPUTIME_ID => Thread::current().time_before(),
        None => 0,
        Some(id) if clock & CLOCK_OF_THREAD == 0 && (id == 0 || id == identity::program_pid()) => of_process,
        Some(_) if clock & CLOCK_OF_THREAD == 0 => 0,
        Some(id) => threads().find(|thread| thread.id() == id).map_or(0, Thread::time_before),
    }
}

fn of_children() -> (i64, Usage) {
    if node::is_served() { (0, *CHILDREN.lock()) } else { of_host(RUSAGE_CHILDREN) }
}

/// `getrusage`.
///
/// # Safety
/// That of the call.
pub unsafe fn getrusage(who: u64, address: u64) -> i64 {
    let (result, mut usage) = match i64::from(who as i32) as u64 {
        RUSAGE_CHILDREN => of_children(),
        who => of_host(who),
    };
    if result < 0 {
        return result;
    }
    if i64::from(who as i32) as u64 != RUSAGE_CHILDREN {
        add(&mut usage, &BEFORE.lock());
    }
    // SAFETY: by the contract above.
    unsafe { (address as *mut Usage).write(usage) };
    result
}

/// `times`.
///
/// # Safety
/// That of the call.
pub unsafe fn times(address: u64) -> i64 {
    // SAFETY: with no buffer the call only tells the time.
    let result = unsafe { kernel::call(TIMES, [0]) };
    if address != 0 {
        let mut own = of_host(RUSAGE_SELF).1;
        add(&mut own, &BEFORE.lock());
        let children = of_children().1;
        let ticks = |seconds: u64, microseconds: u64| {
            seconds * TICKS_PER_SECOND + microseconds / (1_000_000 / TICKS_PER_SECOND)
        };
        let of = |usage: &Usage| [ticks(usage[0], usage[1]), ticks(usage[2], usage[3])];
        let ([user, system], [children_user, children_system]) = (of(&own), of(&children));
        // SAFETY: by the contract above.
        unsafe { (address as *mut [u64; 4]).write([user, system, children_user, children_system]) };
    }
    result
}
