//! Asking the node about processes, while it keeps the table of them (docs/processes.md). A question takes some 50 us, so a program that cannot
//! move, or runs by itself, asks the kernel alone.

use crate::local;
use crate::migration::channel::{self, Received, close};
use crate::sync::{Guard, Lock};
use crate::syscall::kernel;
use crate::syscall::numbers::*;
use core::sync::atomic::{AtomicU32, Ordering};
use maize_abi::control::{Kind, Message};
use maize_abi::processes::Request;

/// Whether the node keeps the table. It moves with the program.
static SERVED: AtomicU32 = AtomicU32::new(0);

/// Whether the node keeps the table of processes.
pub fn is_served() -> bool {
    SERVED.load(Ordering::Relaxed) != 0
}

/// Notes that it does.
pub fn serve() {
    SERVED.store(1, Ordering::Relaxed);
}

/// Notes that it does not: the kernel's table is all there is.
pub fn leave() {
    SERVED.store(0, Ordering::Relaxed);
}

/// The line to the node. One thread has it at a time: a child that another forked meanwhile would have the descriptors of the question, too.
pub struct Line(#[expect(dead_code, reason = "held")] Guard<'static, ()>);

static LINE: Lock<()> = Lock::new(());

impl Line {
    /// Waits for the line.
    pub fn take() -> Line {
        Line(LINE.lock())
    }

    /// As [`ask`].
    pub fn ask(&self, request: Request, operands: &[u64], descriptor: Option<i64>) -> Option<Received> {
        const AF_UNIX: u64 = 1;
        const SOCK_SEQPACKET: u64 = 5;
        let mut ends = [0i32; 2];
        // SAFETY: there is room for both descriptors.
        let result =
            unsafe { kernel::call(SOCKETPAIR, [AF_UNIX, SOCK_SEQPACKET | O_CLOEXEC, 0, ends.as_mut_ptr() as u64]) };
        if result < 0 {
            return None;
        }
        let [ours, theirs] = ends;
        let mut values = [request as u64, 0, 0, 0, 0, 0, 0, 0];
        for (to, &from) in values.iter_mut().skip(1).zip(operands) {
            *to = from;
        }
        let question = Message::new(Kind::Call, values);
        let control = local::CONTROL.load(Ordering::Relaxed);
        let sent = match descriptor {
            Some(descriptor) => channel::send(control, &question, &[theirs, descriptor as i32]),
            None => channel::send(control, &question, &[theirs]),
        };
        close(theirs.into());
        let answer = if sent { channel::receive(ours.into(), true) } else { None };
        close(ours.into());
        if answer.is_none() {
            leave();
        }
        answer
    }

    /// As [`number`].
    pub fn number(&self, request: Request, operands: &[u64]) -> i64 {
        self.ask(request, operands, None).map_or(-ESRCH, |answer| answer.message.values[0] as i64)
    }
}

/// Asks, with a descriptor if the question takes one. `None` if the node is gone; then the process goes on without it.
pub fn ask(request: Request, operands: &[u64], descriptor: Option<i64>) -> Option<Received> {
    Line::take().ask(request, operands, descriptor)
}

/// Asks for a number; `ESRCH` if the node is gone.
pub fn number(request: Request, operands: &[u64]) -> i64 {
    Line::take().number(request, operands)
}
