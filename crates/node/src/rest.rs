//! Memory of a program that comes from another node after the program has been put in place (post-copy; Hines and Gopalan, Post-Copy Based Live Virtual Machine Migration, VEE 2009): what of it
//! has still to come, and who waits for it (docs/nodes.md). How it comes is the business of who receives the program.

use crate::absent::Absent;
use crate::processes::Id;
use crate::remaining::Pages;
use crate::sync::lock;
use rustix::fs::{FallocateFlags, fallocate};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::{Condvar, Mutex, PoisonError};

/// What has become of pages that were to come.
#[derive(Clone, Debug)]
pub(crate) enum News {
    /// They are in the file.
    Come(Range<u64>),
    /// None of those that have not come will, for this reason.
    Lost(String),
}

/// Asks the other node for pages of a process before all others.
pub type Ask = Box<dyn Fn(Id, Range<u64>) + Send + Sync>;
type Tell = Box<dyn Fn(News) + Send>;

/// What has still to come.
pub struct Rest {
    ask: Ask,
    state: Mutex<State>,
    /// Something has come, or nothing more will.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    processes: BTreeMap<Id, Awaited>,
    /// Why nothing more comes.
    lost: Option<String>,
}

/// Memory of a process.
struct Awaited {
    /// All that was expected: ends of ranges by their starts.
    ranges: BTreeMap<u64, u64>,
    /// What of it has not come.
    missing: Absent,
    /// Bytes of that.
    left: u64,
    /// What has been asked for, and may have come.
    asked: Vec<Range<u64>>,
    /// Where it goes, when that is known.
    to: Option<Place>,
}

impl Awaited {
    fn ranges(&self) -> Vec<Range<u64>> {
        self.ranges.iter().map(|(&start, &end)| start..end).collect()
    }

    /// Takes what is missing out of so many bytes of pages, which have this content.
    fn take(&mut self, address: u64, length: u64, content: &Content<'_>) -> io::Result<()> {
        let unexpected = || io::Error::new(io::ErrorKind::InvalidData, "pages that were not expected");
        let end = address.checked_add(length).ok_or_else(unexpected)?;
        if self.ranges.range(..=address).next_back().is_none_or(|(_, &last)| end > last) {
            return Err(unexpected());
        }
        let Place { file, offset, tell } = self.to.as_ref().ok_or_else(unexpected)?;
        // They may come again, but what was there first counts: it may be in use.
        while let Some(page) = self.missing.next_before(address, end) {
            let run = self.missing.run(page, end - page);
            match content {
                Content::Bytes(bytes) => {
                    let bytes = &bytes[(run.start - address) as usize..(run.end - address) as usize];
                    file.write_all_at(bytes, offset + run.start)?;
                }
                // Something that came before the program stopped may be there.
                Content::Zeros => {
                    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
                    fallocate(file, flags, offset + run.start, run.end - run.start)?;
                }
            }
            self.missing.settle(run.clone());
            self.left -= run.end - run.start;
            if let Some(tell) = tell {
                tell(News::Come(run));
            }
        }
        Ok(())
    }
}

/// What pages hold.
enum Content<'a> {
    Bytes(&'a [u8]),
    Zeros,
}

/// Where pages go, and who is told of them.
struct Place {
    file: File,
    /// Where in that address 0 would be.
    offset: u64,
    tell: Option<Tell>,
}

impl fmt::Debug for Rest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Rest").finish_non_exhaustive()
    }
}

impl Rest {
    /// Nothing, so far.
    #[must_use]
    pub fn new(ask: Ask) -> Rest {
        Rest { ask, state: Mutex::default(), changed: Condvar::new() }
    }

    /// These pages of a process, which nobody else has named, come later. Before the program is put in place.
    pub fn expect(&self, process: Id, ranges: impl IntoIterator<Item = Range<u64>>) {
        let mut state = lock(&self.state);
        let before = state.processes.remove(&process).map_or_else(BTreeMap::new, |awaited| awaited.ranges);
        let new = ranges.into_iter().map(|range| (range.start, range.end));
        let ranges: BTreeMap<u64, u64> = before.into_iter().chain(new).filter(|(start, end)| start < end).collect();
        let left = ranges.iter().map(|(start, end)| end - start).sum();
        let missing = Absent::new(ranges.iter().map(|(&start, &end)| start..end).collect());
        state.processes.insert(process, Awaited { ranges, missing, left, asked: Vec::new(), to: None });
    }

