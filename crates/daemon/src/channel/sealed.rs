//! Records on an authenticated connection, as Noise's transport messages: a length (u16, little-endian), then so many bytes, AES-256-GCM with a
//! counter as nonce and the authentication tag at the end. A key is replaced by its successor (`REKEY`) after 2^20 records, 64 GiB, well below what AES-GCM
//! is safe for.

use super::alive::Watched;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, MAX_TAG_LEN, Nonce, UnboundKey};
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::net::TcpStream;

/// The most bytes in a record, before and after sealing.
const OPEN: usize = SEALED - MAX_TAG_LEN;
const SEALED: usize = 65535;
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
            Sealer { socket: other, cipher: Cipher::new(self.write)?, record: Vec::new() },
            Opener { socket, cipher: Cipher::new(self.read)?, record: Vec::new(), taken: 0, is_watched: false },
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
    record: Vec<u8>,
}

impl Sealer {
    /// The socket.
    #[must_use]
    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }
}

impl Write for Sealer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let bytes = &bytes[..bytes.len().min(OPEN)];
        if bytes.is_empty() {
            return Ok(0);
        }
        let sealed = u16::try_from(bytes.len() + MAX_TAG_LEN).map_err(io::Error::other)?;
        self.record.clear();
        self.record.extend_from_slice(&sealed.to_le_bytes());
        self.record.extend_from_slice(bytes);
        let nonce = self.cipher.nonce()?;
        let tag = self
            .cipher
            .cipher
            .seal_in_place_separate_tag(nonce, Aad::empty(), &mut self.record[2..])
            .map_err(refused)?;
        self.record.extend_from_slice(tag.as_ref());
        self.socket.write_all(&self.record)?;
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
    /// The record that is being read, opened.
    record: Vec<u8>,
    /// How much of it has been.
    taken: usize,
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

    fn fill(&mut self) -> io::Result<bool> {
        let mut length = [0; 2];
        let (mut watched, mut plain) = (Watched(&self.socket), &self.socket);
        let socket: &mut dyn Read = if self.is_watched { &mut watched } else { &mut plain };
        // Between records the other side may close.
        if socket.read(&mut length[..1])? == 0 {
            return Ok(false);
        }
        socket.read_exact(&mut length[1..])?;
        self.record.resize(usize::from(u16::from_le_bytes(length)), 0);
        self.taken = self.record.len();
        socket.read_exact(&mut self.record)?;
        let nonce = self.cipher.nonce()?;
        let open = self.cipher.cipher.open_in_place(nonce, Aad::empty(), &mut self.record).map_err(refused)?.len();
        self.record.truncate(open);
        self.taken = 0;
        Ok(true)
    }

    /// What another process needs to go on, if nothing is left that has been received but not read.
    pub(crate) fn hand_over(self, sealer: Sealer) -> Option<(TcpStream, Handover)> {
        let state = Handover { write: sealer.cipher.direction, read: self.cipher.direction };
        (self.taken == self.record.len()).then_some((self.socket, state))
    }
}

impl Read for Opener {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.record.len() && !self.fill()? {
            return Ok(0);
        }
        let length = bytes.len().min(self.record.len() - self.taken);
        bytes[..length].copy_from_slice(&self.record[self.taken..][..length]);
        self.taken += length;
        Ok(length)
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
            good.extend_from_slice(&sealer.record);
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
