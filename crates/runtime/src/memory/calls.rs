//! The system calls that change the program's memory.

use super::map::{Kind, Map, Region, pages};
use super::parts::{self, Mover};
use super::{map, map_at, map_with_room};
use crate::migration::absent;
use crate::sync::Guard;
use crate::syscall::kernel;
use crate::syscall::numbers::*;
use core::cmp::Ordering::{Equal, Greater, Less};
use core::sync::atomic::{AtomicU64, Ordering};
use maize_abi::layout::{BREAK_END, BREAK_START, MMAP_END, MMAP_START, PAGE_SIZE};

/// The program break.
static BREAK: AtomicU64 = AtomicU64::new(BREAK_START);
/// How often another place is tried where the map says that nothing is and the host disagrees.
const ATTEMPTS: usize = 64;

type Taken = Guard<'static, Map>;

const fn is_aligned(address: u64) -> bool {
    address.is_multiple_of(PAGE_SIZE)
}

/// The range of whole pages that a program may map or unmap, from its start and size.
fn program_range(start: u64, size: u64) -> Option<(u64, u64)> {
    let end = start.checked_add(pages(size)?)?;
    (is_aligned(start) && size > 0 && start >= BREAK_START && end <= MMAP_END).then_some((start, end))
}

/// What a mapping is to be.
struct Request {
    protection: u64,
    flags: u64,
    descriptor: u64,
    offset: u64,
}

impl Request {
    /// Maps at an address; returns that or a negated error.
    fn map(&self, address: u64, size: u64, replace: bool) -> i64 {
        let placement = if replace { MAP_FIXED } else { MAP_FIXED_NOREPLACE };
        let flags = self.flags & !(MAP_32BIT | MAP_GROWSDOWN | MAP_FIXED | MAP_FIXED_NOREPLACE) | placement;
        // SAFETY: what is replaced is the program's, and the program asked for it.
        let result =
            unsafe { kernel::call(MMAP, [address, size, self.protection, flags, self.descriptor, self.offset]) };
        if result > 0 && result != address as i64 {
            // SAFETY: the mapping was made just now, by a kernel that does not know the flag.
            unsafe { kernel::call(MUNMAP, [result as u64, size]) };
            return -EEXIST;
        }
        result
    }

    fn is_shared(&self) -> bool {
        self.flags & MAP_TYPE != MAP_PRIVATE
    }

    fn region(&self, start: u64, end: u64) -> Region {
        let mut region = Region {
            flags: (self.flags & !(MAP_FIXED | MAP_FIXED_NOREPLACE)) as u32,
            ..Region::anonymous(start, end, self.protection as u32, Kind::Anonymous)
        };
        if self.flags & MAP_ANONYMOUS == 0 {
            region.kind = if self.is_shared() { Kind::SharedFile } else { Kind::PrivateFile };
            region.offset = self.offset;
            self.identify(&mut region);
        }
        region
    }

    /// Notes which file it is; a shared one without a name is kept open, since nothing else will find it again.
    fn identify(&self, region: &mut Region) {
        let Some(status) = status(self.descriptor) else { return };
        [region.device, region.inode] = [status[0], status[1]];
        // The number of names comes next, in 64 or in the upper 32 bits.
        let names = if kernel::is_x86_64() { status[2] } else { status[2] >> 32 };
        if names == 0 && self.is_shared() {
            // SAFETY: takes no pointers.
            region.descriptor = unsafe { kernel::call(FCNTL, [self.descriptor, F_DUPFD_CLOEXEC, KEPT_FILES]) } as i32;
        }
    }
}

/// The `struct stat` of an open file, which begins with device and inode on every ISA.
fn status(file: u64) -> Option<[u64; 18]> {
    let mut status = [0u64; 18];
    // SAFETY: the buffer is as large as any ISA's.
    (unsafe { kernel::call(FSTAT, [file, status.as_mut_ptr() as u64]) } == 0).then_some(status)
}

/// Device and inode of an open file.
pub fn identity(file: i64) -> Option<[u64; 2]> {
    status(file as u64).map(|[device, inode, ..]| [device, inode])
}

/// Descriptors of sockets that the runtime keeps for the host process are numbered from here if the limit allows.
pub const KEPT_DESCRIPTORS: u64 = 900;
/// Descriptors that it keeps for the program's mappings are numbered from here; they move with the program, and must not
/// meet the others in the new process.
const KEPT_FILES: u64 = 960;

