//! A program that goes to another node: like a snapshot, whose other end is there instead of on disk (docs/nodes.md). How it gets there is the
//! business of who has asked for it.

use crate::checkpoint::{Goal, Order};
use crate::network::Connection;
use crate::precopy::Precopy;
use crate::remaining::Remaining;
use crate::supervisor::Supervisor;
use crate::survey::Survey;
use crate::sync::lock;
use crate::watching::{WATCHES_WITHIN, Watches};
use crate::write::{Parts, write_parts};
use maize_snapshot::{SnapshotError, Writer};
use rustix::process::{Pid, Signal, kill_process};
use std::fmt;
use std::io::{self, Read as _, Write};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::Mutex;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// A supervisor answers at once, if it is there.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often to look again at what is in the way. An emulator takes tens of milliseconds to fork on a busy machine.
const LOOKS: u32 = 200;
/// Time between questions.
const AGAIN: Duration = Duration::from_millis(1);

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

    /// Ends the host processes: the program is elsewhere.
    pub fn end(&self) {
        self.signal(Signal::KILL);
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

    /// Takes its own address and its connections away from this machine, and tells what these are made of. If it does not get away it has them here again.
    ///
    /// # Errors
    /// Which of them cannot be taken along, and why.
    pub fn hold_connections(&self) -> Result<Vec<Connection>, String> {
        self.parts.carried.hold()
    }

    /// Writes what has not been sent ahead, to where that has gone. If a part of its memory may follow the program (`leaves`), and would take long to send now, that part is
    /// not written, but is returned.
    ///
    /// # Errors
    /// [`SnapshotError`].
    pub fn write<W: Write>(&mut self, writer: &mut Writer<W>, leaves: bool) -> Result<Remaining, SnapshotError> {
        self.parts.remaining = leaves.then(Remaining::default);
        write_parts(&mut self.parts, writer)?;
        Ok(self.parts.remaining.take().unwrap_or_default())
    }
}

/// Takes a program away, on a thread of its own. It is called with the program, or with the reason why that could not be captured. If it returns nothing, the program runs elsewhere
/// and never again here; otherwise it runs on here.
pub type Carry = Box<dyn FnOnce(Result<&mut Captured, String>) -> Result<(), String> + Send>;

/// That a program is to go.
pub struct Departure {
    /// How long it may take to stop all of its processes.
    pub timeout: Duration,
    /// What has been sent ahead.
    pub precopy: Precopy,
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
    /// Who may be late is waited for, or not.
    Watch(bool, SyncSender<Option<Watches>>),
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
        *lock(&self.note) = text;
    }

    /// What `maize ps` is to show.
    pub(crate) fn noted(&self) -> Option<String> {
        lock(&self.note).clone()
    }

    /// What is known of the program without stopping it.
    ///
    /// # Errors
    /// If the program cannot be woken, or is not looked after any more.
    pub fn survey(&self) -> io::Result<Survey> {
        let mut survey = self.question(Asked::Survey)?;
        // In a process that forks, the runtime's own sockets may be among the program's for a moment.
        for _ in 0..LOOKS {
            if survey.obstacles.is_empty() {
                break;
            }
            thread::sleep(AGAIN);
            survey = self.question(Asked::Survey)?;
        }
        Ok(survey)
    }

    /// What is needed to send the program's memory ahead while it runs.
    ///
    /// # Errors
    /// If the program cannot be woken, or is not looked after any more.
    pub fn precopy(&self) -> io::Result<Precopy> {
        // The program runs meanwhile.
        let until = Instant::now() + 4 * WATCHES_WITHIN;
        loop {
            let waits = Instant::now() < until;
            if let Some(trackers) = self.question(|tell| Asked::Watch(waits, tell))? {
                return Ok(Precopy::new(trackers));
            }
            thread::sleep(AGAIN);
        }
    }

    /// Asks the supervisor something, and waits for the answer.
    fn question<T>(&self, asked: impl FnOnce(SyncSender<T>) -> Asked) -> io::Result<T> {
        let (tell, told) = sync_channel(1);
        self.push(asked(tell))?;
        told.recv_timeout(PATIENCE).map_err(|_| io::ErrorKind::TimedOut.into())
    }

    fn push(&self, asked: Asked) -> io::Result<()> {
        lock(&self.asked).push(asked);
        (&self.writer).write_all(&[0])
    }

    /// Becomes readable when one is asked for.
    pub(crate) fn asked(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }

    fn take(&self) -> Option<Asked> {
        (&self.reader).read_exact(&mut [0]).ok()?;
        lock(&self.asked).pop()
    }
}

impl Supervisor<'_> {
    /// Does or begins what has been asked for.
    pub(crate) fn depart(&mut self) {
        let departures = self.common.options.departures.clone();
        let Departure { timeout, precopy, carry } = match departures.and_then(|departures| departures.take()) {
            None => return,
            Some(Asked::Survey(tell)) => {
                // Who asked may have given up.
                let _ = tell.send(self.survey());
                return;
            }
            Some(Asked::Watch(waits, tell)) => {
                // Both would be told of half the changes.
                self.chain = None;
                let _ = tell.send(self.watches(&Precopy::default(), waits));
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
        let order =
            Order { client: None, to: Goal::Away(Some(carry)), leave_running: false, holds: false, timeout, precopy };
        // Never an answer: this is not busy, and has the table of processes.
        let _ = self.begin_checkpoint(order);
    }
}
