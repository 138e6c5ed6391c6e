//! Pages of a process by their addresses: many small pieces of its memory in one section.

use crate::section::CHUNK;
use std::ops::Range;

/// Bytes of a page, to which addresses and lengths are multiples.
const PAGE: u64 = 4096;
/// Bytes of the number of runs.
const COUNT: usize = 8;
/// Bytes of a run's address and length.
const RUN: usize = 16;

/// Pages of one process, [`CHUNK`] bytes at most. In a section: the number of runs, the address and length of each (u64, little-endian), and the bytes of all.
#[derive(Clone, Debug, Default)]
pub struct Image {
    runs: Vec<Range<u64>>,
    /// Room for [`CHUNK`] bytes, if it was ever asked for.
    bytes: Vec<u8>,
    filled: usize,
}

impl Image {
    /// Room for pages that may be added, so that they can be read to where they stay.
    pub fn room(&mut self) -> &mut [u8] {
        self.bytes.resize(CHUNK, 0);
        &mut self.bytes[self.filled..]
    }

    /// Adds pages that are in this part of [`Image::room`] as it is now, in place of the room before them. The address and the length are multiples of 4096.
    ///
    /// # Panics
    /// If there is no such part.
    pub fn add(&mut self, address: u64, pages: Range<usize>) {
        let (start, end) = (address, address + pages.len() as u64);
        assert!(pages.start <= pages.end && pages.end <= self.bytes.len() - self.filled, "pages outside of the room");
        match self.runs.last_mut().filter(|last| last.end == start) {
            Some(last) => last.end = end,
            None if start < end => self.runs.push(start..end),
            None => {}
        }
        if pages.start > 0 {
            self.bytes.copy_within(self.filled + pages.start..self.filled + pages.end, self.filled);
        }
        self.filled += pages.len();
    }

    /// Whether nothing fits in any more.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.filled == CHUNK
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.filled == 0
    }

    /// Takes everything out.
    pub fn clear(&mut self) {
        self.runs.clear();
        self.filled = 0;
    }

    /// What stands before the pages in a section.
    pub(crate) fn head(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(COUNT + self.runs.len() * RUN);
        bytes.extend((self.runs.len() as u64).to_le_bytes());
        for run in &self.runs {
            bytes.extend(run.start.to_le_bytes());
            bytes.extend((run.end - run.start).to_le_bytes());
        }
        bytes
    }

    /// The pages.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }
}

/// Where the pages of an image are in a file as they are in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The file: 0 is the newest snapshot, 1 the one that this builds on, and so forth.
    pub file: usize,
    /// From which byte on, one page behind the other.
    pub offset: u64,
}

/// An [`Image`] in the bytes of a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageRef<'a> {
    runs: Vec<Range<u64>>,
    bytes: &'a [u8],
    stored: Option<Stored>,
}

