//! The end of what a peer sends, as a segment of its own: it has been received on another machine, and the kernel of this one has to hear of it once more.

use super::connection::{Connection, canonical};
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

const TCP_HEADER: usize = 20;
const FIN_AND_ACK: u8 = 0x11;
const PROTOCOL: u8 = libc::IPPROTO_TCP as u8;

/// The Internet checksum (RFC 1071).
fn checksum(bytes: &[u8], sum: u32) -> u32 {
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    words.fold(sum, |sum, word| sum + word)
}

fn folded(mut sum: u32) -> [u8; 2] {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}

/// The packet, with its IP header.
fn packet(connection: &Connection) -> Vec<u8> {
    let (from, to, [sequence, confirmed], window) = connection.incoming();
    let mut segment = [0; TCP_HEADER];
    segment[0..2].copy_from_slice(&from.port().to_be_bytes());
    segment[2..4].copy_from_slice(&to.port().to_be_bytes());
    segment[4..8].copy_from_slice(&sequence.to_be_bytes());
    segment[8..12].copy_from_slice(&confirmed.to_be_bytes());
    // The length of the header, in words.
    segment[12] = (TCP_HEADER as u8 / 4) << 4;
    segment[13] = FIN_AND_ACK;
    segment[14..16].copy_from_slice(&window.to_be_bytes());
    let (mut head, addresses) = match (canonical(from), canonical(to)) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let addresses = [from.octets(), to.octets()].concat();
            let mut head = vec![0x45, 0, 0, (20 + TCP_HEADER) as u8, 0, 0, 0, 0, 64, PROTOCOL, 0, 0];
            head.extend_from_slice(&addresses);
            (head, addresses)
        }
        (from, to) => {
            let wide = |ip| match ip {
                IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
                IpAddr::V6(ip) => ip.octets(),
            };
            let addresses = [wide(from), wide(to)].concat();
            let mut head = vec![0x60, 0, 0, 0, 0, TCP_HEADER as u8, PROTOCOL, 64];
            head.extend_from_slice(&addresses);
            (head, addresses)
        }
    };
    let sum = checksum(&addresses, u32::from(PROTOCOL) + TCP_HEADER as u32);
    let sum = folded(checksum(&segment, sum));
    segment[16..18].copy_from_slice(&sum);
    head.extend_from_slice(&segment);
    head
}

/// Has the kernel hear that the peer sends no more. The address at this end is this machine's.
pub(super) fn inject_end(connection: &Connection) -> io::Result<()> {
    let (_, to, ..) = connection.incoming();
    let to = std::net::SocketAddr::new(canonical(to), 0);
    let family = if to.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    // SAFETY: takes no pointers.
    let socket = unsafe { libc::socket(family, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::IPPROTO_RAW) };
    if socket < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is new, and nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    debug_assert!(socket.as_raw_fd() >= 0);
    rustix::net::sendto(&socket, &packet(connection), rustix::net::SendFlags::empty(), &to)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_standard() {
        // The example of RFC 1071, section 3.
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(folded(checksum(&bytes, 0)), [0x22, 0x0d]);
    }
}