/// `mmap`.
///
/// # Safety
/// With `MAP_FIXED`, that of replacing what is there.
pub unsafe fn mmap([address, size, protection, flags, descriptor, offset]: [u64; 6]) -> i64 {
    if size == 0 || !is_aligned(offset) {
        return -EINVAL;
    }
    let Some(length) = pages(size) else { return -ENOMEM };
    let mut request = Request { protection, flags, descriptor, offset };
    if !request.is_shared() || flags & MAP_ANONYMOUS == 0 || flags & MAP_HUGETLB != 0 {
        return place(&request, address, size, length);
    }
    // Processes that share the memory each move by themselves, and find it again by a file.
    let file = memory_file(length);
    if file < 0 {
        return file;
    }
    (request.flags, request.descriptor, request.offset) = (flags & !MAP_ANONYMOUS, file as u64, 0);
    let result = place(&request, address, size, length);
    // SAFETY: the descriptor is not used any more.
    unsafe { kernel::call(CLOSE, [file as u64]) };
    result
}

/// A file in memory of so many bytes, or a negated error.
fn memory_file(length: u64) -> i64 {
    // SAFETY: the name is a NUL-terminated string.
    let file = unsafe { kernel::call(MEMFD_CREATE, [c"shared".as_ptr() as u64, MFD_CLOEXEC]) };
    if file < 0 {
        return file;
    }
    // SAFETY: takes no pointers.
    match unsafe { kernel::call(FTRUNCATE, [file as u64, length]) } {
        0 => file,
        error => {
            // SAFETY: the descriptor is not used any more.
            unsafe { kernel::call(CLOSE, [file as u64]) };
            error
        }
    }
}

/// Maps where the program asks or where there is room.
fn place(request: &Request, address: u64, size: u64, length: u64) -> i64 {
    let Some(mut taken) = map_with_room() else { return -ENOMEM };
    let flags = request.flags;
    if flags & (MAP_FIXED | MAP_FIXED_NOREPLACE) != 0 {
        return map_fixed(&mut taken, request, address, size);
    }
    let hint = address & !(PAGE_SIZE - 1);
    let hinted = program_range(hint, size).filter(|&(start, end)| start >= MMAP_START && taken.is_free(start, end));
    let mut low = hinted.map_or(MMAP_START, |(start, _)| start);
    for _ in 0..ATTEMPTS {
        let Some(start) = taken.find_gap(length, low, MMAP_END) else { break };
        match request.map(start, length, false) {
            result if result == -EEXIST => low = start + length,
            result if result < 0 => return result,
            result => {
                let inserted = taken.insert(request.region(start, start + length));
                return if inserted.is_ok() { result } else { -ENOMEM };
            }
        }
    }
    -ENOMEM
}

fn map_fixed(taken: &mut Taken, request: &Request, address: u64, size: u64) -> i64 {
    if !is_aligned(address) {
        return -EINVAL;
    }
    let Some((start, end)) = program_range(address, size) else { return -ENOMEM };
    let is_free = taken.is_free(start, end);
    if !is_free && request.flags & MAP_FIXED_NOREPLACE != 0 {
        return -EEXIST;
    }
    let result = request.map(start, end - start, !is_free);
    if result > 0 {
        forget(taken, start, end);
        if taken.insert(request.region(start, end)).is_err() {
            return -ENOMEM;
        }
    }
    result
}

/// Takes a range that is no longer mapped out of the table.
fn forget(taken: &mut Taken, start: u64, end: u64) {
    let mut kept = [-1; 8];
    for (kept, region) in kept.iter_mut().zip(taken.overlapping(start, end).iter().filter(|one| one.descriptor >= 0)) {
        *kept = region.descriptor;
    }
    // There is room: `map_with_room`.
    let _ = taken.remove(start, end);
    for descriptor in kept {
        if descriptor >= 0 && taken.regions().iter().all(|region| region.descriptor != descriptor) {
            // SAFETY: the descriptor is the runtime's.
            unsafe { kernel::call(CLOSE, [descriptor as u64]) };
        }
    }
}

/// `munmap`.
///
/// # Safety
/// Nobody uses the memory any more.
pub unsafe fn munmap(address: u64, size: u64) -> i64 {
    let Some((start, end)) = program_range(address, size) else { return -EINVAL };
    let Some(mut taken) = map_with_room() else { return -ENOMEM };
    // SAFETY: by the contract above.
    let result = unsafe { kernel::call(MUNMAP, [start, end - start]) };
    if result == 0 {
        forget(&mut taken, start, end);
    }
    result
}

