//! Mutual exclusion between the program's threads, for tables of the runtime's. Critical sections are short and
//! contain no migration point, so whoever waits just lets the others run.

use crate::syscall::kernel;
use crate::syscall::numbers::SCHED_YIELD;
use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicU32, Ordering};

/// A value that one thread at a time can use.
pub struct Lock<T> {
    taken: AtomicU32,
    value: UnsafeCell<T>,
}

// SAFETY: only the holder of the lock reaches the value.
unsafe impl<T: Send> Sync for Lock<T> {}

impl<T> Lock<T> {
    /// An open lock.
    pub const fn new(value: T) -> Lock<T> {
        Lock { taken: AtomicU32::new(0), value: UnsafeCell::new(value) }
    }

    /// Waits for the lock.
    pub fn lock(&self) -> Guard<'_, T> {
        while self.taken.swap(1, Ordering::Acquire) != 0 {
            // SAFETY: takes no pointers.
            unsafe { kernel::call(SCHED_YIELD, []) };
        }
        Guard { lock: self }
    }
}

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
        self.lock.taken.store(0, Ordering::Release);
    }
}
