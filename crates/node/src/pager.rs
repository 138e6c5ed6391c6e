//! Brings the pages of a process that has moved from where it was to where it is, while it runs (docs/protocol.md): first those that it waits for, and
//! meanwhile all others.
//!
//! A thread of its own per move. What was never touched is zeros; what the process gives up meanwhile (`munmap`, `MADV_DONTNEED`) is not brought.
//! The thread goes on to serve until it is dropped: as long as anybody has the userfaultfd, somebody must.

mod target;

pub(crate) use self::target::{Offer, Target};
use crate::absent::Absent;
use crate::maps;
use crate::page::{PAGE, same};
use crate::processes::Id;
use crate::rest::{News, Rest};
use crate::stored::Stored;
use crate::userfaultfd::{Obstacle, Told, Userfaultfd};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::Pid;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write as _};
use std::ops::Range;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};

/// Bytes brought with a page that the process waits for: what lies behind it is likely to be next.
const WINDOW: u64 = 16 * PAGE;
/// Bytes brought at a time otherwise. A page that the process waits for waits as long as this takes.
const CHUNK: u64 = 32 * PAGE;

/// What has been brought.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Brought {
    /// Bytes, without pages of zeros.
    pub(crate) bytes: u64,
    /// How often the process had to wait for a page.
    pub(crate) faults: u64,
}

/// Where pages come from.
pub(crate) enum Source {
    /// The memory of the process's old host (`/proc/PID/mem`), from which they go for good when that is killed.
    Host(OwnedFd),
    /// A file with the pages in these sorted ranges at an offset to their addresses. When all are there, nothing of the process is watched any more, which may keep a
    /// copy of the userfaultfd.
    Image {
        file: OwnedFd,
        offset: u64,
        /// Those that are in other files.
        stored: Stored,
        touched: Vec<Range<u64>>,
        /// What the process is likely to need first, from the last of these on.
        first: Vec<Range<u64>>,
        process: Pid,
        /// By which some of them come into the file later.
        rest: Option<(Id, Arc<Rest>)>,
    },
}

/// What the thread is told.
enum Word {
    /// Only these pages hold something.
    Touched(Vec<Range<u64>>),
    /// Of pages that come into the file later.
    Rest(News),
    /// Nobody needs it any more.
    Stop,
}

/// How it has ended: everything that is needed has been brought, or why it cannot be.
pub(crate) type Outcome = Result<Brought, String>;

/// Brings pages until it is dropped.
pub(crate) struct Pager {
    words: Sender<Word>,
    waker: io::PipeWriter,
    done: io::PipeReader,
    outcome: Arc<OnceLock<Outcome>>,
    thread: Option<JoinHandle<()>>,
}

impl Pager {
    /// Begins to bring the pages of `regions`.
    pub(crate) fn start(target: Target, regions: Vec<Range<u64>>, source: Source) -> io::Result<Pager> {
        let (words, heard) = channel();
        let (woken, waker) = io::pipe()?;
        let (done, tell) = io::pipe()?;
        let outcome = Arc::new(OnceLock::new());
        let mut absent = Absent::new(regions.clone());
        let mut late = Late { absent: Absent::new(Vec::new()), ask: None, asked: Vec::new(), stalled: Vec::new() };
        let (source, offset, stored, first, watched) = match source {
            Source::Host(memory) => (memory, 0, Stored::default(), Vec::new(), None),
            Source::Image { file, offset, stored, touched, first, process, rest } => {
                absent.keep_only(&touched);
                if let Some((id, rest)) = rest {
                    late.absent = Absent::new(regions.clone());
                    late.absent.keep_only(&[]);
                    for range in rest.of(id) {
                        late.absent.take_over(&mut absent, &range);
                    }
                    let (words, waker) = (words.clone(), waker.try_clone()?);
                    rest.bring_to(id, file.try_clone()?.into(), offset, move |news| {
                        // It may have ended.
                        let _ = words.send(Word::Rest(news));
                        let _ = (&waker).write_all(&[0]);
                    });
                    late.ask = Some((id, rest));
                }
                (file, offset, stored, first, Some(Watched { process, regions }))
            }
        };
        let worker = Worker {
            target,
            source: source.into(),
            offset,
            stored,
            is_listed: watched.is_some(),
            watched,
            absent,
            late,
            waiting: VecDeque::new(),
            first,
            cursor: 0,
            brought: Brought::default(),
            buffer: vec![0; CHUNK as usize],
        };
        let known = Arc::clone(&outcome);
        let thread = thread::Builder::new()
            .name(String::from("pager"))
            .spawn(move || worker.work(&heard, &woken, &Report { outcome: known, tell }))?;
        Ok(Pager { words, waker, done, outcome, thread: Some(thread) })
    }

