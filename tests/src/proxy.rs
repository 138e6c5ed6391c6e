//! Stands before a node's daemon and hands on what is said to it. On the connection by which a program comes it knows the messages by their direction and size (the connection is
//! encrypted), so that something can be done at exactly one of them.

use crate::cluster::Cluster;
use anyhow::{Context as _, Result};
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Where others reach the node.
const PORT: u16 = 7310;
/// Where its daemon is.
const BEHIND: u16 = 7311;
/// More than a heartbeat, less than the request to take a program whose environment is [`Proxy::PADDING`].
const OFFER: usize = 6000;
/// More than anything but a program.
const PROGRAM: usize = 400_000;

/// Bytes of `Marked` on its way, which says no more than how far the other side is.
const MARKED: usize = 24;

/// A message of a move between nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Point {
    /// `Receive`: nothing has stopped.
    Offer,
    /// A piece of the program.
    Piece,
    /// `Restored`.
    Restored,
    /// `Commit`.
    Commit,
    /// `Taken`.
    Taken,
    /// When so many bytes of memory have gone after a program that has come.
    Memory(usize),
}

/// What happens to the message and its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// It is handed on.
    None,
    /// It is lost, and the connection is closed.
    Closed,
    /// It is lost, and so is all that would come after it, without a word.
    Silent,
}

type Deed = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Trap {
    armed: Option<(Point, Cut, Deed)>,
    has_sprung: bool,
}

/// A connection that is handed on.
struct Handed {
    progress: Arc<Mutex<Progress>>,
    client: TcpStream,
    server: TcpStream,
}

type Connections = Arc<Mutex<Vec<Handed>>>;

/// Hands on what is said to a node.
pub struct Proxy {
    trap: Arc<(Mutex<Trap>, Condvar)>,
    connections: Connections,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Proxy {
    /// A variable of programs that move makes the request to take them long enough to be told from others.
    pub const PADDING: (&str, usize) = ("PADDING", 10_000);

    /// Options of a daemon that is behind one.
    pub const OPTIONS: [&str; 2] = ["--listen", "0.0.0.0:7311"];

    /// Before the node whose daemon was, or will be, started with [`Proxy::OPTIONS`].
    ///
    /// # Errors
    /// If it cannot listen there.
    pub fn new(cluster: &Cluster, node: usize) -> Result<Proxy> {
        let trap = Arc::new((Mutex::<Trap>::default(), Condvar::new()));
        let shared = Arc::clone(&trap);
        let connections = Connections::default();
        let all = Arc::clone(&connections);
        let address = cluster.network.address(node);
        cluster.network.within(node, move || {
            let listener = TcpListener::bind((address, PORT)).context("listening before a node")?;
            // A thread begins in the network of the one that starts it.
            thread::spawn(move || {
                for client in listener.incoming().flatten() {
                    // A daemon that does not run refuses.
                    let Ok(server) = TcpStream::connect(("127.0.0.1", BEHIND)) else { continue };
                    let _ = relay(client, server, &shared, &all);
                }
            });
            Ok(())
        })?;
        Ok(Proxy { trap, connections })
    }

    /// Does something when this message passes next, before it does.
    pub fn arm(&self, point: Point, cut: Cut, deed: impl FnOnce() + Send + 'static) {
        *lock(&self.trap.0) = Trap { armed: Some((point, cut, Box::new(deed))), has_sprung: false };
    }

    /// Closes all connections by which a program, or its memory, has come or gone; how many those were.
    pub fn cut(&self) -> usize {
        let mut connections = lock(&self.connections);
        let of_programs: Vec<Handed> =
            connections.extract_if(.., |connection| lock(&connection.progress).passed >= PROGRAM).collect();
        let close = |socket: &TcpStream| socket.shutdown(Shutdown::Both).is_ok();
        of_programs.iter().filter(|connection| close(&connection.client) && close(&connection.server)).count()
    }

    /// Waits until it has been done; whether that was so.
    pub fn has_sprung(&self, within: Duration) -> bool {
        let trap = lock(&self.trap.0);
        let waited = self.trap.1.wait_timeout_while(trap, within, |trap| !trap.has_sprung);
        waited.unwrap_or_else(PoisonError::into_inner).0.has_sprung
    }
}

/// How far a connection has come.
struct Progress {
    /// Bytes that the client has said since the server said something.
    said: usize,
    /// The message that comes next, after a program.
    next: Option<Point>,
    /// Bytes that the client has said after `Taken`.
    followed: usize,
    /// Bytes that either has said.
    passed: usize,
    silent: bool,
}

impl Progress {
    /// The message that these bytes are of, if it is one of a move.
    fn point(&mut self, from_client: bool, length: usize, wanted: Option<Point>) -> Option<Point> {
        if from_client {
            if self.next == Some(Point::Offer) {
                self.followed += length;
                return wanted.filter(|wanted| matches!(wanted, Point::Memory(bytes) if *bytes <= self.followed));
            }
            let before = self.said;
            self.said += length;
            let crosses = |limit| before < limit && limit <= before + length;
            return match self.next {
                Some(Point::Commit) => {
                    self.next = Some(Point::Taken);
                    Some(Point::Commit)
                }
                _ if crosses(PROGRAM) => Some(Point::Piece),
                _ if crosses(OFFER) => Some(Point::Offer),
                _ => None,
            };
        }
        if length == MARKED {
            return None;
        }
        let said = std::mem::take(&mut self.said);
        match self.next {
            None if said >= PROGRAM => {
                self.next = Some(Point::Commit);
                Some(Point::Restored)
            }
            Some(Point::Taken) => {
                self.next = Some(Point::Offer);
                Some(Point::Taken)
            }
            _ => None,
        }
    }
}

fn relay(
    client: TcpStream,
    server: TcpStream,
    trap: &Arc<(Mutex<Trap>, Condvar)>,
    connections: &Connections,
) -> Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let progress = Arc::new(Mutex::new(Progress { said: 0, next: None, followed: 0, passed: 0, silent: false }));
    let handed = Handed { progress: Arc::clone(&progress), client: client.try_clone()?, server: server.try_clone()? };
    lock(connections).push(handed);
    let pairs = [(client.try_clone()?, server.try_clone()?, true), (server, client, false)];
    for (from, to, from_client) in pairs {
        let (progress, trap) = (Arc::clone(&progress), Arc::clone(trap));
        thread::spawn(move || {
            // However it ended, the other side is to see it.
            let _ = pump(&from, &to, from_client, &progress, &trap);
            let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
        });
    }
    Ok(())
}

