//! Pages that are missing where there is no userfaultfd(2): under an emulator, or where the kernel grants none (docs/protocol.md). Their regions are closed, so that who touches one runs into
//! the host's handler of `SIGSEGV`, asks for the page, waits until the node has put it in place, and opens it. The node does all by itself what it does with pages that nobody waits for.
//!
//! The kernel does not ask: to it a closed page is a bad address. So a system call waits for the pages that it reaches before it is made (`syscall::reach`).

use super::channel::close;
use super::memory_file::{Scratch, Table, new_file};
use crate::local;
use crate::memory;
use crate::memory::calls::KEPT_DESCRIPTORS;
use crate::process::fatal;
use crate::signal::calls::{hear_faults, without_any_signal};
use crate::sync::Lock;
use crate::syscall::kernel;
use crate::syscall::numbers::*;
use core::sync::atomic::Ordering;
use maize_abi::board::{self, Bits, Board};
use maize_abi::layout::PAGE_SIZE;

/// At most so many bytes behind a faulting address belong to the same access.
const ACCESS: u64 = 64;

/// What the node needs to put pages in place: this process's memory, and the eventfd that wakes it. Closed when this is dropped.
pub struct Offer {
    memory: i64,
    bell: i64,
}

impl Offer {
    /// `None` if the node could not write to memory that is closed, or by other addresses.
    pub fn make() -> Option<Offer> {
        let path = c"/proc/thread-self/mem";
        // SAFETY: the path is a NUL-terminated string.
        let memory = unsafe { kernel::call(OPENAT, [AT_FDCWD as u64, path.as_ptr() as u64, O_RDWR | O_CLOEXEC, 0]) };
        if memory < 0 {
            return None;
        }
        // SAFETY: takes no pointers.
        let bell = unsafe { kernel::call(EVENTFD2, [0, O_CLOEXEC | O_NONBLOCK]) };
        let offer = Offer { memory: kept(memory), bell: kept(bell) };
        (offer.bell >= 0 && offer.memory >= 0 && offer.is_possible()).then_some(offer)
    }

    /// The two descriptors.
    pub fn descriptors(&self) -> [i64; 2] {
        [self.memory, self.bell]
    }

    /// The eventfd.
    pub fn bell(&self) -> i64 {
        self.bell
    }

    /// The eventfd stays open until all pages are here.
    pub fn keep(self) {
        close(self.memory);
        core::mem::forget(self);
    }

    /// Whether what is written to a closed page by its address is there when it is opened. Under an emulator addresses may differ from the kernel's.
    fn is_possible(&self) -> bool {
        let Some(page) = memory::map_for_host(PAGE_SIZE) else { return false };
        let (sent, mut found) = ([page ^ 0x6d61_697a_6500, self.memory as u64], [0u64; 2]);
        let memory = self.memory as u64;
        // SAFETY: the page is fresh, and not used otherwise; the kernel writes to it, or refuses.
        unsafe {
            (page as *mut [u64; 2]).write(sent);
            let read = kernel::call(PREAD64, [memory, found.as_mut_ptr() as u64, 16, page]);
            let is_same = read == 16 && found == sent && protect(page, page + PAGE_SIZE, 0);
            let written = is_same && kernel::call(PWRITE64, [memory, found[1..].as_ptr() as u64, 8, page]) == 8;
            let is_there = written && protect(page, page + PAGE_SIZE, PROT_READ) && *(page as *const u64) == sent[1];
            kernel::call(MUNMAP, [page, PAGE_SIZE]);
            is_there
        }
    }
}

impl Drop for Offer {
    fn drop(&mut self) {
        close(self.memory);
        close(self.bell);
    }
}

/// A descriptor with a number that is not the program's.
fn kept(descriptor: i64) -> i64 {
    if descriptor < 0 {
        return descriptor;
    }
    // SAFETY: takes no pointers; the descriptor is the runtime's.
    let kept = unsafe { kernel::call(FCNTL, [descriptor as u64, F_DUPFD_CLOEXEC, KEPT_DESCRIPTORS]) };
    close(descriptor);
    kept
}

/// A region that is closed where its pages are missing.
#[derive(Clone, Copy)]
struct Region {
    start: u64,
    end: u64,
    /// Which of all pages its first is.
    first: u64,
    /// What it is to have in the end.
    protection: u64,
}

impl Region {
    fn page(&self, address: u64) -> u64 {
        self.first + (address - self.start) / PAGE_SIZE
    }

