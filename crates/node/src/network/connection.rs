//! A TCP connection that goes from one machine to another while its peer knows nothing of it. The kernel's repair mode (`TCP_REPAIR`, Documentation in tcp_repair's
//! commits, and https://criu.org/TCP_connection) tells what a connection is made of, and makes it again without a packet.

use crate::sockets::option::{BUFFER_LOCKS, get_number, get_structure, set, set_number};
use crate::sockets::queue::send_all;
use crate::sockets::{TcpInfo, name_of};
use maize_snapshot::SocketName;
use rustix::io::{Errno, ioctl_fionread};
use rustix::net::{RecvFlags, Shutdown, bind, connect, connect_unspec, getpeername, getsockname, recv, shutdown};
use serde::{Deserialize, Serialize};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

const TCP: i32 = libc::IPPROTO_TCP;
const TCP_REPAIR: i32 = 19;
const TCP_REPAIR_QUEUE: i32 = 20;
const TCP_QUEUE_SEQ: i32 = 21;
const TCP_REPAIR_OPTIONS: i32 = 22;
const TCP_TIMESTAMP: i32 = 24;
const TCP_REPAIR_WINDOW: i32 = 29;
/// Of `TCP_REPAIR_QUEUE`.
const NO_QUEUE: u32 = 0;
const RECEIVE_QUEUE: u32 = 1;
const SEND_QUEUE: u32 = 2;
/// Of `TCP_REPAIR_OPTIONS`: the numbers of TCP's own options.
const MAXIMUM_SEGMENT_SIZE: u32 = 2;
const WINDOW_SCALE: u32 = 3;
const SACK_PERMITTED: u32 = 4;
const TIMESTAMPS: u32 = 8;
/// Of `tcpi_options`.
const HAS_TIMESTAMPS: u8 = 1;
const HAS_SACK: u8 = 2;
const HAS_WINDOW_SCALE: u8 = 4;

/// States of a connection (`include/net/tcp_states.h`).
pub(super) const ESTABLISHED: u8 = 1;
const FIN_WAIT_1: u8 = 4;
const FIN_WAIT_2: u8 = 5;
const CLOSE_WAIT: u8 = 8;
const LAST_ACK: u8 = 9;
const CLOSING: u8 = 11;

/// Bytes that go into a queue at a time. The kernel takes memory in one piece for those that are to be read.
const CHUNK: usize = 16 << 10;
/// Buffers are so much larger than what is put into them.
const ROOMIER: u32 = 4;
const LEAST_ROOM: u32 = 64 << 10;

/// All that makes up a connection.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Connection {
    /// Index of its socket among the program's open files.
    pub(crate) file: usize,
    own: SocketAddr,
    peer: SocketAddr,
    state: u8,
    /// Which of TCP's options both sides have agreed on, as `tcpi_options` has them.
    agreed: u8,
    /// By how many bits windows are shifted: the peer's, and our own.
    scales: [u8; 2],
    segment_size: u32,
    timestamp: u32,
    /// `struct tcp_repair_window`.
    window: [u32; 5],
    /// Sizes of the buffers for sending and receiving.
    buffers: [u32; 2],
    /// Which of them the program has chosen.
    locks: u32,
    /// The number of the byte after those received, and after those that the program has written.
    sequence: [u32; 2],
    /// What is still to be read.
    received: Vec<u8>,
    /// What the peer has not confirmed.
    written: Vec<u8>,
    /// How much of that has not been sent yet.
    unsent: usize,
    /// That the program writes no more has been sent.
    is_end_sent: bool,
}

fn queue(socket: BorrowedFd<'_>, queue: u32) -> io::Result<()> {
    set_number(socket, TCP, TCP_REPAIR_QUEUE, queue)
}

/// Takes a connection out of the kernel's hands: it sends nothing more, and if it is closed now nobody hears of it.
pub(super) fn hold(socket: BorrowedFd<'_>) -> io::Result<()> {
    set_number(socket, TCP, TCP_REPAIR, 1)
}

/// Gives it back, as it was. `reuses` is what it had as `SO_REUSEADDR`, which repair mode changes.
pub(super) fn let_go(socket: BorrowedFd<'_>, reuses: u32) -> io::Result<()> {
    queue(socket, NO_QUEUE)?;
    set_number(socket, TCP, TCP_REPAIR, 0)?;
    set_number(socket, libc::SOL_SOCKET, libc::SO_REUSEADDR, reuses)
}

/// The addresses of both ends.
pub(crate) fn ends(socket: BorrowedFd<'_>) -> Option<(SocketAddr, SocketAddr)> {
    let internet = |name| if let Some(SocketName::Internet(address)) = name { Some(address) } else { None };
    let own = internet(getsockname(socket).ok().and_then(name_of))?;
    Some((own, internet(getpeername(socket).ok().flatten().and_then(name_of))?))
}

/// IPv4, if it is that in the clothes of IPv6.
pub(crate) fn canonical(address: SocketAddr) -> IpAddr {
    address.ip().to_canonical()
}

