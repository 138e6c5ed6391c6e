//! Memory that comes after a program which has come from another node (docs/nodes.md): it comes between the messages of the move, and when the program runs here by itself. A connection
//! that is lost then is made again from here, for as long as there may be somebody who has what has not come.

use super::incoming::{Link, hear, limit};
use super::resident::Resident;
use crate::channel::{Opener, Sealer};
use crate::link::{Come, take_over_connection};
use crate::message::{FromDestination, LIMIT, RANGES, Reply, Request, ToDestination, Transfer, receive, send};
use crate::sync::lock;
use maize_node::{Pages, Rest};
use std::convert::Infallible;
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// A connection on which nothing has come for so long is lost, as are those of attached programs.
const SILENCE: Duration = Duration::from_secs(30);
/// For so long a lost connection is tried to be made again.
const PATIENCE: Duration = Duration::from_secs(120);
/// Time between two tries.
const AGAIN: Duration = Duration::from_millis(500);
/// The daemon may take so long to connect to the other node, or to find out that it cannot.
const ANSWER: Duration = Duration::from_secs(15);

/// Where a program comes from.
pub(super) struct Origin {
    /// The program, here.
    resident: Arc<Resident>,
    /// The node, for people and for the daemon.
    node: String,
    /// The program's number there.
    program: u32,
    transfer: Transfer,
}

/// Why there is no connection.
enum Failure {
    /// There may be one later.
    Absent(String),
    /// There will never be one.
    Gone(String),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Absent(error.to_string())
    }
}

impl Origin {
    pub(super) fn new(resident: &Arc<Resident>, come: &Come) -> Arc<Origin> {
        let (node, program, transfer) = (come.node.clone(), come.status.program, come.transfer);
        Arc::new(Origin { resident: Arc::clone(resident), node, program, transfer })
    }

    /// From now on memory comes between all else.
    pub(super) fn sort(self: &Arc<Self>, link: &Link, rest: &Arc<Rest>) -> io::Result<()> {
        let (tell, others) = channel();
        if let Some(opener) = link.divert(others) {
            let (own, link, rest) = (Arc::clone(self), link.clone(), Arc::clone(rest));
            let taking = move || own.take_out(&link, opener, &rest, &tell);
            self.resident.follows(thread::Builder::new().spawn(taking)?);
        }
        Ok(())
    }

    /// Takes out memory from between all else, which it hands on. Returns when nothing comes any more.
    fn take_out(&self, link: &Link, mut opener: Opener, rest: &Rest, tell: &Sender<io::Result<ToDestination>>) {
        let mut taker = Taker { link, rest, tell, is_given: false, is_released: false };
        let reason = loop {
            let (reason, is_lost) = match taker.take(&mut opener) {
                Ok(never) => match never {},
                Err(Failure::Absent(reason)) => (reason, true),
                Err(Failure::Gone(reason)) => (reason, false),
            };
            // Who waits for something else does not get it.
            let _ = tell.send(Err(io::Error::other(reason.clone())));
            if taker.is_released {
                return;
            }
            if !taker.is_given || !is_lost {
                break reason;
            }
            match self.connect_again(link, rest, reason) {
                Ok(Some(next)) => opener = next,
                Ok(None) => return,
                Err(reason) => break reason,
            }
        };
        if !rest.is_complete() {
            rest.lose(&format!(
                "{}, which the program has left, or the connection to it, is lost: {reason}",
                self.node
            ));
        }
    }

    /// Has the connection made again, unless nothing is needed any more.
    fn connect_again(&self, link: &Link, rest: &Rest, mut reason: String) -> Result<Option<Opener>, String> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE && !link.is_over.load(Ordering::SeqCst) {
            match self.connect().and_then(|(sealer, opener)| self.begin_again(link, rest, sealer, opener)) {
                Ok(opener) => return Ok(Some(opener)),
                Err(Failure::Gone(reason)) => return Err(reason),
                Err(Failure::Absent(now)) => reason = now,
            }
            thread::sleep(AGAIN);
        }
        if link.is_over.load(Ordering::SeqCst) { Ok(None) } else { Err(reason) }
    }

    /// Asks by way of the daemon for the shim that the program has left.
    fn connect(&self) -> Result<(Sealer, Opener), Failure> {
        let mut daemon = UnixStream::connect(self.resident.node.control())?;
        daemon.set_read_timeout(Some(ANSWER))?;
        let follow = Request::Follow { program: self.program, transfer: self.transfer };
        send(&mut daemon, &Request::Relay { node: self.node.clone(), request: Box::new(follow) })?;
        match receive(&mut daemon, LIMIT)? {
            Some(Reply::Ready) => {}
            Some(Reply::Gone(reason)) => return Err(Failure::Gone(reason)),
            Some(Reply::Refused(reason)) => return Err(Failure::Absent(reason)),
            _ => return Err(Failure::Absent("maized has not answered".into())),
        }
        let (connection, socket) = take_over_connection(&mut daemon)?;
        limit(&socket)?;
        Ok(connection.resume(socket)?)
    }

    /// Says what has not come, and asks for what is needed first.
    fn begin_again(&self, link: &Link, rest: &Rest, sealer: Sealer, opener: Opener) -> Result<Opener, Failure> {
        opener.socket().set_read_timeout(Some(SILENCE))?;
        {
            // Nobody else says anything before.
            let mut current = lock(&link.sealer);
            *current = sealer;
            for (process, ranges) in rest.missing() {
                let ranges: Vec<(u64, u64)> =
                    ranges.into_iter().map(|range| (range.start, range.end - range.start)).collect();
                let mut some = ranges.chunks(RANGES);
                // Of a process that lacks nothing that is said, too.
                let first = some.next().unwrap_or_default();
                for ranges in std::iter::once(first).chain(some) {
                    send(&mut *current, &FromDestination::Lacks { process, ranges: ranges.to_vec() })?;
                }
            }
            send(&mut *current, &FromDestination::EndOfLacks)?;
            if rest.is_complete() || link.is_over.load(Ordering::SeqCst) {
                send(&mut *current, &FromDestination::Whole)?;
            }
        }
        rest.ask_again();
        Ok(opener)
    }
}

/// Takes what comes by one connection after the other.
struct Taker<'a> {
    link: &'a Link,
    rest: &'a Rest,
    tell: &'a Sender<io::Result<ToDestination>>,
    /// The word to run the program has come.
    is_given: bool,
    /// The other side has nothing any more.
    is_released: bool,
}

impl Taker<'_> {
    /// Returns when nothing comes any more by this connection.
    fn take(&mut self, opener: &mut Opener) -> Result<Infallible, Failure> {
        loop {
            match hear(opener)? {
                ToDestination::Pages { process, runs, zeros } => {
                    let runs = runs.into_iter().map(|(address, bytes)| (address, bytes.into_vec())).collect();
                    let come = self.rest.come(&Pages { process, runs, zeros });
                    come.map_err(|error| Failure::Gone(format!("what has come cannot be put in place: {error}")))?;
                    self.link.say(&FromDestination::Arrived)?;
                    if self.rest.is_complete() {
                        self.link.say(&FromDestination::Whole)?;
                    }
                }
                ToDestination::Released => self.is_released = true,
                other => {
                    if matches!(other, ToDestination::Commit) {
                        self.is_given = true;
                        opener.socket().set_read_timeout(Some(SILENCE))?;
                    }
                    // Nobody may need to know that it is known that the program has come.
                    let _ = self.tell.send(Ok(other));
                }
            }
        }
    }
}
