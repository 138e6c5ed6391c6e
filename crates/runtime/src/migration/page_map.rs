//! Which pages of a range hold something of the program's, by `/proc/self/pagemap` (Documentation/admin-guide/mm/pagemap.rst).

use super::channel::close;
use crate::syscall::kernel;
use crate::syscall::numbers::*;
use maize_abi::layout::PAGE_SIZE;

const PRESENT: u64 = 1 << 63;
const SWAPPED: u64 = 1 << 62;
/// A page of the file itself, not a private copy of it.
const OF_FILE: u64 = 1 << 61;

/// What is known of one page.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// Never touched, or as in the file that is mapped.
    Untouched,
    /// The program's own.
    Touched,
}

/// The page map, open; or the assumption that every page was touched, where the kernel does not show it.
pub struct PageMap {
    file: Option<i64>,
}

impl PageMap {
    /// Opens the page map and makes sure that it tells the truth about this process: under an emulator addresses
    /// may differ from the kernel's. `witness` is an address in a page that has been written to.
    pub fn open(witness: u64) -> PageMap {
        // The process itself is a zombie once its first thread has ended.
        let path = c"/proc/thread-self/pagemap";
        // SAFETY: the path is a NUL-terminated string.
        let file = unsafe { kernel::call(OPENAT, [AT_FDCWD as u64, path.as_ptr() as u64, O_CLOEXEC, 0]) };
        if file < 0 {
            return PageMap { file: None };
        }
        let map = PageMap { file: Some(file) };
        let mut entry = [Page::Untouched];
        map.read(witness & !(PAGE_SIZE - 1), false, &mut entry);
        if entry == [Page::Touched] { map } else { PageMap { file: None } }
    }

    /// The descriptor, or -1 if the kernel does not show it.
    pub fn descriptor(&self) -> i64 {
        self.file.unwrap_or(-1)
    }

    /// Looks pages up, from the one at `address` on. Shared memory counts as a file, but has no other copy if it `is_nameless`.
    pub fn read(&self, address: u64, is_nameless: bool, pages: &mut [Page]) {
        let mut entries = [0u64; 512];
        let mut address = address;
        for chunk in pages.chunks_mut(entries.len()) {
            let bytes = size_of_val(chunk) / size_of::<Page>() * size_of::<u64>();
            let read = match self.file {
                // SAFETY: the buffer is at least that long.
                Some(file) => unsafe {
                    let offset = address / PAGE_SIZE * 8;
                    kernel::call(PREAD64, [file as u64, entries.as_mut_ptr() as u64, bytes as u64, offset])
                },
                None => -1,
            };
            for (page, entry) in chunk.iter_mut().zip(entries) {
                let is_own = entry & (PRESENT | SWAPPED) != 0 && (is_nameless || entry & OF_FILE == 0);
                *page = if read != bytes as i64 || is_own { Page::Touched } else { Page::Untouched };
            }
            address += chunk.len() as u64 * PAGE_SIZE;
        }
    }
}

impl Drop for PageMap {
    fn drop(&mut self) {
        if let Some(file) = self.file {
            close(file);
        }
    }
}
