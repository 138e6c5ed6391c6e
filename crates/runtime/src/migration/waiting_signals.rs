//! Signals that wait in the kernel's queues of a process that the program leaves: each thread's own, and the process's. Every thread takes those that it can
//! get, and says for whom they are.

use super::channel;
use crate::memory;
use crate::process::identity::{host_pid, name_sender};
use crate::process::{Thread, thread::host_id_of, timers};
use crate::signal::calls::{self, ToHost};
use crate::signal::host::is_from_node;
use crate::signal::state::Information;
use crate::signal::{BUS, SEGMENTATION, bit};
use crate::syscall::kernel;
use crate::syscall::numbers::*;
use core::sync::atomic::{AtomicU32, Ordering};
use maize_abi::control::{Kind, Message};

/// `SIGALRM`, `SIGVTALRM`, `SIGPROF`: those of interval timers, which run at the destination already.
const TIMERS: u64 = bit(14) | bit(26) | bit(27);
/// Those that QEMU's user mode keeps itself while the program keeps them out, since it needs to hear of its own faults: the kernel's queues have them not.
const KEPT_BY_EMULATORS: [u64; 2] = [SEGMENTATION, BUS];
const SI_KERNEL: i32 = 0x80;
const SI_TIMER: i32 = -2;
const SI_TKILL: i32 = -6;

/// Whether signals that an emulator keeps are being taken.
#[unsafe(link_section = ".maize.local")]
static TAKES: AtomicU32 = AtomicU32::new(0);

/// Whether a signal that comes to the host's handler is to wait for the program, whatever it wants done with it.
pub fn takes(signal: u64) -> bool {
    KEPT_BY_EMULATORS.contains(&signal) && TAKES.load(Ordering::Relaxed) != 0
}

/// While this lives, threads can take what an emulator keeps: it gives it to the host's handler.
pub struct Taking([ToHost; 2]);

impl Taking {
    /// All threads have stopped.
    pub fn begin() -> Taking {
        TAKES.store(1, Ordering::Release);
        Taking(KEPT_BY_EMULATORS.map(calls::send_to_host))
    }
}

impl Drop for Taking {
    fn drop(&mut self) {
        self.0.iter().for_each(calls::send_as_before);
        TAKES.store(0, Ordering::Release);
    }
}

/// Called when timers have been noted for the destination: what they send the calling thread from now on, they will send there.
pub fn note() {
    let mut before = 0u64;
    // SAFETY: a signal set of 8 bytes.
    unsafe { kernel::call(RT_SIGPENDING, [&raw mut before as u64, 8]) };
    Thread::current().waited_before.store(before, Ordering::Relaxed);
}

/// Takes those that wait by now from the queues and sends them over a socket. All signals are blocked.
pub fn hand_over(socket: i64) {
    while let Some((signal, information)) = take_one() {
        send(socket, signal, information);
        // If it comes again, it comes by a timer that runs at the destination.
        Thread::current().waited_before.fetch_and(!bit(signal), Ordering::Relaxed);
    }
}

/// Sends those that wait by now over a socket and leaves them where they are; whether these are all. All signals are blocked.
pub fn show(socket: i64) -> bool {
    const SIZE: u64 = 256 << 10;
    let Some(taken) = memory::map_for_host(SIZE) else { return false };
    let most = SIZE / size_of::<(u64, Information)>() as u64;
    let entry = |index: u64| (taken as *mut (u64, Information)).wrapping_add(index as usize);
    let mut count = 0;
    while count < most
        && let Some(one) = take_one()
    {
        // SAFETY: there is room for so many.
        unsafe { entry(count).write(one) };
        count += 1;
    }
    for index in 0..count {
        // SAFETY: written above.
        let (signal, information) = unsafe { entry(index).read() };
        if let Some(receiver) = receiver(signal, &information) {
            put_back(signal, &information, receiver);
        }
        send(socket, signal, information);
    }
    // SAFETY: the memory is used no more.
    unsafe { kernel::call(MUNMAP, [taken, SIZE]) };
    count < most
}

/// The id of the thread that a signal is for that the calling one has taken; 0 if it is for the whole process. None if it is for nobody any more.
fn receiver(signal: u64, information: &Information) -> Option<u64> {
    let own = Thread::current().id();
    match information.code() {
        SI_TKILL => Some(own),
        SI_TIMER => timers::receiver(signal, own),
        _ => Some(0),
    }
}

fn send(socket: i64, signal: u64, mut information: Information) {
    if comes_by_timer(signal, &information) || is_from_node(signal, &information) {
        return;
    }
    let Some(receiver) = receiver(signal, &information) else { return };
    name_sender(&mut information);
    let [_, _, sender, value, ..] = information.0;
    let values = [signal, information.code() as u64, sender, value, receiver, 0, 0, 0];
    channel::send(socket, &Message::new(Kind::Undelivered, values), &[]);
}

/// Whether a timer has sent it that sends it at the destination, too.
fn comes_by_timer(signal: u64, information: &Information) -> bool {
    let is_timers = TIMERS & bit(signal) != 0 && information.code() == SI_KERNEL || information.code() == SI_TIMER;
    is_timers && Thread::current().waited_before.load(Ordering::Relaxed) & bit(signal) == 0
}

/// Takes one from the queue, or from an emulator.
fn take_one() -> Option<(u64, Information)> {
    take_queued().or_else(take_kept)
}

fn take_queued() -> Option<(u64, Information)> {
    let (all, now) = (u64::MAX, [0u64; 2]);
    let mut information = Information([0; 16]);
    let arguments = [&raw const all as u64, &raw mut information as u64, now.as_ptr() as u64, 8];
    // SAFETY: a signal set, a `siginfo_t` and a `struct timespec`.
    let signal = unsafe { kernel::call(RT_SIGTIMEDWAIT, arguments) };
    (signal > 0).then_some((signal as u64, information))
}

fn take_kept() -> Option<(u64, Information)> {
    let signals = &Thread::current().signals;
    KEPT_BY_EMULATORS.into_iter().map(bit).find_map(|kept| {
        let before = signals.pending();
        calls::let_through(kept);
        // SAFETY: all signals are blocked.
        unsafe { signals.take(before | !kept) }
    })
}

/// Puts one into the queue of a thread, or of this process if that is 0.
fn put_back(signal: u64, information: &Information, receiver: u64) {
    let address = core::ptr::from_ref(information) as u64;
    let thread = host_id_of(receiver).unwrap_or(0);
    // SAFETY: a whole `siginfo_t`. The kernel lets nobody claim to have used `tgkill` but that call itself.
    unsafe {
        let result = match thread {
            0 => kernel::call(RT_SIGQUEUEINFO, [host_pid(), signal, address]),
            thread => kernel::call(RT_TGSIGQUEUEINFO, [host_pid(), thread, signal, address]),
        };
        // There is a kind of information that it does not take, or no memory for any.
        match thread {
            _ if result >= 0 => result,
            0 => kernel::call(KILL, [host_pid(), signal]),
            thread => kernel::call(TGKILL, [host_pid(), thread, signal]),
        };
    }
}

/// Puts those that the source hands over on the socket into this process's queues, until the source closes it.
pub fn take_over(socket: i64) {
    while let Some(received) = channel::receive(socket, true) {
        if received.message.kind() != Some(Kind::Undelivered) {
            continue;
        }
        let [signal, code, sender, value, receiver, ..] = received.message.values;
        put_back(signal, &Information::new(signal, code as i32, sender, value), receiver);
    }
}
