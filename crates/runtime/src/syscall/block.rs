//! Calls that wait. While one waits, the node may ask for the program, or a signal may come; then it is left, and issued again
//! when that is done unless a handler has run and the call is one that fails then. Timeouts are kept as deadlines
//! from when the call is first issued, so that neither is a wait made longer.

use super::call::{Blocking, Call, Unit};
use super::convert::{self, Events};
use super::numbers::*;
use super::{CANCELLABLE, DEADLINE, Outcome, PARTIAL, STARTED, attend, is_ended_by, kernel};
use crate::isa::{self, CANCELLED, Context};
use crate::local;
use crate::migration::{Stop, record_locks};
use crate::points;
use crate::process::{Thread, family, identity, node};
use crate::signal::calls as signals;
use crate::signal::delivery::Afterwards;
use crate::signal::state::Information;
use crate::signal::{SA_RESTART, UNBLOCKABLE};
use crate::sync::FUTEX_WAIT_PRIVATE;
use crate::time::{self, Timespec, monotonic};
use core::sync::atomic::{AtomicU32, Ordering};

/// A call that may wait.
pub struct Pending {
    row: &'static Call,
    native: u64,
    /// As the program has them: the call may be issued again on another ISA.
    arguments: [u64; 6],
    /// Deadline and the argument it belongs to.
    deadline: Option<(usize, u64)>,
    unit: Unit,
    /// How much of a `write` has been written.
    written: Option<u64>,
    /// Whether it has been in the kernel before.
    started: bool,
    /// [`CANCELLABLE`], if it is.
    cancellable: u64,
}

/// What an issue needs on the machine stack.
struct Scratch {
    time: Timespec,
    mask: u64,
    mask_and_size: [u64; 2],
    events: Events,
}

impl Pending {
    /// A call as the program made it, or as [`Pending::again`] gave it. `timeout` is where a timeout would be, and in what unit.
    ///
    /// # Safety
    /// That of the call.
    pub unsafe fn new(
        row: &'static Call,
        native: u64,
        number: u64,
        arguments: [u64; 6],
        timeout: Option<(u8, Unit)>,
    ) -> Result<Pending, i64> {
        let mut pending = Pending {
            row,
            native,
            arguments,
            deadline: None,
            unit: Unit::Timespec,
            written: None,
            started: number & STARTED != 0,
            cancellable: number & CANCELLABLE,
        };
        if number & PARTIAL != 0 {
            pending.written = Some(arguments[3]);
        }
        if pending.number() == FCNTL && matches!(arguments[1], F_SETLK | F_SETLKW) {
            record_locks::may_hold();
        }
        if let Some((index, unit)) = timeout.filter(|_| pending.has_relative_timeout()) {
            let index = usize::from(index);
            let value = arguments.get(index).copied().unwrap_or(0);
            pending.unit = row.timeout.map_or(unit, |own| own.1);
            if number & DEADLINE != 0 {
                pending.deadline = Some((index, value));
            } else {
                // SAFETY: by the contract above.
                let span = unsafe { span(value, unit) }?;
                pending.deadline = span.map(|span| (index, monotonic().saturating_add(span)));
                if span.is_none() {
                    pending.arguments[index] = if pending.unit == Unit::Milliseconds { u64::MAX } else { 0 };
                }
            }
        }
        Ok(pending)
    }

    fn number(&self) -> u64 {
        u64::from(self.row.number)
    }

    /// Whether a timeout argument is one: not for all that `futex` does, nor for a sleep until a given time.
    fn has_relative_timeout(&self) -> bool {
        match self.number() {
            FUTEX => self.arguments[1] & FUTEX_COMMAND == FUTEX_WAIT,
            // Processor time is not a deadline's.
            CLOCK_NANOSLEEP => {
                self.arguments[1] & TIMER_ABSTIME == 0
                    && matches!(self.arguments[0], CLOCK_REALTIME | CLOCK_MONOTONIC | CLOCK_BOOTTIME)
            }
            _ => true,
        }
    }

    /// The call, to be issued again, here or elsewhere.
    fn again(&self) -> [u64; 7] {
        let mut number = self.number() | self.cancellable;
        let mut arguments = self.arguments;
        if let Some((index, deadline)) = self.deadline {
            number |= DEADLINE;
            arguments[index] = deadline;
        }
        if let Some(written) = self.written {
            number |= PARTIAL;
            arguments[3] = written;
        }
        if self.started {
            number |= STARTED;
        }
        let [a1, a2, a3, a4, a5, a6] = arguments;
        [number, a1, a2, a3, a4, a5, a6]
    }

