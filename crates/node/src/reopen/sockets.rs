//! Making sockets again.

use super::flags_from_snapshot;
use crate::network::{Gate, set_transparent};
use crate::sockets::{address_of, option, queue, shown};
use maize_snapshot::{File as Described, FileKind, Metadata, Socket, SocketName, SocketState};
use rustix::fs::{Access, OFlags, access, fcntl_setfl};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, Shutdown, SocketFlags, SocketType, accept, bind, connect, getsockname, listen, shutdown, socketpair,
};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Sockets that are made by twos, by index of the open file.
pub(super) type Pairs = BTreeMap<usize, OwnedFd>;

fn socket_of(file: &Described) -> Option<&Socket> {
    match &file.kind {
        FileKind::Socket { socket } => Some(socket),
        _ => None,
    }
}

/// Makes all pairs, with what waits in them.
///
/// # Errors
/// Why one cannot be made.
pub(super) fn make_pairs(metadata: &Metadata, contents: &mut [File]) -> Result<Pairs, String> {
    let mut pairs = Pairs::new();
    for index in 0..metadata.files.len() {
        let Some(socket) = socket_of(&metadata.files[index]) else { continue };
        let SocketState::Pair { peer, .. } = &socket.state else { continue };
        if pairs.contains_key(&index) {
            continue;
        }
        let made = make_pair(metadata, index, *peer, socket.kind, contents, &mut pairs);
        made.map_err(|error| format!("a pair of sockets cannot be made again: {error}"))?;
    }
    Ok(pairs)
}

fn make_pair(
    metadata: &Metadata,
    index: usize,
    peer: Option<usize>,
    kind: u32,
    contents: &mut [File],
    pairs: &mut Pairs,
) -> io::Result<()> {
    let (one, other) = socketpair(AddressFamily::UNIX, SocketType::from_raw(kind), SocketFlags::CLOEXEC, None)?;
    let mut ends = [(Some(index), one), (peer, other)];
    for (own, other) in [(0, 1), (1, 0)] {
        let Some(socket) = ends[own].0.and_then(|file| socket_of(&metadata.files[file])) else { continue };
        let SocketState::Pair { content, messages, .. } = &socket.state else { continue };
        option::set_kept(ends[own].1.as_fd(), &socket.options)?;
        let mut bytes = Vec::new();
        contents[*content].rewind()?;
        contents[*content].read_to_end(&mut bytes)?;
        queue::fill(&ends[other].1, &bytes, kind, messages)?;
    }
    for (file, end) in &mut ends {
        let Some(socket) = file.and_then(|file| socket_of(&metadata.files[file])) else { continue };
        let SocketState::Pair { reads_no_more, writes_no_more, .. } = socket.state else { continue };
        // Those of an end whose other one is closed come by themselves.
        for (is_so, how) in [(reads_no_more, Shutdown::Read), (writes_no_more, Shutdown::Write)] {
            if is_so && peer.is_some() {
                shutdown(&*end, how)?;
            }
        }
    }
    pairs.extend(ends.into_iter().filter_map(|(file, end)| Some((file?, end))));
    Ok(())
}

/// What is done only when the program is to run here: until then its old node has the names, and the connections.
#[derive(Default)]
pub(crate) struct Later {
    sockets: Vec<(OwnedFd, Socket)>,
    connections: BTreeMap<usize, OwnedFd>,
    gate: Gate,
}

impl Later {
    /// The socket that is to be a connection, by index.
    pub(crate) fn take_connection(&mut self, file: usize) -> Option<OwnedFd> {
        self.connections.remove(&file)
    }

    /// Does it. Returns what has not been done, and why.
    pub(crate) fn complete(self) -> Vec<String> {
        drop(self.gate);
        let settle = |(made, socket): &(OwnedFd, Socket)| match &socket.name {
            Some(SocketName::Path { .. }) => settle(made, socket, true),
            _ => act(made, socket),
        };
        self.sockets.iter().filter_map(|one| settle(one).err()).collect()
    }
}

