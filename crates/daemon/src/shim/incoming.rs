//! The connection to the shim that a program leaves, at the side that it comes to.

use crate::channel::{Opener, Sealer};
use crate::message::{FromDestination, LIMIT, ToDestination, receive, send};
use crate::sync::lock;
use maize_node::Rest;
use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The other side may take so long to stop the program, and to send a piece of it.
const PATIENCE: Duration = Duration::from_secs(120);

/// The connection to the shim that the program leaves.
#[derive(Clone)]
pub(super) struct Link {
    pub(super) sealer: Arc<Mutex<Sealer>>,
    hearing: Arc<Mutex<Hearing>>,
    /// No memory that comes later is needed any more.
    pub(super) is_over: Arc<AtomicBool>,
}

/// Where messages come from.
enum Hearing {
    Connection(Box<Opener>),
    /// A thread that takes out memory that comes later.
    Sorted(Receiver<io::Result<ToDestination>>),
}

impl Link {
    pub(super) fn new(sealer: Sealer, opener: Opener) -> io::Result<Link> {
        limit(opener.socket())?;
        Ok(Link {
            sealer: Arc::new(Mutex::new(sealer)),
            hearing: Arc::new(Mutex::new(Hearing::Connection(Box::new(opener)))),
            is_over: Arc::default(),
        })
    }

    pub(super) fn say(&self, message: &FromDestination) -> io::Result<()> {
        send(&mut *lock(&self.sealer), message)
    }

    /// The program has ended, so that nothing of it has to come any more.
    pub(super) fn end(&self, rest: &Rest) {
        self.is_over.store(true, Ordering::SeqCst);
        if !rest.is_complete() {
            // If that is not heard, there is nobody, or that node waits for this one for a while.
            let _ = self.say(&FromDestination::Whole);
        }
    }

    pub(super) fn hear(&self) -> io::Result<ToDestination> {
        match &mut *lock(&self.hearing) {
            Hearing::Connection(opener) => hear(opener),
            Hearing::Sorted(others) => others.recv().unwrap_or_else(|_| Err(io::ErrorKind::UnexpectedEof.into())),
        }
    }

    /// Reads of a piece of which so many bytes are left.
    pub(super) fn read(&self, left: usize, bytes: &mut [u8]) -> io::Result<usize> {
        let Hearing::Connection(opener) = &mut *lock(&self.hearing) else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a piece after the last"));
        };
        match opener.read_of(left, bytes)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => Ok(read),
        }
    }

    /// What comes later of the program's memory.
    pub(super) fn rest(&self) -> Rest {
        let link = self.clone();
        Rest::new(Box::new(move |process, range| {
            let bring = FromDestination::Bring { process, address: range.start, length: range.end - range.start };
            if link.say(&bring).is_err() {
                // Who hears what comes will be told.
                let _ = lock(&link.sealer).socket().shutdown(Shutdown::Both);
            }
        }))
    }

    /// From now on the messages are those that somebody tells who reads the connection, which is returned if it is not another's yet.
    pub(super) fn divert(&self, others: Receiver<io::Result<ToDestination>>) -> Option<Opener> {
        match std::mem::replace(&mut *lock(&self.hearing), Hearing::Sorted(others)) {
            Hearing::Connection(opener) => Some(*opener),
            Hearing::Sorted(_) => None,
        }
    }

    /// Says why the program cannot come, and waits until that has been heard.
    pub(super) fn refuse(&self, reason: String) {
        if self.say(&FromDestination::Refused(reason)).is_ok() {
            // Closing with something unread would take back what has been said.
            match &mut *lock(&self.hearing) {
                Hearing::Connection(opener) => drop(io::copy(&mut **opener, &mut io::sink())),
                Hearing::Sorted(others) => while others.recv().is_ok_and(|heard| heard.is_ok()) {},
            }
        }
    }
}

/// Nothing is waited for longer than that.
pub(super) fn limit(socket: &TcpStream) -> io::Result<()> {
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))
}

pub(super) fn hear(opener: &mut Opener) -> io::Result<ToDestination> {
    receive(opener, LIMIT)?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}
