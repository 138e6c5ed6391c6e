//! A file in memory that a host and its node share while the host's memory follows it without userfaultfd(2) (docs/protocol.md): which pages are there, and
//! which are waited for.
//!
//! ```text
//! u32 changes | u32 whole | zeros up to 64 | u64 asked[64] | a bit for each page, in words of 64
//! ```
//!
//! Who waits sleeps on `changes` (futex(2), shared).

use core::ops::Range;
use core::slice;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// How many pages can be asked for at once.
const ASKED: usize = 64;
const BITS: u64 = u64::BITS as u64;

#[repr(C, align(64))]
struct Head {
    changes: AtomicU32,
    whole: AtomicU32,
    asked: Asked,
}

#[repr(C, align(64))]
struct Asked([AtomicU64; ASKED]);

/// Bytes of the file for so many pages.
#[must_use]
pub const fn size(pages: u64) -> u64 {
    size_of::<Head>() as u64 + Bits::size(pages)
}

/// The file, mapped.
#[derive(Clone, Copy)]
pub struct Board {
    head: &'static Head,
    pages: Bits,
}

impl Board {
    /// The file mapped at an address.
    ///
    /// # Safety
    /// [`size`] bytes are mapped there, shared or not, writable and at first zeros, for as long as the value is used, and used by such values alone.
    #[must_use]
    pub const unsafe fn new(address: *const u8, pages: u64) -> Board {
        // SAFETY: by the contract above; zeros are a valid head, and the bits begin behind it.
        unsafe { Board { head: &*address.cast(), pages: Bits::new(address.add(size_of::<Head>()), pages) } }
    }

    /// Which pages are there. Whoever adds some says so afterwards ([`Board::tell`]).
    #[must_use]
    pub const fn pages(&self) -> Bits {
        self.pages
    }

    /// The word on which to sleep, while it has the value that it had when something was still missing.
    #[must_use]
    pub const fn changes(&self) -> &'static AtomicU32 {
        &self.head.changes
    }

    /// Something has been added. Sleepers are to be woken then.
    pub fn tell(&self) {
        self.head.changes.fetch_add(1, Ordering::Release);
    }

    /// Whether all pages are there, whatever their bits say.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.head.whole.load(Ordering::Acquire) != 0
    }

    /// All pages are there. To be told, too.
    pub fn complete(&self) {
        self.head.whole.store(1, Ordering::Release);
    }

    /// Notes that the page with this address, which is not 0, is waited for; whether there was room. Whoever asks wakes the node.
    #[must_use]
    pub fn ask(&self, address: u64) -> bool {
        self.head
            .asked
            .0
            .iter()
            .any(|slot| slot.compare_exchange(0, address, Ordering::Release, Ordering::Relaxed).is_ok())
    }

    /// Takes out the addresses of the pages that are waited for.
    pub fn asked(&self) -> impl Iterator<Item = u64> {
        self.head.asked.0.iter().map(|slot| slot.swap(0, Ordering::Acquire)).filter(|&address| address != 0)
    }
}

/// A bit for each of many pages.
#[derive(Clone, Copy)]
pub struct Bits(&'static [AtomicU64]);

impl Bits {
    /// Bytes for so many.
    #[must_use]
    pub const fn size(pages: u64) -> u64 {
        pages.div_ceil(BITS) * 8
    }

    /// The bits at an address.
    ///
    /// # Safety
    /// As for [`Board::new`].
    #[must_use]
    pub const unsafe fn new(address: *const u8, pages: u64) -> Bits {
        // SAFETY: by the contract above.
        Bits(unsafe { slice::from_raw_parts(address.cast(), pages.div_ceil(BITS) as usize) })
    }

    fn word(&self, page: u64) -> u64 {
        self.0.get((page / BITS) as usize).map_or(0, |word| word.load(Ordering::Acquire))
    }

    /// Whether a page's is set.
    #[must_use]
    pub fn has(&self, page: u64) -> bool {
        self.word(page) >> (page % BITS) & 1 != 0
    }

    /// Sets those of a range.
    pub fn add(&self, range: Range<u64>) {
        let mut at = range.start;
        while at < range.end {
            let (bit, count) = (at % BITS, (BITS - at % BITS).min(range.end - at));
            if let Some(word) = self.0.get((at / BITS) as usize) {
                word.fetch_or((u64::MAX >> (BITS - count)) << bit, Ordering::Release);
            }
            at += count;
        }
    }

    /// The set ones around a page, as far as there is no gap, within bounds; none if its own is not set.
    #[must_use]
    pub fn around(&self, page: u64, bounds: Range<u64>) -> Range<u64> {
        let (mut start, mut end) = (page, page);
        if !self.has(page) {
            return start..end;
        }
        while start > bounds.start && self.has(start - 1) {
            let is_full = start.is_multiple_of(BITS) && self.word(start - BITS) == u64::MAX;
            start -= if is_full && start - bounds.start >= BITS { BITS } else { 1 };
        }
        while end < bounds.end && self.has(end) {
            let is_full = end.is_multiple_of(BITS) && self.word(end) == u64::MAX;
            end += if is_full && bounds.end - end >= BITS { BITS } else { 1 };
        }
        start..end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For this many pages.
    fn board(words: &mut [u64; 100], pages: u64) -> Board {
        let at = words.as_mut_ptr().cast::<u8>();
        let at = at.wrapping_add(at.align_offset(64));
        assert!(size(pages) <= 92 * 8);
        // SAFETY: the words outlive the board in each test, and are used by it alone.
        unsafe { Board::new(at, pages) }
    }

    #[test]
    fn runs_of_pages_end_at_gaps_and_bounds() {
        let mut words = [0; 100];
        let pages = board(&mut words, 1000).pages();
        pages.add(3..700);
        pages.add(701..702);
        assert_eq!(
            [2, 3, 699, 700, 701, 702, 5000].map(|page| pages.has(page)),
            [false, true, true, false, true, false, false]
        );
        assert_eq!(pages.around(64, 0..1000), 3..700);
        assert_eq!(pages.around(3, 0..1000), 3..700);
        assert_eq!(pages.around(699, 128..1000), 128..700);
        assert_eq!(pages.around(300, 65..650), 65..650);
        assert_eq!(pages.around(701, 0..1000), 701..702);
        assert!(pages.around(700, 0..1000).is_empty());
    }

    #[test]
    fn what_is_asked_for_is_taken_once() {
        let mut words = [0; 100];
        let board = board(&mut words, 1);
        assert!((1..=64).all(|page| board.ask(page << 12)) && !board.ask(65 << 12));
        assert_eq!(board.asked().count(), 64);
        assert!(board.asked().next().is_none() && board.ask(65 << 12));
        assert_eq!(board.asked().next(), Some(65 << 12));
        assert!(!board.is_whole());
        board.complete();
        assert!(board.is_whole());
    }
}