/// Makes a socket that is none of a pair. If it cannot be all that it is to be before the program runs, the rest is done `later`.
///
/// # Errors
/// Why it cannot be made, and what helps.
pub(super) fn make(index: usize, socket: &Socket, later: Option<&mut Later>) -> Result<OwnedFd, String> {
    let failed = |error: io::Error| format!("a socket cannot be made again: {error}");
    if socket.state == SocketState::Lost {
        let made = lost().map_err(failed)?;
        option::set_kept(made.as_fd(), &socket.options).map_err(failed)?;
        return Ok(made);
    }
    let made = option::make(socket.family, socket.kind, socket.protocol).map_err(failed)?;
    option::set_kept(made.as_fd(), &socket.options).map_err(failed)?;
    let Some(later) = later else {
        settle(&made, socket, false)?;
        return Ok(made);
    };
    match (&socket.name, &socket.state) {
        (_, SocketState::Connection) => {
            later.connections.insert(index, made.try_clone().map_err(failed)?);
        }
        (Some(SocketName::Path { path, inode }), _) => {
            may_be_bound(path, *inode)?;
            later.sockets.push((made.try_clone().map_err(failed)?, socket.clone()));
        }
        (name, state) => {
            if let Some(name) = name {
                bind_early(&made, name)?;
            }
            match state {
                // Whoever it sends to, it does from an address that may not be here yet.
                SocketState::Datagrams { .. } => {
                    later.sockets.push((made.try_clone().map_err(failed)?, socket.clone()));
                }
                SocketState::Listening { .. } => {
                    act(&made, socket)?;
                    later.gate.close(made.as_fd()).map_err(failed)?;
                }
                _ => {}
            }
        }
    }
    Ok(made)
}

/// Binds a socket to an address that may come to this machine with the program.
fn bind_early(made: &OwnedFd, name: &SocketName) -> Result<(), String> {
    let SocketName::Internet(address) = name else { return bind_to(made, name, true) };
    // Without the right to do that, it has to be here.
    let may = set_transparent(made.as_fd(), *address, true).is_ok();
    bind_to(made, name, true)?;
    if may {
        set_transparent(made.as_fd(), *address, false).map_err(|error| format!("{address}: {error}"))?;
    }
    Ok(())
}

/// Binds a socket, and has it do what it does.
fn settle(made: &OwnedFd, socket: &Socket, has_come: bool) -> Result<(), String> {
    if let Some(name) = &socket.name {
        bind_to(made, name, has_come)?;
    }
    act(made, socket)
}

/// Has a socket do what it does.
fn act(made: &OwnedFd, socket: &Socket) -> Result<(), String> {
    match &socket.state {
        SocketState::Listening { backlog } => {
            let shown = socket.name.as_ref().map_or_else(String::new, shown);
            listen(made, i32::try_from(*backlog).unwrap_or(i32::MAX)).map_err(|error| in_use(&shown, error))
        }
        SocketState::Datagrams { peer: Some(peer) } => {
            let connected = address_of(peer).and_then(|address| Ok(connect(made, &address)?));
            connected.map_err(|error| format!("a socket cannot be connected to {} again: {error}", shown(peer)))
        }
        _ => Ok(()),
    }
}

/// Sets the flags that all descriptors of a socket share.
///
/// # Errors
/// What the kernel says.
pub(super) fn set_flags(socket: &OwnedFd, file: &Described) -> Result<(), String> {
    let flags = flags_from_snapshot(file.flags) & (OFlags::NONBLOCK | OFlags::APPEND);
    fcntl_setfl(socket, flags).map_err(|error| format!("the flags of a socket cannot be set: {error}"))
}

fn in_use(shown: &str, error: Errno) -> String {
    match error {
        Errno::ADDRINUSE => {
            format!("{shown}: another program has this address and port here: end that, or take another node")
        }
        Errno::ADDRNOTAVAIL => format!(
            "{shown}: this machine does not have this address; a program whose sockets are bound to all addresses needs none"
        ),
        error => format!("{shown}: a socket cannot be bound to this again: {error}"),
    }
}

