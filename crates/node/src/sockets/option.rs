//! Options of sockets, by the kernel's numbers (socket(7), ip(7), ipv6(7), tcp(7), udp(7)).

use maize_snapshot::SocketOption;
use rustix::net::{AddressFamily, Protocol, SocketFlags, SocketType, socket_with};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};

/// The longest value of an option that is kept.
const LONGEST: usize = 16;

/// `SO_BUF_LOCK`: which buffers have a size that the program has chosen.
pub(crate) const BUFFER_LOCKS: i32 = 72;
const SEND_BUFFER_LOCK: u8 = 1;
const RECEIVE_BUFFER_LOCK: u8 = 2;

/// Options that are kept, in an order in which they can be set, with the level of each.
const KEPT: &[(i32, &[i32])] = &[
    (
        libc::SOL_SOCKET,
        &[
            libc::SO_REUSEADDR,
            libc::SO_REUSEPORT,
            libc::SO_BROADCAST,
            libc::SO_KEEPALIVE,
            libc::SO_LINGER,
            libc::SO_OOBINLINE,
            libc::SO_PASSCRED,
            libc::SO_PRIORITY,
            libc::SO_RCVLOWAT,
            libc::SO_RCVTIMEO,
            libc::SO_SNDTIMEO,
            libc::SO_MARK,
        ],
    ),
    (
        libc::IPPROTO_IPV6,
        &[
            libc::IPV6_V6ONLY,
            libc::IPV6_UNICAST_HOPS,
            libc::IPV6_MULTICAST_HOPS,
            libc::IPV6_MULTICAST_LOOP,
            libc::IPV6_RECVPKTINFO,
            libc::IPV6_RECVERR,
            libc::IPV6_RECVHOPLIMIT,
            libc::IPV6_RECVTCLASS,
            libc::IPV6_TCLASS,
            libc::IPV6_MTU_DISCOVER,
        ],
    ),
    (
        libc::IPPROTO_IP,
        &[
            libc::IP_TOS,
            libc::IP_TTL,
            libc::IP_MULTICAST_TTL,
            libc::IP_MULTICAST_LOOP,
            libc::IP_PKTINFO,
            libc::IP_RECVERR,
            libc::IP_RECVTTL,
            libc::IP_RECVTOS,
            libc::IP_MTU_DISCOVER,
            libc::IP_FREEBIND,
        ],
    ),
    (
        libc::IPPROTO_TCP,
        &[
            libc::TCP_NODELAY,
            libc::TCP_KEEPIDLE,
            libc::TCP_KEEPINTVL,
            libc::TCP_KEEPCNT,
            libc::TCP_SYNCNT,
            libc::TCP_LINGER2,
            libc::TCP_DEFER_ACCEPT,
            libc::TCP_USER_TIMEOUT,
            libc::TCP_NOTSENT_LOWAT,
            libc::TCP_FASTOPEN,
            libc::TCP_CONGESTION,
        ],
    ),
];

/// An option's value.
pub(crate) fn get(socket: BorrowedFd<'_>, level: i32, name: i32) -> io::Result<Vec<u8>> {
    let mut value = [0_u8; LONGEST];
    let mut length = LONGEST as libc::socklen_t;
    // SAFETY: room for so many bytes.
    let result =
        unsafe { libc::getsockopt(socket.as_raw_fd(), level, name, value.as_mut_ptr().cast(), &raw mut length) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(value[..LONGEST.min(length as usize)].to_vec())
}

/// An option's value that is a number.
pub(crate) fn get_number(socket: BorrowedFd<'_>, level: i32, name: i32) -> io::Result<u32> {
    let value = get(socket, level, name)?;
    let bytes = value.first_chunk().ok_or(io::ErrorKind::InvalidData)?;
    Ok(u32::from_ne_bytes(*bytes))
}

/// A structure of the kernel's that an option gives, all of whose values are valid ones. What the kernel does not know of it is zero.
pub(crate) fn get_structure<T: Copy>(socket: BorrowedFd<'_>, level: i32, name: i32) -> io::Result<T> {
    let mut value = MaybeUninit::<T>::zeroed();
    let mut length = size_of::<T>() as libc::socklen_t;
    // SAFETY: room for a `T`.
    let result =
        unsafe { libc::getsockopt(socket.as_raw_fd(), level, name, value.as_mut_ptr().cast(), &raw mut length) };
    // SAFETY: zeros, or what the kernel has written, are valid by the contract.
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(unsafe { value.assume_init() }) }
}