    /// The mask that the call has for its own time.
    ///
    /// # Safety
    /// That of the call.
    unsafe fn mask(&self) -> Option<u64> {
        let address = *self.arguments.get(usize::from(self.row.mask?))?;
        // SAFETY: by the contract above; `pselect6` has the address of the set in a structure.
        unsafe {
            let address = match self.number() {
                PSELECT6 if address != 0 => (address as *const u64).read(),
                _ => address,
            };
            (address != 0).then(|| (address as *const u64).read_unaligned() & !UNBLOCKABLE)
        }
    }

    /// Makes the call once.
    ///
    /// # Safety
    /// That of the call.
    unsafe fn issue(&self, arguments: [u64; 6], interrupted: &AtomicU32) -> i64 {
        let is_wait = matches!(self.number(), WAIT4 | WAITID);
        // SAFETY: by the contract above.
        unsafe {
            if is_wait && node::is_served() {
                let calls = local::CALLS.load(Ordering::Acquire);
                return family::wait(self.number(), &arguments).unwrap_or_else(|| wait_for_call(calls, interrupted));
            }
            isa::interruptible_syscall(self.native, arguments, interrupted)
        }
    }

    /// The arguments as the kernel is to have them now.
    fn host_arguments(&self, scratch: &mut Scratch, mask: Option<u64>) -> [u64; 6] {
        let mut arguments = convert::arguments_to_host(self.row, self.arguments);
        if let Some((index, deadline)) = self.deadline {
            let left = deadline.saturating_sub(monotonic());
            if self.number() == CLOCK_NANOSLEEP {
                scratch.time = Timespec::from_nanoseconds(time::to_host(CLOCK_MONOTONIC, deadline));
                [arguments[0], arguments[1]] = [CLOCK_MONOTONIC, TIMER_ABSTIME];
                arguments[3] = 0;
            } else {
                scratch.time = Timespec::from_nanoseconds(left);
            }
            arguments[index] = match self.unit {
                Unit::Milliseconds => left.div_ceil(1_000_000).min(i32::MAX as u64),
                _ => &raw const scratch.time as u64,
            };
        }
        if let Some((clock, index)) = self.absolute_time() {
            // SAFETY: by the contract of the call.
            if let Some(time) = unsafe { time::argument_to_host(clock, arguments[index]) } {
                scratch.time = time;
                arguments[index] = &raw const scratch.time as u64;
            }
        }
        if let (Some(mask), Some(index)) = (mask, self.row.mask) {
            scratch.mask = signals::host_mask(mask);
            scratch.mask_and_size = [&raw const scratch.mask as u64, 8];
            arguments[usize::from(index)] = match self.number() {
                PSELECT6 => scratch.mask_and_size.as_ptr() as u64,
                _ => &raw const scratch.mask as u64,
            };
        }
        if self.converts_events() {
            scratch.events.replace(&mut arguments);
        }
        arguments
    }

    /// The clock of a time until which the call waits, and the argument that it is.
    fn absolute_time(&self) -> Option<(u64, usize)> {
        const WAIT_BITSET: u64 = 9;
        const FUTEX_CLOCK_REALTIME: u64 = 0x100;
        let [first, second, ..] = self.arguments;
        match self.number() {
            CLOCK_NANOSLEEP if second & TIMER_ABSTIME != 0 => Some((first, 2)),
            FUTEX if second & FUTEX_COMMAND == WAIT_BITSET && second & FUTEX_CLOCK_REALTIME == 0 => {
                Some((CLOCK_MONOTONIC, 3))
            }
            _ => None,
        }
    }

    fn converts_events(&self) -> bool {
        matches!(self.number(), EPOLL_PWAIT | EPOLL_PWAIT2) && !kernel::is_x86_64()
    }

    /// What the program gets for a result of the kernel's.
    ///
    /// # Safety
    /// That of the call.
    unsafe fn finish(&self, result: i64, scratch: &Scratch) -> i64 {
        if self.converts_events() && result > 0 {
            // SAFETY: by the contract above.
            unsafe { scratch.events.give(result as usize, self.arguments[1]) };
        }
        if self.number() == RT_SIGTIMEDWAIT && result > 0 && self.arguments[1] != 0 {
            // SAFETY: by the contract above, the kernel has filled it in.
            unsafe { identity::name_sender(&mut *(self.arguments[1] as *mut Information)) };
        }
        match (self.number(), self.written) {
            (FCNTL, _) => convert::control_to_program(self.arguments[1], result),
            (_, Some(written)) => result.max(0) + written as i64,
            _ => result,
        }
    }

    /// After a handler has run during a sleep: how much of it is left.
    ///
    /// # Safety
    /// That of the call.
    unsafe fn report_rest(&self) {
        if let (CLOCK_NANOSLEEP, Some((_, deadline))) = (self.number(), self.deadline)
            && self.arguments[3] != 0
        {
            let rest = Timespec::from_nanoseconds(deadline.saturating_sub(monotonic()));
            // SAFETY: by the contract above.
            unsafe { (self.arguments[3] as *mut Timespec).write(rest) };
        }
    }

