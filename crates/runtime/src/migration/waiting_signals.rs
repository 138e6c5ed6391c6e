//! Signals that wait in the kernel's queue of a process that the program leaves.

use super::channel;
use crate::memory;
use crate::process::identity::{host_pid, name_sender};
use crate::signal::bit;
use crate::signal::host::is_from_node;
use crate::signal::state::Information;
use crate::syscall::kernel;
use crate::syscall::numbers::*;
use maize_abi::control::{Kind, Message};

/// `SIGALRM`, `SIGVTALRM`, `SIGPROF`: those of interval timers, which run at the destination already.
const TIMERS: u64 = bit(14) | bit(26) | bit(27);
const SI_KERNEL: i32 = 0x80;
const SI_TIMER: i32 = -2;

/// What is known of them.
pub struct WaitingSignals {
    /// Those that waited when the state of timers was read, one bit each.
    before: u64,
}

impl WaitingSignals {
    /// Called when timers have been noted for the destination: what they send from now on, they will send there.
    pub fn note() -> WaitingSignals {
        let mut before = 0u64;
        // SAFETY: a signal set of 8 bytes.
        unsafe { kernel::call(RT_SIGPENDING, [&raw mut before as u64, 8]) };
        WaitingSignals { before }
    }

    /// Takes those that wait by now from the queue and sends them over a socket. All signals are blocked.
    pub fn hand_over(&self, socket: i64) {
        while let Some((signal, information)) = take_one() {
            self.send(socket, signal, information);
        }
    }

    /// Sends those that wait by now over a socket and leaves them where they are. All signals are blocked.
    ///
    /// # Errors
    /// Why that cannot be done, for people.
    pub fn show(&self, socket: i64) -> Result<(), &'static str> {
        const SIZE: u64 = 256 << 10;
        let taken = memory::map_for_host(SIZE).ok_or("there is no memory for the signals that wait")?;
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
            put_back(signal, &information);
            self.send(socket, signal, information);
        }
        // SAFETY: the memory is used no more.
        unsafe { kernel::call(MUNMAP, [taken, SIZE]) };
        if count == most {
            return Err("too many signals wait");
        }
        channel::send(socket, &Message::new(Kind::Signals, [0; 8]), &[]);
        Ok(())
    }

    fn send(&self, socket: i64, signal: u64, mut information: Information) {
        if !self.comes_by_timer(signal, &information) && !is_from_node(signal, &information) {
            name_sender(&mut information);
            let [_, _, sender, value, ..] = information.0;
            let values = [signal, information.code() as u64, sender, value, 0, 0, 0, 0];
            channel::send(socket, &Message::new(Kind::Undelivered, values), &[]);
        }
    }

    /// Whether a timer has sent it that sends it at the destination, too.
    fn comes_by_timer(&self, signal: u64, information: &Information) -> bool {
        let is_timers = TIMERS & bit(signal) != 0 && information.code() == SI_KERNEL || information.code() == SI_TIMER;
        is_timers && self.before & bit(signal) == 0
    }
}

/// Takes one from the queue.
fn take_one() -> Option<(u64, Information)> {
    let (all, now) = (u64::MAX, [0u64; 2]);
    let mut information = Information([0; 16]);
    let arguments = [&raw const all as u64, &raw mut information as u64, now.as_ptr() as u64, 8];
    // SAFETY: a signal set, a `siginfo_t` and a `struct timespec`.
    let signal = unsafe { kernel::call(RT_SIGTIMEDWAIT, arguments) };
    (signal > 0).then_some((signal as u64, information))
}

/// Puts one into the queue of this process.
fn put_back(signal: u64, information: &Information) {
    // SAFETY: a whole `siginfo_t`.
    let result =
        unsafe { kernel::call(RT_SIGQUEUEINFO, [host_pid(), signal, core::ptr::from_ref(information) as u64]) };
    if result < 0 {
        // There is a kind of information that the kernel does not know, or no memory for any.
        // SAFETY: takes no pointers.
        unsafe { kernel::call(KILL, [host_pid(), signal]) };
    }
}

/// Puts those that the source hands over on the socket into this process's queue, until the source closes it.
pub fn take_over(socket: i64) {
    while let Some(received) = channel::receive(socket, true) {
        if received.message.kind() != Some(Kind::Undelivered) {
            continue;
        }
        let [signal, code, sender, value, ..] = received.message.values;
        let mut information = Information([signal, 0, sender, value, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        information.set_code(code as i32);
        put_back(signal, &information);
    }
}
