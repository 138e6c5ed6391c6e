//! Strangers, who may do one thing: show a token and become members.

use super::{Daemon, note};
use crate::channel::Authenticated;
use crate::error::{NodeError, Result};
use crate::identity::PublicKey;
use crate::members::{Member, Members};
use crate::message::{Join, Reply, Request, STRANGERS_LIMIT, receive, send};
use crate::sync::lock;
use crate::token::Token;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(5);

/// Hears what somebody wants who is no member.
pub(super) fn serve(daemon: &Arc<Daemon>, connection: Authenticated) -> Result<()> {
    let (ours, theirs) = match (connection.socket.local_addr(), connection.socket.peer_addr()) {
        (Ok(ours), Ok(theirs)) => (ours, theirs),
        (Err(source), _) | (_, Err(source)) => return Err(NodeError::Lost { peer: "somebody".into(), source }),
    };
    let peer = theirs.to_string();
    let lost = |source| NodeError::Lost { peer: peer.clone(), source };
    connection.socket.set_read_timeout(Some(PATIENCE)).map_err(lost)?;
    connection.socket.set_write_timeout(Some(PATIENCE)).map_err(lost)?;
    let key = connection.peer;
    let (mut sealer, mut opener) = connection.state.resume(connection.socket).map_err(lost)?;
    let request = receive(&mut opener, STRANGERS_LIMIT).map_err(lost)?;
    let result = match request {
        Some(Request::Join(join)) => take_in(daemon, key, join, ours.ip(), theirs.ip()),
        _ => Err(format!(
            "node {} does not know this node's key ({key}); join with a token from `maize node token`",
            daemon.identity.configuration.name
        )),
    };
    let reply = match &result {
        Ok(members) => Reply::Welcome(members.entries()),
        Err(reason) => Reply::Refused(reason.clone()),
    };
    send(&mut sealer, &reply).map_err(lost)?;
    result.map(|_| ()).map_err(|reason| NodeError::Refused { peer: peer.clone(), reason })
}

fn take_in(
    daemon: &Arc<Daemon>,
    key: PublicKey,
    join: Join,
    ours: IpAddr,
    theirs: IpAddr,
) -> std::result::Result<Members, String> {
    let text = |error: NodeError| error.to_string();
    if !Token::redeem(&daemon.directory, &join.secret).map_err(text)? {
        return Err("the token has expired, or has been used; `maize node token` on a member prints a new one".into());
    }
    let address = match join.address.strip_prefix(':').map(str::parse) {
        Some(Ok(port)) => SocketAddr::new(theirs, port).to_string(),
        Some(Err(_)) => return Err(format!("{}: not a port", join.address)),
        None => join.address,
    };
    let own = daemon.identity.public();
    let members = Members::change(&daemon.directory, |members| {
        members.add(&join.name, &address, key)?;
        // Where the new node has reached this one, others can, too.
        if let Some(known) = members.trusted(&own).filter(|own| own.address.is_empty()).cloned() {
            members.set(Member { address: SocketAddr::new(ours, daemon.listens.port()).to_string(), ..known });
        }
        Ok(())
    })
    .map_err(|error| format!("{error}. The token is used up"))?;
    note(&format!("{} ({key}) at {address} is a member now", join.name));
    daemon.know(members).map_err(text)?;
    Ok(lock(&daemon.members).clone())
}