    /// Tells which pages were touched at the source: sorted ranges. Before that only those are brought that the process waits for.
    pub(crate) fn list(&self, touched: Vec<Range<u64>>) {
        self.say(Word::Touched(touched));
    }

    fn say(&self, word: Word) {
        // It may have ended, which its outcome tells.
        let _ = self.words.send(word);
        let _ = (&self.waker).write_all(&[0]);
    }

    /// Becomes readable when there is an outcome.
    pub(crate) fn done(&self) -> BorrowedFd<'_> {
        self.done.as_fd()
    }

    /// What has become of it, when that is known.
    pub(crate) fn outcome(&self) -> Option<&Outcome> {
        self.outcome.get()
    }
}

impl Drop for Pager {
    fn drop(&mut self) {
        self.say(Word::Stop);
        if let Some(thread) = self.thread.take() {
            // A panic has been reported on standard error, and as the outcome.
            let _ = thread.join();
        }
    }
}

/// Tells the outcome, whatever happens to the thread.
struct Report {
    outcome: Arc<OnceLock<Outcome>>,
    tell: io::PipeWriter,
}

impl Report {
    fn tell(&self, outcome: Outcome) {
        if self.outcome.set(outcome).is_ok() {
            // Who waits has gone.
            let _ = (&self.tell).write_all(&[0]);
        }
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        self.tell(Err(String::from("the thread that brings its pages has failed")));
    }
}

/// Why the work is at an end.
enum End {
    /// Nobody needs pages any more.
    Needless,
    Failed(String),
}

/// Regions of a process that are watched.
struct Watched {
    process: Pid,
    regions: Vec<Range<u64>>,
}

/// What is not in the file yet.
struct Late {
    absent: Absent,
    /// Who is asked for it, and for which process.
    ask: Option<(Id, Arc<Rest>)>,
    /// What has been asked for and has not come.
    asked: Vec<Range<u64>>,
    /// Pages of it that the process waits for.
    stalled: Vec<u64>,
}

impl Late {
    /// Asks for what begins with this page, which the process waits for; whether that is to come.
    fn awaits(&mut self, page: u64) -> bool {
        let run = self.absent.run(page, WINDOW);
        if run.is_empty() {
            return false;
        }
        self.stalled.push(page);
        if let Some((id, rest)) = self.ask.as_ref().filter(|_| !self.asked.iter().any(|asked| asked.contains(&page))) {
            rest.ask(*id, run.clone());
            self.asked.push(run);
        }
        true
    }

    /// A range is not late any more: the pages of it that the process waits for.
    fn settle(&mut self, range: &Range<u64>) -> Vec<u64> {
        self.absent.settle(range.clone());
        let absent = &self.absent;
        self.asked.retain(|asked| absent.next_before(asked.start, asked.end).is_some());
        self.stalled.extract_if(.., |page| range.contains(page)).collect()
    }
}

struct Worker {
    target: Target,
    source: File,
    /// Where in that address 0 would be.
    offset: u64,
    /// What is in other files.
    stored: Stored,
    /// What is to be brought and is in the source.
    absent: Absent,
    late: Late,
    /// All pages that are absent are needed.
    is_listed: bool,
    /// What is not to be watched when there is nothing to bring any more.
    watched: Option<Watched>,
    /// Pages that the process waits for.
    waiting: VecDeque<u64>,
    /// What is brought when it waits for none, from the last of these on.
    first: Vec<Range<u64>>,
    /// Where to go on otherwise.
    cursor: u64,
    brought: Brought,
    buffer: Vec<u8>,
}

impl Worker {
    fn work(mut self, heard: &Receiver<Word>, woken: &io::PipeReader, report: &Report) {
        match self.serve(heard, woken, report) {
            Ok(()) => {}
            Err(End::Needless) => report.tell(Ok(self.brought)),
            Err(End::Failed(reason)) => {
                report.tell(Err(reason));
                // Whoever waits for a page is not to go on: the userfaultfd stays open until the process has been ended.
                while !matches!(heard.recv(), Ok(Word::Stop) | Err(_)) {}
            }
        }
    }

