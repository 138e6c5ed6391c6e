//! Which pages another process may have changed, by `PAGEMAP_SCAN` (Linux 6.7, Documentation/admin-guide/mm/pagemap.rst) and a userfaultfd of that process which notes writes. A page that
//! is asked for is write-protected again; the kernel takes that away when it is written, and nobody waits. What is not protected counts as changed, so that nothing is missed: new
//! memory, memory that has moved, a page that was given up and touched again. Without such a userfaultfd every page that holds something may have been changed.

use crate::maps;
use maize_abi::layout::PORTABLE_END;
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use rustix::process::Pid;
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::ops::Range;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::FileExt as _;

const UFFDIO_REGISTER: libc::Ioctl = 0xc020_aa00_u32 as libc::Ioctl;
const UFFDIO_REGISTER_MODE_WP: u64 = 2;
const PAGEMAP_SCAN: libc::Ioctl = 0xc060_6610_u32 as libc::Ioctl;
/// What is asked for is protected again, in the same step.
const PM_SCAN_WP_MATCHING: u64 = 1;
/// It is an error if a part cannot be.
const PM_SCAN_CHECK_WPASYNC: u64 = 2;
const PAGE_IS_WRITTEN: u64 = 1 << 1;
const PAGE_IS_PRESENT: u64 = 1 << 3;
const PAGE_IS_SWAPPED: u64 = 1 << 4;
/// Ranges asked for at a time.
const RANGES: usize = 512;

/// `struct pm_scan_arg`.
#[repr(C)]
struct Scan {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    ranges: u64,
    ranges_length: u64,
    most_pages: u64,
    inverted: u64,
    all_of: u64,
    any_of: u64,
    returned: u64,
}

/// `struct page_region`.
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct Found {
    start: u64,
    end: u64,
    categories: u64,
}

/// Knows which pages of a process may have been changed, until it is dropped.
#[derive(Debug)]
pub(crate) struct Tracker {
    /// The process's own; nothing is protected any more when it is closed. `None` where the kernel grants none, or an emulator does not know it.
    userfaultfd: Option<OwnedFd>,
    process: Pid,
    pagemap: File,
    memory: File,
}

impl Tracker {
    /// Nothing is protected yet.
    pub(crate) fn new(process: Pid, userfaultfd: Option<OwnedFd>) -> io::Result<Tracker> {
        let open = |name| File::open(format!("/proc/{}/{name}", process.as_raw_nonzero()));
        Ok(Tracker { userfaultfd, process, pagemap: open("pagemap")?, memory: open("mem")? })
    }

    /// Whether what it says has been changed has been. Otherwise it may be as it was.
    pub(crate) fn is_exact(&self) -> bool {
        self.userfaultfd.is_some()
    }

    /// Pages of memory without a file that may have been changed since they were asked for. What cannot be protected is not among them.
    ///
    /// # Errors
    /// Pages may have been protected that nobody was told of.
    pub(crate) fn take_changed(&self) -> io::Result<Vec<Range<u64>>> {
        let mut changed = Vec::new();
        let all = maps::of(self.process)?;
        // Those that cannot be written now, too: the kernel could not join them with others any more.
        for region in all.iter().filter(|region| region.is_anonymous() && region.range.end <= PORTABLE_END) {
            match &self.userfaultfd {
                // What is given up meanwhile is not asked for.
                Some(userfaultfd) if register(userfaultfd, &region.range).is_ok() => {
                    self.scan(&region.range, PM_SCAN_WP_MATCHING, PAGE_IS_WRITTEN, &mut changed)?;
                }
                Some(_) => {}
                None => self.scan(&region.range, 0, 0, &mut changed)?,
            }
        }
        Ok(changed)
    }

    /// Pages of a region of a process that waits that may have been changed since they were asked for.
    pub(crate) fn take_changed_in(&self, region: &Range<u64>) -> io::Result<Vec<Range<u64>>> {
        if !self.is_exact() {
            return self.touched(region);
        }
        let mut changed = Vec::new();
        match self.scan(region, PM_SCAN_WP_MATCHING | PM_SCAN_CHECK_WPASYNC, PAGE_IS_WRITTEN, &mut changed) {
            // Not all of it was ever protected.
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => self.touched(region),
            result => result.map(|()| changed),
        }
    }

    /// Pages of a region of a process that waits that hold something.
    pub(crate) fn touched(&self, region: &Range<u64>) -> io::Result<Vec<Range<u64>>> {
        let mut touched = Vec::new();
        self.scan(region, 0, 0, &mut touched).map(|()| touched)
    }

    /// The process's memory at an address.
    pub(crate) fn read(&self, bytes: &mut [u8], address: u64) -> io::Result<usize> {
        let process = nix::unistd::Pid::from_raw(self.process.as_raw_nonzero().get());
        let there = RemoteIoVec { base: address as usize, len: bytes.len() };
        match process_vm_readv(process, &mut [IoSliceMut::new(bytes)], &[there]) {
            // It is copied once, and twice by the file. If the process has executed another program since, it is memory of that, and what the file is of has gone.
            Ok(read) if read == bytes.len() && self.memory.read_at(&mut [0], address)? == 1 => Ok(read),
            // Or the process itself must not read it.
            _ => self.memory.read_at(bytes, address),
        }
    }

    fn scan(&self, region: &Range<u64>, flags: u64, all_of: u64, to: &mut Vec<Range<u64>>) -> io::Result<()> {
        let mut found = [Found::default(); RANGES];
        let mut at = region.start;
        while at < region.end {
            let mut scan = Scan {
                size: size_of::<Scan>() as u64,
                flags,
                start: at,
                end: region.end,
                walk_end: 0,
                ranges: found.as_mut_ptr() as u64,
                ranges_length: RANGES as u64,
                most_pages: 0,
                inverted: 0,
                all_of,
                any_of: PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
                returned: PAGE_IS_PRESENT,
            };
            // SAFETY: the structure is as large as the request says, and the ranges are as many.
            let count = unsafe { libc::ioctl(self.pagemap.as_raw_fd(), PAGEMAP_SCAN, &raw mut scan) };
            let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
            for Found { start, end, .. } in &found[..count.min(RANGES)] {
                match to.last_mut().filter(|last| last.end == *start) {
                    Some(last) => last.end = *end,
                    None => to.push(*start..*end),
                }
            }
            if scan.walk_end <= at {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            at = scan.walk_end;
        }
        Ok(())
    }
}

fn register(userfaultfd: &OwnedFd, region: &Range<u64>) -> io::Result<()> {
    // `struct uffdio_register`: start, length, mode, which requests there are.
    let mut register = [region.start, region.end - region.start, UFFDIO_REGISTER_MODE_WP, 0];
    // SAFETY: the structure is as large as the request says.
    let result = unsafe { libc::ioctl(userfaultfd.as_raw_fd(), UFFDIO_REGISTER, register.as_mut_ptr()) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
