//! Pre-copy (Clark and others, Live Migration of Virtual Machines, NSDI 2005): the program's memory goes to where the program will go, or into the file of a snapshot, while it still runs;
//! what it changes meanwhile goes again, in rounds, and what is left when it stops is little.

mod beside;

use self::beside::written_beside;
use crate::page::{PAGE, same};
use crate::processes::Id;
use crate::remaining::Remaining;
use crate::sent::Sent;
use crate::tracker::Tracker;
use maize_snapshot::{Image, SnapshotError, Writer};
use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Write};
use std::iter;
use std::marker;
use std::mem;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes of a process that are read at a time: they are still in the processor's cache when they are looked at.
const PIECE: usize = 1 << 18;
/// Rounds in which memory goes ahead.
const MOST_ROUNDS: u32 = 10;
/// What goes in less time than this may as well go while the program waits.
const SHORT_ROUND: Duration = Duration::from_millis(2);

/// What is worth a thread that writes while more is read, in bytes.
const LARGE_ROUND: u64 = 4 << 20;

/// The processes of a program whose changes are known, and what has been sent of them.
#[derive(Default)]
pub struct Precopy {
    processes: Vec<Process>,
    image: Image,
    /// Bytes that went in the last round, and how long that took.
    pace: Option<(u64, Duration)>,
}

/// Which pages of regions of a process that waits hold something, and which of these have been changed since the last round.
pub(crate) struct Changes {
    touched: Vec<Range<u64>>,
    changed: Vec<Range<u64>>,
}

impl Changes {
    /// Bytes that have been changed.
    pub(crate) fn size(&self) -> u64 {
        self.changed.iter().map(|range| range.end - range.start).sum()
    }
}

struct Process {
    id: Id,
    tracker: Arc<Tracker>,
    /// Pages that were zeros when they were looked at last. These are not sent, also when they held something before.
    zeros: BTreeSet<u64>,
    /// What has been sent, if pages may be as they were.
    sent: Option<Sent>,
}

impl fmt::Debug for Precopy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.processes.iter().map(|process| process.id)).finish()
    }
}

impl Precopy {
    pub(crate) fn new(trackers: Vec<(Id, Arc<Tracker>)>) -> Precopy {
        let mut precopy = Precopy::default();
        precopy.add(trackers);
        precopy
    }

    /// Processes of which nothing has been sent.
    pub(crate) fn add(&mut self, trackers: Vec<(Id, Arc<Tracker>)>) {
        self.processes.extend(trackers.into_iter().map(|(id, tracker)| {
            let sent = (!tracker.is_exact()).then(Sent::default);
            Process { id, tracker, zeros: BTreeSet::new(), sent }
        }));
    }

    /// Leaves out processes that have ended, or whose changes are not known by the same tracker any more.
    pub(crate) fn keep(&mut self, is_there: impl Fn(Id, &Arc<Tracker>) -> bool) {
        self.processes.retain(|process| is_there(process.id, &process.tracker));
    }

    /// Whether nothing is known of any process.
    pub(crate) fn is_empty(&self) -> bool {
        self.processes.is_empty()
    }

    /// Whether the changes of this process are known by this tracker.
    pub(crate) fn knows(&self, id: Id, tracker: &Arc<Tracker>) -> bool {
        self.processes.iter().any(|process| process.id == id && Arc::ptr_eq(&process.tracker, tracker))
    }

    /// Has memory go ahead: calls `round`, which is to call [`Precopy::round`], with its number from 1, until a round takes little time or sends nothing or not much less than the one before.
    /// `round` returns how many bytes were sent.
    ///
    /// # Errors
    /// Those of `round`.
    pub fn rounds<E>(&mut self, mut round: impl FnMut(&mut Precopy, u32) -> Result<u64, E>) -> Result<(), E> {
        let mut before = u64::MAX;
        for number in 1..=MOST_ROUNDS {
            let began = Instant::now();
            let sent = round(self, number)?;
            self.pace = Some((sent, began.elapsed()));
            if began.elapsed() < SHORT_ROUND || sent == 0 || sent > before / 2 {
                break;
            }
            before = sent;
        }
        Ok(())
    }