    /// Returns when the pager is dropped.
    fn serve(&mut self, heard: &Receiver<Word>, woken: &io::PipeReader, report: &Report) -> Result<(), End> {
        loop {
            self.hear()?;
            if let Some(page) = self.waiting.pop_front() {
                self.answer(page)?;
                continue;
            }
            // To the last word, before resting: what wakes is read without regard to how many it was said for.
            match heard.try_recv() {
                Ok(Word::Touched(touched)) => {
                    self.absent.keep_only(&touched);
                    self.is_listed = true;
                    continue;
                }
                Ok(Word::Rest(News::Come(range))) => {
                    self.absent.take_over(&mut self.late.absent, &range);
                    self.waiting.extend(self.late.settle(&range));
                    continue;
                }
                Ok(Word::Rest(News::Lost(reason))) if !self.late.absent.is_empty() => return Err(End::Failed(reason)),
                Ok(Word::Rest(News::Lost(_))) => continue,
                Ok(Word::Stop) | Err(TryRecvError::Disconnected) => return Ok(()),
                Err(TryRecvError::Empty) => {}
            }
            if self.is_listed {
                if let Some(run) = self.next_of_first() {
                    self.bring(run)?;
                    continue;
                }
                if let Some(page) = self.absent.next(self.cursor) {
                    self.cursor = self.bring(self.absent.run(page, CHUNK))?;
                    continue;
                }
                if !self.late.absent.is_empty() {
                    self.rest(woken)?;
                    continue;
                }
                if !self.end() {
                    // The process is changing its memory.
                    thread::yield_now();
                    continue;
                }
                report.tell(Ok(self.brought));
            }
            self.rest(woken)?;
        }
    }

    /// Nothing is missing any more: whether that has been said to who is to know.
    fn end(&mut self) -> bool {
        let is_said = match (&self.target, &self.watched) {
            (Target::Board(mapped), _) => {
                mapped.complete();
                true
            }
            (Target::Userfaultfd(userfaultfd), Some(watched)) => watched.end(userfaultfd),
            (Target::Userfaultfd(_), None) => true,
        };
        if is_said {
            self.watched = None;
            self.stored.clear();
        }
        is_said
    }