fn pump(
    mut from: &TcpStream,
    mut to: &TcpStream,
    from_client: bool,
    progress: &Mutex<Progress>,
    trap: &(Mutex<Trap>, Condvar),
) -> Result<()> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let length = from.read(&mut buffer)?;
        let mut progress = lock(progress);
        if length == 0 && !progress.silent {
            return Ok(());
        }
        if progress.silent {
            drop(progress);
            // Longer than anybody waits.
            thread::sleep(Duration::from_secs(120));
            return Ok(());
        }
        progress.passed += length;
        let armed = {
            let mut trap = lock(&trap.0);
            let wanted = trap.armed.as_ref().map(|(wanted, ..)| *wanted);
            let point = progress.point(from_client, length, wanted);
            let is_it = trap.armed.as_ref().is_some_and(|(wanted, ..)| Some(*wanted) == point);
            if is_it { trap.armed.take() } else { None }
        };
        if let Some((_, cut, deed)) = armed {
            deed();
            lock(&trap.0).has_sprung = true;
            trap.1.notify_all();
            match cut {
                Cut::None => {}
                Cut::Closed => return Ok(()),
                Cut::Silent => {
                    progress.silent = true;
                    continue;
                }
            }
        }
        drop(progress);
        to.write_all(&buffer[..length])?;
    }
}

/// Waits until something is so, or that time is over; whether it is so.
///
/// # Errors
/// Of what is asked.
pub fn is_so_within(time: Duration, mut is_so: impl FnMut() -> Result<bool>) -> Result<bool> {
    let begun = Instant::now();
    while !is_so()? {
        if begun.elapsed() > time {
            return Ok(false);
        }
        thread::sleep(Duration::from_millis(200));
    }
    Ok(true)
}
