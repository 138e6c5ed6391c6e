//! The memory of a process that is restored: a file with its pages and then its tables (the runtime's `migration::memory_file`), and behind these, at their addresses, those pages that
//! have come by their addresses (`Image`), unless they can stay in the file of a snapshot.

use crate::pager::Source;
use crate::processes::Id;
use crate::rest::Rest;
use crate::stored::{Files, Stored};
use maize_abi::control::{ABSENT, Run};
use maize_abi::layout::PORTABLE_END;
use maize_snapshot::{ImageRef, Process, SnapshotError};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::Pid;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::io;
use std::mem;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

/// Where in the file the page with address 0 would be: behind all that can be before.
pub(crate) const IMAGE: u64 = 1 << 46;

/// How many ranges of pages that have come last are remembered, at least.
const LAST: usize = 1 << 14;

/// A file in memory.
pub(crate) fn new_file() -> Result<File, SnapshotError> {
    let file = memfd_create("maize-restore", MemfdFlags::CLOEXEC);
    file.map(File::from).map_err(|error| SnapshotError::System(error.into()))
}

/// What has come by addresses, of each process.
#[derive(Default)]
pub(crate) struct Images(HashMap<u32, Pages>);

struct Pages {
    file: File,
    /// Those that are not in that.
    stored: Stored,
    /// Up to where pages have come in the first round, in which addresses ascend.
    reached: u64,
    /// What has come since then, in that order: the process has changed it while the rest was sent, and will need it soon.
    changed: Vec<Range<u64>>,
}

impl Pages {
    fn new() -> Result<Pages, SnapshotError> {
        Ok(Pages { file: new_file()?, stored: Stored::default(), reached: 0, changed: Vec::new() })
    }

    /// Notes that pages have come.
    fn note(&mut self, range: Range<u64>) {
        if range.start >= self.reached {
            self.reached = range.end;
        } else {
            self.reached = u64::MAX;
            if self.changed.len() == 2 * LAST {
                self.changed.drain(..LAST);
            }
            self.changed.push(range);
        }
    }
}

impl Images {
    /// Adds pages, in place of those that came before. They stay where they are if `files` have them.
    pub(crate) fn add(&mut self, process: u32, image: &ImageRef<'_>, files: &Files) -> Result<(), SnapshotError> {
        let own = match self.0.entry(process) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Pages::new()?),
        };
        let mut place = files.of(image);
        for (address, pages) in image.runs() {
            let end = address + pages.len() as u64;
            if end > PORTABLE_END {
                return Err(SnapshotError::Contradiction(format!("process {process} has pages at {address:#x}")));
            }
            own.note(address..end);
            let Pages { file: own, stored, .. } = &mut *own;
            if let Some((file, offset)) = &mut place {
                stored.insert(address, end, file, *offset);
                *offset += pages.len() as u64;
            } else {
                stored.remove(address, end);
                own.write_all_at(pages, IMAGE + address)?;
            }
        }
        Ok(())
    }

    /// The memory of a process, as far as it is here.
    pub(crate) fn take(&mut self, process: &Process) -> Result<Memory, SnapshotError> {
        let Pages { file, stored, changed, .. } = match self.0.remove(&process.id) {
            Some(pages) => pages,
            None => Pages::new()?,
        };
        let (pages, runs, image) = (process.pages, process.runs, process.image);
        if pages.checked_add(process.tables).is_none_or(|size| size > IMAGE) {
            return Err(SnapshotError::Contradiction(format!("process {} is too large", process.id)));
        }
        Ok(Memory {
            file,
            pages,
            runs,
            in_image: image,
            runs_at: 0,
            listed: Vec::new(),
            image: Vec::new(),
            stored,
            changed,
        })
    }
}

