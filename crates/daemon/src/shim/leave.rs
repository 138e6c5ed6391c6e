//! The side of a move between nodes that the program leaves (docs/nodes.md). Up to `Commit` the program is whole here, and runs on if anything fails. From then on its
//! hosts are stopped until the other node has said whether it has the program, however long that takes.

use super::log;
use super::outgoing::Link;
use super::relay::Remainder;
use super::resident::Resident;
use crate::error::NodeError;
use crate::hosts::HostProcess;
use crate::link::Leave;
use crate::message::{
    Arrival, Attached, FromDestination, LIMIT, Location, PIECE, Passage, ProgramState, RANGES, Reply, Request,
    ToDestination, Transfer, receive, send,
};
use crate::poll::is_ready;
use crate::remote::offer;
use crate::verdicts::Verdict;
use maize_node::{Captured, Departure, Need, Precopy, Remaining, Survey};
use maize_snapshot::{Lineage, Packs, SnapshotError, Writer};
use ring::rand::{SecureRandom as _, SystemRandom};
use rustix::event::PollFlags;
use signal_hook::consts::SIGCHLD;
use std::fs::File;
use std::io::{self, BufWriter, PipeReader, Read as _, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

/// The other node may take so long to say or take something; the program does not run meanwhile.
const PATIENCE: Duration = Duration::from_secs(15);
/// Time between questions whether the program has come.
const AGAIN: Duration = Duration::from_secs(1);
/// Time between looks at what a program has for a while.
const GLANCE: Duration = Duration::from_millis(5);
/// A file that a program has open for longer than this is missed where it goes.
const MOMENT: Duration = Duration::from_millis(200);
/// So often the other node is asked for what a program needs, if that is something else each time.
const MOST_NEEDS: u32 = 10;
/// How often what follows a program is tried.
const MOST_TRIES: u32 = 30;

/// Takes the program to another node; returns where it is then, or why it stays. On a dry run it stays, and the result tells whether it can go.
pub(super) fn leave(resident: &Arc<Resident>, order: Leave, socket: TcpStream) -> Result<Option<Location>, String> {
    if resident.start.attached != Attached::No && resident.relay.is_cut() {
        return Err("the command that has started the program is gone, and its input and output with that".into());
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

/// The way of a program to the shim that waits for it.
struct Journey {
    to: Location,
    timeout: Duration,
    /// A part of its memory may go after it.
    memory_after: bool,
    transfer: Transfer,
    snapshot: Writer<BufWriter<Link>>,
    /// What it has written, if that is kept.
    log: Option<log::Reader>,
}

/// Looks at the program. Record locks only have to be waited for when it is to stop.
fn survey(resident: &Resident) -> Result<Survey, String> {
    let survey = resident.departures.survey();
    let mut survey = survey.map_err(|error| format!("the program cannot be looked at: {error}"))?;
    if !survey.locks.is_empty() {
        // Such as the journal of a transaction: it is gone when the locks are.
        survey.needs.retain(|need| !matches!(need, Need::Changing(_)));
    }
    Ok(survey)
}

/// What of this the program keeps for that time, as far as a look at it tells.
fn kept<T>(
    resident: &Resident,
    mut found: Vec<T>,
    time: Duration,
    is_there: impl Fn(&Survey, &T) -> bool,
) -> Result<Vec<T>, String> {
    let begun = Instant::now();
    while !found.is_empty() && begun.elapsed() < time {
        thread::sleep(GLANCE);
        let now = survey(resident)?;
        found.retain(|one| is_there(&now, one));
    }
    Ok(found)
}

/// Does all that can be done while the program runs.
fn prepare(resident: &Resident, order: Leave, socket: TcpStream) -> Result<Journey, String> {
    let Leave { to: name, isa, timeout, memory_after, dry_run, connection } = order;
    let mut survey = survey(resident)?;
    if dry_run {
        let locks = survey.locks.iter().cloned().collect();
        survey.obstacles.extend(kept(resident, locks, timeout, |now, lock| now.locks.contains(lock))?);
    }
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
    let own = || Location { node: resident.name.clone(), program: resident.status().program };
    let is_attached = start.attached != Attached::No;
    let home = is_attached.then(|| resident.relay.home().cloned().unwrap_or_else(own));
    let arrival = Arrival { start, status: resident.status(), transfer, home };
    send(&mut sealer, &Request::Receive(Box::new(arrival))).map_err(lost)?;
    let open = || {
        let file = File::open(&resident.file).map_err(NodeError::file("read", &resident.file))?;
        Ok((file, resident.file.clone()))
    };
    offer(&mut sealer, &mut opener, &name, open).map_err(|error| error.to_string())?;
    let program = match receive(&mut opener, LIMIT).map_err(lost)? {
        Some(FromDestination::Ready(program)) => program,
        Some(FromDestination::Refused(reason)) => return Err(format!("{name}: {reason}")),
        other => return Err(format!("{name}: not understood: {other:?} instead of a shim")),
    };
    for needs in 1.. {
        send(&mut sealer, &ToDestination::Needs(survey.needs.into_iter().collect())).map_err(lost)?;
        let missing = match receive(&mut opener, LIMIT).map_err(lost)? {
            Some(FromDestination::Suitable) => break,
            Some(FromDestination::Missing(missing)) => missing,
            Some(FromDestination::Refused(reason)) => return Err(format!("{name}: {reason}")),
            other => return Err(format!("{name}: not understood: {other:?} instead of what is missing")),
        };
        // What it has open for a moment only need not be anywhere else.
        let kept = match needs < MOST_NEEDS {
            true => kept(resident, missing, MOMENT, |now, (need, _)| now.needs.contains(need))?,
            false => missing,
        };
        if !kept.is_empty() {
            let reasons: Vec<String> = kept.into_iter().map(|(_, reason)| reason).collect();
            return Err(format!("{name}: {}", reasons.join("\n  ")));
        }
        survey = self::survey(resident)?;
    }
    let log = (!is_attached).then(|| log::Reader::open(&resident.directory)).transpose();
    let log = log.map_err(|error| format!("the program's log: {error}"))?;
    let link = BufWriter::with_capacity(PIECE, Link::new(name.clone(), sealer, opener));
    let snapshot = Writer::new(link, &Lineage::default(), Packs::When(|link| link.get_ref().is_busy()))
        .map_err(|error| error.to_string())?;
    Ok(Journey { to: Location { node: name, program }, timeout, memory_after, transfer, snapshot, log })
}

impl Journey {
    /// Sends what has been written since the last time.
    fn send_log(&mut self) -> Result<(), String> {
        let failed = |error| format!("the program's log: {error}");
        while let Some(record) = self.log.as_mut().map_or(Ok(None), log::Reader::next).map_err(failed)? {
            self.say(&ToDestination::Log(record))?;
        }
        Ok(())
    }

    /// Says something after all that has been written.
    fn say(&mut self, message: &ToDestination) -> Result<(), String> {
        let output = self.snapshot.output();
        output.flush().map_err(|error| error.to_string())?;
        send(&mut output.get_mut().sealer, message).map_err(|source| self.lost(source))
    }

    fn hear(&mut self) -> io::Result<Option<FromDestination>> {
        receive(&mut self.link().opener, LIMIT)
    }

    /// What is to be made of an error in writing: who has spoken will say why it takes no more.
    fn unless_refused(&mut self, error: &SnapshotError) -> Result<(), String> {
        if self.snapshot.output().get_ref().has_spoken() { Ok(()) } else { Err(error.to_string()) }
    }

    fn lost(&self, source: io::Error) -> String {
        NodeError::Lost { peer: self.to.node.clone(), source }.to_string()
    }

    /// Has the program captured and carried away.
    fn go(mut self, resident: Arc<Resident>) -> Result<Location, String> {
        // Most of it, while the program runs.
        self.send_log()?;
        let precopy = self.send_ahead(&resident)?;
        let (tell, told) = channel();
        let departures = Arc::clone(&resident.departures);
        let departure = Departure {
            timeout: self.timeout,
            precopy,
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

    /// Sends the program's memory while it runs, again and again what it has changed, until that is little, or does not get less.
    fn send_ahead(&mut self, resident: &Resident) -> Result<Precopy, String> {
        let precopy = resident.departures.precopy();
        let mut precopy = precopy.map_err(|error| format!("the program cannot be looked at: {error}"))?;
        precopy.rounds(|precopy, round| {
            let sent = match precopy.round(&mut self.snapshot) {
                Ok(sent) => sent,
                Err(error) => return self.unless_refused(&error).map(|()| 0),
            };
            // What is still on its way then would be waited for when the program has stopped.
            self.say(&ToDestination::Mark(round))?;
            match self.hear().map_err(|source| self.lost(source))? {
                Some(FromDestination::Marked(_)) => Ok(sent),
                Some(FromDestination::Refused(reason)) => Err(format!("{}: {reason}", self.to.node)),
                _ => Err(self.lost(io::ErrorKind::UnexpectedEof.into())),
            }
        })?;
        Ok(precopy)
    }

    fn carry(mut self, captured: &mut Captured, resident: &Arc<Resident>) -> Result<Location, String> {
        resident.flow.drain().map_err(|error| format!("the program's log: {error}"))?;
        self.send_log()?;
        let hosts = captured.hosts().into_iter().filter_map(HostProcess::find).collect();
        let passage = Passage { to: self.to.clone(), transfer: self.transfer, hosts, reason: None };
        let runs_on = || {
            // If that cannot be written down, the daemon asks if this process is killed.
            let _ = resident.becomes(ProgramState::Running);
        };
        // If this process is killed from here on, the daemon finds out where the program is.
        resident.verdict.forget();
        let unsettled = ProgramState::Unsettled(passage.clone());
        let in_place = thread::scope(|scope| {
            // That takes its time, as does the other.
            let written = thread::Builder::new().spawn_scoped(scope, || resident.becomes(unsettled));
            let written = written.map_err(|error| format!("a thread cannot be started: {error}"))?;
            let in_place = self.put_in_place(captured, resident);
            let written = written.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            written.map_err(|error| error.to_string()).and(in_place)
        });
        let (remainder, mut remaining) = in_place.inspect_err(|_| {
            resident.successors.refuse();
            runs_on();
        })?;
        captured.hold();
        let answer = match self.hand_over(captured, resident) {
            // Nothing was said that could have it run there.
            Err(reason) => Answer::NotCome(reason),
            Ok(()) => match self.link().hear(&mut remaining) {
                Ok(Some(FromDestination::Taken)) => Answer::Come { is_told: true },
                // Who refuses has not decided, and ends.
                Ok(Some(FromDestination::Refused(reason))) => Answer::NotCome(format!("{}: {reason}", self.to.node)),
                _ => self.settle(resident, passage),
            },
        };
        resident.departures.note(None);
        let is_told = match answer {
            Answer::Come { is_told } => is_told,
            Answer::NotCome(reason) => {
                resident.successors.refuse();
                if let Some(terminal) = resident.relay.terminal() {
                    terminal.put_back();
                }
                captured.release();
                runs_on();
                return Err(reason);
            }
        };
        // Then nothing but these pages is left of it here.
        let copied = self.link().copy(&mut remaining);
        // Before the record forgets them: if this process is killed, nobody else ends them.
        captured.end();
        resident.relay.leave(remainder);
        // That it has gone is true whether or not it can be written down.
        let _ = resident.has_moved(&self.to);
        if is_told {
            // If that is lost, it asks.
            let _ = self.say(&ToDestination::Known);
        }
        let Journey { to, snapshot, .. } = self;
        if copied.is_ok() && !remaining.is_empty() {
            let (link, _) = snapshot.into_output().into_parts();
            let (own, at) = (Arc::clone(resident), to.clone());
            let following = move || link.follow(remaining, &own.successors, || may_be_at(&own, &at));
            resident.follows(thread::spawn(following));
        } else {
            resident.successors.refuse();
        }
        Ok(to)
    }

    fn link(&mut self) -> &mut Link {
        self.snapshot.output().get_mut()
    }

    /// Sends the rest of the program, and waits until all of it is in place. Returns what is to be done about the input that it has not read, and what remains of its memory.
    fn put_in_place(
        &mut self,
        captured: &mut Captured,
        resident: &Resident,
    ) -> Result<(Option<Remainder>, Remaining), String> {
        let mut remaining = self.send_program(captured)?;
        match self.link().hear(&mut remaining).map_err(|source| self.lost(source))? {
            Some(FromDestination::Restored) => {}
            Some(FromDestination::Refused(reason)) => return Err(format!("{}: {reason}", self.to.node)),
            _ => return Err(self.lost(io::ErrorKind::UnexpectedEof.into())),
        }
        if !remaining.is_empty() {
            let expected = resident.successors.expect(self.transfer, self.link().sealer.socket());
            expected.map_err(|source| self.lost(source))?;
        }
        let remainder = resident.relay.open_input(self.transfer);
        let remainder = remainder.map_err(|error| format!("what the program has not read yet: {error}"))?;
        Ok((remainder, remaining))
    }

    /// Gives it away: its connections first, of which nothing comes here any more from then on, and what it has in its terminal.
    fn hand_over(&mut self, captured: &Captured, resident: &Resident) -> Result<(), String> {
        let connections = captured.hold_connections()?;
        if !connections.is_empty() {
            let bytes = postcard::to_stdvec(&connections).map_err(|error| error.to_string())?;
            for piece in bytes.chunks(PIECE) {
                self.say(&ToDestination::Connections(piece.to_vec()))?;
            }
        }
        if let Some(terminal) = resident.relay.terminal() {
            let state = terminal.take().map_err(|error| format!("the program's terminal: {error}"))?;
            self.say(&ToDestination::Terminal(state))?;
        }
        // Whether or not this comes there shows in what is answered.
        let _ = self.say(&ToDestination::Commit);
        Ok(())
    }

    fn send_program(&mut self, captured: &mut Captured) -> Result<Remaining, String> {
        let written = captured.write(&mut self.snapshot, self.memory_after);
        let flush = |remaining| self.snapshot.output().flush().map(|()| remaining).map_err(SnapshotError::from);
        let remaining = match written.and_then(flush) {
            Ok(remaining) => remaining,
            Err(error) => return self.unless_refused(&error).map(|()| Remaining::default()),
        };
        for (process, ranges) in remaining.ranges() {
            for some in ranges.chunks(RANGES) {
                let ranges = some.iter().map(|range| (range.start, range.end - range.start)).collect();
                self.say(&ToDestination::Later { process, ranges })?;
            }
        }
        self.say(&ToDestination::EndOfPieces)?;
        Ok(remaining)
    }

    /// Asks by way of the daemons, until that is known, whether the program has come. If it has not, it will not any more.
    fn settle(&mut self, resident: &Resident, mut passage: Passage) -> Answer {
        let _ = self.snapshot.output().get_ref().sealer.socket().shutdown(std::net::Shutdown::Both);
        let (own, to) = (resident.status().program, self.to.node.clone());
        loop {
            let reason = match relay(resident, &to, Request::Settle(self.transfer)) {
                Ok(Reply::Settled(Some(_))) => return Answer::Come { is_told: false },
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
                return Answer::Come { is_told: false };
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
    Come {
        /// It has said so itself.
        is_told: bool,
    },
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

/// Whether a program may still be where it has come to: unless its node says that it is not.
fn may_be_at(resident: &Resident, at: &Location) -> bool {
    let Ok(Reply::Programs(programs)) = relay(resident, &at.node, Request::Programs) else { return true };
    let found = programs.iter().find(|program| program.program == at.program);
    found.is_none_or(|program| matches!(program.state, ProgramState::Running | ProgramState::Unsettled(_)))
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
    while is_ready(signals, PollFlags::IN) && signals.read_exact(&mut signal).is_ok() {
        // It is this process's own that it hears of.
        if i32::from(signal[0]) != SIGCHLD {
            deliver(signal[0]);
        }
    }
}
