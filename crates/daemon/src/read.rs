//! Reading from sockets that may be interrupted, and files out of messages.

use crate::channel::Opener;
use crate::message::{LIMIT, ToProgram, receive};
use std::io::{self, Read};

/// [`Read::read`] that goes on after an interruption. A process that was stopped for a while gets one from a socket with a time limit, even without a signal handler (signal(7)).
///
/// # Errors
/// All others.
pub(crate) fn read_some(from: &mut (impl Read + ?Sized), bytes: &mut [u8]) -> io::Result<usize> {
    loop {
        match from.read(bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// The bytes of files that are sent in pieces ([`ToProgram::Input`]). They end where something else comes.
pub(crate) struct Pieces<'a> {
    opener: &'a mut Opener,
    piece: Vec<u8>,
    taken: usize,
}

impl Pieces<'_> {
    pub(crate) fn new(opener: &mut Opener) -> Pieces<'_> {
        Pieces { opener, piece: Vec::new(), taken: 0 }
    }
}

impl Read for Pieces<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.piece.len() {
            match receive(self.opener, LIMIT)? {
                Some(ToProgram::Input(piece)) => (self.piece, self.taken) = (piece, 0),
                _ => return Ok(0),
            }
        }
        let length = bytes.len().min(self.piece.len() - self.taken);
        bytes[..length].copy_from_slice(&self.piece[self.taken..][..length]);
        self.taken += length;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Interrupted before each byte.
    struct Often {
        bytes: &'static [u8],
        is_next: bool,
    }

    impl Read for Often {
        fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
            self.is_next = !self.is_next;
            if self.is_next {
                return Err(io::ErrorKind::Interrupted.into());
            }
            self.bytes.read(&mut bytes[..1])
        }
    }

    #[test]
    fn an_interruption_is_no_end() {
        let mut message = Vec::new();
        crate::message::send(&mut message, &7u32).unwrap();
        let mut often = Often { bytes: message.leak(), is_next: false };
        assert_eq!(crate::message::receive::<u32>(&mut often, 100).unwrap(), Some(7));
        assert_eq!(crate::message::receive::<u32>(&mut often, 100).unwrap(), None);
    }
}