    fn address(&self, page: u64) -> u64 {
        self.start + (page - self.first) * PAGE_SIZE
    }
}

/// Regions, before they are closed.
pub struct Closing {
    regions: Table<Region>,
    pages: u64,
    scratch: Scratch,
}

impl Closing {
    /// None yet; `None` if there is no memory for a list of them.
    pub fn new() -> Option<Closing> {
        let scratch = Scratch::new()?;
        // SAFETY: the scratch memory is unused, and a region is numbers only.
        let regions = unsafe { Table::new(scratch.start(), Scratch::SIZE) };
        Some(Closing { regions, pages: 0, scratch })
    }

    /// Adds one.
    pub fn add(&mut self, start: u64, end: u64, protection: u64) -> Option<()> {
        self.regions.push(Region { start, end, first: self.pages, protection })?;
        self.pages += (end - start) / PAGE_SIZE;
        Some(())
    }

    /// Makes the board on which the node says which pages are there; returns its file.
    pub fn make_board(&self) -> Option<(i64, Made)> {
        let size = board::size(self.pages).next_multiple_of(PAGE_SIZE);
        let file = new_file(c"maize-board")?;
        let opened = memory::map_for_host(Bits::size(self.pages).next_multiple_of(PAGE_SIZE))?;
        // SAFETY: the file is new; nothing that exists is replaced.
        let address = unsafe {
            kernel::call(FTRUNCATE, [file as u64, size]);
            kernel::call(MMAP, [0, size, PROT_READ | PROT_WRITE, MAP_SHARED, file as u64, 0])
        };
        (address > 0).then_some((file, Made { address: address as u64, size, opened }))
    }

    /// Closes them; whether that was possible. Before anything of the program's runs here. The node may have brought some pages already.
    pub fn close(self, made: Made, bell: i64) -> bool {
        let Closing { regions, pages, scratch } = self;
        // SAFETY: both have been mapped with room for all pages, and stay until `forget`.
        let (board, opened) =
            unsafe { (Board::new(made.address as *const u8, pages), Bits::new(made.opened as *const u8, pages)) };
        if !regions.filled().iter().all(|region| protect(region.start, region.end, 0)) {
            return false;
        }
        let count = regions.filled().len();
        *CLOSED.lock() = Some(Closed { scratch, count, board, opened, made, bell, pages, waiting: 0, is_over: false });
        local::CLOSED.store(1, Ordering::Release);
        hear_faults();
        true
    }
}

/// Where the board is, and the bits of pages that have been opened.
pub struct Made {
    address: u64,
    size: u64,
    opened: u64,
}

/// Regions that are closed.
struct Closed {
    /// The table of regions.
    scratch: Scratch,
    count: usize,
    board: Board,
    /// Which pages are not closed any more.
    opened: Bits,
    made: Made,
    bell: i64,
    pages: u64,
    /// How many threads use the board without the lock.
    waiting: u32,
    /// Everything has been opened.
    is_over: bool,
}

/// Used with every signal blocked, and by nobody who touches what may be closed.
#[unsafe(link_section = ".maize.local")]
static CLOSED: Lock<Option<Closed>> = Lock::new(None);

/// What is missing, and where to wait for it.
struct Missing {
    page: u64,
    board: Board,
    bell: i64,
    /// What the board's word was when the page was missing.
    changes: u32,
}

impl Closed {
    fn regions(&self) -> &'static [Region] {
        // SAFETY: the table was written by `Closing`, and stays until this value is dropped.
        unsafe { core::slice::from_raw_parts(self.scratch.start() as *const Region, self.count) }
    }

    /// Opens what is there of a range, and returns the first page that is missing. Tells whether any has been opened.
    fn open(&mut self, start: u64, end: u64, any: &mut bool) -> Option<Missing> {
        let changes = self.board.changes().load(Ordering::Acquire);
        if self.board.is_whole() {
            *any |= !self.is_over;
            self.open_all();
            return None;
        }
        for region in self.regions().iter().filter(|region| region.start < end && start < region.end) {
            let bounds = region.first..region.page(region.end);
            let last = region.page(end.min(region.end).next_multiple_of(PAGE_SIZE));
            let mut page = region.page(start.max(region.start));
            while page < last {
                if self.opened.has(page) {
                    page = self.opened.around(page, bounds.clone()).end;
                    continue;
                }
                let there = self.board.pages().around(page, bounds.clone());
                // The kernel may have as many mappings as it can: then all are opened at once when all are there.
                if there.is_empty()
                    || !protect(region.address(there.start), region.address(there.end), region.protection)
                {
                    return Some(Missing { page: region.address(page), board: self.board, bell: self.bell, changes });
                }
                *any = true;
                page = there.end;
                self.opened.add(there);
            }
        }
        None
    }

    fn open_all(&mut self) {
        if self.is_over {
            return;
        }
        for region in self.regions() {
            if !protect(region.start, region.end, region.protection) {
                fatal("memory that has come cannot be opened");
            }
        }
        self.is_over = true;
        local::CLOSED.store(0, Ordering::Release);
    }

    /// Gives up what it needs.
    fn forget(self) {
        close(self.bell);
        let opened = Bits::size(self.pages).next_multiple_of(PAGE_SIZE);
        for (address, size) in [(self.made.address, self.made.size), (self.made.opened, opened)] {
            // SAFETY: nobody uses it any more.
            unsafe { kernel::call(MUNMAP, [address, size]) };
        }
    }
}