    /// Takes note of what a `write` has done before it was interrupted; whether that was all.
    fn advance(&mut self, result: i64) -> bool {
        let [_, address, size, ..] = &mut self.arguments;
        *address += result as u64;
        *size -= result as u64;
        self.written = Some(self.written.unwrap_or(0) + result as u64);
        *size == 0
    }
}

/// A relative timeout in nanoseconds; `None` for none.
///
/// # Safety
/// The value is the argument of a call with such a timeout.
unsafe fn span(value: u64, unit: Unit) -> Result<Option<u64>, i64> {
    // SAFETY: by the contract above.
    let read = |per_second| unsafe { (value as *const Timespec).read() }.nanoseconds(per_second).ok_or(EINVAL);
    match unit {
        Unit::Milliseconds => Ok(u64::try_from(value as i32).ok().map(|value| value * 1_000_000)),
        _ if value == 0 => Ok(None),
        Unit::Timespec => read(1_000_000_000).map(Some),
        Unit::Timeval => read(1_000_000).map(Some),
    }
}

/// Issues a call until it is done or a handler is to run.
///
/// # Safety
/// That of the call.
pub unsafe fn wait(context: &Context, mut pending: Pending) -> Outcome {
    let state = &Thread::current().signals;
    let mut scratch = Scratch { time: Timespec::default(), mask: 0, mask_and_size: [0; 2], events: Events::default() };
    // SAFETY: by the contract above.
    let own_mask = unsafe { pending.mask() };
    let mask = own_mask.unwrap_or_else(|| state.mask());
    loop {
        let arguments = pending.host_arguments(&mut scratch, own_mask);
        // By the call's own mask something may be let through that has come before.
        let result = match own_mask.is_some() || pending.started {
            true if state.deliverable(mask) != 0 => -EINTR,
            // SAFETY: by the contract above.
            _ => unsafe { pending.issue(arguments, state.interrupted()) },
        };
        let interrupted = result == CANCELLED || result == -EINTR;
        let cut_short = is_cut_short(&pending, result);
        let is_for_move = Thread::current().wanted.is_for_move();
        if !interrupted && !cut_short {
            // SAFETY: by the contract above.
            return Outcome::done(unsafe { pending.finish(result, &scratch) });
        }
        if cut_short && pending.advance(result) {
            // SAFETY: by the contract above.
            return Outcome::done(unsafe { pending.finish(0, &scratch) });
        }
        pending.started |= result != CANCELLED;
        state.interrupted().store(0, Ordering::SeqCst);
        points::heard();
        let deliverable = state.deliverable(mask);
        if deliverable == 0 {
            attend(context, Stop::Call(pending.again()));
            continue;
        }
        // A move can wait until the handlers run.
        if is_for_move || local::ATTENTION.load(Ordering::Relaxed) != 0 {
            points::want();
        }
        // SAFETY: by the contract above.
        return unsafe { interrupted_by_handler(&pending, mask, own_mask.is_some(), deliverable) };
    }
}

/// Sleeps until the node has called once more, as it does when there may be more to tell; whichever thread hears it.
fn wait_for_call(calls: u32, interrupted: &AtomicU32) -> i64 {
    let futex = kernel::native_number(FUTEX).unwrap_or(0);
    let arguments = [local::CALLS.as_ptr() as u64, FUTEX_WAIT_PRIVATE, calls.into(), 0, 0, 0];
    // SAFETY: the word is there for as long as the process.
    match unsafe { isa::interruptible_syscall(futex, arguments, interrupted) } {
        CANCELLED => CANCELLED,
        _ => -EINTR,
    }
}

/// Whether a `write` was left with something to write because of a move, which the program must not notice.
fn is_cut_short(pending: &Pending, result: i64) -> bool {
    pending.number() == WRITE
        && result > 0
        && (result as u64) < pending.arguments[2]
        && (Thread::current().wanted.is_for_move() || local::ATTENTION.load(Ordering::Relaxed) != 0)
}

/// # Safety
/// That of the call.
unsafe fn interrupted_by_handler(pending: &Pending, mask: u64, has_own_mask: bool, deliverable: u64) -> Outcome {
    let first = u64::from(deliverable.trailing_zeros()) + 1;
    let ends = is_ended_by(pending.cancellable, deliverable);
    let restarts = pending.row.blocking == Blocking::Restart
        && signals::action(first).is_some_and(|action| action.flags & SA_RESTART != 0);
    // If the kernel was never entered, the signal came before the call.
    let afterwards = if !ends && (restarts || !pending.started && !has_own_mask) {
        Afterwards::Again(pending.again())
    } else if let Some(written) = pending.written {
        Afterwards::Return(written as i64)
    } else {
        // SAFETY: by the contract above.
        unsafe { pending.report_rest() };
        Afterwards::Return(-EINTR)
    };
    Outcome { afterwards, deliver: Some(mask) }
}
