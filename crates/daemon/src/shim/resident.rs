//! What the threads of a shim share about its program.

use super::streams::Flow;
use crate::directory::Directory;
use crate::error::Result;
use crate::message::{Location, ProgramState, ProgramStatus, Start};
use maize_node::Departures;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
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
        *self.here.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) fn say(&self, here: bool) {
        *self.here.lock().unwrap_or_else(PoisonError::into_inner) = Some(here);
        self.said.notify_all();
    }

    /// What has been said by then.
    pub(super) fn wait(&self, time: Duration) -> Option<bool> {
        let here = self.here.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.said.wait_timeout_while(here, time, |here| here.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.take()
    }
}

/// The program in the care of this process.
pub(super) struct Resident {
    /// As it was started.
    pub(super) start: Start,
    /// The node's directory.
    pub(super) node: Directory,
    /// The program's own directory.
    pub(super) directory: PathBuf,
    /// The program's file, under its own name.
    pub(super) file: PathBuf,
    /// By which it is told to go.
    pub(super) departures: Arc<Departures>,
    /// What it writes that is not in the log yet.
    pub(super) flow: Flow,
    /// It is on its way.
    pub(super) leaves: AtomicBool,
    /// Told by hand, while it is not known whether it has come to another node: it is to run on here, or is taken to be there.
    pub(super) verdict: Verdict,
    pub(super) status: Mutex<ProgramStatus>,
}

impl Resident {
    /// How it is.
    pub(super) fn status(&self) -> ProgramStatus {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Writes down what has become of it. Where it has gone is the last that is known of it here.
    pub(super) fn becomes(&self, state: ProgramState) -> Result<()> {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(status.state, ProgramState::Moved(_)) {
            status.state = state;
        }
        super::record::write(&self.directory, &status)
    }

    /// Hands a signal on to the program, unless it has gone: whether it has not.
    pub(super) fn hand_on(&self, signal: u8, to_signals: &mut impl Write) -> io::Result<bool> {
        // Held until it is in the pipe: after the program has gone nothing more comes into that.
        let status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        let is_here = !matches!(status.state, ProgramState::Moved(_));
        if is_here {
            to_signals.write_all(&[signal])?;
        }
        Ok(is_here)
    }

    /// It has gone there.
    pub(super) fn has_moved(&self, to: &Location) -> Result<()> {
        self.becomes(ProgramState::Moved(to.clone()))
    }
}
