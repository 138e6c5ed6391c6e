//! The program's memory in a file that has no name: written by the source of a move, read by its destination.
//!
//! ```text
//! pages of all runs | padding | Region[] | Run[]
//! ```
//!
//! The `State` message says where the tables start and how long they are. Pages that were never touched, that are
//! as in the file they are mapped from, or that are zero where zero is what a fresh page holds, are not in it. Of a region that is left behind ([`super::absent`])
//! there is one run, whose offset is `ABSENT`.

use super::absent::{Fetched, Left};
use super::channel::close;
use super::page_map::{Page, PageMap};
use crate::memory;
use crate::memory::map::{Kind, Region};
use crate::syscall::kernel;
use crate::syscall::numbers::*;
use core::ffi::CStr;
use core::slice;
use core::sync::atomic::{AtomicU64, Ordering};
use maize_abi::control::{ABSENT, Run};
use maize_abi::layout::PAGE_SIZE;

/// Pages looked up at a time.
const BATCH: usize = 512;

/// What the destination must know of the file.
#[derive(Clone, Copy)]
pub struct Contents {
    /// Descriptor.
    pub file: i64,
    /// Bytes of pages, which is also where the tables start.
    pub bytes: u64,
    /// Number of regions.
    pub regions: u64,
    /// Number of runs.
    pub runs: u64,
}

/// Memory of the host process that is given back in the end.
pub struct Scratch(u64);

impl Scratch {
    /// Room for tables while they are made, bytes. Only what is used takes memory.
    pub const SIZE: u64 = 64 << 20;

    /// `None` if there is no memory.
    pub fn new() -> Option<Scratch> {
        memory::map_for_host(Scratch::SIZE).map(Scratch)
    }

    /// Where it is.
    pub fn start(&self) -> u64 {
        self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // SAFETY: the memory is this value's own.
        unsafe { kernel::call(MUNMAP, [self.0, Scratch::SIZE]) };
    }
}

/// A table being filled, in scratch memory.
pub struct Table<T: Copy + 'static> {
    entries: &'static mut [T],
    length: usize,
}

impl<T: Copy> Table<T> {
    /// An empty one.
    ///
    /// # Safety
    /// `bytes` bytes at `base` are unused, and any bits are a `T`.
    pub unsafe fn new(base: u64, bytes: u64) -> Table<T> {
        // SAFETY: by the contract above.
        let entries = unsafe { slice::from_raw_parts_mut(base as *mut T, bytes as usize / size_of::<T>()) };
        Table { entries, length: 0 }
    }

    /// Adds an entry; `None` if there is no room.
    pub fn push(&mut self, entry: T) -> Option<()> {
        *self.entries.get_mut(self.length)? = entry;
        self.length += 1;
        Some(())
    }

    /// Its entries.
    pub fn filled(&self) -> &[T] {
        self.entries.get(..self.length).unwrap_or_default()
    }

    /// The last entry.
    pub fn last_mut(&mut self) -> Option<&mut T> {
        self.entries.get_mut(self.length.checked_sub(1)?)
    }
}

/// Writes all that the program has in memory, except what may be `left` behind and is large. No lock may be held: locks move as they are. Returns what is left
/// behind, too, if anything.
///
/// # Errors
/// Why it cannot be done, for people.
pub fn write(may_leave: bool) -> Result<(Contents, Option<Left>), &'static str> {
    let no_memory = "there is no memory for the list of its pages";
    let scratch = Scratch::new().ok_or(no_memory)?;
    // SAFETY: the two tables have half of the scratch memory each; their types hold numbers only, and
    // entries are written before they are read.
    let (mut regions, mut runs) = unsafe {
        (
            Table::<Region>::new(scratch.0, Scratch::SIZE / 2),
            Table::<Run>::new(scratch.0 + Scratch::SIZE / 2, Scratch::SIZE / 2),
        )
    };
    for &region in memory::map().regions() {
        regions.push(region).ok_or(no_memory)?;
    }
    let file = new_file(c"maize-move").ok_or("no file in memory can be made")?;
    let (witness, value) = (&raw const WITNESS as u64, WITNESS.fetch_add(1, Ordering::Relaxed) + 1);
    let map = PageMap::open(witness);
    let mut left = if may_leave { Left::begin(witness, value) } else { None };
    let mut writer = Writer { file, bytes: 0, runs: &mut runs };
    let written = regions.filled().iter().flat_map(parts).try_for_each(|region| {
        match left.as_mut().and_then(|left| left.takes(&region)) {
            Some(run) => writer.runs.push(run),
            None => writer.write_region(&region, &map),
        }
    });
    let bytes = writer.bytes;
    let written = written.and_then(|()| {
        write_all(file, as_bytes(regions.filled()), bytes)?;
        write_all(file, as_bytes(runs.filled()), bytes + size_of_val(regions.filled()) as u64)
    });
    match written {
        Some(()) => {
            let contents = Contents { file, bytes, regions: regions.length as u64, runs: runs.length as u64 };
            Ok((contents, left.filter(|left| !left.is_empty())))
        }
        None => {
            close(file);
            Err("its memory could not be written to a file in memory; is memory short?")
        }
    }
}

