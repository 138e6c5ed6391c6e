//! Records on an authenticated connection, as Noise's transport messages: a length (u16, little-endian), then so many bytes, AES-256-GCM with a
//! counter as nonce and the authentication tag at the end. A key is replaced by its successor (`REKEY`) after 2^20 records, 64 GiB, well below what AES-GCM
//! is safe for.

use super::alive::Watched;
use super::gather;
use crate::read::read_some;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, MAX_TAG_LEN, Nonce, UnboundKey};
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::ops::Range;

/// The most bytes in a record, before and after sealing.
const OPEN: usize = SEALED - MAX_TAG_LEN;
const SEALED: usize = 65535;
/// The bytes before a record that tell its length.
const LENGTH: usize = 2;
/// Full records that go to the kernel at a time: few calls, and they are still in the processor's cache.
const SENT: usize = 4;
/// Full records that are received at a time, if so many are on their way.
const RECEIVED: usize = 8;
const RECORDS_OF_A_KEY: u64 = 1 << 20;

/// One direction of a connection. Neither copied nor shown: a nonce must not be used twice.
#[derive(Serialize, Deserialize)]
pub struct Direction {
    key: [u8; 32],
    counter: u64,
}

/// Both directions: what another process needs to go on with a connection.
#[derive(Serialize, Deserialize)]
pub struct Handover {
    pub(super) write: Direction,
    pub(super) read: Direction,
}

impl Handover {
    /// Goes on with the connection.
    ///
    /// # Errors
    /// If the socket cannot be duplicated.
    pub fn resume(self, socket: TcpStream) -> io::Result<(Sealer, Opener)> {
        let other = socket.try_clone()?;
        Ok((
            Sealer { socket: other, cipher: Cipher::new(self.write)?, records: Vec::new() },
            Opener {
                socket,
                cipher: Cipher::new(self.read)?,
                received: Vec::new(),
                open: 0..0,
                sealed: 0..0,
                is_watched: false,
            },
        ))
    }
}

impl Direction {
    pub(super) fn new(key: [u8; 32]) -> Direction {
        Direction { key, counter: 0 }
    }
}

struct Cipher {
    direction: Direction,
    cipher: LessSafeKey,
}

fn refused(_: ring::error::Unspecified) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a record that the other side has not sealed")
}

impl Cipher {
    fn new(direction: Direction) -> io::Result<Cipher> {
        let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &direction.key).map_err(refused)?);
        Ok(Cipher { direction, cipher })
    }

    /// A nonce that has not been used with this key: 4 zeros and the counter, big-endian.
    fn nonce(&mut self) -> io::Result<Nonce> {
        if self.direction.counter == RECORDS_OF_A_KEY {
            self.replace_key()?;
        }
        let counter = self.direction.counter;
        self.direction.counter += 1;
        Ok(nonce(counter))
    }

    /// Noise's REKEY: 32 zeros, sealed with the last nonce.
    fn replace_key(&mut self) -> io::Result<()> {
        let mut key = [0; 32];
        // Noise leaves the tag out.
        let _tag = self.cipher.seal_in_place_separate_tag(nonce(u64::MAX), Aad::empty(), &mut key).map_err(refused)?;
        *self = Cipher::new(Direction { key, counter: 0 })?;
        Ok(())
    }
}

fn nonce(counter: u64) -> Nonce {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&counter.to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}

/// The sending side.
pub struct Sealer {
    socket: TcpStream,
    cipher: Cipher,
    /// What is sent at a time.
    records: Vec<u8>,
}

impl Sealer {
    /// The socket.
    #[must_use]
    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Adds a record of at most [`OPEN`] bytes.
    fn seal(&mut self, bytes: &[u8]) -> io::Result<()> {
        let sealed = u16::try_from(bytes.len() + MAX_TAG_LEN).map_err(io::Error::other)?;
        self.records.extend_from_slice(&sealed.to_le_bytes());
        let start = self.records.len();
        self.records.extend_from_slice(bytes);
        let nonce = self.cipher.nonce()?;
        let record = &mut self.records[start..];
        let tag = self.cipher.cipher.seal_in_place_separate_tag(nonce, Aad::empty(), record).map_err(refused)?;
        self.records.extend_from_slice(tag.as_ref());
        Ok(())
    }
}

