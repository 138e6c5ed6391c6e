//! What the threads of a shim share about its program.

use super::follow::Successors;
use super::relay::Relay;
use super::streams::{AGAIN, Flow};
use crate::directory::{Directory, Draft, has_no_room};
use crate::error::{NodeError, Result};
use crate::message::{Location, ProgramState, ProgramStatus, Start};
use crate::sync::lock;
use maize_files::Belief;
use maize_node::{Departures, Fetched};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// What a person says about a program of which the nodes do not know where it is.
#[derive(Default)]
pub(super) struct Verdict {
    /// Whether it is to run on here.
    here: Mutex<Option<bool>>,
    said: Condvar,
}

impl Verdict {
    /// Forgets what was said about another attempt.
    pub(super) fn forget(&self) {
        *lock(&self.here) = None;
    }

    pub(super) fn say(&self, here: bool) {
        *lock(&self.here) = Some(here);
        self.said.notify_all();
    }

    /// What has been said by then.
    pub(super) fn wait(&self, time: Duration) -> Option<bool> {
        let here = lock(&self.here);
        let waited = self.said.wait_timeout_while(here, time, |here| here.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.take()
    }
}

/// The program in the care of this process.
pub(super) struct Resident {
    /// As it was started.
    pub(super) start: Start,
    /// The node's name.
    pub(super) name: String,
    /// The node's directory.
    pub(super) node: Directory,
    /// Where the sockets of programs are.
    pub(super) control: PathBuf,
    /// The program's own directory.
    pub(super) directory: PathBuf,
    /// The program's file, under its own name.
    pub(super) file: PathBuf,
    /// By which it is told to go.
    pub(super) departures: Arc<Departures>,
    /// In the files of its home, if it sees those.
    pub(super) belief: Belief,
    /// What it writes that is not in the log yet.
    pub(super) flow: Flow,
    /// Of its streams, if it is attached to the command that has started it.
    pub(super) relay: Arc<Relay>,
    /// It is on its way.
    pub(super) leaves: AtomicBool,
    /// Tell those who have asked for that.
    pub(super) answering: Mutex<Vec<JoinHandle<()>>>,
    /// Sends a part of its memory after it, or takes such a part.
    pub(super) following: Mutex<Option<JoinHandle<()>>>,
    /// Of the connection by which that goes.
    pub(super) successors: Successors,
    /// Told by hand, while it is not known whether it has come to another node: it is to run on here, or is taken to be there.
    pub(super) verdict: Verdict,
    pub(super) status: Mutex<ProgramStatus>,
}

impl Resident {
    /// How it is.
    pub(super) fn status(&self) -> ProgramStatus {
        lock(&self.status).clone()
    }

    /// A thread that is going to tell somebody whether the program has gone.
    pub(super) fn answers(&self, thread: JoinHandle<()>) {
        let mut answering = lock(&self.answering);
        answering.retain(|thread| !thread.is_finished());
        answering.push(thread);
    }

    /// The program has gone: returns when that has been told.
    pub(super) fn wait_for_answers(&self) {
        let answering = std::mem::take(&mut *lock(&self.answering));
        for thread in answering {
            // It only sends.
            let _ = thread.join();
        }
    }

    /// A thread that sends a part of its memory after it, or takes such a part.
    pub(super) fn follows(&self, thread: JoinHandle<()>) {
        *lock(&self.following) = Some(thread);
    }

    /// Returns when nothing has to be sent after it any more, or is on its way here.
    pub(super) fn wait_for_what_follows(&self) {
        if let Some(thread) = lock(&self.following).take() {
            // A panic has been reported on standard error, and there the connection shows it.
            let _ = thread.join();
        }
    }

    /// Writes down what has become of it. Where it has gone is the last that is known of it here.
    pub(super) fn becomes(&self, state: ProgramState) -> Result<()> {
        let mut status = lock(&self.status);
        if !matches!(status.state, ProgramState::Moved(_)) {
            status.state = state;
        }
        super::record::write(&self.directory, &status)
    }

    /// Writes down that more of its memory has come while it ran.
    pub(super) fn has_fetched(&self, more: &Fetched) -> Result<()> {
        let mut status = lock(&self.status);
        let before = status.fetched.unwrap_or_default();
        status.fetched = Some(Fetched {
            bytes: before.bytes + more.bytes,
            faults: before.faults + more.faults,
            took_us: before.took_us.max(more.took_us),
        });
        super::record::write(&self.directory, &status)
    }

    /// Writes down how it has ended: as soon as there is room on the disk for that.
    pub(super) fn becomes_at_last(&self, state: ProgramState) -> Result<()> {
        loop {
            match self.becomes(state.clone()) {
                Err(NodeError::File { source, .. }) if has_no_room(&source) => thread::sleep(AGAIN),
                result => return result,
            }
        }
    }

    /// Hands a signal on to the program, unless it has gone: whether it has not.
    pub(super) fn hand_on(&self, signal: u8, to_signals: &mut impl Write) -> io::Result<bool> {
        // Held until it is in the pipe: after the program has gone nothing more comes into that.
        let status = lock(&self.status);
        let is_here = !matches!(status.state, ProgramState::Moved(_));
        if is_here {
            to_signals.write_all(&[signal])?;
        }
        Ok(is_here)
    }

    /// It has come, as this record says, which is written already: that gets its name, unless more is known by now.
    pub(super) fn has_come(&self, record: Draft) -> Result<()> {
        let status = lock(&self.status);
        let is_all = status.state == ProgramState::Running && status.fetched.is_none();
        if is_all { record.place() } else { Ok(()) }
    }

    /// It has gone there.
    pub(super) fn has_moved(&self, to: &Location) -> Result<()> {
        self.becomes(ProgramState::Moved(to.clone()))
    }
}
