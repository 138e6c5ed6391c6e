//! Large regions that stay behind when the program moves: the source keeps their pages, and the node brings them to the destination while the program runs there
//! (docs/protocol.md). The destination's kernel tells the node of the pages that the program misses, by userfaultfd(2), or the program runs into them ([`closed`]).
//!
//! [`Left`] is the source's side, [`Offer`] and [`Fetched`] are the destination's.

use super::channel::{self, close};
use super::closed::{self, Closing};
use super::descriptors::each_open;
use super::memory_file::{Scratch, Table, as_bytes, new_file, write_all};
use super::page_map::{Page, PageMap};
use super::userfaultfd;
use crate::local;
use crate::memory;
use crate::memory::map::{Kind as RegionKind, Region};
use crate::process::{fatal, node};
use crate::syscall::kernel;
use crate::syscall::numbers::*;
use core::sync::atomic::Ordering;
use maize_abi::control::{ABSENT, Kind, Message, Run};
use maize_abi::layout::PAGE_SIZE;
use maize_abi::processes::Request;

/// Regions with fewer touched pages are copied: that takes less time than bringing them.
const LARGE: u64 = (1 << 20) / PAGE_SIZE;
/// Pages looked up at a time.
const BATCH: usize = 512;
const SIGKILL: u64 = 9;

const UFFDIO_REGISTER: u64 = 0xc020_aa00;
const UFFDIO_REGISTER_MODE_MISSING: u64 = 1;

/// The destination's side before anything comes: that by which the node can bring pages. Closed when this is dropped.
pub enum Offer {
    /// The kernel tells of missing pages.
    Userfaultfd(Userfaultfd),
    /// The host's handler finds them.
    Closed(closed::Offer),
}

/// A descriptor that is closed when this is dropped.
pub struct Userfaultfd(i64);

impl Offer {
    /// The kernel's help, or where it grants none, or an emulator does not know it, the runtime's own. `None` if neither is possible.
    pub fn make() -> Option<Offer> {
        match userfaultfd::make() {
            Some(made) => Some(Offer::Userfaultfd(Userfaultfd(made))),
            None => closed::Offer::make().map(Offer::Closed),
        }
    }

    /// Its descriptors; -1 in place of a second if there is none.
    pub fn descriptors(&self) -> [i64; 2] {
        match self {
            Offer::Userfaultfd(userfaultfd) => [userfaultfd.0, -1],
            Offer::Closed(offer) => offer.descriptors(),
        }
    }

    /// What the source keeps open, too, so that missing pages never read as zeros.
    pub fn shared(&self) -> Option<i64> {
        match self {
            Offer::Userfaultfd(userfaultfd) => Some(userfaultfd.0),
            Offer::Closed(_) => None,
        }
    }

    /// The program is about to run here. What finds missing pages stays until all are here; a userfaultfd only if nobody but the node has it, too: until this process forks or the program leaves it.
    pub fn keep(self, is_alone: bool) {
        match self {
            Offer::Userfaultfd(userfaultfd) if is_alone => {
                local::WATCH.store(userfaultfd.0, Ordering::Relaxed);
                core::mem::forget(userfaultfd);
            }
            Offer::Userfaultfd(_) => {}
            Offer::Closed(offer) => offer.keep(),
        }
    }
}

impl Drop for Userfaultfd {
    fn drop(&mut self) {
        close(self.0);
    }
}

/// All pages are here: gives up what was kept.
pub fn let_go() {
    let kept = local::WATCH.swap(-1, Ordering::Relaxed);
    if kept >= 0 {
        close(kept);
    }
    if closed::is_any() {
        closed::open_all();
    }
}

/// Tells the node of regions to bring, as they are mapped.
pub struct Fetched<'a> {
    control: i64,
    offer: Option<&'a Offer>,
    /// The source's memory, or -1.
    memory: i64,
    /// Those that are to be closed.
    closing: Option<Closing>,
    values: [u64; 8],
    count: usize,
}

/// Why a region has to be copied.
const REFUSED: &str = "the kernel does not let its pages be brought later";

