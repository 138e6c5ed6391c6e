//! Another process's missing pages, by the userfaultfd(2) that it has handed over.

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

const UFFDIO_UNREGISTER: libc::Ioctl = 0x8010_aa01_u32 as libc::Ioctl;
const UFFDIO_WAKE: libc::Ioctl = 0x8010_aa02_u32 as libc::Ioctl;
const UFFDIO_COPY: libc::Ioctl = 0xc028_aa03_u32 as libc::Ioctl;
const UFFDIO_ZEROPAGE: libc::Ioctl = 0xc020_aa04_u32 as libc::Ioctl;
const UFFD_EVENT_PAGEFAULT: u8 = 0x12;
const UFFD_EVENT_REMOVE: u8 = 0x15;
const UFFD_EVENT_UNMAP: u8 = 0x16;

const UFFDIO_API: libc::Ioctl = 0xc018_aa3f_u32 as libc::Ioctl;
const UFFD_API: u64 = 0xaa;
const UFFD_FEATURE_WP_ASYNC: u64 = 1 << 15;

/// Bytes of a `struct uffd_msg`.
const MESSAGE_SIZE: usize = 32;
/// Messages read at a time.
const MESSAGES: usize = 16;

pub(crate) struct Userfaultfd(OwnedFd);

/// Has one that has just been made know which pages are written, while nobody waits; whether it can.
pub(crate) fn knows_writes(made: &OwnedFd) -> bool {
    // `struct uffdio_api`: version, features, which requests there are.
    let mut api = [UFFD_API, UFFD_FEATURE_WP_ASYNC, 0];
    // SAFETY: the structure is as large as the request says.
    unsafe { libc::ioctl(made.as_raw_fd(), UFFDIO_API, api.as_mut_ptr()) == 0 }
}

/// What the kernel says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// A thread waits for the page with this address in it.
    Missing(u64),
    /// The process has given up this range. Whoever did so waits until this has been read.
    Removed { start: u64, end: u64 },
}

/// Why a page could not be put in place.
#[derive(Debug)]
pub(crate) enum Obstacle {
    /// One is there.
    Present,
    /// Nothing is mapped there, or not throughout in the same way.
    Unmapped,
    /// The process is about to give up a range, of which it has still to be heard.
    Changing,
    /// The process has ended, or executes another program.
    Ended,
    /// Anything else.
    Failed(io::Error),
}

impl Obstacle {
    fn last() -> Obstacle {
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EEXIST) => Obstacle::Present,
            Some(libc::ENOENT) => Obstacle::Unmapped,
            Some(libc::EAGAIN) => Obstacle::Changing,
            Some(libc::ESRCH) => Obstacle::Ended,
            _ => Obstacle::Failed(error),
        }
    }
}

impl Userfaultfd {
    /// From a descriptor that does not block, whose interface has been enabled.
    pub(crate) fn new(descriptor: OwnedFd) -> Userfaultfd {
        Userfaultfd(descriptor)
    }

    /// What the kernel has said since.
    pub(crate) fn hear(&self, mut each: impl FnMut(Told)) -> io::Result<()> {
        let mut buffer = [0; MESSAGES * MESSAGE_SIZE];
        loop {
            let length = match rustix::io::read(&self.0, &mut buffer) {
                Ok(length) => length,
                Err(rustix::io::Errno::AGAIN) => return Ok(()),
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            for message in buffer[..length].chunks_exact(MESSAGE_SIZE) {
                let word = |at: usize| u64::from_ne_bytes(std::array::from_fn(|byte| message[at + byte]));
                match message[0] {
                    // Flags come before the address.
                    UFFD_EVENT_PAGEFAULT => each(Told::Missing(word(16))),
                    UFFD_EVENT_REMOVE | UFFD_EVENT_UNMAP => each(Told::Removed { start: word(8), end: word(16) }),
                    _ => {}
                }
            }
            if length < buffer.len() {
                return Ok(());
            }
        }
    }

    /// Puts pages with this content in place, and wakes who waits for them. Returns how many bytes were done, and what was in the way of more.
    pub(crate) fn copy(&self, address: u64, content: &[u8]) -> (usize, Option<Obstacle>) {
        // `struct uffdio_copy`: to, from, length, mode, bytes done or negated error.
        let mut copy = [address, content.as_ptr() as u64, content.len() as u64, 0, 0];
        // SAFETY: the structure is as large as the request says, and the content lives until it returns.
        let result = unsafe { libc::ioctl(self.0.as_raw_fd(), UFFDIO_COPY, copy.as_mut_ptr()) };
        if result == 0 { (content.len(), None) } else { progress(copy[4]) }
    }

    /// As [`Userfaultfd::copy`], with zeros.
    pub(crate) fn zero(&self, address: u64, length: usize) -> (usize, Option<Obstacle>) {
        // `struct uffdio_zeropage`: start, length, mode, bytes done or negated error.
        let mut zero = [address, length as u64, 0, 0];
        // SAFETY: the structure is as large as the request says.
        let result = unsafe { libc::ioctl(self.0.as_raw_fd(), UFFDIO_ZEROPAGE, zero.as_mut_ptr()) };
        if result == 0 { (length, None) } else { progress(zero[3]) }
    }

    /// Watches a range no more, and wakes who waits there; whether it is not watched now.
    pub(crate) fn unregister(&self, range: &Range<u64>) -> bool {
        let mut range = [range.start, range.end - range.start];
        // SAFETY: the structure is as large as the request says.
        let result = unsafe { libc::ioctl(self.0.as_raw_fd(), UFFDIO_UNREGISTER, range.as_mut_ptr()) };
        result == 0 || matches!(Obstacle::last(), Obstacle::Ended)
    }

    /// Has whoever waits for pages in a range look again.
    pub(crate) fn wake(&self, address: u64, length: u64) {
        let mut range = [address, length];
        // SAFETY: the structure is as large as the request says. Where nobody waits there is nothing to do.
        unsafe { libc::ioctl(self.0.as_raw_fd(), UFFDIO_WAKE, range.as_mut_ptr()) };
    }
}

/// What a request that has failed has done all the same.
fn progress(done: u64) -> (usize, Option<Obstacle>) {
    let obstacle = Obstacle::last();
    match usize::try_from(done.cast_signed()) {
        // The kernel says no more than that it was not all.
        Ok(done) if done > 0 => (done, None),
        _ => (0, Some(obstacle)),
    }
}

impl AsFd for Userfaultfd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
