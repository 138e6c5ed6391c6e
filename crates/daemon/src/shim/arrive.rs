//! The side of a move between nodes that the program comes to (docs/nodes.md): the program is put in place, and runs when the other side says so and nothing else has been
//! decided meanwhile.

use super::after::Origin;
use super::incoming::Link;
use super::resident::Resident;
use super::{log, record};
use crate::arrivals::{self, Arrived, Arriving, Decision};
use crate::directory::Draft;
use crate::error::Result as NodeResult;
use crate::link::Come;
use crate::message::{FromDestination, ToDestination};
use crate::sync::lock;
use maize_node::{Connection, Event, Incoming, Need, Report, Rest, RunError, RunOptions};
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;

/// In the program's directory: the decision that it has come, before it is one.
const DECISION: &str = "decision";

impl Link {
    /// Says whether all is here that the program uses by name, as often as it is asked.
    pub(super) fn check(&self) -> Result<(), String> {
        let lost = |error: io::Error| format!("the program's old node is lost: {error}");
        loop {
            let ToDestination::Needs(needs) = self.hear().map_err(lost)? else {
                return Err("not understood: no list of files".into());
            };
            let missing = |need: Need| need.obstacle().map(|reason| (need, reason));
            let missing: Vec<(Need, String)> = needs.into_iter().filter_map(missing).collect();
            if missing.is_empty() {
                return self.say(&FromDestination::Suitable).map_err(lost);
            }
            self.say(&FromDestination::Missing(missing)).map_err(lost)?;
        }
    }

    /// Takes over what the program has written so far, if that is kept; returns what comes then.
    pub(super) fn receive_log(&self, log: Option<Arc<Mutex<log::Writer>>>, origin: Arc<Origin>) -> io::Result<Pieces> {
        loop {
            match (self.hear()?, &log) {
                (ToDestination::Log(record), Some(log)) => lock(log).copy(&record)?,
                (ToDestination::Piece(left), _) => {
                    let rest = Arc::new(self.rest());
                    return Ok(Pieces { link: self.clone(), log, rest, origin, left, ended: false });
                }
                (other, _) => {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{other:?} before a program")));
                }
            }
        }
    }
}

/// The snapshot, out of pieces. What the program goes on to write meanwhile comes between them.
pub(super) struct Pieces {
    link: Link,
    log: Option<Arc<Mutex<log::Writer>>>,
    rest: Arc<Rest>,
    origin: Arc<Origin>,
    /// Bytes of the piece that have not been read.
    left: u32,
    ended: bool,
}

impl Read for Pieces {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        while self.left == 0 && !self.ended {
            match (self.link.hear()?, &self.log) {
                (ToDestination::Piece(left), _) => self.left = left,
                (ToDestination::Log(record), Some(log)) => lock(log).copy(&record)?,
                (ToDestination::Mark(round), _) => self.link.say(&FromDestination::Marked(round))?,
                (ToDestination::Later { process, ranges }, _) => {
                    let ranges = ranges.into_iter().map(|(start, length)| start..start.saturating_add(length));
                    self.rest.expect(process, ranges);
                }
                (ToDestination::EndOfPieces, _) => {
                    self.ended = true;
                    if !self.rest.is_complete() {
                        self.origin.sort(&self.link, &self.rest)?;
                    }
                }
                (other, _) => {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{other:?} in a program")));
                }
            }
        }
        let length = bytes.len().min(self.left as usize);
        if length == 0 {
            return Ok(0);
        }
        let read = self.link.read(self.left as usize, &mut bytes[..length])?;
        self.left -= read as u32;
        Ok(read)
    }
}

/// What is written down when the program has come. It is on disk while the program still runs elsewhere, and gets its names when that is decided.
pub(super) struct Papers {
    decision: Decision,
    record: Draft,
}

