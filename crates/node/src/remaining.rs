//! Memory of a program that stays at the node which the program leaves, until the program has been taken over and has got it (docs/nodes.md): first in the processes, then copied,
//! so that nothing else of the program stays. What has been sent is kept, as the connection may be lost with it.

use crate::absent::Absent;
use crate::page::{PAGE, same};
use crate::processes::Id;
use crate::tracker::Tracker;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// Bytes of a piece, at most, and about as many are taken at a time.
const PIECE: u64 = 16 * PAGE;

/// Pages of a process, by their addresses.
#[derive(Debug)]
pub struct Pages {
    /// The process.
    pub process: Id,
    /// Each with where they begin.
    pub runs: Vec<(u64, Vec<u8>)>,
    /// Those that hold only zeros: where they begin, and how many bytes.
    pub zeros: Vec<(u64, u64)>,
}

impl Pages {
    /// How many bytes they are.
    #[must_use]
    pub fn size(&self) -> u64 {
        let zeros: u64 = self.zeros.iter().map(|(_, length)| length).sum();
        self.runs.iter().map(|(_, bytes)| bytes.len() as u64).sum::<u64>() + zeros
    }
}

/// What remains. Each page of it is given once, unless it is said to be lacking.
#[derive(Default)]
pub struct Remaining {
    processes: BTreeMap<Id, Process>,
}

struct Process {
    tracker: Arc<Tracker>,
    ranges: Vec<Range<u64>>,
    pieces: BTreeMap<u64, Piece>,
    /// Those before this address have been copied.
    copied: u64,
    /// What has still to be given.
    left: Absent,
    /// Where to go on: what lies behind the last that was asked for is likely to be asked for next.
    cursor: u64,
}

/// Pages without a gap.
enum Piece {
    /// So many bytes, in the process.
    There(u64),
    Copied(Vec<u8>),
}

impl fmt::Debug for Remaining {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.processes.keys()).finish()
    }
}

impl Remaining {
    /// Pages of a process that waits, of which nothing was added before. The ranges are sorted and do not overlap.
    pub(crate) fn add(&mut self, process: Id, tracker: &Arc<Tracker>, ranges: Vec<Range<u64>>) {
        if ranges.is_empty() {
            return;
        }
        let pieces = ranges.iter().flat_map(|range| {
            let each = (range.start..range.end).step_by(PIECE as usize);
            each.map(|start| (start, Piece::There((range.end - start).min(PIECE))))
        });
        let pieces = pieces.collect();
        let left = Absent::new(ranges.clone());
        let added = Process { tracker: Arc::clone(tracker), ranges, pieces, copied: 0, left, cursor: 0 };
        self.processes.insert(process, added);
    }

    /// Whether nothing is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.processes.is_empty()
    }

    /// Nobody needs it any more.
    pub fn clear(&mut self) {
        self.processes.clear();
    }

    /// Which pages of each process are kept: sorted ranges.
    pub fn ranges(&self) -> impl Iterator<Item = (Id, &[Range<u64>])> {
        self.processes.iter().map(|(&id, process)| (id, &*process.ranges))
    }

    /// What of a process is to be given from now on, whatever was given before: sorted ranges.
    pub fn is_lacking(&mut self, process: Id, ranges: &[Range<u64>]) {
        if let Some(process) = self.processes.get_mut(&process) {
            process.left = Absent::new(process.ranges.clone());
            process.left.keep_only(ranges);
        }
    }

    /// Copies a piece that is in a process yet; whether there was one.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn copy_one(&mut self) -> io::Result<bool> {
        for process in self.processes.values_mut() {
            let Process { tracker, pieces, copied, .. } = process;
            if let Some((&start, piece)) = pieces.range_mut(*copied..).next() {
                if let Piece::There(length) = piece {
                    *piece = Piece::Copied(read(tracker, start, *length)?);
                }
                *copied = start + 1;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes some of what is left of a range, so little that it fits into a message; nothing if nothing is left.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn take(&mut self, id: Id, range: &Range<u64>) -> io::Result<Pages> {
        let mut pages = Pages { process: id, runs: Vec::new(), zeros: Vec::new() };
        if let Some(process) = self.processes.get_mut(&id) {
            process.take(range, &mut pages)?;
        }
        Ok(pages)
    }

    /// Takes some of all that is left. `None` if nothing is.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn take_next(&mut self) -> io::Result<Option<Pages>> {
        for (&id, process) in &mut self.processes {
            let mut pages = Pages { process: id, runs: Vec::new(), zeros: Vec::new() };
            process.take(&(process.cursor..u64::MAX), &mut pages)?;
            if pages.size() == 0 {
                process.take(&(0..process.cursor), &mut pages)?;
            }
            if pages.size() > 0 {
                return Ok(Some(pages));
            }
        }
        Ok(None)
    }
}

impl Process {
    fn take(&mut self, range: &Range<u64>, pages: &mut Pages) -> io::Result<()> {
        let (mut size, mut at) = (0, range.start);
        while size < PIECE
            && let Some(page) = self.left.next_before(at, range.end)
        {
            let run = self.left.run(page, PIECE.min(range.end - page));
            let content = self.content(&run)?;
            let mut done = 0;
            while done < content.len() {
                let (is_zero, same) = same(&content[done..]);
                let start = run.start + done as u64;
                match is_zero {
                    true => pages.zeros.push((start, same.len() as u64)),
                    false => pages.runs.push((start, same.to_vec())),
                }
                done += same.len();
            }
            (size, at) = (size + (run.end - run.start), run.end);
            self.left.settle(run);
            self.cursor = at;
        }
        Ok(())
    }

    /// Of pages without a gap.
    fn content(&self, run: &Range<u64>) -> io::Result<Vec<u8>> {
        let mut content = Vec::with_capacity((run.end - run.start) as usize);
        let mut at = run.start;
        while at < run.end
            && let Some((&start, piece)) = self.pieces.range(..=at).next_back()
        {
            match piece {
                Piece::There(length) => {
                    let length = (start + length).min(run.end) - at;
                    content.extend(read(&self.tracker, at, length)?);
                }
                Piece::Copied(bytes) => {
                    let end = bytes.len().min((run.end - start) as usize);
                    content.extend_from_slice(&bytes[(at - start) as usize..end]);
                }
            }
            at = run.start + content.len() as u64;
        }
        Ok(content)
    }
}

fn read(tracker: &Tracker, start: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length as usize];
    let mut done = 0;
    while done < bytes.len() {
        match tracker.read(&mut bytes[done..], start + done as u64)? {
            // The process has been killed.
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => done += read,
        }
    }
    Ok(bytes)
}
