//! Sockets of programs: what the kernel tells of them, and how they are made again.

pub(crate) mod option;
pub(crate) mod queue;
pub(crate) mod relations;

use maize_snapshot::SocketName;
use rustix::fd::BorrowedFd;
use rustix::net::{SocketAddrAny, SocketAddrUnix};
use std::ffi::OsStr;
use std::io;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;

/// States of a TCP socket (`include/net/tcp_states.h`).
pub(crate) const TCP_CLOSE: u8 = 7;
pub(crate) const TCP_LISTEN: u8 = 10;

/// What a socket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sort {
    /// `AF_*`.
    pub(crate) family: u32,
    /// `SOCK_*`.
    pub(crate) kind: u32,
    /// `IPPROTO_*`, or 0.
    pub(crate) protocol: u32,
}

impl Sort {
    pub(crate) fn of(socket: BorrowedFd<'_>) -> io::Result<Sort> {
        let number = |name| option::get_number(socket, libc::SOL_SOCKET, name);
        Ok(Sort {
            family: number(libc::SO_DOMAIN)?,
            kind: number(libc::SO_TYPE)?,
            protocol: number(libc::SO_PROTOCOL)?,
        })
    }

    pub(crate) fn is_unix(self) -> bool {
        self.family == libc::AF_UNIX.cast_unsigned()
    }

    pub(crate) fn is_internet(self) -> bool {
        [libc::AF_INET, libc::AF_INET6].contains(&self.family.cast_signed())
    }

    pub(crate) fn is_tcp(self) -> bool {
        self.is_internet() && self.protocol == libc::IPPROTO_TCP.cast_unsigned()
    }

    pub(crate) fn is_udp(self) -> bool {
        self.is_internet() && self.protocol == libc::IPPROTO_UDP.cast_unsigned()
    }

    pub(crate) fn is_datagrams(self) -> bool {
        self.kind == libc::SOCK_DGRAM.cast_unsigned()
    }
}

/// How a TCP socket is: the start of `struct tcp_info`, as far as it is used here (`include/uapi/linux/tcp.h`).
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct TcpInfo {
    pub(crate) state: u8,
    bytes: [u8; 7],
    numbers: [u32; 24],
    wide: [u64; 4],
    segments_out: u32,
    segments_in: u32,
}

impl TcpInfo {
    pub(crate) fn of(socket: BorrowedFd<'_>) -> io::Result<TcpInfo> {
        option::get_structure(socket, libc::IPPROTO_TCP, libc::TCP_INFO)
    }

    /// Which of TCP's options both sides have agreed on (`TCPI_OPT_*`).
    pub(crate) fn options(&self) -> u8 {
        self.bytes[4]
    }

    /// By how many bits windows are shifted: the peer's, and our own.
    pub(crate) fn scales(&self) -> [u8; 2] {
        [self.bytes[5] & 0xf, self.bytes[5] >> 4]
    }

    /// If it listens: how many connections wait.
    pub(crate) fn waiting(&self) -> u32 {
        self.numbers[4]
    }

    /// If it listens: how many connections may wait.
    pub(crate) fn backlog(&self) -> u32 {
        self.numbers[5]
    }

    /// Segments have come in since it was made.
    pub(crate) fn was_connected(&self) -> bool {
        self.segments_in > 0
    }
}

/// A name that the kernel has told.
pub(crate) fn name_of(address: SocketAddrAny) -> Option<SocketName> {
    if let Ok(unix) = SocketAddrUnix::try_from(address.clone()) {
        return match (unix.path_bytes(), unix.abstract_name()) {
            (Some(path), _) => {
                let found = std::fs::symlink_metadata(OsStr::from_bytes(path));
                let inode = found.map_or(0, |found| found.ino());
                Some(SocketName::Path { path: path.to_vec(), inode })
            }
            // Without a name it has an empty one.
            (_, Some(name)) if !name.is_empty() => Some(SocketName::Abstract(name.to_vec())),
            _ => None,
        };
    }
    SocketAddr::try_from(address).ok().map(SocketName::Internet)
}

/// The same for the kernel.
pub(crate) fn address_of(name: &SocketName) -> io::Result<SocketAddrAny> {
    Ok(match name {
        SocketName::Internet(address) => (*address).into(),
        SocketName::Path { path, .. } => SocketAddrUnix::new(path.as_slice())?.into(),
        SocketName::Abstract(name) => SocketAddrUnix::new_abstract_name(name)?.into(),
    })
}

/// A name for people.
pub(crate) fn shown(name: &SocketName) -> String {
    match name {
        SocketName::Internet(address) => address.to_string(),
        SocketName::Path { path, .. } => String::from_utf8_lossy(path).into_owned(),
        SocketName::Abstract(name) => format!("@{}", String::from_utf8_lossy(name)),
    }
}