fn as_path(path: &[u8]) -> &Path {
    Path::new(std::ffi::OsStr::from_bytes(path))
}

/// Whether the file of a socket is one that nobody listens at, or the program's own from where it comes.
fn is_left(path: &Path, own: Option<u64>) -> bool {
    let Ok(found) = fs::symlink_metadata(path).map(|found| (found.file_type().is_socket(), found.ino())) else {
        return false;
    };
    let is_dead = || UnixStream::connect(path).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
    found.0 && (own == Some(found.1) || is_dead())
}

/// Why a socket will not get its path, if that shows now.
fn may_be_bound(path: &[u8], inode: u64) -> Result<(), String> {
    let path = as_path(path);
    let shown = path.display();
    if fs::symlink_metadata(path).is_ok() && !is_left(path, Some(inode)) {
        return Err(format!("{shown}: another program has this path here: end that, or remove the file"));
    }
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    access(directory, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| {
        format!("{shown}: the program's socket cannot be made again: {}: {error}", directory.display())
    })
}

fn bind_to(socket: &OwnedFd, name: &SocketName, has_come: bool) -> Result<(), String> {
    let shown = shown(name);
    let failed = |error: io::Error| format!("{shown}: a socket cannot be bound to this again: {error}");
    let address = address_of(name).map_err(failed)?;
    let bind = || bind(socket, &address).map_err(|error| in_use(&shown, error));
    let SocketName::Path { path, inode } = name else { return bind() };
    let path = as_path(path);
    if !is_left(path, has_come.then_some(*inode)) {
        return bind();
    }
    let mode = fs::metadata(path).map(|found| found.permissions()).map_err(failed)?;
    fs::remove_file(path).map_err(failed)?;
    bind()?;
    fs::set_permissions(path, mode).map_err(failed)
}

