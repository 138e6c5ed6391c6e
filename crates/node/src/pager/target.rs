//! Where missing pages are put in place: a process that waits for them itself, by what it has offered for that. The kernel may let it wait, by its userfaultfd; else it waits at a
//! board (`maize_abi::board`), and its pages are written through its own memory (`/proc/PID/mem`), which the kernel lets write what the process itself must not touch yet.

use crate::page::PAGE;
use crate::userfaultfd::{Obstacle, Told, Userfaultfd};
use maize_abi::board::{self, Board};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::thread::futex;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::ptr;

/// What a process offers before anything comes to it.
#[derive(Debug)]
pub(crate) enum Offer {
    /// Its userfaultfd.
    Userfaultfd(OwnedFd),
    /// Its memory, and an eventfd that it writes to when it has asked for a page. A board comes later.
    Memory { memory: OwnedFd, bell: OwnedFd },
}

impl Offer {
    /// What has come with [`maize_abi::control::Kind::Ready`].
    pub(crate) fn new(descriptors: Vec<OwnedFd>) -> Option<Offer> {
        let mut descriptors = descriptors.into_iter();
        match (descriptors.next(), descriptors.next()) {
            (Some(memory), Some(bell)) => Some(Offer::Memory { memory, bell }),
            (Some(userfaultfd), None) => Some(Offer::Userfaultfd(userfaultfd)),
            _ => None,
        }
    }
}

/// How pages are put in place.
pub(crate) enum Target {
    Userfaultfd(Userfaultfd),
    Board(Mapped),
}

impl Target {
    /// What is offered, with the board of these regions if it has come.
    pub(crate) fn new(offer: Offer, board: Option<OwnedFd>, regions: &[Range<u64>]) -> io::Result<Target> {
        match (offer, board) {
            (Offer::Userfaultfd(userfaultfd), _) => Ok(Target::Userfaultfd(Userfaultfd::new(userfaultfd))),
            (Offer::Memory { memory, bell }, Some(board)) => {
                Mapped::new(memory.into(), bell, &board.into(), regions.to_vec()).map(Target::Board)
            }
            (Offer::Memory { .. }, None) => Err(io::Error::new(io::ErrorKind::InvalidData, "there is no board")),
        }
    }

    /// What has been said since.
    pub(crate) fn hear(&self, mut each: impl FnMut(Told)) -> io::Result<()> {
        match self {
            Target::Userfaultfd(userfaultfd) => userfaultfd.hear(each),
            Target::Board(mapped) => mapped.hear(|page| each(Told::Missing(page))),
        }
    }

    /// Puts pages with this content in place, and wakes who waits for them. Returns how many bytes were done, and what was in the way of more.
    pub(crate) fn copy(&self, address: u64, content: &[u8]) -> (usize, Option<Obstacle>) {
        match self {
            Target::Userfaultfd(userfaultfd) => userfaultfd.copy(address, content),
            Target::Board(mapped) => mapped.copy(address, content),
        }
    }

    /// As [`Target::copy`], with zeros.
    pub(crate) fn zero(&self, address: u64, length: usize) -> (usize, Option<Obstacle>) {
        match self {
            Target::Userfaultfd(userfaultfd) => userfaultfd.zero(address, length),
            Target::Board(mapped) => {
                // What was never touched there holds zeros.
                mapped.wake(address, length as u64);
                (length, None)
            }
        }
    }

    /// Has whoever waits for pages in a range look again: they are there.
    pub(crate) fn wake(&self, address: u64, length: u64) {
        match self {
            Target::Userfaultfd(userfaultfd) => userfaultfd.wake(address, length),
            Target::Board(mapped) => mapped.wake(address, length),
        }
    }
}

impl AsFd for Target {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Target::Userfaultfd(userfaultfd) => userfaultfd.as_fd(),
            Target::Board(mapped) => mapped.bell.as_fd(),
        }
    }
}

/// A board, mapped.
pub(crate) struct Mapped {
    board: Board,
    address: *mut std::ffi::c_void,
    size: usize,
    /// As the process has told them: in this order its pages are on the board.
    regions: Vec<Range<u64>>,
    memory: File,
    bell: OwnedFd,
}

// SAFETY: the mapping belongs to the value, and what is in it is atomic.
unsafe impl Send for Mapped {}