/// A region, or the parts of it of which one alone may be left behind.
fn parts(region: &Region) -> impl Iterator<Item = Region> {
    let boundary = memory::program_bss_start();
    let is_divided = region.kind == Kind::Image && region.start < boundary && boundary < region.end;
    let middle = if is_divided { boundary } else { region.end };
    let [first, second] = [region.part(region.start, middle), region.part(middle, region.end)];
    [first, second].into_iter().filter(|part| part.start < part.end)
}

/// In a page that is certainly touched.
static WITNESS: AtomicU64 = AtomicU64::new(2);

/// Makes a file that has no name.
pub fn new_file(name: &CStr) -> Option<i64> {
    // SAFETY: the name is a NUL-terminated string.
    let file = unsafe { kernel::call(MEMFD_CREATE, [name.as_ptr() as u64, MFD_CLOEXEC]) };
    (file >= 0).then_some(file)
}

/// The bytes of a table's entries.
pub fn as_bytes<T: Copy>(entries: &[T]) -> &[u8] {
    // SAFETY: used with types that are plain numbers without padding.
    unsafe { slice::from_raw_parts(entries.as_ptr().cast(), size_of_val(entries)) }
}

/// Writes to a place in a file.
pub fn write_all(file: i64, mut bytes: &[u8], mut offset: u64) -> Option<()> {
    while !bytes.is_empty() {
        // SAFETY: the kernel only reads the bytes.
        let written =
            unsafe { kernel::call(PWRITE64, [file as u64, bytes.as_ptr() as u64, bytes.len() as u64, offset]) };
        let written = usize::try_from(written).ok().filter(|&written| written > 0)?;
        bytes = bytes.get(written..)?;
        offset += written as u64;
    }
    Some(())
}

fn read_all(file: i64, bytes: &mut [u8], mut offset: u64) -> Option<()> {
    let mut done = 0;
    while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
        let arguments = [file as u64, rest.as_mut_ptr() as u64, rest.len() as u64, offset];
        // SAFETY: the buffer is as long as said.
        let read = unsafe { kernel::call(PREAD64, arguments) };
        let read = usize::try_from(read).ok().filter(|&read| read > 0)?;
        done += read;
        offset += read as u64;
    }
    Some(())
}

struct Writer<'a> {
    file: i64,
    bytes: u64,
    runs: &'a mut Table<Run>,
}

impl Writer<'_> {
    fn write_region(&mut self, region: &Region, map: &PageMap) -> Option<()> {
        let is_nameless = matches!(region.kind, Kind::Anonymous) && !region.is_private();
        let moves = region.is_private() || is_nameless;
        if !moves || is_guard(region) {
            return Some(());
        }
        let readable = u64::from(region.protection) & PROT_READ != 0;
        if !readable {
            protect(region, PROT_READ);
        }
        let starts_as_zero = !matches!(region.kind, Kind::PrivateFile | Kind::Image);
        let mut pages = [Page::Untouched; BATCH];
        let mut address = region.start;
        let mut result = Some(());
        while address < region.end && result.is_some() {
            let count = BATCH.min(((region.end - address) / PAGE_SIZE) as usize);
            let batch = pages.get_mut(..count)?;
            map.read(address, is_nameless, batch);
            if starts_as_zero {
                drop_zero_pages(address, batch);
            }
            result = self.write_runs(address, batch);
            address += count as u64 * PAGE_SIZE;
        }
        if !readable {
            protect(region, region.protection.into());
        }
        result
    }

    fn write_runs(&mut self, base: u64, pages: &[Page]) -> Option<()> {
        let mut index = 0;
        while let Some(rest) = pages.get(index..).filter(|rest| !rest.is_empty()) {
            let length = rest.iter().take_while(|&&page| page == Page::Touched).count();
            if length == 0 {
                index += 1;
                continue;
            }
            let run =
                Run { address: base + index as u64 * PAGE_SIZE, length: length as u64 * PAGE_SIZE, offset: self.bytes };
            // SAFETY: the pages are mapped and readable, and nobody else runs.
            let content = unsafe { slice::from_raw_parts(run.address as *const u8, run.length as usize) };
            write_all(self.file, content, run.offset)?;
            self.bytes += run.length;
            self.note(run)?;
            index += length;
        }
        Some(())
    }

    /// Adds a run to the table, or to the run before if it goes on there.
    fn note(&mut self, run: Run) -> Option<()> {
        let last = self.runs.last_mut().filter(|last| last.offset != ABSENT);
        match last.filter(|last| last.address + last.length == run.address) {
            Some(last) => {
                last.length += run.length;
                Some(())
            }
            None => self.runs.push(run),
        }
    }
}

/// A part of the address space that is kept free, not mapped.
fn is_guard(region: &Region) -> bool {
    region.kind == Kind::Shadow && region.protection == 0
}

