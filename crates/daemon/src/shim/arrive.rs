//! The side of a move between nodes that the program comes to (docs/nodes.md): the program is put in place, and runs when the other side says so and nothing else has been
//! decided meanwhile.

use super::log;
use super::resident::Resident;
use crate::arrivals::{self, Arrived, Arriving};
use crate::channel::{Opener, Sealer};
use crate::link::Come;
use crate::message::{FromDestination, LIMIT, ProgramState, ToDestination, receive, send};
use maize_node::{Need, Report, RunError, RunOptions};
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// The other side may take so long to stop the program, and to send a piece of it.
const PATIENCE: Duration = Duration::from_secs(120);

/// The connection to the shim that the program leaves.
#[derive(Clone)]
pub(super) struct Link {
    sealer: Arc<Mutex<Sealer>>,
    opener: Arc<Mutex<Opener>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Link {
    pub(super) fn new(sealer: Sealer, opener: Opener) -> io::Result<Link> {
        opener.socket().set_read_timeout(Some(PATIENCE))?;
        opener.socket().set_write_timeout(Some(PATIENCE))?;
        Ok(Link { sealer: Arc::new(Mutex::new(sealer)), opener: Arc::new(Mutex::new(opener)) })
    }

    pub(super) fn say(&self, message: &FromDestination) -> io::Result<()> {
        send(&mut *lock(&self.sealer), message)
    }

    fn hear(&self) -> io::Result<ToDestination> {
        receive(&mut *lock(&self.opener), LIMIT)?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// Says why the program cannot come, and waits until that has been heard.
    pub(super) fn refuse(&self, reason: String) {
        if self.say(&FromDestination::Refused(reason)).is_ok() {
            // Closing with something unread would take back what has been said.
            while self.hear().is_ok() {}
        }
    }

    /// Says whether all is here that the program uses by name.
    pub(super) fn check(&self) -> Result<(), String> {
        let lost = |error: io::Error| format!("the program's old node is lost: {error}");
        let ToDestination::Needs(needs) = self.hear().map_err(lost)? else {
            return Err("not understood: no list of files".into());
        };
        let missing: Vec<String> = needs.iter().filter_map(Need::obstacle).collect();
        if !missing.is_empty() {
            return Err(missing.join("\n  "));
        }
        self.say(&FromDestination::Suitable).map_err(lost)
    }

    /// Takes over what the program has written so far; returns the first piece of what comes then.
    pub(super) fn receive_log(&self, writer: &Mutex<log::Writer>) -> io::Result<Pieces> {
        loop {
            match self.hear()? {
                ToDestination::Log(record) => lock(writer).copy(&record)?,
                ToDestination::Piece(piece) => {
                    return Ok(Pieces { link: self.clone(), piece, taken: 0, ended: false });
                }
                other => return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{other:?} before a program"))),
            }
        }
    }
}

/// The snapshot, out of messages.
pub(super) struct Pieces {
    link: Link,
    piece: Vec<u8>,
    taken: usize,
    ended: bool,
}

impl Read for Pieces {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.piece.len() && !self.ended {
            match self.link.hear()? {
                ToDestination::Piece(piece) => (self.piece, self.taken) = (piece, 0),
                ToDestination::EndOfPieces => self.ended = true,
                other => return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{other:?} in a program"))),
            }
        }
        let length = bytes.len().min(self.piece.len() - self.taken);
        bytes[..length].copy_from_slice(&self.piece[self.taken..][..length]);
        self.taken += length;
        Ok(length)
    }
}

/// A program on its way here.
pub(super) struct Arrival<'a> {
    pub(super) come: &'a Come,
    pub(super) arriving: Arriving,
    /// It is this node's.
    pub(super) has_come: &'a AtomicBool,
}

/// Puts the program in place, and runs it to its end when it is committed.
pub(super) fn receive_program(
    resident: &Resident,
    link: &Link,
    pieces: Pieces,
    arrival: Arrival<'_>,
    options: &RunOptions,
) -> Result<Report, RunError> {
    let Arrival { come, arriving, has_come } = arrival;
    maize_node::receive(pieces, options, &mut |_| {}, || {
        commit(resident, link, come).inspect(|()| {
            has_come.store(true, Ordering::SeqCst);
            drop(arriving);
        })
    })
}

/// Returns when the program is this node's.
fn commit(resident: &Resident, link: &Link, come: &Come) -> Result<(), String> {
    let lost = |error: io::Error| format!("the program's old node is lost: {error}");
    link.say(&FromDestination::Restored).map_err(lost)?;
    match link.hear().map_err(lost)? {
        ToDestination::Commit => {}
        other => return Err(format!("{other:?} instead of a word to run it")),
    }
    let own = std::process::id();
    let (transfer, arrived) = (come.transfer, Arrived { program: own, from: come.from });
    match arrivals::decide(&resident.node, &transfer, Some(arrived)) {
        Ok(Some(program)) if program == own => {}
        Ok(_) => return Err("it has been decided that the program does not come".into()),
        Err(error) => return Err(error.to_string()),
    }
    // It is here whether or not that can be written down, or said.
    let _ = resident.becomes(ProgramState::Running);
    let _ = link.say(&FromDestination::Taken);
    let (link, node) = (link.clone(), resident.node.clone());
    thread::spawn(move || {
        if matches!(link.hear(), Ok(ToDestination::Known)) {
            arrivals::forget(&node, &transfer);
        }
    });
    Ok(())
}
