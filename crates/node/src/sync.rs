//! Locks that outlive panics.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Waits for a lock. What a panic of another thread leaves is still whole: nothing is changed by halves here.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
