//! What is kept about signals: per process the actions, per thread the mask and what has come and waits.

use super::{COUNT, bit};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// `siginfo_t`, the same on every ISA: number, error, code, and what depends on the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Information(pub [u64; 16]);

impl Information {
    /// Of a signal with a code, the word with its sender, and its value.
    pub fn new(signal: u64, code: i32, sender: u64, value: u64) -> Information {
        let mut information = Information([signal, 0, sender, value, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        information.set_code(code);
        information
    }

    /// `si_code`.
    pub const fn code(&self) -> i32 {
        self.0[1] as i32
    }

    /// Sets `si_code`.
    pub fn set_code(&mut self, code: i32) {
        self.0[1] = u64::from(code as u32);
    }

    /// `si_pid`, which is there if a process has sent the signal.
    pub const fn sender(&self) -> i64 {
        self.0[2] as i32 as i64
    }

    /// `si_addr`, which is there if an instruction has caused the signal.
    pub const fn address(&self) -> u64 {
        self.0[2]
    }

    /// Sets `si_pid`.
    pub fn set_sender(&mut self, process: i64) {
        self.0[2] = self.0[2] & !0xffff_ffff | u64::from(process as u32);
    }
}

/// Signals without a real-time number are not queued: one that waits already is enough.
const FIRST_REAL_TIME: u64 = 32;
/// How many real-time signals of numbers that wait already are kept.
const QUEUE: usize = 32;

/// What has come to a thread. The host's handler adds to it; everything else that changes it keeps that handler out.
struct Waiting {
    information: [Information; COUNT as usize],
    queue: [(u64, Information); QUEUE],
    queued: usize,
}

/// The signals of one thread.
pub struct Signals {
    mask: AtomicU64,
    pending: AtomicU64,
    waiting: UnsafeCell<Waiting>,
    alternate_stack: [AtomicU64; 3],
    fault_stack: [AtomicU64; 2],
    interrupted: AtomicU32,
}

impl Signals {
    /// None blocked, none waiting.
    pub const fn new() -> Signals {
        let nothing = Information([0; 16]);
        Signals {
            mask: AtomicU64::new(0),
            pending: AtomicU64::new(0),
            waiting: UnsafeCell::new(Waiting {
                information: [nothing; COUNT as usize],
                queue: [(0, nothing); QUEUE],
                queued: 0,
            }),
            alternate_stack: [const { AtomicU64::new(0) }; 3],
            fault_stack: [const { AtomicU64::new(0) }; 2],
            interrupted: AtomicU32::new(0),
        }
    }

    /// Non-zero if a signal has come since the thread last looked: a system call that is about to wait must not.
    pub fn interrupted(&self) -> &AtomicU32 {
        &self.interrupted
    }

    /// The mask as the program sees it.
    pub fn mask(&self) -> u64 {
        self.mask.load(Ordering::Relaxed)
    }

    /// Notes the mask.
    pub fn set_mask(&self, mask: u64) {
        self.mask.store(mask, Ordering::Relaxed);
    }

    /// The signals that have come and wait.
    pub fn pending(&self) -> u64 {
        self.pending.load(Ordering::Acquire)
    }

    /// The signals that wait and are not in `mask`.
    pub fn deliverable(&self, mask: u64) -> u64 {
        self.pending() & !mask
    }

    /// Forgets signals that wait.
    pub fn forget(&self, signals: u64) {
        self.pending.fetch_and(!signals, Ordering::Relaxed);
    }

    /// Notes that a signal has come.
    ///
    /// # Safety
    /// Called by the thread itself with the host's handler kept out, or by that handler.
    pub unsafe fn record(&self, signal: u64, information: Information) {
        // SAFETY: by the contract above nobody else uses it.
        let waiting = unsafe { &mut *self.waiting.get() };
        if self.pending() & bit(signal) == 0 {
            if let Some(place) = waiting.information.get_mut(signal as usize - 1) {
                *place = information;
                self.pending.fetch_or(bit(signal), Ordering::Release);
            }
        } else if signal >= FIRST_REAL_TIME
            && let Some(place) = waiting.queue.get_mut(waiting.queued)
        {
            *place = (signal, information);
            waiting.queued += 1;
        }
    }

    /// Takes the first signal that waits and is not in `mask`.
    ///
    /// # Safety
    /// As for [`Signals::record`].
    pub unsafe fn take(&self, mask: u64) -> Option<(u64, Information)> {
        let deliverable = self.deliverable(mask);
        if deliverable == 0 {
            return None;
        }
        let signal = u64::from(deliverable.trailing_zeros()) + 1;
        // SAFETY: by the contract above nobody else uses it.
        let waiting = unsafe { &mut *self.waiting.get() };
        let information = *waiting.information.get(signal as usize - 1)?;
        self.forget(bit(signal));
        let queued = waiting.queue.get_mut(..waiting.queued)?;
        if let Some(index) = queued.iter().position(|entry| entry.0 == signal) {
            let (_, next) = queued[index];
            queued.copy_within(index + 1.., index);
            waiting.queued -= 1;
            // SAFETY: as this function.
            unsafe { self.record(signal, next) };
        }
        Some((signal, information))
    }

    /// The words of `stack_t` that the program gave to `sigaltstack`: address, flags, size.
    pub fn alternate_stack(&self) -> [u64; 3] {
        [0, 1, 2].map(|index: usize| self.alternate_stack[index].load(Ordering::Relaxed))
    }

    /// Notes them.
    pub fn set_alternate_stack(&self, words: [u64; 3]) {
        for (to, from) in self.alternate_stack.iter().zip(words) {
            to.store(from, Ordering::Relaxed);
        }
    }

    /// The part of the machine stack that a fault's handler uses: from and up to an address; `[0, 0]` for none.
    pub fn fault_stack(&self) -> [u64; 2] {
        [0, 1].map(|index: usize| self.fault_stack[index].load(Ordering::Relaxed))
    }

    /// Notes it.
    pub fn set_fault_stack(&self, bounds: [u64; 2]) {
        for (to, from) in self.fault_stack.iter().zip(bounds) {
            to.store(from, Ordering::Relaxed);
        }
    }

    /// Whether code with this stack pointer is part of a fault's handler. If not, none runs any more: it may have been
    /// left by `longjmp`.
    pub fn in_fault_handler(&self, stack_pointer: u64) -> bool {
        let [low, high] = self.fault_stack();
        let inside = low <= stack_pointer && stack_pointer < high;
        if !inside && high != 0 {
            self.set_fault_stack([0, 0]);
        }
        inside
    }
}

impl Default for Signals {
    fn default() -> Signals {
        Signals::new()
    }
}

/// What the program wants done with a signal, as in the kernel's `struct sigaction`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Action {
    /// The handler, [`super::DEFAULT`] or [`super::IGNORE`].
    pub handler: u64,
    /// `SA_*`.
    pub flags: u64,
    /// Kept for the program, not used.
    pub restorer: u64,
    /// Signals blocked while the handler runs.
    pub mask: u64,
}

/// The actions of a process.
pub struct Actions {
    words: [[AtomicU64; 4]; COUNT as usize],
    /// The signals whose action the program has set; of others the kernel knows.
    set: AtomicU64,
}

impl Actions {
    /// None set.
    pub const fn new() -> Actions {
        Actions { words: [const { [const { AtomicU64::new(0) }; 4] }; COUNT as usize], set: AtomicU64::new(0) }
    }