/// Whether any pages may be missing.
pub fn is_any() -> bool {
    local::CLOSED.load(Ordering::Acquire) != 0
}

/// Whether a range has a part of a region with missing pages, whose protection is not yet what the program knows.
pub fn has_part(start: u64, end: u64) -> bool {
    let overlaps = |region: &Region| region.start < end && start < region.end;
    with(|closed| closed.as_ref().is_some_and(|closed| !closed.is_over && closed.regions().iter().any(overlaps)))
}

/// Whether a descriptor is needed to ask for pages.
pub fn needs(descriptor: i64) -> bool {
    is_any() && with(|closed| closed.as_ref().is_some_and(|closed| closed.bell == descriptor))
}

/// Waits for what is missing of a range, and opens it. Returns whether something has been opened.
pub fn provide(start: u64, end: u64) -> bool {
    let (mut any, mut asked, mut waits) = (false, 0, false);
    loop {
        let missing = with(|closed| {
            let Some(closed) = closed else { return None };
            closed.waiting -= u32::from(core::mem::take(&mut waits));
            let missing = closed.open(start, end, &mut any);
            waits = missing.is_some();
            closed.waiting += u32::from(waits);
            missing
        });
        let Some(Missing { page, board, bell, changes }) = missing else { return any };
        if asked != page && board.ask(page) {
            asked = page;
            let one = 1u64;
            // SAFETY: the kernel only reads the word.
            unsafe { kernel::call(WRITE, [bell as u64, &raw const one as u64, 8]) };
        }
        // Not as a private futex: the node wakes.
        // SAFETY: the word stays while this thread is counted.
        unsafe { kernel::call(FUTEX, [board.changes().as_ptr() as u64, FUTEX_WAIT, changes.into(), 0]) };
    }
}

/// As [`provide`], for what may have been touched by an instruction that has caused a fault at an address.
pub fn provide_for_access(address: u64) -> bool {
    is_any() && (provide(address, address.saturating_add(1)) || provide(address, address.saturating_add(ACCESS)))
}

/// Opens everything, which is there, or soon will be.
pub fn open_all() {
    loop {
        let board = with(|closed| {
            let closed = closed.as_mut()?;
            let changes = closed.board.changes().load(Ordering::Acquire);
            if closed.board.is_whole() {
                closed.open_all();
                return None;
            }
            closed.waiting += 1;
            Some((closed.board, changes))
        });
        let Some((board, changes)) = board else { return };
        // SAFETY: the word stays while this thread is counted.
        unsafe { kernel::call(FUTEX, [board.changes().as_ptr() as u64, FUTEX_WAIT, changes.into(), 0]) };
        with(|closed| {
            if let Some(closed) = closed {
                closed.waiting -= 1;
            }
        });
    }
}

/// Does something with what is closed, and forgets it if nobody needs it any more.
fn with<T>(action: impl FnOnce(&mut Option<Closed>) -> T) -> T {
    without_any_signal(|| {
        let mut guard = CLOSED.lock();
        let result = action(&mut guard);
        if let Some(closed) = guard.take_if(|closed| closed.is_over && closed.waiting == 0) {
            closed.forget();
        }
        result
    })
}

fn protect(start: u64, end: u64, protection: u64) -> bool {
    // SAFETY: who calls this knows that nobody relies on what the protection was.
    unsafe { kernel::call(MPROTECT, [start, end - start, protection]) == 0 }
}
