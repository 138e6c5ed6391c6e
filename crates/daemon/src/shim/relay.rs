//! Streams of a program that is attached to the command which has started it, and has gone to another node (docs/nodes.md). The shim as which it was started has the connection to that command,
//! and stays: to each shim that the program comes to it is what the command is to itself. One that the program leaves again gives back what has not been read there, so that there is one
//! place where input waits, and never a chain.

use super::CANNOT_RUN;
use super::terminal::Terminal;
use crate::channel::{Opener, Sealer};
use crate::error::NodeError;
use crate::message::{FromProgram, LIMIT, Location, PIECE, TerminalSize, ToProgram, Transfer, WINDOW, receive, send};
use crate::poll::is_ready;
use crate::sync::lock;
use rustix::event::PollFlags;
use rustix::fs::{Mode, OFlags, open};
use signal_hook::consts::{SIGCHLD, SIGHUP};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read as _};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

/// The connection to a shim that the program comes to, if it comes there.
struct Candidate {
    node: String,
    transfer: Transfer,
    sealer: Sealer,
    opener: Opener,
}

/// What a program leaves behind when it goes.
pub(super) struct Remainder {
    transfer: Transfer,
    /// Where it would read on.
    input: File,
    /// What is still being typed into its terminal goes from there to that.
    typed: Option<(Arc<Terminal>, PipeWriter)>,
}

/// Where a program reads.
enum Place {
    /// As a place: neither end is open by it.
    Pipe(OwnedFd),
    Terminal(Arc<Terminal>),
}

/// What a shim knows of the streams of an attached program, besides handing them on.
#[derive(Default)]
pub(super) struct Relay {
    /// The program as which this one was started, if that was elsewhere: its shim hands on the streams.
    home: Option<Location>,
    /// Where the program reads.
    input: Mutex<Option<Place>>,
    /// On its way to the program, when that is elsewhere.
    shared: Arc<Shared>,
    candidates: Mutex<Vec<Candidate>>,
    remainder: Mutex<Option<Remainder>>,
    /// Who started the program is gone, or cannot be reached any more.
    is_cut: AtomicBool,
}

impl Relay {
    pub(super) fn new(home: Option<Location>) -> Relay {
        Relay { home, ..Relay::default() }
    }

    /// The program as which this one was started, if that was elsewhere.
    pub(super) fn home(&self) -> Option<&Location> {
        self.home.as_ref()
    }

    /// The program reads what is written to this pipe.
    pub(super) fn watch_input(&self, pipe: &OwnedFd) -> rustix::io::Result<()> {
        *lock(&self.input) = Some(Place::Pipe(open_again(pipe, OFlags::PATH)?));
        Ok(())
    }

    /// The program reads what is typed there.
    pub(super) fn watch_terminal(&self, terminal: &Arc<Terminal>) {
        *lock(&self.input) = Some(Place::Terminal(Arc::clone(terminal)));
    }

    /// The program's terminal, if it has one here.
    pub(super) fn terminal(&self) -> Option<Arc<Terminal>> {
        match &*lock(&self.input) {
            Some(Place::Terminal(terminal)) => Some(Arc::clone(terminal)),
            _ => None,
        }
    }

    /// The program's terminal has this size, wherever it is.
    pub(super) fn resize(&self, size: TerminalSize) -> io::Result<()> {
        self.shared.change(|outward| (outward.size, outward.has_said_size) = (Some(size), false));
        Ok(self.terminal().map_or(Ok(()), |terminal| terminal.resize(size))?)
    }

    /// Opens what the program reads, whose processes still have it open, for reading on in its place. Of a terminal that is what comes after [`Terminal::take`].
    pub(super) fn open_input(&self, transfer: Transfer) -> io::Result<Option<Remainder>> {
        let input = lock(&self.input);
        Ok(match &*input {
            Some(Place::Pipe(pipe)) => {
                Some(Remainder { transfer, input: open_again(pipe, OFlags::RDONLY)?.into(), typed: None })
            }
            Some(Place::Terminal(terminal)) => {
                let (input, typed) = io::pipe()?;
                let input = OwnedFd::from(input).into();
                Some(Remainder { transfer, input, typed: Some((Arc::clone(terminal), typed)) })
            }
            None => None,
        })
    }

    /// The program has gone, and has left this.
    pub(super) fn leave(&self, mut remainder: Option<Remainder>) {
        if let Some((terminal, typed)) = remainder.as_mut().and_then(|remainder| remainder.typed.take()) {
            terminal.leave(OwnedFd::from(typed).into());
        }
        *lock(&self.remainder) = remainder;
    }

    /// There is nobody any more at the other end. Returns whether that was known, or to be expected.
    pub(super) fn cut(&self) -> bool {
        self.is_cut.swap(true, Ordering::SeqCst)
    }

