//! FUSE's messages, as far as they are looked into: include/uapi/linux/fuse.h.
//!
//! A request is its header (length u32, operation u32, id u64, inode u64, user, group and process u32 each, 4 bytes) and what the operation takes; an answer its
//! header (length u32, error i32, id u64) and what the operation gives. All are little-endian on all our ISAs.

use std::io::{self, Read};

/// Bytes of a request's header.
pub(crate) const REQUEST_HEADER: usize = 40;
/// Bytes of an answer's header.
pub(crate) const ANSWER_HEADER: usize = 16;
/// The longest message: so many pages as FUSE has at most in one, which are 64 KiB where they are largest, and what comes before them.
pub(crate) const LONGEST: usize = (256 + 1) * (64 << 10);

/// From this bit on a request's id says between this machine and the home which of the mounted file systems it is about. Kernels count from 0.
const WHICH: u32 = 48;

/// `FUSE_*`.
pub(crate) const LOOKUP: u32 = 1;
pub(crate) const FORGET: u32 = 2;
pub(crate) const GETATTR: u32 = 3;
const OPEN: u32 = 14;
const READ: u32 = 15;
const WRITE: u32 = 16;
const RELEASE: u32 = 18;
const OPENDIR: u32 = 27;
pub(crate) const READDIR: u32 = 28;
const RELEASEDIR: u32 = 29;
const CREATE: u32 = 35;
pub(crate) const INTERRUPT: u32 = 36;
pub(crate) const DESTROY: u32 = 38;
pub(crate) const BATCH_FORGET: u32 = 42;
pub(crate) const READDIRPLUS: u32 = 44;

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

/// A request that has come whole.
#[derive(Clone, Copy)]
pub(crate) struct Request<'a> {
    bytes: &'a [u8],
}

impl<'a> Request<'a> {
    /// `None` if these bytes are none.
    pub(crate) fn new(bytes: &'a [u8]) -> Option<Request<'a>> {
        let is_whole = bytes.len() >= REQUEST_HEADER && word(bytes, 0)? as usize == bytes.len();
        is_whole.then_some(Request { bytes })
    }

    pub(crate) fn operation(self) -> u32 {
        word(self.bytes, 4).unwrap_or(0)
    }

    pub(crate) fn id(self) -> u64 {
        long(self.bytes, 8).unwrap_or(0)
    }

    pub(crate) fn inode(self) -> u64 {
        long(self.bytes, 16).unwrap_or(0)
    }

    /// Which of the mounted file systems it is about.
    pub(crate) fn which(self) -> u16 {
        (self.id() >> WHICH) as u16
    }

    /// What the operation takes.
    pub(crate) fn body(self) -> &'a [u8] {
        &self.bytes[REQUEST_HEADER..]
    }

    /// Whether it is answered.
    pub(crate) fn has_answer(self) -> bool {
        !matches!(self.operation(), FORGET | BATCH_FORGET | INTERRUPT | DESTROY)
    }
}