/// `mprotect`.
///
/// # Safety
/// That of the call.
pub unsafe fn mprotect(address: u64, size: u64, protection: u64) -> i64 {
    let Some(mut taken) = map_with_room() else { return -ENOMEM };
    // SAFETY: by the contract above.
    let result = unsafe { kernel::call(MPROTECT, [address, size, protection]) };
    if let Some(end) = pages(size).and_then(|size| address.checked_add(size))
        && result == 0
        && end > address
    {
        let _ = taken.protect(address, end, protection as u32);
    }
    result
}

/// `brk`: returns the break, moved if that was possible.
pub fn set_break(wanted: u64) -> i64 {
    let Some(mut taken) = map_with_room() else { return BREAK.load(Ordering::Relaxed) as i64 };
    let current = BREAK.load(Ordering::Relaxed);
    let (Some(old_end), Some(new_end)) = (pages(current), pages(wanted)) else { return current as i64 };
    if !(BREAK_START..=BREAK_END).contains(&wanted) {
        return current as i64;
    }
    if new_end > old_end {
        let protection = PROT_READ | PROT_WRITE;
        let size = new_end - old_end;
        if !taken.is_free(old_end, new_end) || map_at(old_end, size, protection, 0) != old_end as i64 {
            return current as i64;
        }
        let _ = taken.insert(Region::anonymous(old_end, new_end, protection as u32, Kind::Break));
    } else if new_end < old_end {
        // SAFETY: the program gives it up.
        unsafe { kernel::call(MUNMAP, [new_end, old_end - new_end]) };
        forget(&mut taken, new_end, old_end);
    }
    BREAK.store(wanted, Ordering::Relaxed);
    wanted as i64
}

/// `mremap`.
///
/// # Safety
/// That of the call: the program stops using the old addresses if the memory moves.
pub unsafe fn mremap([old, old_size, new_size, flags, new, _]: [u64; 6]) -> i64 {
    let (Some(old_length), Some(new_length)) = (pages(old_size), pages(new_size)) else { return -EINVAL };
    if !is_aligned(old) || old_length == 0 || new_length == 0 || flags & !(MREMAP_MAYMOVE | MREMAP_FIXED) != 0 {
        return -EINVAL;
    }
    absent::await_all();
    let Some(mut taken) = map_with_room() else { return -ENOMEM };
    let old_end = old.saturating_add(old_length);
    let Some(region) = taken.find(old).copied().filter(|region| old_end <= region.end) else { return -EFAULT };
    let moved = |start: u64| Region { start, end: start + new_length, ..region.part(old, old_end) };
    if flags & MREMAP_FIXED != 0 {
        let Some((start, end)) = program_range(new, new_size) else { return -EINVAL };
        if flags & MREMAP_MAYMOVE == 0 || start < old_end && old < end {
            return -EINVAL;
        }
        // SAFETY: what is replaced is the program's, and the program asked for it.
        let result = unsafe { move_region(old, old_length, start, new_length) };
        if result > 0 {
            forget(&mut taken, start, end);
            relocate(&mut taken, old, old_end, moved(start));
        }
        return result;
    }
    let free_behind =
        new_length <= old_length || taken.is_free(old_end, old + new_length) && old + new_length <= MMAP_END;
    if free_behind {
        // SAFETY: the memory stays where it is; what is cut off the program gives up.
        let result = unsafe {
            match new_length.cmp(&old_length) {
                Less => kernel::call(MUNMAP, [old + new_length, old_length - new_length]),
                Equal => 0,
                Greater => grow(old_end, new_length - old_length),
            }
        };
        let result = if result < 0 { result } else { old as i64 };
        if result > 0 {
            relocate(&mut taken, old, old_end, moved(old));
        }
        if result > 0 || flags & MREMAP_MAYMOVE == 0 {
            return result;
        }
    }
    if flags & MREMAP_MAYMOVE == 0 {
        return -ENOMEM;
    }
    let Some(start) = taken.find_gap(new_length, MMAP_START, MMAP_END) else { return -ENOMEM };
    if map_at(start, new_length, 0, MAP_NORESERVE) != start as i64 {
        return -ENOMEM;
    }
    // SAFETY: what is replaced was mapped just now to keep the place.
    let result = unsafe { move_region(old, old_length, start, new_length) };
    if result > 0 {
        relocate(&mut taken, old, old_end, moved(start));
    } else {
        // SAFETY: as above.
        unsafe { kernel::call(MUNMAP, [start, new_length]) };
    }
    result
}

