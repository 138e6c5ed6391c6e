//! What a move has left behind: the host that the process was in keeps large regions until their pages have been brought (docs/protocol.md). Until then the process
//! does not move again, is not saved and does not fork.

use super::{Destination, Phase, Program};
use crate::error::RunError;
use crate::host::{Heard, Host, send};
use crate::pager::{Brought, Offer, Pager, Source, Target};
use crate::report::Fetched;
use maize_abi::control::{Kind, Message, Run};
use rustix::event::{PollFd, PollFlags, poll};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::time::Instant;

/// Memory that a destination says is absent, before and while its pages are brought.
#[derive(Default)]
pub(crate) struct Absent {
    pub(crate) regions: Vec<Range<u64>>,
    pub(super) pager: Option<Pager>,
}

impl Absent {
    /// The destination tells of regions.
    pub(crate) fn add(&mut self, message: &Message) {
        let (regions, _) = message.values.as_chunks();
        let regions = regions.iter().filter(|[address, _]| *address != 0);
        self.regions.extend(regions.map(|&[address, length]| address..address.saturating_add(length)));
    }

    /// The destination tells of regions, the last time with the source's memory.
    pub(super) fn hear(&mut self, heard: Heard, offer: &mut Option<Offer>) -> Result<(), RunError> {
        self.add(&heard.message);
        let mut descriptors = heard.descriptors.into_iter();
        if let Some(source) = descriptors.next()
            && let Some(offer) = offer.take()
        {
            let regions = std::mem::take(&mut self.regions);
            let target = Target::new(offer, descriptors.next(), &regions);
            let pager = target.and_then(|target| Pager::start(target, regions, Source::Host(source)));
            self.pager =
                Some(pager.map_err(|source| RunError::System { what: "starting to bring missing pages", source })?);
        }
        Ok(())
    }
}

/// What a process has left, with pages that it may need.
pub(super) struct Behind {
    /// The host that has them; none if they are in a file.
    source: Option<Host>,
    pager: Pager,
    since: Instant,
    stage: Stage,
    /// Which of the process's moves it was.
    migration: Option<usize>,
    /// Those who want to know when nothing is left behind any more.
    waiting: Vec<OwnedFd>,
}

impl Behind {
    /// Ends the host that has the pages, if one has them.
    fn end_source(&self) {
        if let Some(source) = &self.source {
            source.kill();
        }
    }
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Pages are brought.
    Bringing,
    /// Everything is here, and the source, which is a host, has been killed.
    Over,
    /// Something cannot be brought, and the process has been killed.
    Lost,
}

impl Program {
    /// The source says that it stays behind, and which pages hold something.
    pub(super) fn hear_behind(&mut self, heard: &Heard) -> Result<(), RunError> {
        let Some(Destination { phase: Phase::Asked(request), .. }) = &mut self.next else { return Ok(()) };
        request.behind = true;
        if let Some(file) = heard.descriptors.first() {
            let touched = read_runs(file, heard.message.values[0])
                .map_err(|source| RunError::System { what: "reading which pages are missing", source })?;
            request.touched = Some(touched);
        }
        Ok(())
    }

    /// The move is complete but for what the source keeps.
    pub(super) fn leave_behind(
        &mut self,
        source: Host,
        pager: Pager,
        touched: Option<Vec<Range<u64>>>,
        has_arrived: bool,
    ) {
        pager.list(touched.unwrap_or_else(|| std::iter::once(0..u64::MAX).collect()));
        let migration = has_arrived.then_some(self.history.migrations.len());
        let (since, stage, waiting) = (Instant::now(), Stage::Bringing, Vec::new());
        self.behind = Some(Behind { source: Some(source), pager, since, stage, migration, waiting });
    }

    /// The process has been put in place here, with pages still in a file.
    pub(crate) fn begin_in_parts(&mut self, pager: Pager) {
        let (since, stage) = (Instant::now(), Stage::Bringing);
        self.behind = Some(Behind { source: None, pager, since, stage, migration: None, waiting: Vec::new() });
    }

    /// Whether pages are still elsewhere.
    pub(crate) fn is_in_parts(&self) -> bool {
        self.behind.is_some()
    }

    /// Tells somebody who asks when all pages are here.
    pub(crate) fn tell_when_whole(&mut self, asker: OwnedFd) {
        match &mut self.behind {
            Some(behind) => behind.waiting.push(asker),
            None => tell_whole(&asker),
        }
    }

