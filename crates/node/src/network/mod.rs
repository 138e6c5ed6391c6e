//! What a program has of the network and takes along when it goes to another node (docs/nodes.md): an address of its own, and its TCP connections.
//!
//! At its old node ([`Carried`]) the address is taken away first: from then on nothing comes for the connections, and nothing is answered. Then they are held and looked
//! into. At the new one ([`Incoming`]) they are made again and held, and go on when the program is this node's, which is when the address is added.

mod address;
mod announce;
mod connection;
mod gate;
mod segment;

pub use address::Address;
pub use connection::Connection;
pub(crate) use connection::{canonical, ends, set_transparent};
pub(crate) use gate::Gate;

use crate::reopen::Later;
use crate::sockets::option::get_number;
use crate::sync::lock;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, Mutex};

/// An address that a program has on this machine. Dropped, it is taken away.
#[derive(Debug)]
pub(crate) struct Holding {
    address: Address,
    index: u32,
    /// It is there now.
    is_there: Mutex<bool>,
}

impl Holding {
    /// Nothing is done yet.
    pub(crate) fn prepare(address: &Address) -> Result<Holding, String> {
        Ok(Holding { address: address.clone(), index: address.index()?, is_there: Mutex::new(false) })
    }

    /// Adds it, and tells the network.
    pub(crate) fn take(&self) -> Result<(), String> {
        let mut is_there = lock(&self.is_there);
        self.address.add(self.index).map_err(|error| format!("{}: cannot be added: {error}", self.address))?;
        *is_there = true;
        // Neighbours that do not hear of it find out by themselves, after a while.
        let _ = announce::announce(self.address.ip, self.index);
        Ok(())
    }

    /// Takes it away.
    fn give_up(&self) -> Result<(), String> {
        let mut is_there = lock(&self.is_there);
        if std::mem::take(&mut *is_there) {
            self.address.remove(self.index).map_err(|error| format!("{}: cannot be removed: {error}", self.address))?;
        }
        Ok(())
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        if let Err(reason) = self.give_up() {
            eprintln!("maize: warning: {reason}");
        }
    }
}

/// Whose connections they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The kernel's of this machine.
    Here,
    /// Nobody's: they are held.
    Held,
    /// Another machine's.
    Left,
}

/// What a program that is on its way has of the network. Dropped, it has it here again, unless it has [left](Carried::leave).
pub(crate) struct Carried {
    holding: Option<Arc<Holding>>,
    /// With the index of each among the open files, and its `SO_REUSEADDR`.
    connections: Vec<(usize, OwnedFd, u32)>,
    phase: Mutex<Phase>,
}

impl Carried {
    pub(crate) fn new(holding: Option<Arc<Holding>>, connections: Vec<(usize, OwnedFd)>) -> Carried {
        let reuses = |socket: &OwnedFd| get_number(socket.as_fd(), libc::SOL_SOCKET, libc::SO_REUSEADDR).unwrap_or(0);
        let connections = connections.into_iter().map(|(file, socket)| {
            let reuses = reuses(&socket);
            (file, socket, reuses)
        });
        Carried { holding, connections: connections.collect(), phase: Mutex::new(Phase::Here) }
    }

    /// Takes everything out of the kernel's hands, and tells what the connections are made of.
    ///
    /// # Errors
    /// Which cannot be taken along, and why.
    pub(crate) fn hold(&self) -> Result<Vec<Connection>, String> {
        *lock(&self.phase) = Phase::Held;
        if let Some(holding) = &self.holding {
            holding.give_up()?;
        }
        let failed = |socket: &OwnedFd, error| {
            let (own, peer) =
                ends(socket.as_fd()).map_or_else(Default::default, |(own, peer)| (own.to_string(), peer.to_string()));
            format!("the connection of {own} to {peer} cannot be taken along: {error}")
        };
        for (_, socket, _) in &self.connections {
            connection::hold(socket.as_fd()).map_err(|error| failed(socket, error))?;
        }
        let look = |(file, socket, _): &(usize, OwnedFd, u32)| {
            Connection::of(socket.as_fd(), *file).map_err(|error| failed(socket, error))
        };
        self.connections.iter().map(look).collect()
    }

    /// The program runs elsewhere.
    pub(crate) fn leave(&self) {
        *lock(&self.phase) = Phase::Left;
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        if *lock(&self.phase) != Phase::Held {
            return;
        }
        if let Some(Err(reason)) = self.holding.as_ref().map(|holding| holding.take()) {
            eprintln!("maize: warning: {reason}");
        }
        for (_, socket, reuses) in &self.connections {
            // Those that were not held yet do not mind.
            let _ = connection::let_go(socket.as_fd(), *reuses);
        }
    }
}

/// What a program has of the network where it comes to.
pub struct Incoming {
    holding: Option<Holding>,
    later: Later,
    filled: Vec<(OwnedFd, Connection, u32)>,
}

impl Incoming {
    pub(crate) fn new(address: Option<&Address>) -> Result<Incoming, String> {
        let holding = address.map(Holding::prepare).transpose()?;
        Ok(Incoming { holding, later: Later::default(), filled: Vec::new() })
    }

    /// What is to be done when the program is here.
    pub(crate) fn later(&mut self) -> &mut Later {
        &mut self.later
    }

    /// A connection, as it was taken out of the kernel's hands at the old node.
    ///
    /// # Errors
    /// Why it cannot be made again.
    pub fn add(&mut self, connection: Connection) -> Result<(), String> {
        let socket = self.later.take_connection(connection.file).ok_or("a connection of no socket")?;
        let reuses = get_number(socket.as_fd(), libc::SOL_SOCKET, libc::SO_REUSEADDR).unwrap_or(0);
        connection.fill(&socket).map_err(|error| format!("a connection cannot be made again: {error}"))?;
        self.filled.push((socket, connection, reuses));
        Ok(())
    }

    /// The program is here: what it has goes on. Returns the address, and what does not go on.
    pub(crate) fn complete(mut self) -> (Option<Holding>, Vec<String>) {
        let mut failed = Vec::new();
        if let Some(Err(reason)) = self.holding.as_ref().map(Holding::take) {
            failed.push(reason);
        }
        for (socket, connection, reuses) in self.filled.drain(..) {
            if let Err(error) = connection.release(&socket, reuses) {
                connection.give_up(&socket);
                failed.push(format!("a connection is lost: {error}"));
            }
        }
        failed.extend(std::mem::take(&mut self.later).complete());
        (self.holding.take(), failed)
    }
}