impl<'a> Fetched<'a> {
    /// None yet.
    pub fn new(control: i64, offer: Option<&'a Offer>, memory: i64) -> Fetched<'a> {
        Fetched { control, offer, memory, closing: None, values: [0; 8], count: 0 }
    }

    /// A region, which has just been mapped and is to have this protection in the end, is to be brought.
    ///
    /// # Errors
    /// Why it cannot be done, for people.
    pub fn add(&mut self, run: &Run, protection: u64) -> Result<(), &'static str> {
        match self.offer.filter(|_| self.memory >= 0).ok_or(REFUSED)? {
            Offer::Userfaultfd(userfaultfd) => {
                // `struct uffdio_register`: start, length, mode, which requests there are.
                let mut register = [run.address, run.length, UFFDIO_REGISTER_MODE_MISSING, 0];
                let request = [userfaultfd.0 as u64, UFFDIO_REGISTER, register.as_mut_ptr() as u64];
                // SAFETY: the structure is as large as the request says.
                if unsafe { kernel::call(IOCTL, request) } < 0 {
                    return Err(REFUSED);
                }
            }
            Offer::Closed(_) => {
                if self.closing.is_none() {
                    self.closing = Closing::new();
                }
                let closing = self.closing.as_mut().ok_or(REFUSED)?;
                closing.add(run.address, run.address + run.length, protection).ok_or(REFUSED)?;
            }
        }
        if self.count == self.values.len() {
            self.send(&[])?;
        }
        if let Some([address, length]) = self.values.get_mut(self.count..self.count + 2) {
            [*address, *length] = [run.address, run.length];
        }
        self.count += 2;
        Ok(())
    }

    /// Tells the node of the last ones. Returns whether there are any.
    ///
    /// # Errors
    /// If they cannot be closed, or the node is gone, for people.
    pub fn finish(mut self) -> Result<bool, &'static str> {
        if self.count == 0 {
            return Ok(false);
        }
        let memory = self.memory as i32;
        match (self.closing.take(), self.offer) {
            (Some(closing), Some(Offer::Closed(offer))) => {
                let (file, board) = closing.make_board().ok_or(REFUSED)?;
                let sent = self.send(&[memory, file as i32]);
                close(file);
                sent?;
                if !closing.close(board, offer.bell()) {
                    return Err(REFUSED);
                }
            }
            _ => self.send(&[memory])?,
        }
        local::ABSENT.store(1, Ordering::Relaxed);
        Ok(true)
    }

    fn send(&mut self, descriptors: &[i32]) -> Result<(), &'static str> {
        let values = core::mem::take(&mut self.values);
        self.count = 0;
        let sent = channel::send(self.control, &Message::new(Kind::Absent, values), descriptors);
        if sent { Ok(()) } else { Err("the node is gone") }
    }
}

/// Waits until no page is missing any more: what would carry missing pages elsewhere (a fork, a region that moves) must not begin before.
pub fn await_all() {
    if local::ABSENT.load(Ordering::Acquire) == 0 {
        return;
    }
    if node::ask(Request::Whole, &[], None).is_none() {
        fatal("the node has ended, and with it what the program still had in memory elsewhere");
    }
    let_go();
    local::ABSENT.store(0, Ordering::Release);
}

/// Regions that this process keeps when the program has left it.
pub struct Left {
    regions: Table<Run>,
    /// This process's memory, for the node.
    memory: i64,
    map: PageMap,
    _scratch: Scratch,
}

impl Left {
    /// None yet. `None` if no region can stay: the node could not read this process's memory. `witness` is the address of a word whose value is `value`.
    pub fn begin(witness: u64, value: u64) -> Option<Left> {
        let map = PageMap::open(witness);
        let scratch = Scratch::new().filter(|_| map.descriptor() >= 0)?;
        // SAFETY: the path is a NUL-terminated string.
        let memory = unsafe {
            let path = c"/proc/thread-self/mem";
            kernel::call(OPENAT, [AT_FDCWD as u64, path.as_ptr() as u64, O_CLOEXEC, 0])
        };
        // SAFETY: the scratch memory is unused, and a run is numbers only.
        let regions = unsafe { Table::new(scratch.start(), Scratch::SIZE) };
        let left = (memory >= 0).then_some(Left { regions, memory, map, _scratch: scratch })?;
        let mut found = 0u64;
        // SAFETY: there is room for a word.
        let read = unsafe { kernel::call(PREAD64, [memory as u64, &raw mut found as u64, 8, witness]) };
        (read == 8 && found == value).then_some(left)
    }