    /// What to wait for: that there is an outcome, and the end of the source.
    pub(super) fn watched_behind(&self) -> (Option<BorrowedFd<'_>>, Option<BorrowedFd<'_>>) {
        match &self.behind {
            Some(behind) => {
                let done = (behind.stage == Stage::Bringing).then(|| behind.pager.done());
                let source = behind.source.as_ref().filter(|_| behind.stage != Stage::Lost);
                (done, source.map(Host::pidfd))
            }
            None => (None, None),
        }
    }

    /// All pages are here, or cannot be brought.
    pub(crate) fn hear_pager(&mut self) -> Result<(), RunError> {
        let Some(behind) = &mut self.behind else { return Ok(()) };
        match (behind.pager.outcome().cloned(), &behind.source) {
            (None, _) => {}
            (Some(Ok(_)), Some(source)) => {
                behind.stage = Stage::Over;
                source.kill();
            }
            (Some(Ok(brought)), None) => self.forget_behind(Some(brought))?,
            (Some(Err(reason)), _) => self.lose(&reason),
        }
        Ok(())
    }

    /// The source has ended. If that was too early, so must the process.
    pub(crate) fn behind_ended(&mut self) -> Result<(), RunError> {
        let Some(behind) = &self.behind else { return Ok(()) };
        match behind.pager.outcome().cloned() {
            Some(Ok(brought)) => return self.forget_behind(Some(brought)),
            Some(Err(reason)) => self.lose(&reason),
            None => self.lose("it has ended"),
        }
        Ok(())
    }

    /// Ends the process, which cannot go on without pages that are nowhere any more.
    fn lose(&mut self, reason: &str) {
        let Some(behind) = self.behind.as_mut().filter(|behind| behind.stage == Stage::Bringing) else { return };
        behind.stage = Stage::Lost;
        let place = match &behind.source {
            Some(source) => format!("was still in process {}", source.pid()),
            None => String::from("was not in place yet"),
        };
        eprintln!("maize: process {} is killed: part of its memory {place}, and {reason}", self.id);
        self.current.kill();
        behind.end_source();
    }

    fn forget_behind(&mut self, brought: Option<Brought>) -> Result<(), RunError> {
        let Some(Behind { source, pager, since, migration, waiting, .. }) = self.behind.take() else { return Ok(()) };
        // The last who had the userfaultfd: from here on the kernel alone provides pages.
        drop(pager);
        let took_us = since.elapsed().as_secs_f64() * 1e6;
        let fetched = brought.map(|Brought { bytes, faults }| Fetched { bytes, faults, took_us });
        match source {
            Some(source) => {
                self.add(source.wait()?.times);
                if let Some(migration) = migration.and_then(|index| self.history.migrations.get_mut(index)) {
                    migration.fetched = fetched;
                }
            }
            None => self.fetched = fetched,
        }
        waiting.iter().for_each(tell_whole);
        Ok(())
    }

    /// The process has ended, and needs nothing any more.
    pub(super) fn drop_behind(&mut self) -> Result<(), RunError> {
        let Some(behind) = &self.behind else { return Ok(()) };
        behind.end_source();
        let brought = behind.pager.outcome().cloned().and_then(Result::ok);
        self.forget_behind(brought)
    }

    /// Waits until all pages are here: nobody will be there to bring them.
    pub(super) fn await_behind(&mut self) -> Result<(), RunError> {
        while let Some(behind) = &self.behind {
            if behind.stage == Stage::Lost {
                return self.drop_behind();
            }
            let watched = self.watched_behind();
            let mut descriptors: Vec<PollFd<'_>> = [watched.0, watched.1]
                .into_iter()
                .flatten()
                .map(|one| PollFd::from_borrowed_fd(one, PollFlags::IN))
                .collect();
            match poll(&mut descriptors, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(RunError::system("waiting for missing pages")(error)),
            }
            if descriptors.last().is_some_and(|source| !source.revents().is_empty()) {
                self.behind_ended()?;
            } else {
                self.hear_pager()?;
            }
        }
        Ok(())
    }
}

fn tell_whole(asker: &OwnedFd) {
    // Who asked may have been killed.
    let _ = send(asker.as_fd(), &Message::new(Kind::Answer, [0; 8]), None);
}

fn read_runs(file: &OwnedFd, count: u64) -> io::Result<Vec<Range<u64>>> {
    let file = File::from(file.try_clone()?);
    let length = count.saturating_mul(size_of::<Run>() as u64).min(file.metadata()?.len());
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    file.read_exact_at(&mut bytes, 0)?;
    let (runs, _) = bytes.as_chunks();
    Ok(runs.iter().map(Run::from_bytes).map(|run| run.address..run.address.saturating_add(run.length)).collect())
}
