//! A program that goes to another node: like a snapshot, whose other end is there instead of on disk (docs/nodes.md). How it gets there is the
//! business of who has asked for it.

use crate::checkpoint::{Goal, Order};
use crate::supervisor::Supervisor;
use crate::survey::Survey;
use crate::write::{Parts, write_parts};
use maize_snapshot::SnapshotError;
use rustix::process::{Pid, Signal, kill_process};
use std::fmt;
use std::io::{self, Read as _, Write};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A supervisor answers at once, if it is there.
const PATIENCE: Duration = Duration::from_secs(10);

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

    /// The process ids of its hosts.
    #[must_use]
    pub fn hosts(&self) -> Vec<u32> {
        self.hosts.iter().map(|host| host.as_raw_nonzero().get().unsigned_abs()).collect()
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

/// What is asked of a program that runs.
#[derive(Debug)]
enum Asked {
    Departure(Departure),
    Survey(SyncSender<Survey>),
}

/// By which a program that runs is told to go.
#[derive(Debug)]
pub struct Departures {
    asked: Mutex<Vec<Asked>>,
    /// Why the program waits, for people, while it is neither here nor elsewhere.
    note: Mutex<Option<String>>,
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
        Ok(Departures { asked: Mutex::default(), note: Mutex::default(), reader, writer })
    }

    /// Asks for one.
    ///
    /// # Errors
    /// If the program cannot be woken.
    pub fn ask(&self, departure: Departure) -> io::Result<()> {
        self.push(Asked::Departure(departure))
    }

    /// Has `maize ps` show this of the program, or nothing more.
    pub fn note(&self, text: Option<String>) {
        *self.note.lock().unwrap_or_else(PoisonError::into_inner) = text;
    }

    /// What `maize ps` is to show.
    pub(crate) fn noted(&self) -> Option<String> {
        self.note.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is known of the program without stopping it.
    ///
    /// # Errors
    /// If the program cannot be woken, or is not looked after any more.
    pub fn survey(&self) -> io::Result<Survey> {
        let (tell, told) = sync_channel(1);
        self.push(Asked::Survey(tell))?;
        told.recv_timeout(PATIENCE).map_err(|_| io::ErrorKind::TimedOut.into())
    }

    fn push(&self, asked: Asked) -> io::Result<()> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(asked);
        (&self.writer).write_all(&[0])
    }

    /// Becomes readable when one is asked for.
    pub(crate) fn asked(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }

    fn take(&self) -> Option<Asked> {
        (&self.reader).read_exact(&mut [0]).ok()?;
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

impl Supervisor<'_> {
    /// Does or begins what has been asked for.
    pub(crate) fn depart(&mut self) {
        let departures = self.common.options.departures.clone();
        let Departure { timeout, carry } = match departures.and_then(|departures| departures.take()) {
            None => return,
            Some(Asked::Survey(tell)) => {
                // Who asked may have given up.
                let _ = tell.send(self.survey());
                return;
            }
            Some(Asked::Departure(departure)) => departure,
        };
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
