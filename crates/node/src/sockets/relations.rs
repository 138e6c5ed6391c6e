//! Which Unix sockets are connected to each other: the kernel tells by `NETLINK_SOCK_DIAG` (sock_diag(7)), by inodes.

use crate::netlink;
use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::unix::{ShowFlags, StateFlags, UnixRequest};
use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use std::io;

/// What the kernel knows of a Unix socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Relations {
    /// It is connected to another one, which may be closed by now.
    pub(crate) is_connected: bool,
    /// The inode of that, if it is open.
    pub(crate) peer: Option<u64>,
    /// `RCV_SHUTDOWN` and `SEND_SHUTDOWN`.
    pub(crate) shutdown: u8,
    /// If it listens: how many connections wait, and how many may.
    pub(crate) waiting: u32,
    pub(crate) backlog: u32,
}

/// What there is of the Unix socket with this inode.
pub(crate) fn of(inode: u64) -> io::Result<Relations> {
    let request = UnixRequest {
        state_flags: StateFlags::all(),
        inode: u32::try_from(inode).map_err(io::Error::other)?,
        show_flags: ShowFlags::PEER | ShowFlags::RQLEN,
        cookie: [0xff; 8],
    };
    let (answer, _) = netlink::ask(NETLINK_SOCK_DIAG, SockDiagMessage::UnixRequest(request), 0)?.recv_from_full()?;
    let answer = NetlinkMessage::<SockDiagMessage>::deserialize(&answer).map_err(io::Error::other)?;
    match answer.payload {
        NetlinkPayload::InnerMessage(SockDiagMessage::UnixResponse(response)) => Ok(Relations {
            is_connected: response.peer().is_some(),
            peer: response.peer().filter(|&peer| peer != 0).map(u64::from),
            shutdown: response.shutdown_state().unwrap_or(0),
            waiting: response.number_of_pending_connection().unwrap_or(0),
            backlog: response.max_number_of_pending_connection().unwrap_or(0),
        }),
        NetlinkPayload::Error(error) => Err(error.to_io()),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}
