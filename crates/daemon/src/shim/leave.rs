//! The side of a move between nodes that the program leaves (docs/nodes.md). Up to `Commit` the program is whole here, and runs on if anything fails. From then on its
//! hosts are stopped until the other node has said whether it has the program, however long that takes.

use super::log;
use super::resident::Resident;
use crate::channel::{Opener, Sealer};
use crate::error::NodeError;
use crate::hosts::HostProcess;
use crate::link::Leave;
use crate::message::{
    Arrival, Attached, FromDestination, LIMIT, Location, PIECE, Passage, ProgramState, Reply, Request, ToDestination,
    Transfer, receive, send,
};
use crate::remote::offer;
use crate::verdicts::Verdict;
use maize_node::{Captured, Departure};
use ring::rand::{SecureRandom as _, SystemRandom};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::SIGCHLD;
use std::fs::File;
use std::io::{self, BufWriter, PipeReader, Read as _, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

/// The other node may take so long to say or take something; the program does not run meanwhile.
const PATIENCE: Duration = Duration::from_secs(15);
/// Time between questions whether the program has come.
const AGAIN: Duration = Duration::from_secs(1);
/// How often what follows a program is tried.
const MOST_TRIES: u32 = 30;

/// Takes the program to another node; returns where it is then, or why it stays. On a dry run it stays, and the result tells whether it can go.
pub(super) fn leave(resident: &Arc<Resident>, order: Leave, socket: TcpStream) -> Result<Option<Location>, String> {
    if resident.start.attached != Attached::No {
        return Err("the program is attached to the command that has started it, where its input and output are; only programs \
                    that are started with --detach go to other nodes"
            .into());
    }
    if resident.leaves.swap(true, Ordering::SeqCst) {
        return Err("the program is on its way to another node already".into());
    }
    let dry_run = order.dry_run;
    let result = prepare(resident, order, socket).and_then(|journey| match dry_run {
        true => Ok(None),
        false => journey.go(Arc::clone(resident)).map(Some),
    });
    resident.leaves.store(false, Ordering::SeqCst);
    result
}

/// A connection to the shim that waits for the program.
struct Journey {
    to: Location,
    timeout: Duration,
    transfer: Transfer,
    sealer: Sealer,
    opener: Opener,
    log: log::Reader,
}

/// Does all that can be done while the program runs.
fn prepare(resident: &Resident, order: Leave, socket: TcpStream) -> Result<Journey, String> {
    let Leave { to: name, isa, timeout, connection, .. } = order;
    let survey = resident.departures.survey();
    let survey = survey.map_err(|error| format!("the program cannot be looked at: {error}"))?;
    if !survey.obstacles.is_empty() {
        return Err(Vec::from_iter(survey.obstacles).join("\n  "));
    }
    let lost = |source| NodeError::Lost { peer: name.clone(), source }.to_string();
    socket.set_read_timeout(Some(PATIENCE)).map_err(lost)?;
    socket.set_write_timeout(Some(PATIENCE)).map_err(lost)?;
    let (mut sealer, mut opener) = connection.resume(socket).map_err(lost)?;
    let mut transfer = [0; 16];
    SystemRandom::new().fill(&mut transfer).map_err(|_| "no random numbers from the kernel")?;
    // The plan of moves between ISAs of this node stays behind.
    let start = crate::message::Start { isa, hop: None, ..resident.start.clone() };
    let arrival = Arrival { start, status: resident.status(), transfer };
    send(&mut sealer, &Request::Receive(Box::new(arrival))).map_err(lost)?;
    let mut file = File::open(&resident.file).map_err(|error| format!("{}: {error}", resident.file.display()))?;
    offer(&mut sealer, &mut opener, &name, &mut file, &resident.file).map_err(|error| error.to_string())?;
    let program = match receive(&mut opener, LIMIT).map_err(lost)? {
        Some(FromDestination::Ready(program)) => program,
        Some(FromDestination::Refused(reason)) => return Err(format!("{name}: {reason}")),
        other => return Err(format!("{name}: not understood: {other:?} instead of a shim")),
    };
    send(&mut sealer, &ToDestination::Needs(survey.needs.into_iter().collect())).map_err(lost)?;
    match receive(&mut opener, LIMIT).map_err(lost)? {
        Some(FromDestination::Suitable) => {}
        Some(FromDestination::Refused(reason)) => return Err(format!("{name}: {reason}")),
        other => return Err(format!("{name}: not understood: {other:?} instead of what is missing")),
    }
    let log = log::Reader::open(&resident.directory).map_err(|error| format!("the program's log: {error}"))?;
    Ok(Journey { to: Location { node: name, program }, timeout, transfer, sealer, opener, log })
}

impl Journey {
    /// Sends what has been written since the last time.
    fn send_log(&mut self) -> Result<(), String> {
        while let Some(record) = self.log.next().map_err(|error| format!("the program's log: {error}"))? {
            self.say(&ToDestination::Log(record))?;
        }
        Ok(())
    }

    fn say(&mut self, message: &ToDestination) -> Result<(), String> {
        send(&mut self.sealer, message).map_err(|source| self.lost(source))
    }

    fn lost(&self, source: io::Error) -> String {
        NodeError::Lost { peer: self.to.node.clone(), source }.to_string()
    }

    /// Has the program captured and carried away.
    fn go(mut self, resident: Arc<Resident>) -> Result<Location, String> {
        // Most of it, while the program runs.
        self.send_log()?;
        let (tell, told) = channel();
        let departures = Arc::clone(&resident.departures);
        let departure = Departure {
            timeout: self.timeout,
            carry: Box::new(move |captured| {
                let result = captured.and_then(|captured| self.carry(captured, &resident));
                let decided = result.as_ref().map(|_| ()).map_err(Clone::clone);
                // Who asked may have gone.
                let _ = tell.send(result);
                decided
            }),
        };
        departures.ask(departure).map_err(|error| error.to_string())?;
        told.recv().map_err(|_| "the program has ended".to_owned())?
    }

    fn carry(&mut self, captured: &Captured, resident: &Resident) -> Result<Location, String> {
        resident.flow.drain();
        self.send_log()?;
        self.send_program(captured)?;
        match receive(&mut self.opener, LIMIT).map_err(|source| self.lost(source))? {
            Some(FromDestination::Restored) => {}
            Some(FromDestination::Refused(reason)) => return Err(format!("{}: {reason}", self.to.node)),
            _ => return Err(self.lost(io::ErrorKind::UnexpectedEof.into())),
        }
        let hosts = captured.hosts().into_iter().filter_map(HostProcess::find).collect();
        let passage = Passage { to: self.to.clone(), transfer: self.transfer, hosts, reason: None };
        // If this process is killed from here on, the daemon finds out where the program is, and its hosts must not run on by themselves.
        resident.verdict.forget();
        resident.becomes(ProgramState::Unsettled(passage.clone())).map_err(|error| error.to_string())?;
        captured.hold();
        let is_taken = send(&mut self.sealer, &ToDestination::Commit).is_ok()
            && matches!(receive(&mut self.opener, LIMIT), Ok(Some(FromDestination::Taken)));
        let answer = if is_taken { Answer::Come } else { self.settle(resident, passage) };
        resident.departures.note(None);
        if let Answer::NotCome(reason) = answer {
            captured.release();
            // If that cannot be written down, the daemon asks if this process is killed.
            let _ = resident.becomes(ProgramState::Running);
            return Err(reason);
        }
        // That it has gone is true whether or not it can be written down.
        let _ = resident.has_moved(&self.to);
        if is_taken {
            // If that is lost, it asks.
            let _ = send(&mut self.sealer, &ToDestination::Known);
        }
        Ok(self.to.clone())
    }

    fn send_program(&mut self, captured: &Captured) -> Result<(), String> {
        let mut output = BufWriter::with_capacity(PIECE, Pieces(self));
        let written = captured.write(&mut output).map(drop).map_err(|error| error.to_string());
        let written = written.and_then(|()| output.flush().map_err(|error| error.to_string()));
        // What could not be sent is not sent later.
        drop(output.into_parts());
        if written.is_err() && self.has_spoken() {
            // It will say why it takes no more.
            return Ok(());
        }
        written?;
        self.say(&ToDestination::EndOfPieces)
    }

    fn has_spoken(&self) -> bool {
        let mut sockets = [PollFd::new(self.opener.socket(), PollFlags::IN)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut sockets, Some(&now)).is_ok_and(|ready| ready > 0)
    }

    /// Asks by way of the daemons, until that is known, whether the program has come. If it has not, it will not any more.
    fn settle(&mut self, resident: &Resident, mut passage: Passage) -> Answer {
        let _ = self.sealer.socket().shutdown(std::net::Shutdown::Both);
        let (own, to) = (resident.status().program, self.to.node.clone());
        loop {
            let reason = match relay(resident, &to, Request::Settle(self.transfer)) {
                Ok(Reply::Settled(Some(_))) => return Answer::Come,
                Ok(Reply::Settled(None)) => {
                    return Answer::NotCome(format!(
                        "the connection to {to} was lost, and the program had not come there; it runs on here"
                    ));
                }
                Ok(Reply::Refused(reason)) => reason,
                Ok(other) => format!("{to}: not understood: {other:?}"),
                Err(error) => format!("maized does not answer here: {error}"),
            };
            if passage.reason.as_ref() != Some(&reason) {
                passage.reason = Some(reason);
                resident.departures.note(Some(passage.advice(own)));
                let _ = resident.becomes(ProgramState::Unsettled(passage.clone()));
            }
            let Some(here) = resident.verdict.wait(AGAIN) else { continue };
            let verdict = Verdict { node: to.clone(), transfer: self.transfer, here };
            let kept = verdict.keep(&resident.node);
            if !here {
                return Answer::Come;
            }
            let warning = kept
                .err()
                .map_or_else(String::new, |error| format!(" ({error}: if {to} has it, nobody will end that copy)"));
            return Answer::NotCome(format!(
                "it was decided by hand that the program runs on here, not on {to}{warning}"
            ));
        }
    }
}

/// Where a program is that was given away.
enum Answer {
    /// There, or a person says so.
    Come,
    /// Here, for this reason.
    NotCome(String),
}

/// Asks another node, by way of the daemon.
fn relay(resident: &Resident, node: &str, request: Request) -> io::Result<Reply> {
    let mut daemon = UnixStream::connect(resident.node.control())?;
    daemon.set_read_timeout(Some(PATIENCE))?;
    send(&mut daemon, &Request::Relay { node: node.to_owned(), request: Box::new(request) })?;
    receive(&mut daemon, LIMIT)?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// The program has gone: what has come for it meanwhile goes after it.
pub(super) fn follow_up(resident: &Resident, mut signals: &PipeReader) {
    let ProgramState::Moved(mut at) = resident.status().state else { return };
    let mut tries = 0..MOST_TRIES;
    let mut deliver = |signal: u8| {
        while tries.next().is_some() {
            match relay(resident, &at.node, Request::Signal { program: at.program, signal }) {
                Ok(Reply::Elsewhere(further)) => at = further,
                Ok(Reply::Refused(_)) | Err(_) => thread::sleep(AGAIN),
                Ok(_) => return,
            }
        }
    };
    let mut signal = [0];
    let has_more = |signals: &PipeReader| {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(signals, PollFlags::IN)], Some(&now)).is_ok_and(|ready| ready > 0)
    };
    while has_more(signals) && signals.read_exact(&mut signal).is_ok() {
        // It is this process's own that it hears of.
        if i32::from(signal[0]) != SIGCHLD {
            deliver(signal[0]);
        }
    }
}

/// Sends what is written in messages, unless the other side has said that it takes no more.
struct Pieces<'a>(&'a mut Journey);

impl Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.has_spoken() {
            return Err(io::Error::other("the other node takes no more"));
        }
        let piece = &bytes[..bytes.len().min(PIECE)];
        send(&mut self.0.sealer, &ToDestination::Piece(piece.to_vec()))?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