    /// Waits until there is something to do.
    fn rest(&self, mut woken: &io::PipeReader) -> Result<(), End> {
        let mut descriptors = [
            PollFd::from_borrowed_fd(self.target.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(woken.as_fd(), PollFlags::IN),
        ];
        match poll(&mut descriptors, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(End::Failed(format!("waiting for missing pages: {error}"))),
        }
        if descriptors[1].revents().contains(PollFlags::IN) {
            let mut bytes = [0; 64];
            let _ = io::Read::read(&mut woken, &mut bytes);
        }
        Ok(())
    }

    fn hear(&mut self) -> Result<(), End> {
        let Worker { target, absent, late, waiting, brought, .. } = self;
        let heard = target.hear(|told| match told {
            Told::Missing(address) => {
                brought.faults += 1;
                waiting.push_back(address / PAGE * PAGE);
            }
            Told::Removed { start, end } => {
                absent.settle(start..end);
                waiting.extend(late.settle(&(start..end)));
            }
        });
        heard.map_err(|error| End::Failed(format!("hearing of missing pages: {error}")))
    }

    /// Gives the process a page that it waits for.
    fn answer(&mut self, page: u64) -> Result<(), End> {
        let run = self.absent.run(page, WINDOW);
        if !run.is_empty() {
            let brought_to = self.bring(run)?;
            if brought_to == page {
                self.waiting.push_back(page);
            } else {
                self.cursor = brought_to;
            }
            return Ok(());
        }
        if self.late.awaits(page) {
            return Ok(());
        }
        // It was never touched, has been given up, or has come since.
        match self.target.zero(page, PAGE as usize) {
            (_, None) => {}
            (_, Some(Obstacle::Present | Obstacle::Unmapped)) => self.target.wake(page, PAGE),
            (_, Some(Obstacle::Changing)) => {
                self.waiting.push_back(page);
                thread::yield_now();
            }
            (_, Some(obstacle)) => return Err(obstacle.into()),
        }
        Ok(())
    }

    /// What is next of what the process is likely to need first.
    fn next_of_first(&mut self) -> Option<Range<u64>> {
        while let Some(range) = self.first.last() {
            if let Some(page) = self.absent.next_before(range.start, range.end) {
                return Some(self.absent.run(page, CHUNK.min(range.end - page)));
            }
            self.first.pop();
        }
        None
    }

    /// Brings pages that are absent. Returns up to where: less far if the process is changing its memory.
    fn bring(&mut self, run: Range<u64>) -> Result<u64, End> {
        let length = (run.end - run.start) as usize;
        let mut buffer = std::mem::take(&mut self.buffer);
        let content = &mut buffer[..length];
        let in_source = |address, bytes: &mut [u8]| self.source.read_exact_at(bytes, self.offset + address);
        self.stored.read(run.start, content, in_source).map_err(|error| {
            End::Failed(match error.kind() {
                io::ErrorKind::UnexpectedEof => String::from("it has ended"),
                _ => format!("its memory cannot be read: {error}"),
            })
        })?;
        let mut at = 0;
        while at < length {
            let (is_zero, piece) = same(&content[at..]);
            if !self.put(run.start + at as u64, piece, is_zero)? {
                break;
            }
            at += piece.len();
        }
        self.buffer = buffer;
        Ok(run.start + at as u64)
    }

    /// Puts pages in place; whether that was possible.
    fn put(&mut self, address: u64, content: &[u8], is_zero: bool) -> Result<bool, End> {
        let mut at = 0;
        // What a request is for: pages one by one where not all can be put in place alike.
        let mut most = content.len();
        while at < content.len() {
            let to = address + at as u64;
            let rest = &content[at..content.len().min(at + most)];
            let (done, obstacle) = if is_zero { self.target.zero(to, rest.len()) } else { self.target.copy(to, rest) };
            let done = match obstacle {
                None => {
                    self.brought.bytes += if is_zero { 0 } else { done as u64 };
                    done
                }
                Some(Obstacle::Present | Obstacle::Unmapped) if rest.len() > PAGE as usize => {
                    most = PAGE as usize;
                    continue;
                }
                Some(Obstacle::Present | Obstacle::Unmapped) => {
                    self.target.wake(to, PAGE);
                    PAGE as usize
                }
                Some(Obstacle::Changing) => {
                    thread::yield_now();
                    return Ok(false);
                }
                Some(obstacle) => return Err(obstacle.into()),
            };
            self.absent.settle(to..to + done as u64);
            at += done;
        }
        Ok(true)
    }
}

impl From<Obstacle> for End {
    fn from(obstacle: Obstacle) -> End {
        match obstacle {
            Obstacle::Ended => End::Needless,
            Obstacle::Failed(error) => End::Failed(format!("a page cannot be put in place: {error}")),
            obstacle => End::Failed(format!("a page cannot be put in place: {obstacle:?}")),
        }
    }
}

impl Watched {
    /// Ends it; whether it could be ended.
    fn end(&self, userfaultfd: &Userfaultfd) -> bool {
        // A process that has ended has nothing to watch.
        let Ok(mappings) = maps::of(self.process) else { return true };
        let is_watched =
            |range: &Range<u64>| self.regions.iter().any(|region| region.start < range.end && range.start < region.end);
        let mut watched = mappings.iter().filter(|mapping| mapping.is_anonymous() && is_watched(&mapping.range));
        watched.all(|mapping| userfaultfd.unregister(&mapping.range))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use maize_abi::board;
    use rustix::event::{EventfdFlags, eventfd};
    use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
    use std::slice;
    use std::time::Duration;

    /// Its process may end when all that it touched has come by faults already: two words at once, and nothing to do for the first.
    #[test]
    fn a_pager_that_is_not_needed_any_more_hears_that_whatever_it_was_told_before() {
        let (tell, told) = channel();
        thread::spawn(move || {
            for _ in 0..2000 {
                let [memory, source, file] =
                    ["memory", "source", "board"].map(|name| memfd_create(name, MemfdFlags::CLOEXEC).unwrap());
                ftruncate(&file, board::size(1)).unwrap();
                let offer = Offer::new(vec![memory, eventfd(0, EventfdFlags::NONBLOCK).unwrap()]).unwrap();
                let region = PAGE..2 * PAGE;
                let target = Target::new(offer, Some(file), slice::from_ref(&region)).unwrap();
                let pager = Pager::start(target, [region].into(), Source::Host(source)).unwrap();
                // Most of them rest by then.
                thread::sleep(Duration::from_micros(200));
                pager.list(Vec::new());
                drop(pager);
            }
            tell.send(()).unwrap();
        });
        told.recv_timeout(Duration::from_secs(60)).expect("a pager that goes on");
    }
}