    /// Whether a region stays; it is noted then.
    pub fn takes(&mut self, region: &Region) -> Option<Run> {
        const IRRELEVANT: u64 = MAP_GROWSDOWN | MAP_NORESERVE | MAP_STACK;
        let is_own = match region.kind {
            RegionKind::Anonymous | RegionKind::Break | RegionKind::Shadow => true,
            // This process still uses the runtime's.
            RegionKind::Image => region.start >= memory::program_bss_start(),
            _ => false,
        };
        // Others have their pages as soon as they are mapped, or are of another size.
        let is_plain = u64::from(region.flags) & !IRRELEVANT == MAP_PRIVATE | MAP_ANONYMOUS;
        let is_readable = u64::from(region.protection) & PROT_READ != 0;
        let length = region.end - region.start;
        if !is_own || !is_plain || !is_readable || length < LARGE * PAGE_SIZE {
            return None;
        }
        let mut touched = 0;
        let enough = self.each_batch(region.start, length, |_, pages| {
            touched += pages.iter().filter(|&&page| page == Page::Touched).count() as u64;
            (touched < LARGE).then_some(())
        });
        let run = enough.is_none().then_some(Run { address: region.start, length, offset: ABSENT })?;
        self.regions.push(run)?;
        Some(run)
    }

    fn each_batch(&self, start: u64, length: u64, mut each: impl FnMut(u64, &[Page]) -> Option<()>) -> Option<()> {
        let mut pages = [Page::Untouched; BATCH];
        let end = start + length;
        let mut address = start;
        while address < end {
            let batch = pages.get_mut(..BATCH.min(((end - address) / PAGE_SIZE) as usize))?;
            self.map.read(address, false, batch);
            each(address, batch)?;
            address += batch.len() as u64 * PAGE_SIZE;
        }
        Some(())
    }

    /// What this keeps open.
    pub fn descriptors(&self) -> [i64; 2] {
        [self.memory, self.map.descriptor()]
    }

    /// Whether no region stays.
    pub fn is_empty(&self) -> bool {
        self.regions.filled().is_empty()
    }

    /// The program has left: gives up all that it would notice if this process still held it. `kept` are descriptors that the runtime uses.
    pub fn give_up_the_rest(&self, kept: [i64; 3]) {
        let [control, destination, userfaultfd] = kept;
        let [memory, map] = self.descriptors();
        let kept = [control, destination, userfaultfd, memory, map];
        for region in memory::map().regions() {
            let (start, length) = (region.start, region.end - region.start);
            let is_file = matches!(region.kind, RegionKind::PrivateFile | RegionKind::SharedFile);
            // SAFETY: the program runs elsewhere, and the runtime uses none of these.
            unsafe {
                match region.kind {
                    RegionKind::SharedSegment => kernel::call(SHMDT, [start]),
                    _ if is_file || !region.is_private() => kernel::call(MUNMAP, [start, length]),
                    _ => 0,
                };
            }
        }
        // Where they cannot be listed, the program could not have left.
        let _ = each_open(&kept, |descriptor| {
            close(descriptor);
            true
        });
    }

    /// Waits until the node kills this process. If the node is gone before, the pages will not get to the destination, which must not go on without.
    pub fn wait(mut self, control: i64, destination: i64) {
        let file = self.list();
        let runs = file.map_or(0, |(_, runs)| runs);
        let descriptor = file.map(|(file, _)| file as i32);
        channel::send(control, &Message::new(Kind::Behind, [runs, 0, 0, 0, 0, 0, 0, 0]), descriptor.as_slice());
        while channel::receive(control, true).is_some() {}
        // SAFETY: takes no pointers but the null pointer.
        unsafe { kernel::call(PIDFD_SEND_SIGNAL, [destination as u64, SIGKILL, 0, 0]) };
    }

    /// Which pages hold something, in a file, and how many runs of them there are. After the move: the program does not wait for it.
    fn list(&mut self) -> Option<(i64, u64)> {
        let scratch = Scratch::new()?;
        // SAFETY: the scratch memory is unused, and a run is numbers only.
        let mut runs: Table<Run> = unsafe { Table::new(scratch.start(), Scratch::SIZE) };
        for region in self.regions.filled() {
            self.each_batch(region.address, region.length, |base, pages| {
                let addresses = (base..).step_by(PAGE_SIZE as usize);
                for (address, _) in addresses.zip(pages).filter(|(_, page)| **page == Page::Touched) {
                    match runs.last_mut().filter(|last| last.address + last.length == address) {
                        Some(last) => last.length += PAGE_SIZE,
                        None => runs.push(Run { address, length: PAGE_SIZE, offset: ABSENT })?,
                    }
                }
                Some(())
            })?;
        }
        let file = new_file(c"maize-left")?;
        write_all(file, as_bytes(runs.filled()), 0)?;
        Some((file, runs.filled().len() as u64))
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        close(self.memory);
    }
}