    /// Sends what has been changed since the last round, the first time everything. Returns how many bytes that was.
    ///
    /// # Errors
    /// If it cannot be written. Processes of which nothing can be known are left out from then on.
    pub fn round<W: Write>(&mut self, writer: &mut Writer<W>) -> Result<u64, SnapshotError> {
        let changed = self.take_changed();
        self.send(&changed, &mut |id, image| writer.image(id, image))
    }

    /// The same to a file, for which another thread writes while more is read. On a link that thread costs more than it brings: who seals and who sends keep a processor busy each
    /// (docs/benchmarks.md).
    ///
    /// # Errors
    /// As [`Precopy::round`].
    pub(crate) fn round_to_file<W: Write + marker::Send>(
        &mut self,
        writer: &mut Writer<W>,
    ) -> Result<u64, SnapshotError> {
        let changed = self.take_changed();
        let size: u64 = changed.iter().flatten().map(|range| range.end - range.start).sum();
        match size > LARGE_ROUND {
            true => written_beside(writer, |send| self.send(&changed, send)),
            false => self.send(&changed, &mut |id, image| writer.image(id, image)),
        }
    }

    /// What has been changed of each process. Those of which that cannot be known are left out from now on.
    fn take_changed(&mut self) -> Vec<Vec<Range<u64>>> {
        let changed = mem::take(&mut self.processes).into_iter().filter_map(|process| {
            let changed = process.tracker.take_changed().ok()?;
            Some((process, changed))
        });
        let (known, changed) = changed.unzip();
        self.processes = known;
        changed
    }

    /// Gives `send` these pages of each process.
    fn send(&mut self, changed: &[Vec<Range<u64>>], send: &mut Send<'_>) -> Result<u64, SnapshotError> {
        let Precopy { processes, image, .. } = self;
        processes.iter_mut().zip(changed).map(|(process, changed)| process.send(changed, image, send)).sum()
    }

    /// Whether so many bytes would take long to send, as far as the rounds tell.
    pub(crate) fn takes_long(&self, bytes: u64) -> bool {
        self.pace.is_some_and(|(sent, time)| {
            let in_that_time = SHORT_ROUND.as_secs_f64() * sent as f64 / time.as_secs_f64();
            sent > 0 && bytes as f64 > in_that_time
        })
    }

    /// What has been changed in these regions of a process that waits since the last round.
    ///
    /// # Errors
    /// If it cannot be known.
    pub(crate) fn changes(&mut self, id: Id, regions: &[Range<u64>]) -> io::Result<Changes> {
        let (process, _) = self.process(id)?;
        let mut changes = Changes { touched: Vec::new(), changed: Vec::new() };
        for region in regions {
            // First: the kernel makes huge pages also of a process that waits (khugepaged), and what only they have filled, with zeros, has not been looked at.
            changes.touched.extend(process.tracker.touched(region)?);
            let changed = process.tracker.take_changed_in(region)?;
            changes.changed.extend(match &process.sent {
                Some(sent) => sent.others(&changed, &process.tracker, &process.zeros),
                None => changed,
            });
        }
        Ok(changes)
    }

    /// Gives `send` what has been changed. Returns which pages are to be in the process's image.
    ///
    /// # Errors
    /// If it cannot be read, or `send` fails.
    pub(crate) fn finish(
        &mut self,
        id: Id,
        changes: &Changes,
        send: &mut Send<'_>,
    ) -> Result<Vec<Range<u64>>, SnapshotError> {
        let (process, image) = self.process(id)?;
        process.send(&changes.changed, image, send)?;
        Ok(without(&changes.touched, &process.zeros))
    }

    /// Has what has been changed remain in the process. Returns which pages are to be in its image.
    ///
    /// # Errors
    /// If there is no such process.
    pub(crate) fn leave(
        &mut self,
        id: Id,
        changes: &Changes,
        remaining: &mut Remaining,
    ) -> io::Result<Vec<Range<u64>>> {
        let (process, _) = self.process(id)?;
        // Whether they are zeros will not be looked at.
        for range in &changes.changed {
            let zeros: Vec<u64> = process.zeros.range(range.clone()).copied().collect();
            for page in zeros {
                process.zeros.remove(&page);
            }
        }
        remaining.add(id, &process.tracker, common(&changes.touched, &changes.changed));
        Ok(without(&changes.touched, &process.zeros))
    }