impl<'a> ImageRef<'a> {
    /// `None` if these bytes are no image. `stored` is where they are in a file, if they are there as they are.
    pub(crate) fn from_bytes(bytes: &'a [u8], stored: Option<Stored>) -> Option<ImageRef<'a>> {
        let (words, _) = bytes.as_chunks::<8>();
        let (count, words) = words.split_first()?;
        let count = usize::try_from(u64::from_le_bytes(*count)).ok()?;
        let (entries, _) = words.as_chunks::<2>();
        let mut runs = Vec::new();
        let mut length = 0_u64;
        for entry in entries.get(..count)? {
            let [address, size] = entry.map(u64::from_le_bytes);
            if size == 0 || !address.is_multiple_of(PAGE) || !size.is_multiple_of(PAGE) {
                return None;
            }
            runs.push(address..address.checked_add(size)?);
            length = length.checked_add(size)?;
        }
        let head = COUNT + count * RUN;
        let pages = bytes.get(head..)?;
        let stored = stored.map(|Stored { file, offset }| Stored { file, offset: offset + head as u64 });
        (pages.len() as u64 == length && pages.len() <= CHUNK).then_some(ImageRef { runs, bytes: pages, stored })
    }

    /// Where the pages are, all of them one behind the other, unless they are packed.
    #[must_use]
    pub fn stored(&self) -> Option<Stored> {
        self.stored
    }

    /// The pages and their addresses.
    pub fn runs(&self) -> impl Iterator<Item = (u64, &'a [u8])> {
        let mut rest = self.bytes;
        self.runs.iter().map(move |run| {
            let (pages, after) = rest.split_at((run.end - run.start) as usize);
            rest = after;
            (run.start, pages)
        })
    }
}

// As many runs as there can be pages fit beside them.
const _: () = assert!(COUNT + CHUNK / PAGE as usize * RUN <= CHUNK);

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads pages, each filled with one byte, and keeps those that are said, by their positions in what was read.
    fn read(image: &mut Image, address: u64, pages: &[u8], kept: &[[usize; 2]]) {
        let room = image.room();
        for (page, byte) in room.chunks_mut(PAGE as usize).zip(pages) {
            page.fill(*byte);
        }
        let mut before = 0;
        for [start, end] in kept {
            let pages = start * PAGE as usize - before..end * PAGE as usize - before;
            before += pages.len();
            image.add(address + *start as u64 * PAGE, pages);
        }
    }

    fn bytes(image: &Image) -> Vec<u8> {
        [&image.head(), image.bytes()].concat()
    }

    fn runs(image: &Image) -> Vec<(u64, Vec<u8>)> {
        let bytes = bytes(image);
        let read = ImageRef::from_bytes(&bytes, None).unwrap();
        read.runs()
            .map(|(address, pages)| (address / PAGE, pages.iter().step_by(PAGE as usize).copied().collect()))
            .collect()
    }

    #[test]
    fn what_is_added_comes_out_and_neighbours_are_one_run() {
        let mut image = Image::default();
        read(&mut image, PAGE, &[1], &[[0, 1]]);
        read(&mut image, 2 * PAGE, &[2], &[[0, 1]]);
        read(&mut image, 8 * PAGE, &[3, 4, 5, 6, 7, 8], &[[1, 3], [4, 5]]);
        assert_eq!(runs(&image), [(1, vec![1, 2]), (9, vec![4, 5]), (12, vec![7])]);
        let section = bytes(&image);
        let read_back = ImageRef::from_bytes(&section, Some(Stored { file: 1, offset: 100 })).unwrap();
        let offset = 100 + section.len() as u64 - 5 * PAGE;
        assert_eq!(read_back.stored(), Some(Stored { file: 1, offset }));
        image.clear();
        assert!(image.is_empty() && runs(&image).is_empty());
        read(&mut image, 5 * PAGE, &[9], &[[0, 1]]);
        assert_eq!(runs(&image), [(5, vec![9])]);
    }

    #[test]
    fn there_is_room_for_a_chunk() {
        let mut image = Image::default();
        assert_eq!(image.room().len(), CHUNK);
        image.add(0, PAGE as usize..CHUNK);
        assert_eq!(image.room().len(), PAGE as usize);
        assert!(!image.is_full());
        image.add(CHUNK as u64 * 2, 0..PAGE as usize);
        assert!(image.is_full() && image.room().is_empty());
    }

    #[test]
    fn what_contradicts_itself_is_none() {
        let mut image = Image::default();
        read(&mut image, PAGE, &[7], &[[0, 1]]);
        let right = bytes(&image);
        assert!(ImageRef::from_bytes(&right, None).is_some());
        assert!(ImageRef::from_bytes(&right[..right.len() - 1], None).is_none());
        for (at, byte) in [(0, 2), (7, 0xff), (8, 1), (17, 0), (17, 0x20), (15, 0xff), (23, 0xff)] {
            let mut wrong = right.clone();
            wrong[at] = byte;
            let is_same = wrong == right;
            assert!(is_same || ImageRef::from_bytes(&wrong, None).is_none() || at == 15, "byte {at}");
        }
    }
}
