//! Pages that stay in the files of the snapshot that a program is restored from, and of those that it builds on, until the program has them: restoring does not wait for a copy of them.
//! They have been checked by then, so nobody may write to the files any more: a lease sees to that (fcntl(2), `F_RDLCK`). Who opens one to write waits until the pages have been brought.

use crate::file_systems::is_on_another_machine;
use crate::kernel::lease;
use maize_snapshot::ImageRef;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

/// The files that are read, in the order in which they were opened. `None` if nothing can stay in one.
#[derive(Default)]
pub(crate) struct Files(RefCell<Vec<Option<Arc<File>>>>);

impl Files {
    /// Opens a file of a snapshot.
    pub(crate) fn open(&self, path: &Path) -> io::Result<File> {
        let file = File::open(path)?;
        // The lease of this machine says nothing to others.
        let kept = !is_on_another_machine(file.as_fd()) && lease(file.as_fd()).is_ok();
        let kept = kept.then(|| file.try_clone()).transpose()?;
        self.0.borrow_mut().push(kept.map(Arc::new));
        Ok(file)
    }

    /// Where the pages of an image can stay.
    pub(crate) fn of(&self, image: &ImageRef<'_>) -> Option<(Arc<File>, u64)> {
        let stored = image.stored()?;
        let file = self.0.borrow().get(stored.file)?.clone()?;
        Some((file, stored.offset))
    }

    /// Everything has been read: only who still needs one has it.
    pub(crate) fn close(&self) {
        self.0.borrow_mut().clear();
    }
}

/// Where pages of a process are, by their addresses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stored(BTreeMap<u64, Piece>);

#[derive(Clone, Debug)]
struct Piece {
    end: u64,
    file: Arc<File>,
    /// Of its first page.
    offset: u64,
}

impl Stored {
    /// These pages are in a file from this byte on, wherever they were before.
    pub(crate) fn insert(&mut self, start: u64, end: u64, file: &Arc<File>, offset: u64) {
        self.remove(start, end);
        self.0.insert(start, Piece { end, file: Arc::clone(file), offset });
    }

    /// These pages are in none.
    pub(crate) fn remove(&mut self, start: u64, end: u64) {
        while let Some((&at, piece)) = self.0.range(..end).next_back().filter(|(_, piece)| piece.end > start) {
            let behind = (end < piece.end).then(|| Piece { offset: piece.offset + (end - at), ..piece.clone() });
            if at < start {
                if let Some(before) = self.0.get_mut(&at) {
                    before.end = start;
                }
            } else {
                self.0.remove(&at);
            }
            if let Some(behind) = behind {
                self.0.insert(end, behind);
            }
        }
    }

    /// Reads pages, those that are in no file by `others`, which is given their address.
    ///
    /// # Errors
    /// If they cannot be read.
    pub(crate) fn read(
        &self,
        mut address: u64,
        mut bytes: &mut [u8],
        mut others: impl FnMut(u64, &mut [u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        while !bytes.is_empty() {
            let here = self.0.range(..=address).next_back().filter(|(_, piece)| address < piece.end);
            let end = match here {
                Some((_, piece)) => piece.end,
                None => self.0.range(address..).next().map_or(u64::MAX, |(&start, _)| start),
            };
            let length = usize::try_from(end - address).unwrap_or(usize::MAX).min(bytes.len());
            let (now, later) = bytes.split_at_mut(length);
            match here {
                Some((start, piece)) => piece.file.read_exact_at(now, piece.offset + (address - start))?,
                None => others(address, now)?,
            }
            (address, bytes) = (address + length as u64, later);
        }
        Ok(())
    }

    /// Copies those pages that are in files and in these ranges to another file, at an offset to their addresses.
    ///
    /// # Errors
    /// If they cannot be read, or there is no room for them.
    pub(crate) fn copy(self, ranges: impl Iterator<Item = Range<u64>>, to: &File, offset: u64) -> io::Result<()> {
        for range in ranges {
            let pieces = self.0.range(..range.end).rev().take_while(|(_, piece)| piece.end > range.start);
            for (&start, piece) in pieces {
                let (from, end) = (start.max(range.start), piece.end.min(range.end));
                let mut bytes = vec![0; usize::try_from(end - from).map_err(io::Error::other)?];
                piece.file.read_exact_at(&mut bytes, piece.offset + (from - start))?;
                to.write_all_at(&bytes, offset + from)?;
            }
        }
        Ok(())
    }

    /// Nothing is in a file any more, and whoever waits to write to one may.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::OpenOptions;
    use std::os::unix::fs::OpenOptionsExt as _;

    const LENGTH: usize = 64;

    #[test]
    fn what_was_said_last_of_a_page_is_read() {
        let temporary = tempfile::tempdir().unwrap();
        let files = [1, 2].map(|number: u8| {
            let path = temporary.path().join(number.to_string());
            let content: Vec<u8> = (0..3 * LENGTH as u8).map(|at| if number == 1 { at } else { !at }).collect();
            std::fs::write(&path, content).unwrap();
            Arc::new(File::open(path).unwrap())
        });
        for seed in 0..300 {
            let mut random = fastrand::Rng::with_seed(seed);
            let (mut stored, mut expected) = (Stored::default(), [0; LENGTH]);
            for _ in 0..random.usize(..20) {
                let start = random.usize(..LENGTH);
                let end = random.usize(start + 1..=LENGTH);
                let (file, offset) = (random.usize(..2), random.usize(..2 * LENGTH));
                if random.u8(..4) == 0 {
                    stored.remove(start as u64, end as u64);
                    expected[start..end].fill(0);
                } else {
                    stored.insert(start as u64, end as u64, &files[file], offset as u64);
                    files[file].read_exact_at(&mut expected[start..end], offset as u64).unwrap();
                }
            }
            let at = random.usize(..LENGTH);
            let mut read = [9; LENGTH];
            let zeros = |_, bytes: &mut [u8]| {
                bytes.fill(0);
                Ok(())
            };
            stored.read(at as u64, &mut read[at..], zeros).unwrap();
            assert_eq!(read[at..], expected[at..], "seed {seed}");
        }
    }

    #[test]
    fn nobody_writes_to_a_file_in_which_pages_are() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("snapshot");
        std::fs::write(&path, "pages").unwrap();
        let write = || OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(&path);
        let files = Files::default();
        drop(files.open(&path).unwrap());
        assert_eq!(write().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert!(files.open(&path).is_ok(), "others may read it");
        drop(files);
        let writer = write().unwrap();
        let files = Files::default();
        files.open(&path).unwrap();
        assert!(files.0.borrow()[0].is_none(), "somebody may write to it already");
        drop(writer);
    }
}