/// The memory of a process.
pub(crate) struct Memory {
    pub(crate) file: File,
    /// Bytes of the pages that are first in it.
    pages: u64,
    /// Number of runs in its tables.
    pub(crate) runs: u64,
    /// Number of runs that are in the image.
    in_image: u64,
    /// Where in the file those are.
    runs_at: u64,
    /// The runs of the tables.
    listed: Vec<Run>,
    /// Those in the image: what holds something in the runs that are absent.
    image: Vec<Run>,
    /// What of the image is not in the file.
    stored: Stored,
    /// What of it came last.
    changed: Vec<Range<u64>>,
}

impl Memory {
    /// Its tables have come.
    pub(crate) fn add_tables(&mut self, tables: &[u8]) -> Result<(), SnapshotError> {
        self.file.write_all_at(tables, self.pages)?;
        let too_short = || SnapshotError::Contradiction(String::from("tables of memory are shorter than they say"));
        let size = |count: u64| usize::try_from(count.saturating_mul(size_of::<Run>() as u64)).unwrap_or(usize::MAX);
        let image_at = tables.len().checked_sub(size(self.in_image)).ok_or_else(too_short)?;
        let runs_at = image_at.checked_sub(size(self.runs)).ok_or_else(too_short)?;
        let runs = |bytes: &[u8]| bytes.as_chunks().0.iter().map(Run::from_bytes).collect();
        (self.listed, self.image) = (runs(&tables[runs_at..image_at]), runs(&tables[image_at..]));
        self.runs_at = self.pages + runs_at as u64;
        Ok(())
    }

    /// Whether there are regions whose pages are in the image.
    pub(crate) fn has_absent(&self) -> bool {
        self.listed.iter().any(|run| run.offset == ABSENT)
    }

    /// Puts the runs of the image in place of the regions that they are of, so that the process reads all of its memory at once. Waits for what has still to come, and copies what is in
    /// other files.
    pub(crate) fn complete(&mut self, process: Id, rest: Option<&Rest>) -> io::Result<()> {
        if !self.has_absent() {
            return Ok(());
        }
        if let Some(rest) = rest {
            rest.wait_for(process, self.file.try_clone()?, IMAGE)?;
        }
        mem::take(&mut self.stored).copy(self.touched(), &self.file, IMAGE)?;
        let image = self.image.iter().map(|run| Run { offset: IMAGE + run.address, ..*run });
        let runs: Vec<Run> = self.listed.iter().filter(|run| run.offset != ABSENT).copied().chain(image).collect();
        let bytes: Vec<u8> = runs.iter().flat_map(|run| run.to_bytes()).collect();
        self.runs = runs.len() as u64;
        self.file.write_all_at(&bytes, self.runs_at)
    }

    /// Which pages the image holds.
    fn touched(&self) -> impl Iterator<Item = Range<u64>> {
        self.image.iter().map(|run| run.address..run.address.saturating_add(run.length))
    }

    /// From where its pages are to be brought.
    pub(crate) fn source(&mut self, process: Pid, rest: Option<(Id, Arc<Rest>)>) -> io::Result<Source> {
        let mut touched: Vec<_> = self.touched().collect();
        touched.sort_by_key(|range| range.start);
        let stored = mem::take(&mut self.stored);
        let (file, first) = (self.file.try_clone()?.into(), mem::take(&mut self.changed));
        Ok(Source::Image { file, offset: IMAGE, stored, touched, first, process, rest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_again_is_remembered_in_its_order_and_the_last_of_it_for_certain() {
        let mut pages = Pages::new().unwrap();
        let range = |start: u64| start..start + 1;
        [1, 2, 5, 9].into_iter().for_each(|start| pages.note(range(start)));
        assert_eq!(pages.changed, []);
        [2, 7, 12].into_iter().for_each(|start| pages.note(range(start)));
        assert_eq!(pages.changed, [2, 7, 12].map(range));
        let more = 20..20 + 5 * LAST as u64;
        more.clone().for_each(|start| pages.note(range(start)));
        assert!(pages.changed.len() <= 2 * LAST);
        let last: Vec<_> = more.rev().take(LAST).map(range).collect();
        assert!(pages.changed.iter().rev().take(LAST).eq(&last));
    }
}
