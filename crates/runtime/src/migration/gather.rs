//! Stopping all threads of the program, so that one of them can move it.
//!
//! The thread that hears the node calls the others as the node called it; each stops where it could be suspended and waits there, with signals kept out, until it is
//! let go or the process ends. What only a thread itself can do, such as looking into its queue of signals, it does while it waits.

use super::Interrupted;
use super::waiting_signals::{self, Taking};
use crate::points;
use crate::process::identity::host_pid;
use crate::process::thread::{Thread, others};
use crate::signal::calls::without_signals;
use crate::signal::state::Information;
use crate::sync::{wait_at_most, wait_while, wake};
use crate::syscall::kernel;
use crate::syscall::numbers::*;
use crate::time::monotonic;
use core::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use maize_abi::control::ATTENTION_SIGNAL;

/// What stopped threads are told to do, and in the upper bits the number of the order: so two orders in a row differ.
#[unsafe(link_section = ".maize.local")]
static ORDER: AtomicU32 = AtomicU32::new(GO);

/// The socket that an order is about.
#[unsafe(link_section = ".maize.local")]
static SOCKET: AtomicI64 = AtomicI64::new(-1);

/// Changes whenever a thread has stopped or carried out an order.
#[unsafe(link_section = ".maize.local")]
static PROGRESS: AtomicU32 = AtomicU32::new(0);

/// How many threads have carried out the order.
#[unsafe(link_section = ".maize.local")]
static DONE: AtomicU32 = AtomicU32::new(0);

/// Whether one of them could not.
#[unsafe(link_section = ".maize.local")]
static FAILED: AtomicU32 = AtomicU32::new(0);

const GO: u32 = 0;
const STOP: u32 = 1;
const NOTE: u32 = 2;
const SHOW: u32 = 3;
const HAND_OVER: u32 = 4;
const KINDS: u32 = 8;

/// How long the others are waited for before the program runs on, ns.
const PATIENCE: u64 = 1_000_000_000;
/// When they are called again, ns; twice as long after each other time.
const FIRST_CALL: u64 = 250_000;
const SI_QUEUE: i32 = -1;

/// Whether the calling thread is to stop where it can.
pub fn is_asked() -> bool {
    ORDER.load(Ordering::Relaxed) != GO
}

/// Whether a signal was sent by the thread that stops the others. The same signal from elsewhere is the program's.
pub fn is_call(signal: u64, information: &Information) -> bool {
    let is_own = information.code() == SI_QUEUE && information.sender() == host_pid() as i64;
    signal == ATTENTION_SIGNAL as u64 && is_own && information.0[3] == mark()
}

fn mark() -> u64 {
    &raw const ORDER as u64
}

/// Waits here while another thread moves the program, if one wants to.
pub fn stop(interrupted: &Interrupted<'_>) {
    if is_asked() {
        without_signals(|| wait_here(interrupted));
    }
}

fn wait_here(interrupted: &Interrupted<'_>) {
    let thread = Thread::current();
    thread.note();
    thread.stopped_at.store(core::ptr::from_ref(interrupted) as u64, Ordering::Release);
    report();
    let mut known = STOP;
    loop {
        let order = ORDER.load(Ordering::Acquire);
        if order == GO {
            break;
        }
        if order != known {
            known = order;
            if carry_out(order % KINDS) {
                DONE.fetch_add(1, Ordering::Release);
                report();
            }
        }
        wait_while(&ORDER, order);
    }
    thread.stopped_at.store(0, Ordering::Release);
}

fn report() {
    PROGRESS.fetch_add(1, Ordering::Release);
    wake(&PROGRESS, 1);
}

/// Whether it was something to do.
fn carry_out(order: u32) -> bool {
    let socket = SOCKET.load(Ordering::Relaxed);
    match order {
        NOTE => waiting_signals::note(),
        SHOW => {
            if !waiting_signals::show(socket) {
                FAILED.store(1, Ordering::Relaxed);
            }
        }
        HAND_OVER => waiting_signals::hand_over(socket),
        _ => return false,
    }
    true
}

/// All other threads have stopped. They go on when this is dropped.
pub struct Stopped(());

