//! A program that goes to another node: like a snapshot, whose other end is there instead of on disk (docs/nodes.md). How it gets there is the
//! business of who has asked for it.

use crate::checkpoint::{Goal, Order};
use crate::supervisor::Supervisor;
use crate::write::{Parts, write_parts};
use maize_snapshot::SnapshotError;
use rustix::process::{Pid, Signal, kill_process};
use std::fmt;
use std::io::{self, Read as _, Write};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A program all of whose processes wait: they run on if it does not get away.
pub struct Captured {
    pub(crate) parts: Parts,
    /// Its host processes.
    pub(crate) hosts: Vec<Pid>,
}

impl Captured {
    /// Stops the host processes: they do not run on even if this process is killed.
    pub fn hold(&self) {
        self.signal(Signal::STOP);
    }

    /// Undoes [`Captured::hold`].
    pub fn release(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        for &host in &self.hosts {
            // One that has ended needs none; this process has not waited for it, so no other has its id.
            let _ = kill_process(host, signal);
        }
    }

    /// Writes it, as docs/snapshot.md has it. Returns what it was written to.
    ///
    /// # Errors
    /// [`SnapshotError`].
    pub fn write<W: Write>(&self, output: W) -> Result<W, SnapshotError> {
        write_parts(&self.parts, output).map(|(output, _)| output)
    }
}

/// Takes a program away, on a thread of its own. It is called with the program, or with the reason why that could not be captured. If it returns nothing, the program runs elsewhere
/// and never again here; otherwise it runs on here.
pub type Carry = Box<dyn FnOnce(Result<&Captured, String>) -> Result<(), String> + Send>;

/// That a program is to go.
pub struct Departure {
    /// How long it may take to stop all of its processes.
    pub timeout: Duration,
    /// What takes it away. Dropped without a call if the program ends before.
    pub carry: Carry,
}

impl fmt::Debug for Departure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Departure").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// By which a program that runs is told to go.
#[derive(Debug)]
pub struct Departures {
    asked: Mutex<Vec<Departure>>,
    reader: io::PipeReader,
    writer: io::PipeWriter,
}

impl Departures {
    /// None is asked for yet.
    ///
    /// # Errors
    /// If no pipe can be made.
    pub fn new() -> io::Result<Departures> {
        let (reader, writer) = io::pipe()?;
        Ok(Departures { asked: Mutex::default(), reader, writer })
    }

    /// Asks for one.
    ///
    /// # Errors
    /// If the program cannot be woken.
    pub fn ask(&self, departure: Departure) -> io::Result<()> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(departure);
        (&self.writer).write_all(&[0])
    }

    /// Becomes readable when one is asked for.
    pub(crate) fn asked(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }

    fn take(&self) -> Option<Departure> {
        (&self.reader).read_exact(&mut [0]).ok()?;
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

impl Supervisor<'_> {
    /// Begins what has been asked for.
    pub(crate) fn depart(&mut self) {
        let departures = self.common.options.departures.clone();
        let Some(Departure { timeout, carry }) = departures.and_then(|departures| departures.take()) else { return };
        let obstacle = match &self.job {
            Some(_) => Some(crate::orders::BUSY.to_owned()),
            None => self.take_over_processes().err(),
        };
        if let Some(reason) = obstacle {
            // There is nobody else to tell.
            let _ = carry(Err(reason));
            return;
        }
        let order = Order { client: None, to: Goal::Away(Some(carry)), leave_running: false, timeout };
        // Never an answer: this is not busy, and has the table of processes.
        let _ = self.begin_checkpoint(order);
    }
}