/// What `SIOCOUTQ` and `SIOCOUTQNSD` tell: bytes that are not confirmed, and not sent.
fn outgoing(socket: BorrowedFd<'_>) -> io::Result<[u32; 2]> {
    const SIOCOUTQNSD: libc::Ioctl = 0x894b;
    let ask = |request| {
        let mut count: libc::c_int = 0;
        // SAFETY: room for a number.
        let result = unsafe { libc::ioctl(socket.as_raw_fd(), request, &raw mut count) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(count.cast_unsigned()) }
    };
    Ok([ask(libc::TIOCOUTQ)?, ask(SIOCOUTQNSD)?])
}

/// Looks into a queue: the number of the byte after it, and what is in it, of which the length is known.
fn look(socket: BorrowedFd<'_>, which: u32, length: usize) -> io::Result<(u32, Vec<u8>)> {
    queue(socket, which)?;
    let sequence = get_number(socket, TCP, TCP_QUEUE_SEQ)?;
    // One byte more: that it is not there is to be seen.
    let mut bytes = vec![0; length + 1];
    let found = match recv(socket, &mut bytes[..], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
        Ok((found, _)) => found,
        Err(Errno::AGAIN) => 0,
        Err(error) => return Err(error.into()),
    };
    if found != length {
        return Err(io::Error::other(format!("{found} bytes in a queue of {length}")));
    }
    bytes.truncate(length);
    Ok((sequence, bytes))
}

impl Connection {
    /// What a connection that is held is made of. Nothing comes for it any more.
    ///
    /// # Errors
    /// Also if it is just being made.
    pub(super) fn of(socket: BorrowedFd<'_>, file: usize) -> io::Result<Connection> {
        let (own, peer) = ends(socket).ok_or_else(|| io::Error::other("it has no ends any more"))?;
        let info = TcpInfo::of(socket)?;
        let has_ended = [FIN_WAIT_1, FIN_WAIT_2, LAST_ACK, CLOSING].contains(&info.state);
        let was_ended = [CLOSE_WAIT, LAST_ACK, CLOSING].contains(&info.state);
        if !(has_ended || was_ended || info.state == ESTABLISHED) {
            return Err(io::Error::other("it is just being made, or ended: try again"));
        }
        let timestamp = match info.options() & HAS_TIMESTAMPS {
            0 => 0,
            _ => get_number(socket, TCP, TCP_TIMESTAMP)?,
        };
        let [unconfirmed, unsent] = outgoing(socket)?;
        // An end counts as a byte, which is in no queue.
        let is_end_in_queue = has_ended && unconfirmed > 0;
        let is_end_sent = has_ended && unsent == 0;
        let (unconfirmed, unsent) = match is_end_in_queue {
            true => (unconfirmed - 1, unsent.saturating_sub(1)),
            false => (unconfirmed, unsent),
        };
        let length = usize::try_from(ioctl_fionread(socket)?).map_err(io::Error::other)?;
        let (received_to, received) = look(socket, RECEIVE_QUEUE, length)?;
        let (written_to, written) = look(socket, SEND_QUEUE, unconfirmed as usize)?;
        queue(socket, NO_QUEUE)?;
        let buffer = |name| get_number(socket, libc::SOL_SOCKET, name);
        Ok(Connection {
            file,
            own,
            peer,
            state: info.state,
            agreed: info.options(),
            scales: info.scales(),
            segment_size: get_number(socket, TCP, libc::TCP_MAXSEG)?,
            timestamp,
            window: get_structure(socket, TCP, TCP_REPAIR_WINDOW)?,
            buffers: [buffer(libc::SO_SNDBUF)?, buffer(libc::SO_RCVBUF)?],
            locks: buffer(BUFFER_LOCKS)?,
            sequence: [received_to.wrapping_sub(u32::from(was_ended)), written_to.wrapping_sub(u32::from(has_ended))],
            received,
            written,
            unsent: unsent as usize,
            is_end_sent,
        })
    }