    /// Whether there is nobody any more at the other end.
    pub(super) fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::SeqCst)
    }

    /// A shim that the program may come to has connected.
    pub(super) fn attach(&self, node: String, transfer: Transfer, sealer: Sealer, opener: Opener) -> io::Result<()> {
        // Held until it is there, as the other side goes on when it has heard the answer.
        let mut candidates = lock(&self.candidates);
        // Those to which the program has not come in the end have closed. Others wait until they have been heard.
        candidates.retain(|candidate| !is_ready(candidate.opener.socket(), PollFlags::RDHUP));
        let is_possible = lock(&self.input).is_some() && self.home.is_none() && !self.is_cut();
        let mut candidate = Candidate { node, transfer, sealer, opener };
        let reply = match is_possible {
            true => crate::message::Reply::Ready,
            false => crate::message::Reply::Refused("the command that has started the program is gone".into()),
        };
        send(&mut candidate.sealer, &reply)?;
        candidate.sealer.socket().set_write_timeout(None)?;
        if is_possible {
            candidates.push(candidate);
        }
        Ok(())
    }

    fn take(&self, transfer: &Transfer) -> Option<Candidate> {
        let mut candidates = lock(&self.candidates);
        let found = candidates.iter().position(|candidate| candidate.transfer == *transfer)?;
        Some(candidates.swap_remove(found))
    }
}

/// Another open file of the same pipe, whatever end this is, and even if it is none.
fn open_again(pipe: impl AsFd, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    open(format!("/proc/self/fd/{}", pipe.as_fd().as_raw_fd()), flags | OFlags::CLOEXEC, Mode::empty())
}

/// In a shim to which the program had come, and which it has left again: gives back what has not been read here. `pumps` returns when all has been handed on that was written here.
pub(super) fn give_back(relay: &Relay, home: &Mutex<Sealer>, pumps: impl FnOnce()) {
    // It closes the connection when it has everything.
    relay.cut();
    let Some(Remainder { transfer, mut input, .. }) = lock(&relay.remainder).take() else { return };
    let say = |message: &FromProgram| send(&mut *lock(home), message);
    // If it is lost there is nobody to whom anything could be given. Then the shim that the program is with now knows that, too.
    let mut is_heard = say(&FromProgram::Left(transfer)).is_ok();
    let mut buffer = vec![0; PIECE];
    // To the end, so that what is still being written here does not wait.
    while let Ok(length @ 1..) = input.read(&mut buffer) {
        is_heard = is_heard && say(&FromProgram::Unread(buffer[..length].to_vec())).is_ok();
    }
    pumps();
    let _ = say(&FromProgram::Gone);
}

/// What is on its way to the program.
#[derive(Default)]
struct Outward {
    /// To the shim where it is, unless it is between two.
    to: Option<Sealer>,
    /// Of the shim where it was last.
    socket: Option<TcpStream>,
    /// How many bytes of input may be sent there.
    credit: usize,
    waiting: VecDeque<Vec<u8>>,
    signals: VecDeque<u8>,
    /// What the terminal's size has become.
    size: Option<TerminalSize>,
    has_said_size: bool,
    /// Nothing comes after what waits.
    at_end: bool,
    has_said_end: bool,
}

impl Outward {
    /// Sends what can be sent. Who receives finds out if the connection is lost.
    fn flush(&mut self) {
        let Some(to) = &mut self.to else { return };
        while let Some(signal) = self.signals.pop_front() {
            let _ = send(to, &ToProgram::Signal(signal));
        }
        if let Some(size) = self.size.filter(|_| !self.has_said_size) {
            self.has_said_size = true;
            let _ = send(to, &ToProgram::Resize(size));
        }
        while self.credit > 0
            && let Some(mut piece) = self.waiting.pop_front()
        {
            if piece.len() > self.credit {
                self.waiting.push_front(piece.split_off(self.credit));
            }
            self.credit -= piece.len();
            let _ = send(to, &ToProgram::Input(piece));
        }
        if self.waiting.is_empty() && self.at_end && !self.has_said_end {
            self.has_said_end = true;
            let _ = send(to, &ToProgram::EndOfInput);
        }
    }

    /// Goes on with another shim.
    fn begin(&mut self, to: Sealer, socket: TcpStream) {
        (self.to, self.socket, self.credit) = (Some(to), Some(socket), WINDOW as usize);
        (self.has_said_end, self.has_said_size) = (false, false);
    }

