//! What the daemon does for a move between nodes: it connects the two shims, and asks the other node for a shim that has lost the connection (docs/nodes.md).

use super::{Daemon, lock, session};
use crate::channel::{self, Authenticated};
use crate::error::{NodeError, Result};
use crate::link::{self, Leave};
use crate::message::{LIMIT, Location, Reply, Request, receive, send};
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
        isa: Option<String>,
        timeout: Duration,
        dry_run: bool,
    ) -> Result<Option<Location>> {
        let own = &self.identity.configuration.name;
        if !self.programs.is_running(program) {
            return Err(NodeError::Invalid(format!("no program {program} runs on {own}")));
        }
        let Authenticated { socket, state: connection, .. } = self.reach(to)?;
        let order = Leave { to: to.to_owned(), isa, timeout, dry_run, connection };
        let location = link::leave(&self.programs.directory(program), order, &socket)?;
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
        receive(&mut opener, LIMIT).map_err(lost)?.ok_or_else(|| lost(std::io::ErrorKind::UnexpectedEof.into()))
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
}