/// Stops all other threads.
///
/// # Errors
/// Why that cannot be done, for people. Then all run on.
pub fn stop_others() -> Result<Stopped, &'static str> {
    let stopped = Stopped(());
    if others().next().is_none() {
        return Ok(stopped);
    }
    ORDER.store(STOP, Ordering::Release);
    let start = monotonic();
    let (mut next_call, mut pause) = (start, FIRST_CALL);
    loop {
        let progress = PROGRESS.load(Ordering::Acquire);
        let now = monotonic();
        let mut running = others().filter(|thread| thread.stopped_at.load(Ordering::Acquire) == 0).peekable();
        if running.peek().is_none() {
            return Ok(stopped);
        }
        if now.saturating_sub(start) > PATIENCE {
            return Err("one of its threads has reached no migration point for a second");
        }
        if now >= next_call {
            running.for_each(call);
            points::wake_waiting();
            next_call = now + pause;
            pause *= 2;
        }
        wait_at_most(&PROGRESS, progress, next_call.saturating_sub(now).max(1));
    }
}

/// Draws a thread's attention.
fn call(thread: &Thread) {
    let information = Information::new(ATTENTION_SIGNAL as u64, SI_QUEUE, host_pid(), mark());
    let host_id = thread.host_id();
    if host_id != 0 {
        let arguments = [host_pid(), host_id, ATTENTION_SIGNAL as u64, &raw const information as u64];
        // SAFETY: a whole `siginfo_t`.
        unsafe { kernel::call(RT_TGSIGQUEUEINFO, arguments) };
    }
}

impl Stopped {
    /// Where the other threads have stopped.
    pub fn others(&self) -> impl Iterator<Item = (&'static Thread, &Interrupted<'_>)> {
        let place = |thread: &'static Thread| thread.stopped_at.load(Ordering::Acquire) as *const Interrupted<'_>;
        // SAFETY: threads that have stopped wait while this lives, and what they point to is in their frames.
        others().map(move |thread| (thread, unsafe { &*place(thread) }))
    }

    /// Each thread notes which signals wait for it.
    pub fn note_signals(&self) {
        self.order(NOTE, -1);
    }

    /// Each thread sends those that wait for it by now over a socket, and leaves them where they are.
    ///
    /// # Errors
    /// Why that cannot be done, for people.
    pub fn show_signals(&self, socket: i64) -> Result<(), &'static str> {
        let _taking = Taking::begin();
        self.order(SHOW, socket);
        if FAILED.swap(0, Ordering::Relaxed) == 0 { Ok(()) } else { Err("too many signals wait, or memory is short") }
    }

    /// Each thread takes those that wait for it by now from its queue and sends them over a socket.
    pub fn hand_over_signals(&self, socket: i64) {
        let _taking = Taking::begin();
        self.order(HAND_OVER, socket);
    }

    /// Has all threads carry out an order, the calling one, too.
    fn order(&self, kind: u32, socket: i64) {
        let count = others().count() as u32;
        SOCKET.store(socket, Ordering::Relaxed);
        if count > 0 {
            DONE.store(0, Ordering::Relaxed);
            let number = ORDER.load(Ordering::Relaxed) / KINDS + 1;
            ORDER.store(number * KINDS + kind, Ordering::Release);
            wake(&ORDER, u32::MAX >> 1);
        }
        carry_out(kind);
        while DONE.load(Ordering::Acquire) < count {
            let progress = PROGRESS.load(Ordering::Acquire);
            if DONE.load(Ordering::Acquire) < count {
                wait_while(&PROGRESS, progress);
            }
        }
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        if ORDER.swap(GO, Ordering::Release) == GO {
            return;
        }
        wake(&ORDER, u32::MAX >> 1);
        // Who stops the next time must find no thread that is about to go on.
        while others().any(|thread| thread.stopped_at.load(Ordering::Acquire) != 0) {
            // SAFETY: takes no pointers.
            unsafe { kernel::call(SCHED_YIELD, []) };
        }
    }
}

/// In the child of a `fork`, where no other thread is.
pub fn begin_child() {
    ORDER.store(GO, Ordering::Relaxed);
}