    fn hang_up(&self) {
        if let Some(socket) = &self.socket {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    /// The program has left that shim, which hears that nothing more comes.
    fn pause(&mut self) {
        if let Some(mut to) = self.to.take().filter(|_| !self.has_said_end) {
            let _ = send(&mut to, &ToProgram::EndOfInput);
        }
    }

    /// What has not been read comes before what has not been sent.
    fn put_back(&mut self, unread: Vec<Vec<u8>>) {
        unread.into_iter().rev().for_each(|piece| self.waiting.push_front(piece));
    }
}

#[derive(Default)]
struct Shared {
    outward: Mutex<Outward>,
    /// Nothing waits.
    is_empty: Condvar,
}

impl Shared {
    fn change<T>(&self, change: impl FnOnce(&mut Outward) -> T) -> T {
        let mut outward = lock(&self.outward);
        let result = change(&mut outward);
        outward.flush();
        if outward.waiting.is_empty() {
            self.is_empty.notify_all();
        }
        result
    }

    /// Sends what can be read from where the program has read.
    fn relay_input(&self, mut input: File) {
        let mut buffer = vec![0; PIECE];
        while let Ok(length @ 1..) = input.read(&mut buffer) {
            self.change(|outward| outward.waiting.push_back(buffer[..length].to_vec()));
            let outward = lock(&self.outward);
            let waited = self.is_empty.wait_while(outward, |outward| !outward.waiting.is_empty());
            drop(waited.unwrap_or_else(PoisonError::into_inner));
        }
        self.change(|outward| outward.at_end = true);
    }

    fn relay_signals(&self, mut signals: PipeReader, relay: &Relay) {
        let mut signal = [0];
        while signals.read_exact(&mut signal).is_ok() {
            match i32::from(signal[0]) {
                // It is this process's own that it hears of.
                SIGCHLD => {}
                // The shim where the program is finds that out, and tells it.
                SIGHUP if relay.is_cut() => lock(&self.outward).hang_up(),
                _ => self.change(|outward| outward.signals.push_back(signal[0])),
            }
        }
    }
}

/// In the shim as which the program was started, and which it has left: hands on its streams until it has ended, wherever it goes meanwhile. Returns what is to be said last to the command
/// that has started it. `pumps` returns when all has been handed on that was written here.
pub(super) fn stand_in(
    relay: &Arc<Relay>,
    signals: &PipeReader,
    starter: &Mutex<Sealer>,
    pumps: impl FnOnce(),
) -> FromProgram {
    let lost = |message: String| FromProgram::CannotStart { status: CANNOT_RUN, message };
    let remainder = lock(&relay.remainder).take().zip(signals.try_clone().ok());
    let Some((Remainder { mut transfer, input, .. }, signals)) = remainder else {
        return lost("the program has gone to another node, and what it has left could not be taken along".into());
    };
    let shared = Arc::clone(&relay.shared);
    let ours = Arc::clone(&shared);
    thread::spawn(move || ours.relay_input(input));
    let (ours, own) = (Arc::clone(&shared), Arc::clone(relay));
    thread::spawn(move || ours.relay_signals(signals, &own));
    let mut pumps = Some(pumps);
    loop {
        // It has connected before the program was stopped.
        let Some(candidate) = relay.take(&transfer) else {
            return lost("the program has gone to another node, whose connection was lost".into());
        };
        let node = candidate.node.clone();
        match follow(candidate, relay, &shared, starter, pumps.take()) {
            Ok(Followed::Left(next)) => transfer = next,
            Ok(Followed::Ended(message)) => return message,
            Err(source) => return lost(NodeError::Lost { peer: node, source }.to_string()),
        }
    }
}

enum Followed {
    /// It has gone to yet another node, in this attempt.
    Left(Transfer),
    /// It has ended, as this says.
    Ended(FromProgram),
}

/// Hands on streams for as long as the program is with that shim, output when what was written before has been handed on.
fn follow(
    candidate: Candidate,
    relay: &Relay,
    shared: &Shared,
    starter: &Mutex<Sealer>,
    before: Option<impl FnOnce()>,
) -> io::Result<Followed> {
    let Candidate { sealer, mut opener, .. } = candidate;
    opener.watch();
    let socket = opener.socket().try_clone()?;
    shared.change(|outward| outward.begin(sealer, socket));
    if relay.is_cut() {
        return Err(io::ErrorKind::NotConnected.into());
    }
    if let Some(before) = before {
        before();
    }
    let (mut next, mut unread) = (None, Vec::new());
    while let Some(message) = receive::<FromProgram>(&mut opener, LIMIT)? {
        match (message, next) {
            (message @ FromProgram::Output(..), _) => send(&mut *lock(starter), &message)?,
            (FromProgram::Taken(length), _) => shared.change(|outward| outward.credit += length as usize),
            (FromProgram::Left(transfer), None) => {
                next = Some(transfer);
                shared.change(Outward::pause);
            }
            (FromProgram::Unread(piece), Some(_)) => unread.push(piece),
            (FromProgram::Gone, Some(transfer)) => {
                shared.change(|outward| outward.put_back(unread));
                return Ok(Followed::Left(transfer));
            }
            (message @ (FromProgram::Ended(_) | FromProgram::CannotStart { .. }), None) => {
                return Ok(Followed::Ended(message));
            }
            (message, _) => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{message:?} by a program")));
            }
        }
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}
