//! System calls. The program makes those of Linux x86-64, whatever the ISA: [`table`] says for each what it is here, [`emulate`]
//! has those that the runtime answers itself, [`convert`] the structures that differ between ISAs, [`block`] what becomes
//! of calls that wait.

pub mod call;
pub mod numbers;
pub mod plain;
pub mod structures;
pub mod table;

#[cfg(not(test))]
pub mod block;
#[cfg(not(test))]
pub mod convert;
#[cfg(not(test))]
pub mod emulate;
#[cfg(not(test))]
pub mod kernel;
#[cfg(not(test))]
mod reach;

#[cfg(not(test))]
pub use host::*;

#[cfg(not(test))]
mod host {
    use super::block::{self, Pending};
    use super::call::{Blocking, Call, Source};
    use super::numbers::*;
    use super::{convert, emulate, kernel, reach, table};
    use crate::events;
    use crate::isa::{Context, Entry, RegisterFile};
    use crate::local;
    use crate::migration::{self, Interrupted, Stop, closed, gather, record_locks};
    use crate::points;
    use crate::process::{Thread, proc_files, terminals};
    use crate::signal::bit;
    use crate::signal::delivery::{Afterwards, deliver_at_point, prepare};
    use crate::trace;
    use core::sync::atomic::Ordering;

    /// Set in the number of a call that is issued again: its timeout argument is a deadline, in nanoseconds of the
    /// monotonic clock.
    pub const DEADLINE: u64 = 1 << 32;
    /// Set in the number of a `write` that is issued again: the fourth argument is how much has been written.
    pub const PARTIAL: u64 = 1 << 33;

    /// Set in the number of a call that is issued again after it has been in the kernel: a signal that comes interrupts it,
    /// even if it comes while the call is not being made.
    pub const STARTED: u64 = 1 << 34;
    /// Set in the number of a call that is a cancellation point (libc/src/thread/syscall_cp.c): a request that comes before the kernel is entered ends it, too, for it comes after the look
    /// whether there is one.
    pub const CANCELLABLE: u64 = 1 << 35;

    /// The libc's signal for such requests.
    const SIGCANCEL: u64 = 33;

    /// Whether a call with this number ends with `EINTR` because of these signals, whenever they come.
    pub fn is_ended_by(number: u64, signals: u64) -> bool {
        number & CANCELLABLE != 0 && signals & bit(SIGCANCEL) != 0
    }

    /// Hears the node, or the thread that has heard it, if the program can move at this point.
    pub(super) fn attend(context: &Context, stop: Stop<'_>) {
        if Thread::current().signals.in_fault_handler(context.stack_pointer) {
            return;
        }
        let interrupted = Interrupted { context, stop };
        gather::stop(&interrupted);
        if local::ATTENTION.swap(0, Ordering::Acquire) != 0 && !record_locks::postpone() {
            migration::attend(&interrupted);
        }
        if events::is_due() {
            migration::reach(&interrupted);
        }
    }