/// Moves a part of a region, and has it end there where it is to end, also where the kernel does not keep it as one.
///
/// # Safety
/// That of `mremap` with `MREMAP_FIXED`.
unsafe fn move_region(old: u64, old_length: u64, start: u64, new_length: u64) -> i64 {
    const HOW: u64 = MREMAP_MAYMOVE | MREMAP_FIXED;
    if old_length != new_length {
        // SAFETY: by the contract above.
        let result = unsafe { kernel::call(MREMAP, [old, old_length, new_length, HOW, start]) };
        if result != -EFAULT {
            return result;
        }
    }
    let kept = old_length.min(new_length);
    let moved = parts::move_all(&mut Kernel, old, kept, start);
    if moved < 0 {
        return moved;
    }
    // SAFETY: by the contract above; what is behind the kept part is given up, or replaced.
    unsafe {
        if old_length > kept {
            kernel::call(MUNMAP, [old + kept, old_length - kept]);
        }
        if new_length > kept {
            kernel::call(MUNMAP, [start + kept, new_length - kept]);
            let grown = grow(start + kept, new_length - kept);
            if grown < 0 {
                parts::move_all(&mut Kernel, start, kept, old);
                return grown;
            }
        }
    }
    start as i64
}

/// Moves pages of regions that [`move_region`] has been asked to move.
struct Kernel;

impl Mover for Kernel {
    fn move_together(&mut self, from: u64, length: u64, to: u64) -> i64 {
        // SAFETY: by the contract of `move_region`, to which alone this is known.
        unsafe { kernel::call(MREMAP, [from, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, to]) }
    }

    fn is_there(&mut self, address: u64) -> bool {
        let mut is_resident = 0u8;
        // SAFETY: there is room for one page's answer.
        unsafe { kernel::call(MINCORE, [address, PAGE_SIZE, &raw mut is_resident as u64]) != -ENOMEM }
    }
}

/// Has a region go on behind its end, where nothing is: its last page does, whatever it is apart from.
///
/// # Safety
/// That of `mremap`.
unsafe fn grow(end: u64, by: u64) -> i64 {
    // SAFETY: by the contract above.
    unsafe { kernel::call(MREMAP, [end - PAGE_SIZE, PAGE_SIZE, PAGE_SIZE + by, 0, 0]) }
}

/// Puts one region in place of another. A descriptor kept for it stays.
fn relocate(taken: &mut Taken, old: u64, old_end: u64, region: Region) {
    let _ = taken.remove(old, old_end);
    let _ = taken.insert(region);
}

/// `shmat`.
///
/// # Safety
/// That of the call.
pub unsafe fn attach_segment(segment: u64, hint: u64, flags: u64) -> i64 {
    const IPC_STAT: u64 = 2;
    const SHM_READ_ONLY: u64 = 0o10000;
    let mut status = [0u64; 16];
    // SAFETY: the buffer is larger than `struct shmid64_ds`, which starts with 48 bytes of permissions and then the size.
    let result = unsafe { kernel::call(SHMCTL, [segment, IPC_STAT, status.as_mut_ptr() as u64]) };
    if result < 0 {
        return result;
    }
    let (Some(length), Some(mut taken)) = (pages(status[6]), map_with_room()) else { return -ENOMEM };
    let start = match hint & !(PAGE_SIZE - 1) {
        0 => taken.find_gap(length, MMAP_START, MMAP_END),
        hint => program_range(hint, length).filter(|&(start, end)| taken.is_free(start, end)).map(|range| range.0),
    };
    let Some(start) = start else { return -EINVAL };
    // SAFETY: nothing is mapped there.
    let result = unsafe { kernel::call(SHMAT, [segment, start, flags]) };
    if result > 0 {
        let protection = if flags & SHM_READ_ONLY == 0 { PROT_READ | PROT_WRITE } else { PROT_READ } as u32;
        let region = Region {
            flags: MAP_SHARED as u32,
            inode: segment,
            ..Region::anonymous(start, start + length, protection, Kind::SharedSegment)
        };
        let _ = taken.insert(region);
    }
    result
}

/// `shmdt`.
///
/// # Safety
/// Nobody uses the memory any more.
pub unsafe fn detach_segment(address: u64) -> i64 {
    // SAFETY: by the contract above.
    let result = unsafe { kernel::call(SHMDT, [address]) };
    let mut taken = map();
    let found = taken.find(address).copied().filter(|region| region.kind == Kind::SharedSegment);
    if let Some(region) = found.filter(|region| result == 0 && region.start == address) {
        let _ = taken.remove(region.start, region.end);
    }
    result
}
