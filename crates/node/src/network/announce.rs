//! Telling a network where an address is now: gratuitous ARP (RFC 5227, section 3) for IPv4, unsolicited neighbour advertisements (RFC 4861, section 7.2.6) for
//! IPv6. Neighbours that have the address of another interface take this one at once.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::thread;

const ETHERNET: u16 = 1;
const REQUEST: u16 = 1;
const REPLY: u16 = 2;
const MAC: usize = 6;
const ADVERTISEMENT: u8 = 136;
/// Overrides what is known.
const OVERRIDE: u8 = 0x20;
const TARGET_ADDRESS: u8 = 2;

/// A packet socket for an interface, and the interface's hardware address; none if it is not of Ethernet's kind. It only sends: for one that is to receive, the kernel would wait here until
/// no processor is busy with a packet any more, for some milliseconds.
fn packet_socket(index: u32) -> io::Result<(OwnedFd, libc::sockaddr_ll, Option<[u8; MAC]>)> {
    // SAFETY: takes no pointers.
    let socket = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    if socket < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is new, and nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    // SAFETY: zeros are a valid `struct sockaddr_ll`.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_ifindex = i32::try_from(index).unwrap_or(0);
    let mut length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: the kernel reads the structure, and then writes one of the same size.
    let result = unsafe {
        libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length)
            | libc::getsockname(socket.as_raw_fd(), (&raw mut address).cast(), &raw mut length)
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    let hardware = (usize::from(address.sll_halen) == MAC).then(|| address.sll_addr.first_chunk().copied()).flatten();
    Ok((socket, address, hardware))
}

/// Tells an interface's network that it has an address. Where there are no hardware addresses there is nobody to tell.
pub(super) fn announce(ip: IpAddr, index: u32) -> io::Result<()> {
    let (socket, mut to, hardware) = packet_socket(index)?;
    let announced = hardware.map_or(Ok(()), |hardware| match ip {
        IpAddr::V4(ip) => {
            to.sll_protocol = (libc::ETH_P_ARP as u16).to_be();
            to.sll_halen = MAC as u8;
            to.sll_addr = [0xff; 8];
            // Some take only the one, and some only the other.
            for operation in [REQUEST, REPLY] {
                send_to(&socket, &arp(operation, hardware, ip), (&raw const to).cast(), size_of_val(&to))?;
            }
            Ok(())
        }
        IpAddr::V6(ip) => advertise(ip, hardware, index),
    });
    // For that the kernel waits in any case, and the program is not to.
    let _ = thread::Builder::new().spawn(move || drop(socket));
    announced
}

fn arp(operation: u16, hardware: [u8; MAC], ip: Ipv4Addr) -> [u8; 28] {
    let mut packet = [0; 28];
    packet[0..2].copy_from_slice(&ETHERNET.to_be_bytes());
    packet[2..4].copy_from_slice(&(libc::ETH_P_IP as u16).to_be_bytes());
    (packet[4], packet[5]) = (MAC as u8, 4);
    packet[6..8].copy_from_slice(&operation.to_be_bytes());
    packet[8..14].copy_from_slice(&hardware);
    packet[14..18].copy_from_slice(&ip.octets());
    if operation == REPLY {
        packet[18..24].copy_from_slice(&hardware);
    }
    packet[24..28].copy_from_slice(&ip.octets());
    packet
}

fn advertise(ip: Ipv6Addr, hardware: [u8; MAC], index: u32) -> io::Result<()> {
    let mut packet = [0; 32];
    (packet[0], packet[4]) = (ADVERTISEMENT, OVERRIDE);
    packet[8..24].copy_from_slice(&ip.octets());
    (packet[24], packet[25]) = (TARGET_ADDRESS, 1);
    packet[26..32].copy_from_slice(&hardware);
    // SAFETY: takes no pointers.
    let socket = unsafe { libc::socket(libc::AF_INET6, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::IPPROTO_ICMPV6) };
    if socket < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is new, and nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    let source = std::net::SocketAddr::from((ip, 0));
    rustix::net::bind(&socket, &source)?;
    // What is forwarded has less, and is not believed.
    rustix::net::sockopt::set_ipv6_multicast_hops(&socket, 255)?;
    let nodes = std::net::SocketAddrV6::new(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1), 0, 0, index);
    rustix::net::sendto(&socket, &packet, rustix::net::SendFlags::empty(), &nodes)?;
    Ok(())
}

fn send_to(socket: &OwnedFd, packet: &[u8], to: *const libc::sockaddr, length: usize) -> io::Result<()> {
    let length = length as libc::socklen_t;
    // SAFETY: the callers' addresses have this length.
    let sent = unsafe { libc::sendto(socket.as_raw_fd(), packet.as_ptr().cast(), packet.len(), 0, to, length) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