/// An answer: an error (as `errno`), or what the operation gives.
pub(crate) fn answer(id: u64, result: Result<&[u8], i32>) -> Vec<u8> {
    let (error, body) = match result {
        Ok(body) => (0, body),
        Err(error) => (-error, &[][..]),
    };
    let mut bytes = Vec::with_capacity(ANSWER_HEADER + body.len());
    bytes.extend_from_slice(&((ANSWER_HEADER + body.len()) as u32).to_le_bytes());
    bytes.extend_from_slice(&error.to_le_bytes());
    bytes.extend_from_slice(&id.to_le_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// Has a request be about one of the mounted file systems. Returns its id from then on.
pub(crate) fn direct(request: &mut [u8], which: u16) -> Option<u64> {
    let id = Request::new(request)?.id() | u64::from(which) << WHICH;
    request[8..16].copy_from_slice(&id.to_le_bytes());
    Some(id)
}

/// The id of an answer, which becomes what the kernel has asked by.
pub(crate) fn undirect(answer: &mut [u8]) -> u64 {
    let id = long(answer, 8).unwrap_or(0);
    answer[8..16].copy_from_slice(&(id & ((1 << WHICH) - 1)).to_le_bytes());
    id
}

/// Reads one message, into a buffer whose capacity is used again. `false` at the end.
///
/// # Errors
/// If it cannot be read, ends early, or is none.
pub(crate) fn read(from: &mut impl Read, message: &mut Vec<u8>) -> io::Result<bool> {
    let mut length = [0; 4];
    if from.read(&mut length[..1])? == 0 {
        return Ok(false);
    }
    from.read_exact(&mut length[1..])?;
    let whole = u32::from_le_bytes(length) as usize;
    if !(ANSWER_HEADER..=LONGEST).contains(&whole) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a message of {whole} bytes about files")));
    }
    message.clear();
    message.extend_from_slice(&length);
    // Grows with what has come.
    let rest = from.take(whole as u64 - 4).read_to_end(message)?;
    if rest + 4 < whole { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(true) }
}

/// Makes an answer about a name or a file one that holds for no time.
pub(crate) fn is_to_be_asked_again(operation: u32, answer: &mut [u8]) {
    // `entry_valid` to `attr_valid_nsec`, or `attr_valid` and `attr_valid_nsec`.
    let times = match operation {
        LOOKUP => 16..40,
        GETATTR => 0..12,
        _ => return,
    };
    if let Some(times) = answer.get_mut(ANSWER_HEADER + times.start..ANSWER_HEADER + times.end) {
        times.fill(0);
    }
}

/// Bits of `open`'s flags that differ between ISAs, asm-generic's and AArch64's: `O_DIRECTORY`, `O_NOFOLLOW`, `O_DIRECT`, `O_LARGEFILE`.
const DIFFERENT: [(u32, u32); 4] =
    [(0o200_000, 0o40_000), (0o400_000, 0o100_000), (0o40_000, 0o200_000), (0o100_000, 0o400_000)];

/// Where the flags of `open` are in a request.
fn place_of_flags(operation: u32) -> Option<usize> {
    let in_body = match operation {
        OPEN | OPENDIR | CREATE => 0,
        RELEASE | RELEASEDIR => 8,
        READ | WRITE | READDIR | READDIRPLUS => 32,
        _ => return None,
    };
    Some(REQUEST_HEADER + in_body)
}

fn exchange(request: &mut [u8], map: impl Fn((u32, u32)) -> (u32, u32)) {
    let Some(place) = Request::new(request).and_then(|request| place_of_flags(request.operation())) else { return };
    let Some(flags) = word(request, place) else { return };
    let mut changed = flags & !DIFFERENT.iter().fold(0, |bits, (generic, _)| bits | generic);
    for (from, to) in DIFFERENT.map(map) {
        if flags & from != 0 {
            changed |= to;
        }
    }
    request[place..place + 4].copy_from_slice(&changed.to_le_bytes());
}

/// Flags of this machine's kernel become asm-generic's, which go over the network.
pub(crate) fn to_network(request: &mut [u8]) {
    if cfg!(target_arch = "aarch64") {
        exchange(request, |(generic, own)| (own, generic));
    }
}

/// The reverse.
pub(crate) fn from_network(request: &mut [u8]) {
    if cfg!(target_arch = "aarch64") {
        exchange(request, |pair| pair);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(operation: u32, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; REQUEST_HEADER];
        bytes[4..8].copy_from_slice(&operation.to_le_bytes());
        bytes[8..16].copy_from_slice(&7_u64.to_le_bytes());
        bytes.extend_from_slice(body);
        let length = bytes.len() as u32;
        bytes[..4].copy_from_slice(&length.to_le_bytes());
        bytes
    }

    #[test]
    fn messages_are_read_whole_or_refused() {
        let first = request(LOOKUP, b"name\0");
        let stream = [first.clone(), answer(7, Err(libc::ENOENT))].concat();
        let (mut from, mut message) = (&stream[..], Vec::new());
        assert!(read(&mut from, &mut message).unwrap());
        assert_eq!(message, first);
        let found = Request::new(&message).unwrap();
        assert_eq!((found.operation(), found.id(), found.body()), (LOOKUP, 7, &b"name\0"[..]));
        assert!(read(&mut from, &mut message).unwrap());
        assert_eq!(message[4..8], (-libc::ENOENT).to_le_bytes());
        assert!(!read(&mut from, &mut message).unwrap());
        for damaged in [&first[..first.len() - 1], &first[..3], &[0xff; 60], &[3, 0, 0, 0]] {
            assert!(read(&mut &*damaged, &mut message).is_err(), "{damaged:?}");
        }
        assert!(Request::new(&first[..first.len() - 1]).is_none());
    }

    #[test]
    fn answers_go_back_to_the_file_system_that_was_asked() {
        let mut asked = request(LOOKUP, b"name\0");
        let id = direct(&mut asked, 0x1234).unwrap();
        let found = Request::new(&asked).unwrap();
        assert_eq!((found.id(), found.which()), (id, 0x1234));
        let mut answered = answer(id, Ok(b"file"));
        assert_eq!(undirect(&mut answered), id);
        assert_eq!(answered, answer(7, Ok(b"file")));
    }

    #[test]
    fn flags_go_there_and_come_back() {
        for flags in [0_u32, 0o2, 0o40_000, 0o200_000, 0o740_002, u32::MAX] {
            for (operation, before) in [(OPEN, 0), (WRITE, 32), (RELEASE, 8)] {
                let body = [&vec![0; before][..], &flags.to_le_bytes(), &[9; 8]].concat();
                let original = request(operation, &body);
                let mut bytes = original.clone();
                exchange(&mut bytes, |(generic, own)| (own, generic));
                exchange(&mut bytes, |pair| pair);
                assert_eq!(bytes, original);
            }
        }
        // O_DIRECTORY of AArch64.
        let mut bytes = request(OPENDIR, &0o40_000_u32.to_le_bytes());
        exchange(&mut bytes, |(generic, own)| (own, generic));
        assert_eq!(bytes[REQUEST_HEADER..], 0o200_000_u32.to_le_bytes());
    }
}