impl Write for Sealer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let bytes = &bytes[..bytes.len().min(SENT * OPEN)];
        self.records.clear();
        bytes.chunks(OPEN).try_for_each(|record| self.seal(record))?;
        self.socket.write_all(&self.records)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The receiving side.
pub struct Opener {
    socket: TcpStream,
    cipher: Cipher,
    /// Records, as they have come and opened in place.
    received: Vec<u8>,
    /// Where in that the one is that is being read, without what has been.
    open: Range<usize>,
    /// Where what comes after it is, as far as it has been received.
    sealed: Range<usize>,
    /// It is an error if there is no sign of life from the other machine for long.
    is_watched: bool,
}

impl Opener {
    /// The socket.
    #[must_use]
    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// From now on, reading fails when the other machine shows no sign of life.
    pub(crate) fn watch(&mut self) {
        self.is_watched = true;
    }

    /// [`Read::read`], where it is known that so many bytes will be read in all: these may be received now, and nobody has to be woken for each packet.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn read_of(&mut self, expected: usize, bytes: &mut [u8]) -> io::Result<usize> {
        while self.open.is_empty() {
            if !self.fill(expected)? {
                return Ok(0);
            }
        }
        let length = bytes.len().min(self.open.len());
        bytes[..length].copy_from_slice(&self.received[self.open.start..][..length]);
        self.open.start += length;
        Ok(length)
    }

    /// Receives at least so many bytes of what is sealed, and at most, beyond that, what is expected. `false` if the other side has closed before any.
    fn receive(&mut self, count: usize, expected: usize) -> io::Result<bool> {
        if self.sealed.len() >= count {
            return Ok(true);
        }
        // Sealed it is no shorter.
        let wanted = expected.min(RECEIVED * (LENGTH + SEALED)).max(count);
        if self.received.len() - self.sealed.start < wanted {
            self.received.copy_within(self.sealed.clone(), 0);
            self.sealed = 0..self.sealed.len();
            let size = self.received.len().max(wanted);
            self.received.resize(size, 0);
        }
        let end = self.sealed.start + wanted;
        while self.sealed.len() < count {
            let missing = end - self.sealed.end;
            if missing > LENGTH + SEALED {
                gather::wait(&self.socket, missing)?;
            }
            let (mut watched, mut plain) = (Watched(&self.socket), &self.socket);
            let socket: &mut dyn Read = if self.is_watched { &mut watched } else { &mut plain };
            match read_some(socket, &mut self.received[self.sealed.end..end])? {
                0 if self.sealed.is_empty() => return Ok(false),
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => self.sealed.end += read,
            }
        }
        Ok(true)
    }

    /// Opens the next record. `false` if there is none: between records the other side may close.
    fn fill(&mut self, expected: usize) -> io::Result<bool> {
        if self.sealed.is_empty() {
            self.sealed = 0..0;
        }
        if !self.receive(LENGTH, expected)? {
            return Ok(false);
        }
        let length = [self.received[self.sealed.start], self.received[self.sealed.start + 1]];
        let length = usize::from(u16::from_le_bytes(length));
        self.receive(LENGTH + length, expected)?;
        let start = self.sealed.start + LENGTH;
        self.sealed.start = start + length;
        let nonce = self.cipher.nonce()?;
        let record = &mut self.received[start..start + length];
        let open = self.cipher.cipher.open_in_place(nonce, Aad::empty(), record).map_err(refused)?.len();
        self.open = start..start + open;
        Ok(true)
    }

    /// What another process needs to go on, if nothing is left that has been received but not read.
    pub(crate) fn hand_over(self, sealer: Sealer) -> Option<(TcpStream, Handover)> {
        let state = Handover { write: sealer.cipher.direction, read: self.cipher.direction };
        (self.open.is_empty() && self.sealed.is_empty()).then_some((self.socket, state))
    }
}