/// A connection that its other end has reset.
fn lost() -> io::Result<OwnedFd> {
    let (family, kind) = (AddressFamily::INET, SocketType::STREAM);
    let make = || rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC, None);
    let (listener, made) = (make()?, make()?);
    bind(&listener, &std::net::SocketAddr::from(([127, 0, 0, 1], 0)))?;
    listen(&listener, 1)?;
    connect(&made, &getsockname(&listener)?)?;
    let other = accept(&listener)?;
    // Closing resets then.
    rustix::net::sockopt::set_socket_linger(&other, Some(std::time::Duration::ZERO))?;
    drop(other);
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::describe::{Description, Destination, Source, Streams};
    use rustix::event::{PollFd, PollFlags, poll};
    use std::io::Write as _;
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::unix::net::{UnixDatagram, UnixListener};

    /// Describes these, closes them, and makes them again.
    fn again(files: Vec<OwnedFd>) -> Vec<OwnedFd> {
        let mut description = Description::new(Streams::default(), Destination::File, Vec::new(), false);
        for file in &files {
            description.add(file.as_fd(), "a socket", None);
        }
        description.finish();
        assert!(description.refused.is_empty(), "{:?}", description.refused);
        drop(files);
        let metadata = crate::reopen::metadata_of(std::mem::take(&mut description.files));
        let sources = std::mem::take(&mut description.sources);
        drop(description);
        let mut contents: Vec<File> = sources
            .into_iter()
            .map(|source| {
                let Source::Bytes(bytes) = source else { panic!("a file") };
                let mut file = tempfile::tempfile().unwrap();
                file.write_all(&bytes).unwrap();
                file
            })
            .collect();
        let mut pairs = make_pairs(&metadata, &mut contents).unwrap();
        let made = metadata.files.iter().enumerate().map(|(index, file)| {
            let socket = socket_of(file).unwrap();
            let made = pairs.remove(&index).unwrap_or_else(|| make(index, socket, None).unwrap());
            set_flags(&made, file).unwrap();
            made
        });
        made.collect()
    }

    #[test]
    fn listeners_come_back_with_their_options() {
        let _alone = crate::reopen::alone_with_descriptors();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listen(&listener, 37).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        option::set_number(listener.as_fd(), libc::IPPROTO_TCP, libc::TCP_KEEPIDLE, 123).unwrap();
        option::set_number(listener.as_fd(), libc::SOL_SOCKET, libc::SO_RCVBUF, 20_000).unwrap();
        let made = again(vec![listener.into()]).remove(0);
        assert_eq!(crate::sockets::TcpInfo::of(made.as_fd()).unwrap().backlog(), 37);
        assert_eq!(option::get_number(made.as_fd(), libc::IPPROTO_TCP, libc::TCP_KEEPIDLE).unwrap(), 123);
        assert_eq!(option::get_number(made.as_fd(), libc::SOL_SOCKET, libc::SO_RCVBUF).unwrap(), 40_000);
        let listener = TcpListener::from(made);
        assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let _client = TcpStream::connect(address).unwrap();
        let taken = Socket {
            family: libc::AF_INET.cast_unsigned(),
            kind: libc::SOCK_STREAM.cast_unsigned(),
            protocol: libc::IPPROTO_TCP.cast_unsigned(),
            options: Vec::new(),
            name: Some(SocketName::Internet(address)),
            state: SocketState::Listening { backlog: 1 },
        };
        assert!(make(0, &taken, None).unwrap_err().contains("another program has this address"));
    }

    #[test]
    fn unix_sockets_and_what_waits_in_them_come_back() {
        let _alone = crate::reopen::alone_with_descriptors();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let (mut one, other) = UnixStream::pair().unwrap();
        one.write_all(b"text").unwrap();
        one.shutdown(std::net::Shutdown::Write).unwrap();
        let (alone, mut closed) = UnixStream::pair().unwrap();
        closed.write_all(b"the last").unwrap();
        drop(closed);
        let (sender, receiver) = UnixDatagram::pair().unwrap();
        sender.send(b"a datagram").unwrap();
        let files = vec![one.into(), other.into(), alone.into(), listener.into(), sender.into(), receiver.into()];
        let made = again(files);
        let (orphan, gone) = UnixDatagram::pair().unwrap();
        gone.send(b"its last").unwrap();
        drop(gone);
        let orphan = UnixDatagram::from(again(vec![orphan.into()]).remove(0));
        assert_eq!(orphan.recv(&mut [0; 20]).unwrap(), 8);
        let receiver = UnixDatagram::from(made[5].try_clone().unwrap());
        let mut datagram = [0; 20];
        assert_eq!(receiver.recv(&mut datagram).unwrap(), 10);
        let [mut one, mut other, mut alone] =
            [0, 1, 2].map(|index: usize| UnixStream::from(made[index].try_clone().unwrap()));
        let mut text = String::new();
        other.read_to_string(&mut text).unwrap();
        assert_eq!(text, "text");
        other.write_all(b"back").unwrap();
        let mut bytes = [0; 4];
        one.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"back");
        text.clear();
        alone.read_to_string(&mut text).unwrap();
        assert_eq!(text, "the last");
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn udp_sockets_keep_their_peers_and_lost_connections_are_lost() {
        let _alone = crate::reopen::alone_with_descriptors();
        let (one, other) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        one.connect(other.local_addr().unwrap()).unwrap();
        let address = one.local_addr().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        rustix::net::sockopt::set_socket_linger(&server, Some(std::time::Duration::ZERO)).unwrap();
        drop(server);
        poll(&mut [PollFd::new(&client, PollFlags::IN)], None).unwrap();
        let made = again(vec![one.into(), client.into()]);
        let one = UdpSocket::from(made[0].try_clone().unwrap());
        one.send(b"hello").unwrap();
        let mut buffer = [0; 9];
        assert_eq!(other.recv_from(&mut buffer).unwrap(), (5, address));
        let mut client = TcpStream::from(made[1].try_clone().unwrap());
        assert_eq!(client.read(&mut buffer).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }
}
