//! Reading from sockets that may be interrupted.

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
