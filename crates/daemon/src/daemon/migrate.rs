//! What the daemon does for a move between nodes: it connects the two shims, and that which hands on the streams of an attached program; and it asks the other node for a shim that has
//! lost the connection (docs/nodes.md).

use super::{Daemon, session};
use crate::channel::{self, Authenticated, Handover};
use crate::client::unexpected;
use crate::error::{NodeError, Result};
use crate::link::{self, Leave};
use crate::message::{LIMIT, Location, Reply, Request, Transfer, receive, send};
use crate::sync::lock;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// How long another node may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

impl Daemon {
    /// The ISA of a program that comes from another node and is to be on no other.
    pub(super) fn usual_isa(&self) -> Option<String> {
        self.native.iter().chain(&self.emulated).next().map(|isa| isa.name().to_owned())
    }

    /// Has a program go to another node; returns where it is then, unless it was only to be found out whether it can.
    pub(super) fn migrate(
        &self,
        program: u32,
        to: &str,
        leave: impl FnOnce(Handover) -> Leave,
    ) -> Result<Option<Location>> {
        let own = &self.identity.configuration.name;
        if !self.programs.is_running(program) {
            return Err(NodeError::Invalid(format!("no program {program} runs on {own}")));
        }
        let Authenticated { socket, state: connection, .. } = self.reach(to)?;
        let location = link::leave(&self.programs.directory(program), leave(connection), &socket)?;
        self.look();
        Ok(location)
    }

    /// Asks another node, for a shim of this one.
    pub(super) fn relay(self: &Arc<Self>, node: &str, request: &Request) -> Result<Reply> {
        if node == self.identity.configuration.name {
            // What has gone on from there may have come back.
            return Ok(session::reply(self, request, node));
        }
        let Authenticated { socket, state, .. } = self.reach(node)?;
        let lost = |source| NodeError::Lost { peer: node.into(), source };
        socket.set_read_timeout(Some(PATIENCE)).map_err(lost)?;
        let (mut sealer, mut opener) = state.resume(socket).map_err(lost)?;
        send(&mut sealer, request).map_err(lost)?;
        receive(&mut opener, LIMIT).map_err(lost)?.ok_or_else(|| lost(io::ErrorKind::UnexpectedEof.into()))
    }

    /// Connects to the shim that hands on the streams of a program which is to come here.
    pub(super) fn attach(&self, home: &Location, transfer: Transfer) -> Result<(TcpStream, Handover)> {
        let Location { node, program } = home;
        let is_here = *node == self.identity.configuration.name;
        let connection = if is_here { self.reach_itself() } else { self.reach(node) }?;
        connect(connection, node, &Request::Attach { program: *program, transfer })
    }

    /// Connects to the shim that a program has left, which has what is left of its memory.
    pub(super) fn follow(&self, node: &str, request: &Request) -> Result<(TcpStream, Handover)> {
        connect(self.reach(node)?, node, request)
    }

    /// Connects to who serves the files of another node.
    pub(super) fn files(&self, node: &str) -> Result<(TcpStream, Handover)> {
        connect(self.reach(node)?, node, &Request::Files)
    }

    fn reach(&self, name: &str) -> Result<Authenticated> {
        let member = lock(&self.members).named(name)?.clone();
        if member.key == self.identity.public() {
            return Err(NodeError::Invalid(format!("the program is on {name}")));
        }
        if member.address.is_empty() {
            return Err(NodeError::Invalid(format!("node {name} has no address; it does not run programs")));
        }
        channel::connect(&member.address, self.identity.private(), &member.key, PATIENCE)
    }

    fn reach_itself(&self) -> Result<Authenticated> {
        let listens = self.listens;
        let address = match listens.ip().is_unspecified() {
            true => SocketAddr::from((Ipv4Addr::LOCALHOST, listens.port())),
            false => listens,
        };
        channel::connect(&address.to_string(), self.identity.private(), &self.identity.public(), PATIENCE)
    }
}

/// Asks for something that the rest of the connection is for.
fn connect(connection: Authenticated, node: &str, request: &Request) -> Result<(TcpStream, Handover)> {
    let Authenticated { socket, state, .. } = connection;
    let lost = |source| NodeError::Lost { peer: node.to_owned(), source };
    socket.set_read_timeout(Some(PATIENCE)).map_err(lost)?;
    let (mut sealer, mut opener) = state.resume(socket).map_err(lost)?;
    send(&mut sealer, request).map_err(lost)?;
    match receive(&mut opener, LIMIT).map_err(lost)? {
        Some(Reply::Ready) => {}
        Some(reply) => return Err(unexpected(node.to_owned(), reply)),
        None => return Err(lost(io::ErrorKind::UnexpectedEof.into())),
    }
    opener.socket().set_read_timeout(None).map_err(lost)?;
    let more = || lost(io::Error::new(io::ErrorKind::InvalidData, "more was said than was asked"));
    opener.hand_over(sealer).ok_or_else(more)
}
