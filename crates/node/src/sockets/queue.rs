//! What waits in a Unix socket: it is looked at, and stays there.

use super::option;
use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendFlags, recvmsg, send};
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};

/// The longest message that is understood. The kernel's limit for buffers is far lower, unless somebody raises it.
const LONGEST: usize = 16 << 20;
/// So many bytes of a stream are sent at a time.
const CHUNK: usize = 32 << 10;
/// Nothing is waited for, and no signal says that nobody reads.
const AT_ONCE: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);

/// Bytes that wait, and how long the messages are that they make up; none if they are a stream.
pub(crate) struct Waiting {
    pub(crate) bytes: Vec<u8>,
    pub(crate) messages: Vec<u32>,
}

/// The socket tells of what has not been looked at yet. Dropped, it is as it was.
struct Looking<'a>(BorrowedFd<'a>, u32);

impl Drop for Looking<'_> {
    fn drop(&mut self) {
        let _ = option::set_number(self.0, libc::SOL_SOCKET, libc::SO_PEEK_OFF, self.1);
    }
}

/// Looks at what waits in a socket of this kind (`SOCK_*`).
///
/// # Errors
/// Also if descriptors are on their way in it.
pub(crate) fn look(socket: BorrowedFd<'_>, kind: u32) -> io::Result<Waiting> {
    let before = option::get_number(socket, libc::SOL_SOCKET, libc::SO_PEEK_OFF)?;
    option::set_number(socket, libc::SOL_SOCKET, libc::SO_PEEK_OFF, 0)?;
    let _looking = Looking(socket, before);
    let mut waiting = Waiting { bytes: Vec::new(), messages: Vec::new() };
    let mut buffer = vec![0; LONGEST];
    loop {
        // Room for who has sent it, if that is told.
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        let received = match recvmsg(socket, &mut [IoSliceMut::new(&mut buffer)], &mut ancillary, flags) {
            Err(Errno::AGAIN | Errno::NOTCONN | Errno::CONNRESET | Errno::INVAL) => return Ok(waiting),
            result => result?,
        };
        // Descriptors that have come are copies, and are closed by this.
        let has_rights = ancillary.drain().any(|message| matches!(message, RecvAncillaryMessage::ScmRights(_)));
        if has_rights || received.flags.contains(ReturnFlags::CTRUNC) {
            return Err(io::Error::other("descriptors are on their way in it"));
        }
        if received.flags.contains(ReturnFlags::TRUNC) {
            return Err(io::Error::other("a message in it is too long"));
        }
        if received.bytes == 0 && kind != libc::SOCK_DGRAM.cast_unsigned() {
            return Ok(waiting);
        }
        waiting.bytes.extend_from_slice(&buffer[..received.bytes]);
        if kind != libc::SOCK_STREAM.cast_unsigned() {
            waiting.messages.push(u32::try_from(received.bytes).unwrap_or(u32::MAX));
        }
    }
}

/// Sends bytes of a stream without waiting, so many at a time.
///
/// # Errors
/// Also if they do not fit in.
pub(crate) fn send_all(to: impl AsFd, bytes: &[u8], chunk: usize) -> io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let sent = send(&to, &rest[..rest.len().min(chunk)], AT_ONCE)?;
        rest = &rest[sent..];
    }
    Ok(())
}

/// Sends what waited in the other one of a pair.
///
/// # Errors
/// Also if it does not fit in.
pub(crate) fn fill(from: impl AsFd, bytes: &[u8], kind: u32, messages: &[u32]) -> io::Result<()> {
    if kind == libc::SOCK_STREAM.cast_unsigned() {
        return send_all(from, bytes, CHUNK);
    }
    let mut rest = bytes;
    for &length in messages {
        let (message, after) = rest.split_at_checked(length as usize).ok_or(io::ErrorKind::InvalidData)?;
        send(&from, message, AT_ONCE)?;
        rest = after;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, recv, socketpair};

    fn pair(kind: SocketType) -> (std::os::fd::OwnedFd, std::os::fd::OwnedFd) {
        socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).unwrap()
    }

    #[test]
    fn what_waits_is_seen_stays_and_can_be_made_again() {
        for kind in [SocketType::STREAM, SocketType::DGRAM, SocketType::SEQPACKET] {
            let (one, other) = pair(kind);
            for text in ["a message", "another", "and one more"] {
                send(&one, text.as_bytes(), SendFlags::empty()).unwrap();
            }
            let waiting = look(other.as_fd(), kind.as_raw()).unwrap();
            assert_eq!(waiting.bytes, b"a messageanotherand one more");
            assert_eq!(waiting.messages, if kind == SocketType::STREAM { vec![] } else { vec![9, 7, 12] });
            let (again, other_again) = pair(kind);
            fill(&again, &waiting.bytes, kind.as_raw(), &waiting.messages).unwrap();
            for end in [&other, &other_again] {
                let mut buffer = [0; 64];
                let (length, _) = recv(end, &mut buffer[..], RecvFlags::DONTWAIT).unwrap();
                let expected = if kind == SocketType::STREAM { 28 } else { 9 };
                assert_eq!(length, expected, "{kind:?}");
                assert!(buffer.starts_with(b"a message"));
            }
        }
    }

    #[test]
    fn descriptors_on_their_way_are_noticed() {
        use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, sendmsg};
        let (one, other) = pair(SocketType::STREAM);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let sent = [one.as_fd()];
        ancillary.push(SendAncillaryMessage::ScmRights(&sent));
        sendmsg(&one, &[io::IoSlice::new(b"x")], &mut ancillary, SendFlags::empty()).unwrap();
        let error = look(other.as_fd(), SocketType::STREAM.as_raw()).err().unwrap();
        assert!(error.to_string().contains("descriptors"), "{error}");
    }
}
