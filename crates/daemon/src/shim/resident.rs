//! What the threads of a shim share about its program.

use super::streams::Flow;
use crate::directory::Directory;
use crate::error::Result;
use crate::message::{Location, ProgramState, ProgramStatus, Start};
use maize_node::Departures;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

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

    /// It has gone there.
    pub(super) fn has_moved(&self, to: &Location) -> Result<()> {
        self.becomes(ProgramState::Moved(to.clone()))
    }
}