impl Mapped {
    fn new(memory: File, bell: OwnedFd, file: &File, regions: Vec<Range<u64>>) -> io::Result<Mapped> {
        let pages = regions.iter().map(|region| (region.end - region.start) / PAGE).sum();
        let size = board::size(pages);
        if file.metadata()?.len() < size {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the board is too small"));
        }
        let size = usize::try_from(size).map_err(io::Error::other)?;
        // SAFETY: nothing that exists is replaced.
        let address =
            unsafe { mmap(ptr::null_mut(), size, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, file, 0)? };
        // SAFETY: it is mapped until the value is dropped, and the process that has made the file uses it as a board, too.
        let board = unsafe { Board::new(address.cast(), pages) };
        Ok(Mapped { board, address, size, regions, memory, bell })
    }

    fn hear(&self, mut each: impl FnMut(u64)) -> io::Result<()> {
        match rustix::io::read(&self.bell, &mut [0; 8]) {
            Ok(_) => self.board.asked().for_each(&mut each),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn copy(&self, address: u64, content: &[u8]) -> (usize, Option<Obstacle>) {
        match self.memory.write_all_at(content, address) {
            Ok(()) => {
                self.wake(address, content.len() as u64);
                (content.len(), None)
            }
            // A process that has ended has no memory.
            Err(error) if error.kind() == io::ErrorKind::WriteZero => (0, Some(Obstacle::Ended)),
            Err(error) => (0, Some(Obstacle::Failed(error))),
        }
    }

    fn wake(&self, address: u64, length: u64) {
        let (start, end) = (address / PAGE * PAGE, (address + length).next_multiple_of(PAGE));
        let mut first = 0;
        for region in &self.regions {
            let (from, to) = (start.max(region.start), end.min(region.end));
            if from < to {
                self.board.pages().add(first + (from - region.start) / PAGE..first + (to - region.start) / PAGE);
            }
            first += (region.end - region.start) / PAGE;
        }
        self.tell();
    }

    /// Nothing is missing any more.
    pub(crate) fn complete(&self) {
        self.board.complete();
        self.tell();
    }

    fn tell(&self) {
        self.board.tell();
        // Nobody may wait.
        let _ = futex::wake(self.board.changes(), futex::Flags::empty(), i32::MAX.cast_unsigned());
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: nothing uses the board any more.
        let _ = unsafe { munmap(self.address, self.size) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{EventfdFlags, eventfd};
    use rustix::fs::{MemfdFlags, ftruncate, memfd_create};

    #[test]
    fn pages_are_on_the_board_when_they_are_in_memory() {
        let (memory, file) = ["memory", "board"].map(|name| memfd_create(name, MemfdFlags::CLOEXEC).unwrap()).into();
        let regions = [5 * PAGE..9 * PAGE, PAGE..3 * PAGE];
        ftruncate(&file, board::size(6)).unwrap();
        let bell = eventfd(0, EventfdFlags::NONBLOCK).unwrap();
        let ring = bell.try_clone().unwrap();
        let offer = Offer::new(vec![memory.try_clone().unwrap(), bell]).unwrap();
        let target = Target::new(offer, Some(file), &regions).unwrap();
        let Target::Board(mapped) = &target else { panic!("{:?} is no board", target.as_fd()) };
        assert!(mapped.board.ask(7 * PAGE));
        rustix::io::write(&ring, &1_u64.to_ne_bytes()).unwrap();
        let mut told = Vec::new();
        target.hear(|one| told.push(one)).unwrap();
        target.hear(|one| told.push(one)).unwrap();
        assert_eq!(told, [Told::Missing(7 * PAGE)]);
        assert_eq!(target.copy(7 * PAGE, &vec![3; 2 * PAGE as usize]).0, 2 * PAGE as usize);
        assert_eq!(target.zero(2 * PAGE, PAGE as usize).0, PAGE as usize);
        let there: Vec<u64> = (0..6).filter(|&page| mapped.board.pages().has(page)).collect();
        assert_eq!(there, [2, 3, 5]);
        let mut byte = [0];
        File::from(memory).read_exact_at(&mut byte, 9 * PAGE - 1).unwrap();
        assert_eq!(byte, [3]);
        assert!(!mapped.board.is_whole());
        mapped.complete();
        assert!(mapped.board.is_whole());
    }
}