    /// The action of a signal, if the program has set it.
    pub fn get(&self, signal: u64) -> Option<Action> {
        if self.set.load(Ordering::Acquire) & bit(signal) == 0 {
            return None;
        }
        let words = self.words.get(signal as usize - 1)?;
        let [handler, flags, restorer, mask] = [0, 1, 2, 3].map(|index: usize| words[index].load(Ordering::Relaxed));
        Some(Action { handler, flags, restorer, mask })
    }

    /// Sets the action of a signal.
    pub fn set(&self, signal: u64, action: Action) {
        let Some(words) = self.words.get(signal as usize - 1) else { return };
        for (to, from) in words.iter().zip([action.handler, action.flags, action.restorer, action.mask]) {
            to.store(from, Ordering::Relaxed);
        }
        self.set.fetch_or(bit(signal), Ordering::Release);
    }
}

impl Default for Actions {
    fn default() -> Actions {
        Actions::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn information(value: u64) -> Information {
        Information([value; 16])
    }

    #[test]
    fn standard_signals_are_kept_once_and_real_time_signals_queued_in_order() {
        let signals = Signals::new();
        // SAFETY: no handler exists here.
        unsafe {
            for (signal, value) in [(10, 1), (10, 2), (40, 3), (40, 4), (40, 5), (41, 6)] {
                signals.record(signal, information(value));
            }
            let mut taken = Vec::new();
            while let Some((signal, information)) = signals.take(0) {
                taken.push((signal, information.0[0]));
            }
            assert_eq!(taken, [(10, 1), (40, 3), (40, 4), (40, 5), (41, 6)]);
        }
    }

    #[test]
    fn blocked_signals_wait() {
        let signals = Signals::new();
        // SAFETY: no handler exists here.
        unsafe {
            signals.record(15, information(1));
            assert_eq!(signals.take(bit(15)), None);
            assert_eq!(signals.deliverable(bit(15)), 0);
            assert_eq!(signals.take(bit(14)), Some((15, information(1))));
            assert_eq!(signals.pending(), 0);
        }
    }

    #[test]
    fn a_full_queue_drops_what_comes() {
        let signals = Signals::new();
        // SAFETY: no handler exists here.
        unsafe {
            (0..100).for_each(|value| signals.record(50, information(value)));
            let taken = std::iter::from_fn(|| signals.take(0)).count();
            assert_eq!(taken, QUEUE + 1);
        }
    }

    #[test]
    fn a_fault_handler_that_was_left_is_forgotten() {
        let signals = Signals::new();
        signals.set_fault_stack([100, 200]);
        assert!(signals.in_fault_handler(150));
        assert!(!signals.in_fault_handler(200));
        assert!(!signals.in_fault_handler(150));
    }

    #[test]
    fn actions_are_unknown_until_set() {
        let actions = Actions::new();
        assert_eq!(actions.get(64), None);
        let action = Action { handler: 1, flags: 2, restorer: 3, mask: 4 };
        actions.set(64, action);
        assert_eq!((actions.get(64), actions.get(1)), (Some(action), None));
    }
}