    /// Makes a new socket this connection, and holds it.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn fill(&self, socket: &OwnedFd) -> io::Result<()> {
        let own = socket.as_fd();
        let sent = self.written.len().checked_sub(self.unsent).ok_or(io::ErrorKind::InvalidData)?;
        hold(own)?;
        set_transparent(own, self.own, true)?;
        // In other pieces than before the same bytes may take more room.
        let room = |bytes: &[u8]| (bytes.len() as u32).saturating_mul(ROOMIER).saturating_add(LEAST_ROOM);
        self.set_buffers(own, [room(&self.written), room(&self.received)])?;
        bind(socket, &self.own)?;
        let [received_to, written_to] = self.sequence;
        for (which, to, length) in
            [(RECEIVE_QUEUE, received_to, self.received.len()), (SEND_QUEUE, written_to, self.written.len())]
        {
            queue(own, which)?;
            set_number(own, TCP, TCP_QUEUE_SEQ, to.wrapping_sub(length as u32))?;
        }
        connect(socket, &self.peer)?;
        self.set_options(own)?;
        for (which, bytes) in [(RECEIVE_QUEUE, &self.received[..]), (SEND_QUEUE, &self.written[..sent])] {
            queue(own, which)?;
            send_all(own, bytes, CHUNK)?;
        }
        queue(own, NO_QUEUE)?;
        let window: Vec<u8> = self.window_before_end().iter().flat_map(|number| number.to_ne_bytes()).collect();
        set(own, TCP, TCP_REPAIR_WINDOW, &window)
    }

    /// Sizes of buffers, at least those that they had.
    fn set_buffers(&self, socket: BorrowedFd<'_>, least: [u32; 2]) -> io::Result<()> {
        let [send, receive] = [0, 1].map(|index: usize| self.buffers[index].max(least[index]));
        // The kernel doubles what it is given.
        for (name, size) in [(libc::SO_SNDBUFFORCE, send), (libc::SO_RCVBUFFORCE, receive)] {
            set_number(socket, libc::SOL_SOCKET, name, (size / 2).min(i32::MAX.cast_unsigned()))?;
        }
        set_number(socket, libc::SOL_SOCKET, BUFFER_LOCKS, self.locks)
    }

    /// What the peer has sent last may be its end, which is yet to come here.
    fn window_before_end(&self) -> [u32; 5] {
        let [update, window, largest, own_window, own_update] = self.window;
        match self.was_ended() {
            true => [update, window, largest, own_window.wrapping_add(1), own_update.wrapping_sub(1)],
            false => self.window,
        }
    }

    fn was_ended(&self) -> bool {
        [CLOSE_WAIT, LAST_ACK, CLOSING].contains(&self.state)
    }

    fn has_ended(&self) -> bool {
        [FIN_WAIT_1, FIN_WAIT_2, LAST_ACK, CLOSING].contains(&self.state)
    }

    fn set_options(&self, socket: BorrowedFd<'_>) -> io::Result<()> {
        let [peers, own] = self.scales.map(u32::from);
        let all = [
            (HAS_SACK, SACK_PERMITTED, 0),
            (HAS_WINDOW_SCALE, WINDOW_SCALE, peers | own << 16),
            (HAS_TIMESTAMPS, TIMESTAMPS, 0),
        ];
        let agreed = all.into_iter().filter(|(flag, ..)| self.agreed & flag != 0).map(|(_, code, value)| [code, value]);
        let options = agreed.chain([[MAXIMUM_SEGMENT_SIZE, self.segment_size]]);
        let bytes: Vec<u8> = options.flatten().flat_map(u32::to_ne_bytes).collect();
        set(socket, TCP, TCP_REPAIR_OPTIONS, &bytes)?;
        if self.agreed & HAS_TIMESTAMPS != 0 {
            set_number(socket, TCP, TCP_TIMESTAMP, self.timestamp)?;
        }
        Ok(())
    }

    /// Has it go on, on a machine that has its address by now.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn release(&self, socket: &OwnedFd, reuses: u32) -> io::Result<()> {
        let own = socket.as_fd();
        let end_now = || -> io::Result<()> {
            // As something that is sent already.
            queue(own, SEND_QUEUE)?;
            Ok(shutdown(socket, Shutdown::Write)?)
        };
        let ends_first = self.is_end_sent && self.state != LAST_ACK;
        if ends_first {
            end_now()?;
        }
        if self.was_ended() {
            super::segment::inject_end(self)?;
        }
        if self.is_end_sent && !ends_first {
            end_now()?;
        }
        let_go(own, reuses)?;
        set_transparent(own, self.own, false)?;
        send_all(own, &self.written[self.written.len() - self.unsent..], usize::MAX)?;
        self.set_buffers(own, [0, 0])?;
        if self.has_ended() && !self.is_end_sent {
            shutdown(socket, Shutdown::Write)?;
        }
        Ok(())
    }

    /// Ends it, so that both sides know that it is lost.
    pub(super) fn give_up(&self, socket: &OwnedFd) {
        let _ = set_number(socket.as_fd(), TCP, TCP_REPAIR, 0);
        let _ = connect_unspec(socket);
    }

    /// From the peer to here, with the sequence numbers that it would have: what follows what has been received, and what has been confirmed; and its window.
    pub(super) fn incoming(&self) -> (SocketAddr, SocketAddr, [u32; 2], u16) {
        let confirmed = self.sequence[1].wrapping_sub(self.written.len() as u32);
        let window = self.window[1] >> self.scales[0].min(14);
        (self.peer, self.own, [self.sequence[0], confirmed], u16::try_from(window).unwrap_or(u16::MAX))
    }
}

/// Whether a socket may have an address that this machine does not have (yet).
pub(crate) fn set_transparent(socket: BorrowedFd<'_>, own: SocketAddr, may: bool) -> io::Result<()> {
    let (level, name) = match own {
        SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_TRANSPARENT),
        SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_TRANSPARENT),
    };
    set_number(socket, level, name, u32::from(may))
}