    /// Whether everything has come.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        lock(&self.state).processes.values().all(|awaited| awaited.left == 0)
    }

    /// Pages have come, perhaps once more.
    ///
    /// # Errors
    /// If they were not expected, or there is no memory for them: nothing of the program can be trusted then.
    pub fn come(&self, Pages { process, runs, zeros }: &Pages) -> io::Result<()> {
        let unexpected = || io::Error::new(io::ErrorKind::InvalidData, "pages of an unknown process");
        {
            let mut state = lock(&self.state);
            let awaited = state.processes.get_mut(process).ok_or_else(unexpected)?;
            for (address, bytes) in runs {
                awaited.take(*address, bytes.len() as u64, &Content::Bytes(bytes))?;
            }
            for (address, length) in zeros {
                awaited.take(*address, *length, &Content::Zeros)?;
            }
        }
        self.changed.notify_all();
        Ok(())
    }

    /// What of each process has not come: sorted ranges.
    #[must_use]
    pub fn missing(&self) -> Vec<(Id, Vec<Range<u64>>)> {
        let state = lock(&self.state);
        let each = state.processes.iter().map(|(&id, awaited)| (id, awaited.missing.runs().collect()));
        each.collect()
    }

    /// Asks once more for what has been asked for and has not come.
    pub fn ask_again(&self) {
        let mut asked = Vec::new();
        for (&id, awaited) in &mut lock(&self.state).processes {
            let Awaited { asked: ranges, missing, .. } = awaited;
            ranges.retain(|range| missing.next_before(range.start, range.end).is_some());
            asked.extend(ranges.iter().map(|range| (id, range.clone())));
        }
        asked.into_iter().for_each(|(id, range)| (self.ask)(id, range));
    }

    /// What has not come will not.
    pub fn lose(&self, reason: &str) {
        let mut state = lock(&self.state);
        state.lost = Some(reason.to_owned());
        let waiting = state.processes.values().filter(|awaited| awaited.left > 0);
        for tell in waiting.filter_map(|awaited| awaited.to.as_ref()?.tell.as_ref()) {
            tell(News::Lost(reason.to_owned()));
        }
        drop(state);
        self.changed.notify_all();
    }

    /// What of a process comes later: sorted ranges.
    pub(crate) fn of(&self, process: Id) -> Vec<Range<u64>> {
        lock(&self.state).processes.get(&process).map_or_else(Vec::new, Awaited::ranges)
    }

    /// Asks for pages.
    pub(crate) fn ask(&self, process: Id, range: Range<u64>) {
        if let Some(Awaited { asked, missing, .. }) = lock(&self.state).processes.get_mut(&process) {
            asked.retain(|range| missing.next_before(range.start, range.end).is_some());
            asked.push(range.clone());
        }
        (self.ask)(process, range);
    }

    /// Has pages of a process go into a file, at this offset to their addresses, and `tell` hear of them.
    pub(crate) fn bring_to(&self, process: Id, file: File, offset: u64, tell: impl Fn(News) + Send + 'static) {
        let mut state = lock(&self.state);
        if let Some(reason) = &state.lost {
            tell(News::Lost(reason.clone()));
        }
        if let Some(awaited) = state.processes.get_mut(&process) {
            awaited.to = Some(Place { file, offset, tell: Some(Box::new(tell)) });
        }
    }

    /// Waits until all pages of a process are in a file, at this offset to their addresses.
    ///
    /// # Errors
    /// If they do not come.
    pub(crate) fn wait_for(&self, process: Id, file: File, offset: u64) -> io::Result<()> {
        let mut state = lock(&self.state);
        let Some(awaited) = state.processes.get_mut(&process) else { return Ok(()) };
        awaited.to = Some(Place { file, offset, tell: None });
        let ends = awaited.ranges.keys().next().copied().zip(awaited.ranges.values().next_back().copied());
        drop(state);
        // What lies between the ranges does not come. Thousands of questions would fill the connection, and nobody would hear them while the answers fill it, too.
        if let Some((start, end)) = ends {
            self.ask(process, start..end);
        }
        let mut state = lock(&self.state);
        while state.processes.get(&process).is_some_and(|awaited| awaited.left > 0) {
            if let Some(reason) = &state.lost {
                return Err(io::Error::other(reason.clone()));
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }
}
