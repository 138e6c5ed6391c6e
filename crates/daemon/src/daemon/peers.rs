//! Watching the other members: a connection to each, on which both say once a second how they are. One that does not answer in time is down until it does; what
//! they know of members each takes over from the other.

use super::{BEAT, Daemon, Peer, note, start};
use crate::channel;
use crate::error::{NodeError, Result};
use crate::identity::PublicKey;
use crate::message::{LIMIT, Reply, Request, receive, send};
use crate::sync::lock;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// Who has not answered by then is down.
const PATIENCE: Duration = Duration::from_secs(2);

impl Daemon {
    /// Watches all members that are not being watched yet.
    pub(super) fn watch_members(self: &Arc<Self>) -> Result<()> {
        let own = self.identity.public();
        let members = lock(&self.members).clone();
        for member in members.iter().filter(|member| member.key != own && !member.address.is_empty()) {
            let key = member.key;
            {
                let mut peers = lock(&self.peers);
                if peers.contains_key(&key) {
                    continue;
                }
                peers.insert(key, Peer::default());
            }
            let daemon = Arc::clone(self);
            start("peer", move || daemon.watch(key))?;
        }
        Ok(())
    }

    /// Watches a member until it is no longer one.
    fn watch(self: &Arc<Self>, key: PublicKey) {
        loop {
            let Some(member) = lock(&self.members).trusted(&key).cloned() else {
                lock(&self.peers).remove(&key);
                return;
            };
            if let Err(error) = self.converse(&member.address, key) {
                let mut peers = lock(&self.peers);
                let peer = peers.entry(key).or_default();
                if peer.down.is_none() {
                    note(&format!("{} is down: {error}", member.name));
                }
                peer.down = Some(error.to_string());
            }
            thread::sleep(BEAT);
        }
    }

    /// Returns when the member has been removed, or has another address.
    fn converse(self: &Arc<Self>, address: &str, key: PublicKey) -> Result<()> {
        let lost = |source| NodeError::Lost { peer: address.into(), source };
        let connection = channel::connect(address, self.identity.private(), &key, PATIENCE)?;
        connection.socket.set_read_timeout(Some(PATIENCE)).map_err(lost)?;
        connection.socket.set_write_timeout(Some(PATIENCE)).map_err(lost)?;
        let (mut sealer, mut opener) = connection.state.resume(connection.socket).map_err(lost)?;
        let mut known = None;
        loop {
            send(&mut sealer, &Request::Heartbeat(self.heartbeat(known))).map_err(lost)?;
            let heard = match receive(&mut opener, LIMIT).map_err(lost)? {
                Some(Reply::Heartbeat(heard)) => heard,
                Some(Reply::Refused(reason)) => return Err(NodeError::Refused { peer: address.into(), reason }),
                Some(_) => {
                    return Err(NodeError::Protocol {
                        peer: address.into(),
                        message: "no answer to a heartbeat".into(),
                    });
                }
                None => return Err(lost(std::io::ErrorKind::UnexpectedEof.into())),
            };
            known = Some(heard.digest);
            self.learn(&heard.members)?;
            let is_back = {
                let mut peers = lock(&self.peers);
                let peer = peers.entry(key).or_default();
                peer.report = Some(heard.report);
                peer.down.take().is_some()
            };
            if is_back {
                note(&format!("{address} answers again"));
            }
            thread::sleep(BEAT);
            if lock(&self.members).trusted(&key).is_none_or(|member| member.address != address) {
                return Ok(());
            }
        }
    }
}
