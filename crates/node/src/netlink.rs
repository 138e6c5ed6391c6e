//! Questions to the kernel by netlink(7).

use netlink_packet_core::{NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload, NetlinkSerializable};
use netlink_sys::{Socket, SocketAddr};
use std::io;

/// Asks by a protocol (`NETLINK_*`), with flags beyond `NLM_F_REQUEST`; the answers come by the socket.
pub(crate) fn ask<M: NetlinkSerializable>(
    protocol: isize,
    question: impl Into<NetlinkPayload<M>>,
    flags: u16,
) -> io::Result<Socket> {
    let mut socket = Socket::new(protocol)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | flags;
    let mut message = NetlinkMessage::new(header, question.into());
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    socket.send(&bytes, 0)?;
    Ok(socket)
}