impl Read for Opener {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.read_of(0, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn direction(key: u8) -> Direction {
        Direction::new([key; 32])
    }

    /// The two ends of a connection.
    fn pair() -> ((Sealer, Opener), (Sealer, Opener), TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let other = listener.accept().unwrap().0;
        let raw = one.try_clone().unwrap();
        let ends = |write, read| Handover { write: direction(write), read: direction(read) };
        (ends(1, 2).resume(one).unwrap(), ends(2, 1).resume(other).unwrap(), raw)
    }

    #[test]
    fn records_are_read_as_written_beyond_the_end_of_a_key() {
        let ((mut sealer, _), (_, mut opener), _) = pair();
        for direction in [&mut sealer.cipher.direction, &mut opener.cipher.direction] {
            direction.counter = RECORDS_OF_A_KEY - 2;
        }
        let before = sealer.cipher.direction.key;
        for round in 0_u8..5 {
            let sent = vec![round; 100_000];
            std::thread::scope(|scope| {
                scope.spawn(|| sealer.write_all(&sent).unwrap());
                let mut got = vec![0; sent.len()];
                opener.read_exact(&mut got).unwrap();
                assert_eq!(got, sent);
            });
        }
        assert_ne!(sealer.cipher.direction.key, before);
        assert_eq!(sealer.cipher.direction.key, opener.cipher.direction.key);
    }

    /// In writes and reads of all sizes. What has not been said to be read is left in the socket.
    #[test]
    fn what_is_expected_is_read_in_order_and_nothing_behind_it_is_received() {
        let ((mut sealer, _), (_, mut opener), _) = pair();
        let mut random = fastrand::Rng::with_seed(3);
        let mut size = || [random.usize(1..=100), random.usize(1..=OPEN), random.usize(OPEN..=3_000_000)];
        let sizes: Vec<usize> = (0..10).flat_map(|_| size()).collect();
        let sent: Vec<Vec<u8>> = sizes.iter().map(|&size| (0..size).map(|_| random.u8(..)).collect()).collect();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut random = fastrand::Rng::with_seed(4);
                for piece in &sent {
                    let mut rest = &piece[..];
                    while !rest.is_empty() {
                        let most = [1, 100, OPEN, 300_000, 3_000_000][random.usize(..5)];
                        let (now, later) = rest.split_at(random.usize(1..=most).min(rest.len()));
                        sealer.write_all(now).unwrap();
                        rest = later;
                    }
                }
            });
            for piece in &sent {
                let mut got = vec![0; piece.len()];
                let mut filled = 0;
                while filled < got.len() {
                    let (expected, most) = (got.len() - filled, random.usize(1..=200_000));
                    let end = got.len().min(filled + most);
                    let read = opener.read_of(expected, &mut got[filled..end]).unwrap();
                    assert_ne!(read, 0);
                    filled += read;
                }
                assert!(got == *piece);
                assert!(opener.open.is_empty() && opener.sealed.is_empty());
            }
        });
    }

    #[test]
    fn a_process_goes_on_where_another_left_off() {
        let ((mut sealer, opener), (_, mut theirs), _) = pair();
        sealer.write_all(b"one").unwrap();
        let (socket, state) = opener.hand_over(sealer).unwrap();
        let bytes = postcard::to_stdvec(&state).unwrap();
        let state: Handover = postcard::from_bytes(&bytes).unwrap();
        let (mut sealer, _opener) = state.resume(socket).unwrap();
        sealer.write_all(b"two").unwrap();
        let mut got = [0; 6];
        theirs.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"onetwo");
    }

    #[test]
    fn what_is_changed_repeated_or_made_up_on_the_way_is_refused() {
        for fault in 0..4 {
            let ((mut sealer, _), (_, mut opener), mut raw) = pair();
            let mut good = Vec::new();
            // A record as it would go over the wire.
            sealer.write_all(b"hello").unwrap();
            good.extend_from_slice(&sealer.records);
            let mut got = [0; 5];
            opener.read_exact(&mut got).unwrap();
            assert_eq!(&got, b"hello");
            match fault {
                0 => {}
                1 => good[4] ^= 1,
                2 => good = vec![1, 0, 7],
                _ => good = vec![0, 0],
            }
            raw.write_all(&good).unwrap();
            assert_eq!(opener.read(&mut got).unwrap_err().kind(), io::ErrorKind::InvalidData, "fault {fault}");
        }
    }

    #[test]
    fn a_connection_cut_within_a_record_is_an_error_and_one_between_records_its_end() {
        let ((_, _), (_, mut opener), mut raw) = pair();
        raw.write_all(&[9, 0, 1]).unwrap();
        raw.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(opener.read(&mut [0; 4]).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        let ((sealer, _), (_, mut opener), _) = pair();
        sealer.socket().shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(opener.read(&mut [0; 4]).unwrap(), 0);
    }
}