impl Papers {
    /// Writes them.
    pub(super) fn prepare(resident: &Resident, come: &Come) -> NodeResult<Papers> {
        let arrived = Arrived { program: std::process::id(), from: come.from };
        let draft = resident.directory.join(DECISION);
        let decision = Decision::prepare(&resident.node, &come.transfer, Some(arrived), draft)?;
        Ok(Papers { decision, record: record::prepare(&resident.directory, &resident.status())? })
    }
}

/// A program on its way here.
pub(super) struct Arrival<'a> {
    pub(super) come: &'a Come,
    pub(super) arriving: Arriving,
    pub(super) papers: Papers,
    /// It is this node's.
    pub(super) has_come: &'a AtomicBool,
}

/// Puts the program in place, and runs it to its end when it is committed.
pub(super) fn receive_program(
    resident: &Arc<Resident>,
    link: &Link,
    pieces: Pieces,
    arrival: Arrival<'_>,
    options: &RunOptions,
) -> Result<Report, RunError> {
    let Arrival { come, arriving, papers, has_come } = arrival;
    let Papers { decision, record } = papers;
    let (decided, is_decided) = channel();
    let (settle, settled) = channel::<()>();
    let (resident_there, link_there, transfer) = (Arc::clone(resident), link.clone(), come.transfer);
    // The program does not wait for what is written and said when it has come.
    let spawned = thread::Builder::new().spawn(move || {
        if is_decided.recv().is_err() {
            drop((record, arriving, settle));
            return;
        }
        // It is here whether or not that can be written down, or said.
        let _ = resident_there.has_come(record);
        let _ = link_there.say(&FromDestination::Taken);
        drop((arriving, settle));
        // Otherwise the daemon asks in the end.
        if matches!(link_there.hear(), Ok(ToDestination::Known)) {
            arrivals::forget(&resident_there.node, &transfer);
        }
    });
    spawned.map_err(|source| RunError::System { what: "starting a thread", source })?;
    let mut observe = |event: Event<'_>| {
        if let Event::Whole(fetched) = event {
            // It runs whether or not that can be written down.
            let _ = resident.has_fetched(fetched);
        }
    };
    let rest = Arc::clone(&pieces.rest);
    let result = maize_node::receive(pieces, options, &mut observe, &rest, |incoming| {
        commit(resident, link, decision, incoming)?;
        has_come.store(true, Ordering::SeqCst);
        resident.belief.begin();
        decided.send(()).map_err(|error| error.to_string())
    });
    link.end(&rest);
    drop(decided);
    // What is written down later comes after that. Nothing is said when it is done, or not to be done.
    let _ = settled.recv();
    result
}

/// Returns when the program is this node's.
fn commit(resident: &Resident, link: &Link, decision: Decision, incoming: &mut Incoming) -> Result<(), String> {
    let lost = |error: io::Error| format!("the program's old node is lost: {error}");
    link.say(&FromDestination::Restored).map_err(lost)?;
    let mut connections = Vec::new();
    loop {
        match link.hear().map_err(lost)? {
            ToDestination::Connections(piece) => connections.extend(piece),
            ToDestination::Terminal(state) => {
                let terminal = resident.relay.terminal().ok_or("a terminal, which is not expected")?;
                let put = terminal.resize(state.size).map_err(io::Error::from).and_then(|()| terminal.put(&state));
                put.map_err(|error| format!("the program's terminal: {error}"))?;
            }
            ToDestination::Commit => break,
            other => return Err(format!("{other:?} instead of a word to run it")),
        }
    }
    if !connections.is_empty() {
        let connections: Vec<Connection> = postcard::from_bytes(&connections)
            .map_err(|error| format!("its connections are not understood: {error}"))?;
        connections.into_iter().try_for_each(|connection| incoming.add(connection))?;
    }
    if resident.relay.is_cut() {
        return Err("the command that has started the program is gone, or the connection to it was lost".into());
    }
    match decision.take() {
        Ok(Some(program)) if program == std::process::id() => Ok(()),
        Ok(_) => Err("it has been decided that the program does not come".into()),
        Err(error) => Err(error.to_string()),
    }
}
