//! Who is there: `Noise_XX_25519_AESGCM_SHA256` (the Noise protocol framework, revision 34). Before it each side says its version in the clear,
//! so that another one can be told from garbage; the handshake covers both, so that nobody can change them on the way.
//!
//! ```text
//! both:      "maize" 0 version (u16, little-endian)
//! handshake: three messages, each with its length before it (u16, little-endian)
//! ```

use super::alive;
use super::sealed::{Direction, Handover};
use crate::error::{NodeError, Result};
use crate::identity::PublicKey;
use crate::message::VERSION;
use snow::{Builder, HandshakeState};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const PATTERN: &str = "Noise_XX_25519_AESGCM_SHA256";
const MAGIC: [u8; 6] = *b"maize\0";
/// The longest message of the handshake is 96 bytes; nothing is carried along.
const LONGEST: usize = 128;
/// Who has not said who it is by then is not listened to any longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// A connection whose other side has proved who it is.
pub struct Authenticated {
    /// Its key.
    pub peer: PublicKey,
    /// The connection.
    pub socket: TcpStream,
    /// What a process needs to go on with it.
    pub state: Handover,
}

pub(crate) struct Pair {
    pub(crate) private: [u8; 32],
    pub(crate) public: PublicKey,
}

fn builder<'a>() -> Result<Builder<'a>> {
    let pattern = PATTERN.parse().map_err(|error: snow::Error| NodeError::Invalid(error.to_string()))?;
    Ok(Builder::new(pattern))
}

fn noise(peer: &str) -> impl Fn(snow::Error) -> NodeError {
    move |error| NodeError::Protocol { peer: peer.into(), message: format!("handshake: {error}") }
}

/// A new pair of keys.
pub(crate) fn generate() -> Result<Pair> {
    let pair = builder()?.generate_keypair().map_err(|error| NodeError::Invalid(error.to_string()))?;
    let wrong = |_| NodeError::Invalid("a key pair of the wrong size was made".into());
    Ok(Pair {
        private: pair.private.try_into().map_err(wrong)?,
        public: PublicKey::new(pair.public.try_into().map_err(wrong)?),
    })
}

/// The public key of a private one.
pub(crate) fn public_of(private: &[u8; 32]) -> Result<PublicKey> {
    use snow::resolvers::{CryptoResolver as _, DefaultResolver};
    let none = || NodeError::Invalid("no X25519".into());
    let mut dh = DefaultResolver.resolve_dh(&snow::params::DHChoice::Curve25519).ok_or_else(none)?;
    dh.set(private);
    dh.pubkey().try_into().map(PublicKey::new).map_err(|_| none())
}

/// Connects to the node with the key `expected`, or whoever is there if it is `None`, within `patience`.
///
/// # Errors
/// If nothing answers, or something else does.
pub fn connect(address: &str, private: &[u8; 32], expected: &PublicKey, patience: Duration) -> Result<Authenticated> {
    let unreachable = |source| NodeError::Unreachable { address: address.into(), source };
    let socket = reach(address, patience).map_err(unreachable)?;
    let mut stream = Timed::new(&socket, patience);
    let prologue = versions(&mut stream, address, Side::Initiator)?;
    let mut state = builder()?
        .local_private_key(private)
        .and_then(|builder| builder.prologue(&prologue))
        .and_then(Builder::build_initiator)
        .map_err(noise(address))?;
    say(&mut stream, &mut state, address)?;
    hear(&mut stream, &mut state, address)?;
    // Before anything is said that tells who this is.
    let peer = remote(&state, address)?;
    if peer != *expected {
        return Err(NodeError::WrongKey { peer: address.into(), expected: expected.to_string() });
    }
    say(&mut stream, &mut state, address)?;
    finish(socket, state, peer, Side::Initiator, address)
}

/// Hears who has connected. Whether it is somebody to be trusted the caller decides, by its key.
///
/// # Errors
/// If it does not speak the protocol, or is slow.
pub fn accept(socket: TcpStream, private: &[u8; 32]) -> Result<Authenticated> {
    let address = socket.peer_addr().map_or_else(|_| "somebody".into(), |address| address.to_string());
    let mut stream = Timed::new(&socket, PATIENCE);
    let prologue = versions(&mut stream, &address, Side::Responder)?;
    let mut state = builder()?
        .local_private_key(private)
        .and_then(|builder| builder.prologue(&prologue))
        .and_then(Builder::build_responder)
        .map_err(noise(&address))?;
    hear(&mut stream, &mut state, &address)?;
    say(&mut stream, &mut state, &address)?;
    hear(&mut stream, &mut state, &address)?;
    let peer = remote(&state, &address)?;
    finish(socket, state, peer, Side::Responder, &address)
}

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Initiator,
    Responder,
}

