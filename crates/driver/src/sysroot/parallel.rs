//! Runs a function over many items on several threads, and reports how far it has come.

use super::error::SysrootError;
use super::{Progress, ProgressFn};
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// One thread per processor.
pub fn default_jobs() -> NonZeroUsize {
    thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// Calls `work` for every item, `jobs` at a time, in no particular order. After an error no more items are begun.
///
/// # Errors
/// The first error of `work`.
pub fn for_each<T: Sync>(
    items: &[T],
    jobs: NonZeroUsize,
    progress: &ProgressFn<'_>,
    work: impl Fn(&T) -> Result<(), SysrootError> + Sync,
) -> Result<(), SysrootError> {
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let failure = Mutex::new(None);
    let worker = || {
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(error) = work(item) {
                next.store(items.len(), Ordering::Relaxed);
                failure.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).get_or_insert(error);
                return;
            }
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            progress(Progress::Units { done, total: items.len() });
        }
    };
    thread::scope(|scope| {
        for _ in 0..jobs.get().min(items.len()) {
            scope.spawn(worker);
        }
    });
    match failure.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}