/// Sets an option.
pub(crate) fn set(socket: BorrowedFd<'_>, level: i32, name: i32, value: &[u8]) -> io::Result<()> {
    let length = value.len() as libc::socklen_t;
    // SAFETY: the kernel reads so many bytes.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, value.as_ptr().cast(), length) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Sets an option that is a number.
pub(crate) fn set_number(socket: BorrowedFd<'_>, level: i32, name: i32, value: u32) -> io::Result<()> {
    set(socket, level, name, &value.to_ne_bytes())
}

/// What an option's value is, of those that a socket has.
type Values = Vec<Option<Vec<u8>>>;

/// Which options sockets have that a new one of their kind has not. That is found out by a new one, once for all sockets with the same options.
#[derive(Default)]
pub(crate) struct Kept(HashMap<([u32; 3], Values), Vec<SocketOption>>);

impl Kept {
    /// Those of a socket.
    ///
    /// # Errors
    /// If they cannot be asked for.
    pub(crate) fn of(&mut self, socket: BorrowedFd<'_>, sort: [u32; 3]) -> io::Result<Vec<SocketOption>> {
        let names = || names(sort);
        let values: Values = names().map(|(level, name)| get(socket, level, name).ok()).collect();
        let mut options = match self.0.entry((sort, values)) {
            Entry::Occupied(known) => known.get().clone(),
            Entry::Vacant(unknown) => {
                let options = differences(sort, names().zip(&unknown.key().1))?;
                unknown.insert(options).clone()
            }
        };
        let locks =
            get(socket, libc::SOL_SOCKET, BUFFER_LOCKS).ok().and_then(|value| value.first().copied()).unwrap_or(0);
        for (lock, name) in [(SEND_BUFFER_LOCK, libc::SO_SNDBUF), (RECEIVE_BUFFER_LOCK, libc::SO_RCVBUF)] {
            if locks & lock != 0 {
                // The kernel doubles what it is given.
                let value = (get_number(socket, libc::SOL_SOCKET, name)? / 2).to_ne_bytes().to_vec();
                options.push(SocketOption { level: libc::SOL_SOCKET, name, value });
            }
        }
        Ok(options)
    }
}

/// Level and name of the options that sockets of this family, kind and protocol may have.
fn names([family, kind, _]: [u32; 3]) -> impl Iterator<Item = (i32, i32)> {
    let is = |number: i32, other: u32| number.cast_unsigned() == other;
    let (is_four, is_six) = (is(libc::AF_INET, family), is(libc::AF_INET6, family));
    let has = move |level| match level {
        libc::IPPROTO_IPV6 => is_six,
        libc::IPPROTO_IP => is_four || is_six,
        libc::IPPROTO_TCP => (is_four || is_six) && is(libc::SOCK_STREAM, kind),
        _ => true,
    };
    let levels = KEPT.iter().filter(move |(level, _)| has(*level));
    levels.flat_map(|&(level, names)| names.iter().map(move |&name| (level, name)))
}

/// Those of these values that a new socket has not.
fn differences<'a>(
    [family, kind, protocol]: [u32; 3],
    values: impl Iterator<Item = ((i32, i32), &'a Option<Vec<u8>>)>,
) -> io::Result<Vec<SocketOption>> {
    let new = make(family, kind, protocol)?;
    let mut options = Vec::new();
    for ((level, name), value) in values {
        // What this kind of socket, or this kernel, does not have has not been set.
        let (Some(value), Ok(usual)) = (value, get(new.as_fd(), level, name)) else { continue };
        // Some only say how a connection came about: what cannot be set has not been set, either.
        if *value != usual && set(new.as_fd(), level, name, value).is_ok() {
            options.push(SocketOption { level, name, value: value.clone() });
        }
    }
    Ok(options)
}

/// Sets options that were kept.
pub(crate) fn set_kept(socket: BorrowedFd<'_>, options: &[SocketOption]) -> io::Result<()> {
    for SocketOption { level, name, value } in options {
        let forced = match *name {
            libc::SO_SNDBUF if *level == libc::SOL_SOCKET => Some(libc::SO_SNDBUFFORCE),
            libc::SO_RCVBUF if *level == libc::SOL_SOCKET => Some(libc::SO_RCVBUFFORCE),
            _ => None,
        };
        // More than the limit takes a right, which whoever set it had, and this process may not have.
        if forced.is_some_and(|forced| set(socket, *level, forced, value).is_ok()) {
            continue;
        }
        set(socket, *level, *name, value)
            .map_err(|error| io::Error::new(error.kind(), format!("option {name} of level {level}: {error}")))?;
    }
    Ok(())
}

/// A new socket.
pub(crate) fn make(family: u32, kind: u32, protocol: u32) -> io::Result<std::os::fd::OwnedFd> {
    let family = AddressFamily::from_raw(u16::try_from(family).map_err(io::Error::other)?);
    let protocol = rustix::net::RawProtocol::new(protocol).map(Protocol::from_raw);
    Ok(socket_with(family, SocketType::from_raw(kind), SocketFlags::CLOEXEC, protocol)?)
}
