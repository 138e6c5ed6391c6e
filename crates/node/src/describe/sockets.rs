//! Sockets, in words that another machine understands.

use super::{Description, Destination, Source, identity};
use crate::network::{Address, canonical, ends};
use crate::sockets::{Sort, TCP_CLOSE, TCP_LISTEN, TcpInfo, name_of, option, queue, relations, shown};
use maize_snapshot::{FileKind, Socket, SocketName, SocketState};
use rustix::fs::Stat;
use rustix::net::{getpeername, getsockname};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, BorrowedFd};

/// What is said of a socket that is connected to what is not the program's.
pub(crate) const FOREIGN: &str = "whose other end is not the program's: close it before";

fn is_unspecified(name: &SocketName) -> bool {
    matches!(name, SocketName::Internet(address) if address.ip().is_unspecified() && address.port() == 0)
}

/// What a socket is connected to.
fn peer_of(socket: BorrowedFd<'_>) -> Option<SocketName> {
    getpeername(socket).ok().flatten().and_then(name_of)
}

/// How far connections go along.
#[derive(Clone, Copy)]
pub(crate) enum Connections<'a> {
    /// Not at all: they do not last as long as a snapshot.
    Stay,
    /// Those of the program's own address, if it has one.
    Go(Option<&'a Address>),
}

/// What keeps a socket from going along, as far as that shows by itself.
pub(crate) fn obstacle(socket: BorrowedFd<'_>, connections: Connections<'_>) -> io::Result<Option<String>> {
    let sort = Sort::of(socket)?;
    if sort.is_unix() || sort.is_udp() {
        return Ok(None);
    }
    if !sort.is_tcp() {
        return Ok(Some(format!(
            "a socket of family {} and kind {}, which cannot go along: close it before",
            sort.family, sort.kind
        )));
    }
    if [TCP_CLOSE, TCP_LISTEN].contains(&TcpInfo::of(socket)?.state) {
        return Ok(None);
    }
    let own = ends(socket).map(|(own, _)| canonical(own));
    Ok(match connections {
        Connections::Go(Some(address)) if own == Some(address.ip) => None,
        // Whether that is the program's own, too, shows when all have been seen.
        Connections::Go(Some(_)) if own.is_some_and(|own| own.is_loopback()) => None,
        Connections::Go(Some(address)) => Some(format!(
            "{}, from another address than the program's own, {}: close it before, or have the program bind to that",
            connection(socket),
            address.ip
        )),
        Connections::Go(None) => Some(format!(
            "{}, {FOREIGN}, or start the program with an address of its own (--address), with which its connections go along",
            connection(socket)
        )),
        Connections::Stay => Some(format!("{}, {FOREIGN}", connection(socket))),
    })
}

/// The ends of a TCP connection; nothing of other sockets.
pub(crate) fn tcp_ends(socket: BorrowedFd<'_>) -> Option<(SocketAddr, SocketAddr)> {
    Sort::of(socket).ok().filter(|sort| sort.is_tcp())?;
    ends(socket)
}

/// A connection within this machine that goes along has both ends in the program. Names those that have not.
pub(crate) fn alone(connections: &[(SocketAddr, SocketAddr)]) -> impl Iterator<Item = String> {
    let has_other = |(own, peer): &&(SocketAddr, SocketAddr)| connections.contains(&(*peer, *own));
    let inner = connections.iter().filter(|(own, _)| canonical(*own).is_loopback());
    inner
        .filter(move |one| !has_other(one))
        .map(|(own, peer)| format!("the connection of {own} to {peer} is one {FOREIGN}"))
}

/// For a Unix socket that may be one of a pair, the inode of the other one; nothing for others.
pub(crate) fn nameless_peer(socket: BorrowedFd<'_>, inode: u64) -> Option<Option<u64>> {
    let sort = Sort::of(socket).ok().filter(|sort| sort.is_unix())?;
    let named = sort.is_datagrams() && peer_of(socket).is_some();
    Some(if named { None } else { relations::of(inode).ok()?.peer })
}

/// A connection that cannot go along, for people.
fn connection(socket: BorrowedFd<'_>) -> String {
    let name = |name: Option<SocketName>| name.map_or_else(|| "?".to_owned(), |name| shown(&name));
    let (own, peer) = (getsockname(socket).ok().and_then(name_of), peer_of(socket));
    format!("a connection ({} to {})", name(own), name(peer))
}

