//! Signals that wait in the kernel's queue of a process that the program leaves.

use super::channel;
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
        let (all, now) = (u64::MAX, [0u64; 2]);
        let mut information = Information([0; 16]);
        loop {
            let arguments = [&raw const all as u64, &raw mut information as u64, now.as_ptr() as u64, 8];
            // SAFETY: a signal set, a `siginfo_t` and a `struct timespec`.
            let signal = unsafe { kernel::call(RT_SIGTIMEDWAIT, arguments) };
            if signal <= 0 {
                return;
            }
            let signal = signal as u64;
            if !self.comes_by_timer(signal, &information) && !is_from_node(signal, &information) {
                name_sender(&mut information);
                let [_, _, sender, value, ..] = information.0;
                let values = [signal, information.code() as u64, sender, value, 0, 0, 0, 0];
                channel::send(socket, &Message::new(Kind::Undelivered, values), &[]);
            }
        }
    }

    /// Whether a timer has sent it that sends it at the destination, too.
    fn comes_by_timer(&self, signal: u64, information: &Information) -> bool {
        let is_timers = TIMERS & bit(signal) != 0 && information.code() == SI_KERNEL || information.code() == SI_TIMER;
        is_timers && self.before & bit(signal) == 0
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
        // SAFETY: a whole `siginfo_t`.
        let result = unsafe { kernel::call(RT_SIGQUEUEINFO, [host_pid(), signal, &raw const information as u64]) };
        if result < 0 {
            // There is a kind of information that the kernel does not know, or no memory for any.
            // SAFETY: takes no pointers.
            unsafe { kernel::call(KILL, [host_pid(), signal]) };
        }
    }
}