    fn process(&mut self, id: Id) -> io::Result<(&mut Process, &mut Image)> {
        let Precopy { processes, image, .. } = self;
        let process = processes.iter_mut().find(|process| process.id == id);
        Ok((process.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?, image))
    }
}

/// Takes pages of a process. It may keep the image and leave an empty one.
pub(crate) type Send<'a> = dyn FnMut(Id, &mut Image) -> Result<(), SnapshotError> + 'a;

impl Process {
    fn send(&mut self, ranges: &[Range<u64>], image: &mut Image, send: &mut Send<'_>) -> Result<u64, SnapshotError> {
        let mut sent = 0;
        for range in ranges {
            let mut at = range.start;
            while at < range.end {
                let room = image.room();
                let length = usize::try_from(range.end - at).unwrap_or(PIECE).min(PIECE).min(room.len());
                // What cannot be read is not there any more: it will not be in the list of what is touched, or has been changed.
                let read = self.tracker.read(&mut room[..length], at).unwrap_or(0) / PAGE as usize * PAGE as usize;
                sent += self.add(at, read, image);
                if image.is_full() {
                    send(self.id, image)?;
                    image.clear();
                }
                at += (read as u64).max(PAGE);
            }
        }
        if !image.is_empty() {
            send(self.id, image)?;
            image.clear();
        }
        Ok(sent)
    }

    /// Adds those of so many bytes that have been read into the image's room that are to be sent. Returns how many bytes these are.
    fn add(&mut self, address: u64, read: usize, image: &mut Image) -> u64 {
        let (mut at, mut sent) = (0, 0);
        while at < read {
            // What has been added is before the room.
            let (is_zero, piece) = same(&image.room()[at - sent..read - sent]);
            let start = address + at as u64;
            at += piece.len();
            let pages = (start..address + at as u64).step_by(PAGE as usize);
            if is_zero {
                self.zeros.extend(pages);
                continue;
            }
            if !self.zeros.is_empty() {
                pages.for_each(|page| {
                    self.zeros.remove(&page);
                });
            }
            for run in news(&mut self.sent, start, piece) {
                let before = (run.start - address) as usize - sent;
                let length = (run.end - run.start) as usize;
                image.add(run.start, before..before + length);
                sent += length;
            }
        }
        sent as u64
    }
}

/// Those of these pages that have to be sent.
fn news(sent: &mut Option<Sent>, address: u64, pages: &[u8]) -> Vec<Range<u64>> {
    let Some(sent) = sent else { return iter::once(address..address + pages.len() as u64).collect() };
    let each = (address..).step_by(PAGE as usize).zip(pages.chunks(PAGE as usize));
    let is_new: Vec<bool> = each.map(|(address, page)| sent.note(address, page)).collect();
    let mut at = address;
    let runs = is_new.chunk_by(|one, next| one == next).filter_map(|run| {
        let start = at;
        at += run.len() as u64 * PAGE;
        run[0].then_some(start..at)
    });
    runs.collect()
}

/// Sorted ranges without some pages.
fn without(ranges: &[Range<u64>], pages: &BTreeSet<u64>) -> Vec<Range<u64>> {
    let mut left = Vec::new();
    for range in ranges {
        let mut start = range.start;
        for &page in pages.range(range.clone()) {
            if start < page {
                left.push(start..page);
            }
            start = page + PAGE;
        }
        if start < range.end {
            left.push(start..range.end);
        }
    }
    left
}

/// What is in both of two lists of sorted ranges.
fn common(one: &[Range<u64>], other: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut both = Vec::new();
    let (mut ones, mut others) = (one.iter().peekable(), other.iter().peekable());
    while let (Some(one), Some(other)) = (ones.peek(), others.peek()) {
        let range = one.start.max(other.start)..one.end.min(other.end);
        if range.start < range.end {
            both.push(range);
        }
        let _ = if one.end < other.end { ones.next() } else { others.next() };
    }
    both
}

#[cfg(test)]
mod tests;
