//! Something that takes its time, on a thread beside the supervisor.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};

/// What it will give. If that can be cancelled, dropping this cancels it and waits for its end.
pub(crate) struct Worker<T> {
    done: io::PipeReader,
    result: Receiver<T>,
    cancelled: Option<Arc<AtomicBool>>,
    thread: Option<JoinHandle<()>>,
}

impl<T: Send + 'static> Worker<T> {
    /// Begins. `body` soon ends once `cancelled` is set.
    ///
    /// # Errors
    /// If there can be no thread.
    pub(crate) fn begin(
        cancelled: Option<Arc<AtomicBool>>,
        body: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<Worker<T>> {
        let (done, ending) = io::pipe()?;
        let (sender, result) = channel();
        let thread = thread::Builder::new().name(String::from("snapshot")).spawn(move || {
            // Whoever waits for it may have gone.
            let _ = sender.send(body());
            drop(ending);
        })?;
        Ok(Worker { done, result, cancelled, thread: Some(thread) })
    }
}

impl<T> Worker<T> {
    /// Becomes readable when it is done.
    pub(crate) fn done(&self) -> BorrowedFd<'_> {
        self.done.as_fd()
    }

    /// What it gives; nothing if it is not done yet.
    pub(crate) fn result(&mut self) -> Option<T> {
        let result = self.result.try_recv().ok()?;
        self.cancelled = None;
        Some(result)
    }
}

impl<T> Drop for Worker<T> {
    fn drop(&mut self) {
        let Some(cancelled) = &self.cancelled else { return };
        cancelled.store(true, Ordering::Relaxed);
        // One that has panicked has said so.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