    /// A migration point at which the thread was wanted.
    ///
    /// # Safety
    /// Called by the assembly entry with the program's registers.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn __maize_point_entry(registers: &RegisterFile, return_address: u64) {
        let context = registers.context(return_address);
        attend(&context, Stop::Point(registers));
        let signals = &Thread::current().signals;
        if signals.deliverable(signals.mask()) != 0 {
            // SAFETY: by the contract above.
            unsafe { deliver_at_point(&context, registers, signals.mask()) };
        }
    }

    /// A system call of the program's.
    ///
    /// # Safety
    /// Called by the assembly entry; that of the call.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn __maize_syscall_entry(entry: &mut Entry) -> i64 {
        let signals = &Thread::current().signals;
        let wanted = points::begin_call();
        if (events::count() && events::pass_call(entry.call[0])) || wanted {
            attend(&entry.context, Stop::Call(entry.call));
            let deliverable = signals.deliverable(signals.mask());
            if deliverable != 0 && entry.call[0] & STARTED == 0 {
                let afterwards = match is_ended_by(entry.call[0], deliverable) {
                    true => Afterwards::Return(-EINTR),
                    false => Afterwards::Again(entry.call),
                };
                entry.delivery = prepare(afterwards, signals.mask());
                points::end_call();
                return 0;
            }
        }
        // SAFETY: by the contract above.
        let outcome = unsafe { perform(&entry.context, entry.call) };
        record_locks::look_after(entry.call[0] & 0xffff_ffff);
        if local::TRACE_CALLS.load(Ordering::Relaxed) != 0 {
            trace::call(&entry.call, outcome.afterwards);
        }
        if let Some(mask) = outcome.deliver {
            entry.delivery = prepare(outcome.afterwards, mask);
        } else if signals.deliverable(signals.mask()) != 0 {
            entry.delivery = prepare(outcome.afterwards, signals.mask());
        }
        points::end_call();
        match outcome.afterwards {
            Afterwards::Return(result) => result,
            Afterwards::Again(_) => 0,
        }
    }

    /// How a call ended.
    pub struct Outcome {
        /// Its result, or that it is to be issued again.
        pub afterwards: Afterwards,
        /// Handlers are to run first, by this mask.
        pub deliver: Option<u64>,
    }

    impl Outcome {
        /// The call is done.
        pub const fn done(result: i64) -> Outcome {
            Outcome { afterwards: Afterwards::Return(result), deliver: None }
        }
    }

    /// Makes a call of the program's.
    ///
    /// # Safety
    /// That of the call.
    unsafe fn perform(context: &Context, call: [u64; 7]) -> Outcome {
        let [number, arguments @ ..] = call;
        let Some(original) = table::find(number & 0xffff_ffff) else { return Outcome::done(-ENOSYS) };
        let (row, arguments) = rewrite(original, arguments);
        if closed::is_any() {
            // SAFETY: by the contract above.
            unsafe { reach::provide(row, arguments) };
        }
        // SAFETY: by the contract above.
        if let Some(result) = unsafe { emulate::call(u64::from(row.number), &arguments) } {
            return Outcome::done(result);
        }
        let Some(native) = row.native(kernel::is_x86_64()).map(u64::from) else { return Outcome::done(-ENOSYS) };
        let host_arguments = convert::arguments_to_host(row, arguments);
        // SAFETY: by the contract above.
        unsafe {
            if let Some(result) = proc_files::call(u64::from(row.number), native, &host_arguments) {
                return Outcome::done(terminals::answered(u64::from(row.number), &host_arguments, result));
            }
            let mut name = terminals::Name::default();
            if let Some(arguments) = terminals::named(u64::from(row.number), &host_arguments, &mut name) {
                let result = convert::call(row, native, arguments);
                return Outcome::done(terminals::answered(u64::from(row.number), &host_arguments, result));
            }
            if let Some(result) = terminals::control(u64::from(row.number), &host_arguments) {
                return Outcome::done(result);
            }
        }
        let timeout = if number & DEADLINE == 0 { original.timeout.or(row.timeout) } else { row.timeout };
        // SAFETY: by the contract above.
        unsafe {
            if row.blocking == Blocking::No {
                let result = convert::call(row, native, host_arguments);
                return Outcome::done(terminals::answered(u64::from(row.number), &host_arguments, result));
            }
            match Pending::new(row, native, number, arguments, timeout) {
                Ok(pending) => block::wait(context, pending),
                Err(error) => Outcome::done(-error),
            }
        }
    }

    /// The call that is made in place of one, and its arguments.
    fn rewrite(original: &'static Call, arguments: [u64; 6]) -> (&'static Call, [u64; 6]) {
        let Some(rewrite) = original.rewrite else { return (original, arguments) };
        let Some(row) = table::find(rewrite.number.into()) else { return (original, arguments) };
        let argument = |source: Source| match source {
            Source::Argument(index) => arguments.get(usize::from(index)).copied().unwrap_or(0),
            Source::Constant(value) => i64::from(value) as u64,
        };
        (row, rewrite.arguments.map(argument))
    }
}