fn protect(region: &Region, protection: u64) {
    // SAFETY: the region is the program's; its own protection is restored before the program runs.
    unsafe { kernel::call(MPROTECT, [region.start, region.end - region.start, protection]) };
}

fn drop_zero_pages(base: u64, pages: &mut [Page]) {
    for (page, address) in pages.iter_mut().zip((base..).step_by(PAGE_SIZE as usize)) {
        // SAFETY: the page is mapped and readable, and nobody else runs.
        let words = unsafe { slice::from_raw_parts(address as *const [u64; 8], PAGE_SIZE as usize / 64) };
        if *page == Page::Touched && words.iter().all(|words| words.iter().fold(0, |all, word| all | word) == 0) {
            *page = Page::Untouched;
        }
    }
}

/// Makes the mappings and reads the pages in. Whatever of the program's data was in this process before is replaced.
/// `file_of` gives the descriptor of the file mapped in the region with that index, `fetched` is told of what is brought later.
///
/// # Safety
/// Nothing of the portable range is in use, and the caller keeps nothing in portable statics.
///
/// # Errors
/// Why it cannot be done, for people.
pub unsafe fn read(
    contents: &Contents,
    file_of: impl Fn(usize, &Region) -> i64,
    fetched: &mut Fetched<'_>,
) -> Result<(), &'static str> {
    let scratch = Scratch::new().ok_or("there is no memory for the list of its pages")?;
    let (regions_bytes, runs_bytes) =
        (contents.regions * size_of::<Region>() as u64, contents.runs * size_of::<Run>() as u64);
    if regions_bytes + runs_bytes > Scratch::SIZE {
        return Err("the list of its pages is damaged");
    }
    let damaged = "its memory could not be read";
    // SAFETY: the scratch memory is large enough, and was filled by a process that runs the same program.
    let (regions, runs) = unsafe {
        let bytes = slice::from_raw_parts_mut(scratch.0 as *mut u8, (regions_bytes + runs_bytes) as usize);
        read_all(contents.file, bytes, contents.bytes).ok_or(damaged)?;
        let runs_at = scratch.0 + regions_bytes;
        (
            slice::from_raw_parts(scratch.0 as *const Region, contents.regions as usize),
            slice::from_raw_parts(runs_at as *const Run, contents.runs as usize),
        )
    };
    for (index, region) in regions.iter().enumerate() {
        map_region(region, file_of(index, region))?;
    }
    for run in runs {
        if run.offset == ABSENT {
            let region = regions.iter().find(|region| region.start <= run.address && run.address < region.end);
            fetched.add(run, region.ok_or(damaged)?.protection.into())?;
            continue;
        }
        // SAFETY: by the contract above nothing else is in these pages, and they are mapped writable.
        let pages = unsafe { slice::from_raw_parts_mut(run.address as *mut u8, run.length as usize) };
        read_all(contents.file, pages, run.offset).ok_or(damaged)?;
    }
    for region in regions.iter().filter(|region| needs_protection(region)) {
        protect(region, region.protection.into());
    }
    Ok(())
}

/// Pages are read into regions before they get a protection that would not allow it.
fn needs_protection(region: &Region) -> bool {
    let writable = u64::from(region.protection) & PROT_WRITE != 0;
    !writable && !is_guard(region) && region.kind != Kind::Image && region.is_private()
}

/// A segment of System V is found by its id, which the map has in place of an inode.
fn attach(region: &Region) -> Result<(), &'static str> {
    const SHM_READ_ONLY: u64 = 0o10000;
    let flags = if u64::from(region.protection) & PROT_WRITE != 0 { 0 } else { SHM_READ_ONLY };
    // SAFETY: nothing is mapped there.
    let result = unsafe { kernel::call(SHMAT, [region.inode, region.start, flags]) };
    if result == region.start as i64 { Ok(()) } else { Err("a segment of shared memory cannot be attached again") }
}

fn map_region(region: &Region, file: i64) -> Result<(), &'static str> {
    if region.kind == Kind::Image || is_guard(region) {
        return Ok(());
    }
    if region.kind == Kind::SharedSegment {
        return attach(region);
    }
    let is_file = matches!(region.kind, Kind::PrivateFile | Kind::SharedFile);
    if is_file && file < 0 {
        return Err("a file that it has mapped cannot be opened");
    }
    let protection = if region.is_private() { PROT_READ | PROT_WRITE } else { region.protection.into() };
    let flags = u64::from(region.flags) & !(MAP_FIXED | MAP_GROWSDOWN) | MAP_FIXED_NOREPLACE | MAP_NORESERVE;
    let (descriptor, offset) = if is_file { (file as u64, region.offset) } else { (u64::MAX, 0) };
    let length = region.end - region.start;
    // SAFETY: nothing that exists is replaced.
    let result = unsafe { kernel::call(MMAP, [region.start, length, protection, flags, descriptor, offset]) };
    if result == region.start as i64 { Ok(()) } else { Err("an address that it uses is taken in the new process") }
}