fn reach(address: &str, patience: Duration) -> io::Result<TcpStream> {
    use std::net::ToSocketAddrs as _;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "no such host");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, patience) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Says one's version and hears the other's. The responder hears first: it says nothing to who does not speak the protocol.
fn versions(stream: &mut Timed<'_>, peer: &str, side: Side) -> Result<[u8; 16]> {
    let lost = |source| NodeError::Lost { peer: peer.into(), source };
    let mut ours = [0; 8];
    ours[..6].copy_from_slice(&MAGIC);
    ours[6..].copy_from_slice(&VERSION.to_le_bytes());
    let mut theirs = [0; 8];
    if side == Side::Initiator {
        stream.write_all(&ours).map_err(lost)?;
        stream.read_exact(&mut theirs).map_err(lost)?;
    } else {
        stream.read_exact(&mut theirs).map_err(lost)?;
    }
    if theirs[..6] != MAGIC {
        return Err(NodeError::Protocol { peer: peer.into(), message: "it is no node of Maize".into() });
    }
    if side == Side::Responder {
        stream.write_all(&ours).map_err(lost)?;
    }
    let version = u16::from_le_bytes([theirs[6], theirs[7]]);
    if version != VERSION {
        return Err(NodeError::Version { peer: peer.into(), theirs: version, ours: VERSION });
    }
    let mut prologue = [0; 16];
    prologue[..8].copy_from_slice(&ours);
    prologue[8..].copy_from_slice(&theirs);
    Ok(prologue)
}

fn say(stream: &mut Timed<'_>, state: &mut HandshakeState, peer: &str) -> Result<()> {
    let mut bytes = [0; 2 + LONGEST];
    let length = state.write_message(&[], &mut bytes[2..]).map_err(noise(peer))?;
    bytes[..2].copy_from_slice(&u16::try_from(length).unwrap_or(0).to_le_bytes());
    stream.write_all(&bytes[..2 + length]).map_err(|source| NodeError::Lost { peer: peer.into(), source })
}

fn hear(stream: &mut Timed<'_>, state: &mut HandshakeState, peer: &str) -> Result<()> {
    let lost = |source| NodeError::Lost { peer: peer.into(), source };
    let mut length = [0; 2];
    stream.read_exact(&mut length).map_err(lost)?;
    let length = usize::from(u16::from_le_bytes(length));
    let mut bytes = [0; LONGEST];
    let Some(message) = bytes.get_mut(..length) else {
        return Err(NodeError::Protocol { peer: peer.into(), message: format!("a handshake of {length} bytes") });
    };
    stream.read_exact(message).map_err(lost)?;
    state.read_message(message, &mut [0; LONGEST]).map(|_| ()).map_err(noise(peer))
}

fn remote(state: &HandshakeState, peer: &str) -> Result<PublicKey> {
    let key = state.get_remote_static().and_then(|key| key.try_into().ok());
    key.map(PublicKey::new)
        .ok_or_else(|| NodeError::Protocol { peer: peer.into(), message: "it did not say its key".into() })
}

fn finish(
    socket: TcpStream,
    mut state: HandshakeState,
    peer: PublicKey,
    side: Side,
    address: &str,
) -> Result<Authenticated> {
    if !state.is_handshake_finished() {
        return Err(NodeError::Protocol { peer: address.into(), message: "the handshake did not end".into() });
    }
    let (initiators, responders) = state.dangerously_get_raw_split();
    let (write, read) = if side == Side::Initiator { (initiators, responders) } else { (responders, initiators) };
    let lost = |source| NodeError::Lost { peer: address.into(), source };
    socket.set_nodelay(true).map_err(lost)?;
    alive::ask(&socket).map_err(|error| lost(error.into()))?;
    socket.set_read_timeout(None).map_err(lost)?;
    socket.set_write_timeout(None).map_err(lost)?;
    Ok(Authenticated { peer, socket, state: Handover { write: Direction::new(write), read: Direction::new(read) } })
}

/// A stream that is given up at a certain time, however slowly bytes trickle.
struct Timed<'a> {
    socket: &'a TcpStream,
    until: Instant,
}

impl Timed<'_> {
    fn new(socket: &TcpStream, patience: Duration) -> Timed<'_> {
        Timed { socket, until: Instant::now() + patience }
    }

    fn left(&self) -> io::Result<Duration> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time")) } else { Ok(left) }
    }
}

/// The kernel's word for a time-out is "resource temporarily unavailable".
fn timed_out(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::WouldBlock {
        io::Error::new(io::ErrorKind::TimedOut, "no answer in time")
    } else {
        error
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(Some(self.left()?))?;
        let mut socket = self.socket;
        socket.read(bytes).map_err(timed_out)
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.set_write_timeout(Some(self.left()?))?;
        let mut socket = self.socket;
        socket.write(bytes).map_err(timed_out)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
