//! Mutual exclusion between the program's threads, for tables of the runtime's. Critical sections contain no migration point.

use crate::syscall::kernel;
use crate::syscall::numbers::FUTEX;
use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicU32, Ordering};

const OPEN: u32 = 0;
const TAKEN: u32 = 1;
/// Taken, and others may sleep until it is open.
const AWAITED: u32 = 2;

/// A value that one thread at a time can use (the mutex of Drepper, "Futexes Are Tricky", section 6).
pub struct Lock<T> {
    state: AtomicU32,
    value: UnsafeCell<T>,
}

// SAFETY: only the holder of the lock reaches the value.
unsafe impl<T: Send> Sync for Lock<T> {}

impl<T> Lock<T> {
    /// An open lock.
    pub const fn new(value: T) -> Lock<T> {
        Lock { state: AtomicU32::new(OPEN), value: UnsafeCell::new(value) }
    }

    /// Waits for the lock.
    pub fn lock(&self) -> Guard<'_, T> {
        if self.state.compare_exchange(OPEN, TAKEN, Ordering::Acquire, Ordering::Relaxed).is_err() {
            while self.state.swap(AWAITED, Ordering::Acquire) != OPEN {
                wait_while(&self.state, AWAITED);
            }
        }
        Guard { lock: self }
    }

    /// In the child of a `fork`, whose only thread does not hold the lock: opens it, for another thread of the parent's may have held it. Returns
    /// whether one has.
    pub fn reopen(&self) -> bool {
        self.state.swap(OPEN, Ordering::Acquire) != OPEN
    }
}

/// Sleeps while the word is `value`, or a little less.
pub fn wait_while(word: &AtomicU32, value: u32) {
    // SAFETY: the word's address; without a time limit nothing else is read.
    unsafe { kernel::call(FUTEX, [word.as_ptr() as u64, FUTEX_WAIT_PRIVATE, value.into(), 0]) };
}

/// As [`wait_while`], for this many nanoseconds at most.
pub fn wait_at_most(word: &AtomicU32, value: u32, nanoseconds: u64) {
    let time = [nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000];
    // SAFETY: the word's address, and a `struct timespec`.
    unsafe { kernel::call(FUTEX, [word.as_ptr() as u64, FUTEX_WAIT_PRIVATE, value.into(), time.as_ptr() as u64]) };
}

/// Wakes up to `count` threads that sleep by [`wait_while`].
pub fn wake(word: &AtomicU32, count: u32) {
    // SAFETY: as above.
    unsafe { kernel::call(FUTEX, [word.as_ptr() as u64, FUTEX_WAKE_PRIVATE, count.into()]) };
}

/// The operation by which a thread sleeps.
pub const FUTEX_WAIT_PRIVATE: u64 = 128;
const FUTEX_WAKE_PRIVATE: u64 = 129;

/// The value, while the lock is held.
pub struct Guard<'a, T> {
    lock: &'a Lock<T>,
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the lock is held.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the lock is held.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        if self.lock.state.swap(OPEN, Ordering::Release) == AWAITED {
            wake(&self.lock.state, 1);
        }
    }
}