impl Description {
    /// A socket that has not been described yet.
    pub(super) fn socket(&mut self, socket: BorrowedFd<'_>, status: &Stat) -> Result<FileKind, String> {
        let failed = |error: io::Error| format!("a socket that cannot be looked into: {error}");
        let connections = match &self.destination {
            Destination::File => Connections::Stay,
            Destination::Node(address) => Connections::Go(address.as_ref()),
        };
        if let Some(obstacle) = obstacle(socket, connections).map_err(failed)? {
            return Err(obstacle);
        }
        let sort = Sort::of(socket).map_err(failed)?;
        let Sort { family, kind, protocol } = sort;
        let options = self.options.of(socket, [family, kind, protocol]).map_err(failed)?;
        let name = getsockname(socket).ok().and_then(name_of).filter(|name| !is_unspecified(name));
        let state = if sort.is_tcp() {
            let info = TcpInfo::of(socket).map_err(failed)?;
            match info.state {
                TCP_LISTEN => SocketState::Listening { backlog: info.backlog() },
                TCP_CLOSE if info.was_connected() => SocketState::Lost,
                TCP_CLOSE => SocketState::Idle,
                _ => {
                    let copy = socket.try_clone_to_owned().map_err(failed)?;
                    self.connections.push((self.files.len(), copy));
                    SocketState::Connection
                }
            }
        } else if sort.is_udp() {
            SocketState::Datagrams { peer: peer_of(socket) }
        } else {
            self.unix(socket, identity(status)[1], sort)?
        };
        Ok(FileKind::Socket { socket: Socket { family, kind, protocol, options, name, state } })
    }

    fn unix(&mut self, socket: BorrowedFd<'_>, inode: u64, sort: Sort) -> Result<SocketState, String> {
        let failed = |error: io::Error| format!("a Unix socket that cannot be looked into: {error}");
        let found = relations::of(inode).map_err(failed)?;
        let listens = option::get_number(socket, libc::SOL_SOCKET, libc::SO_ACCEPTCONN).map_err(failed)? != 0;
        if listens {
            return match found.waiting {
                0 => Ok(SocketState::Listening { backlog: found.backlog }),
                _ => Err("a Unix socket at which connections wait to be accepted: try again".into()),
            };
        }
        let waiting = queue::look(socket, sort.kind).map_err(failed)?;
        let peer = peer_of(socket);
        if sort.is_datagrams() && (!found.is_connected || peer.is_some()) {
            return match waiting.messages.is_empty() {
                true => Ok(SocketState::Datagrams { peer }),
                false => {
                    Err("a Unix socket in which datagrams wait, of which the senders cannot be told: try again".into())
                }
            };
        }
        const RCV_SHUTDOWN: u8 = 1;
        const SEND_SHUTDOWN: u8 = 2;
        if !found.is_connected && found.shutdown == 0 {
            return Ok(SocketState::Idle);
        }
        if let Some(peer) = found.peer {
            self.paired.push((self.files.len(), inode, peer));
        }
        let content = self.push(Source::Bytes(waiting.bytes.clone()), waiting.bytes.len() as u64);
        Ok(SocketState::Pair {
            // Known when everything has been described.
            peer: None,
            reads_no_more: found.shutdown & RCV_SHUTDOWN != 0,
            writes_no_more: found.shutdown & SEND_SHUTDOWN != 0,
            content,
            messages: waiting.messages,
        })
    }

    /// Names connections whose other end should be the program's and is not.
    pub(super) fn finish_connections(&mut self) {
        let both: Vec<_> = self.connections.iter().filter_map(|(_, socket)| ends(socket.as_fd())).collect();
        self.refused.extend(alone(&both));
    }

    /// Finds the other one of each pair.
    pub(super) fn finish_pairs(&mut self) {
        for (file, _, peer_inode) in std::mem::take(&mut self.paired) {
            let other = self.known.iter().find(|known| {
                known.stream.is_none()
                    && known.identity[1] == peer_inode
                    && matches!(self.files[known.file].kind, FileKind::Socket { .. })
            });
            let other = other.map(|known| known.file);
            let FileKind::Socket { socket: Socket { state: SocketState::Pair { peer, .. }, .. } } =
                &mut self.files[file].kind
            else {
                continue;
            };
            *peer = other;
            if other.is_none() {
                self.refused.push(format!("socket:[{}] is a connection, {FOREIGN}", self.inode_of(file)));
            }
        }
    }

    fn inode_of(&self, file: usize) -> u64 {
        self.known.iter().find(|known| known.file == file).map_or(0, |known| known.identity[1])
    }
}
