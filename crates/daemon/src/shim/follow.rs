//! Memory that goes after a program which has gone to another node (docs/nodes.md): pages that are asked for first, then all others. While the program is being put in place there they are
//! still in its processes here; when it has come they are copied, and the processes end. They are kept until the other side has said that it has all, whatever becomes of the connection
//! meanwhile: that is made again from there.

use super::outgoing::Link;
use crate::channel::{Opener, Sealer};
use crate::message::{FromDestination, LIMIT, Reply, ToDestination, Transfer, receive, send};
use crate::sync::lock;
use maize_abi::layout::PAGE_SIZE as PAGE;
use maize_node::{Pages, Remaining};
use std::io;
use std::net::{Shutdown, TcpStream};
use std::ops::Range;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The other node may take so long to take what is on its way. The program waits only for what it needs.
const PATIENCE: Duration = Duration::from_secs(120);
/// The connection may take so long to be made again: as long as the other side tries, and notices later than this one that it has been lost.
const ABSENCE: Duration = Duration::from_secs(180);
/// How often the other node is asked meanwhile whether it still has the program.
const GLANCE: Duration = Duration::from_secs(2);

/// Where connections come that are made again.
#[derive(Default)]
pub(super) struct Successors {
    expected: Mutex<Option<Expected>>,
    come: Condvar,
}

struct Expected {
    /// The attempt in which the program has gone.
    transfer: Transfer,
    /// The connection that is in use.
    current: TcpStream,
    next: Option<(Sealer, Opener)>,
}

impl Successors {
    /// From now on there may be another connection for this attempt.
    pub(super) fn expect(&self, transfer: Transfer, current: &TcpStream) -> io::Result<()> {
        *lock(&self.expected) = Some(Expected { transfer, current: current.try_clone()?, next: None });
        Ok(())
    }

    /// Nothing is left to be sent.
    pub(super) fn refuse(&self) {
        *lock(&self.expected) = None;
    }

    /// The other side has connected again.
    pub(super) fn add(&self, transfer: Transfer, mut sealer: Sealer, opener: Opener) -> io::Result<()> {
        let mut expected = lock(&self.expected);
        let Some(expected) = expected.as_mut().filter(|expected| expected.transfer == transfer) else {
            let reason = "what was left of the program's memory is gone".into();
            return send(&mut sealer, &Reply::Refused(reason));
        };
        send(&mut sealer, &Reply::Ready)?;
        // Who still uses the other may not have noticed yet.
        let _ = expected.current.shutdown(Shutdown::Both);
        expected.current = sealer.socket().try_clone()?;
        expected.next = Some((sealer, opener));
        self.come.notify_all();
        Ok(())
    }

    /// The next connection, if one comes while it may be needed.
    fn wait(&self, may_be_needed: impl Fn() -> bool) -> Option<(Sealer, Opener)> {
        let begun = Instant::now();
        let has_none = |expected: &mut Option<Expected>| expected.as_ref().is_some_and(|it| it.next.is_none());
        while begun.elapsed() < ABSENCE {
            let waited = self.come.wait_timeout_while(lock(&self.expected), GLANCE, has_none);
            let next = waited.unwrap_or_else(PoisonError::into_inner).0.as_mut()?.next.take();
            if next.is_some() || !may_be_needed() {
                return next;
            }
        }
        None
    }
}

impl Link {
    /// What the other side says, after pages that it asks for before that have been sent.
    pub(super) fn hear(&mut self, remaining: &mut Remaining) -> io::Result<Option<FromDestination>> {
        loop {
            if !self.has_spoken() && self.send_asked(remaining)? {
                continue;
            }
            let Some(message) = receive(&mut self.opener, LIMIT)? else { return Ok(None) };
            if let Some(other) = self.heed(message, remaining)? {
                return Ok(Some(other));
            }
        }
    }

    /// Copies what is still in the processes, whatever becomes of the connection meanwhile.
    pub(super) fn copy(&mut self, remaining: &mut Remaining) -> io::Result<()> {
        let mut is_lost = false;
        while remaining.copy_one()? {
            is_lost = is_lost || self.answer(remaining).is_err();
        }
        Ok(())
    }

    /// Sends everything that remains. Returns when it has come, or nobody is there who needs it.
    pub(super) fn follow(
        mut self,
        mut remaining: Remaining,
        successors: &Successors,
        may_be_needed: impl Fn() -> bool,
    ) {
        let mut result = self.send_all(&mut remaining);
        while result.is_err()
            && !remaining.is_empty()
            && let Some((sealer, opener)) = successors.wait(&may_be_needed)
        {
            self.renew(sealer, opener);
            result = self.hear_lacks(&mut remaining).and_then(|()| self.send_all(&mut remaining));
        }
        successors.refuse();
    }

    /// Sends what has still to be sent, and returns when all has come.
    fn send_all(&mut self, remaining: &mut Remaining) -> io::Result<()> {
        self.sealer.socket().set_read_timeout(Some(PATIENCE))?;
        self.sealer.socket().set_write_timeout(Some(PATIENCE))?;
        loop {
            let is_asked = self.answer(remaining)?;
            if remaining.is_empty() {
                return Ok(());
            }
            if is_asked {
                continue;
            }
            let next = if self.pace.has_room() { remaining.take_next()? } else { None };
            match next {
                Some(pages) => self.send_pages(pages)?,
                None => self.hear_one(remaining)?,
            }
        }
    }

    /// What has not come by the connections before.
    fn hear_lacks(&mut self, remaining: &mut Remaining) -> io::Result<()> {
        self.sealer.socket().set_read_timeout(Some(PATIENCE))?;
        let mut lacks: Vec<(u32, Vec<Range<u64>>)> = Vec::new();
        loop {
            match receive(&mut self.opener, LIMIT)? {
                Some(FromDestination::Lacks { process, ranges }) => {
                    let ranges = ranges.into_iter().map(|(start, length)| start..start.saturating_add(length));
                    match lacks.last_mut().filter(|(last, _)| *last == process) {
                        Some((_, before)) => before.extend(ranges),
                        None => lacks.push((process, ranges.collect())),
                    }
                }
                Some(FromDestination::EndOfLacks) => break,
                _ => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        lacks.iter().for_each(|(process, ranges)| remaining.is_lacking(*process, ranges));
        Ok(())
    }

    /// Heeds what has been said, and sends some of what has been asked for, if there is something.
    fn answer(&mut self, remaining: &mut Remaining) -> io::Result<bool> {
        while self.has_spoken() && !remaining.is_empty() {
            self.hear_one(remaining)?;
        }
        self.send_asked(remaining)
    }

    fn hear_one(&mut self, remaining: &mut Remaining) -> io::Result<()> {
        let message = receive(&mut self.opener, LIMIT)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        match self.heed(message, remaining)? {
            // On a connection that was made again it may say so once more.
            None | Some(FromDestination::Taken) => Ok(()),
            Some(other) => {
                Err(io::Error::new(io::ErrorKind::InvalidData, format!("{other:?} where memory is asked for")))
            }
        }
    }

    /// Does what is to be done about a message, if it is about memory.
    fn heed(&mut self, message: FromDestination, remaining: &mut Remaining) -> io::Result<Option<FromDestination>> {
        match message {
            FromDestination::Bring { process, address, length } => {
                let (first, end) = (address.saturating_add(PAGE), address.saturating_add(length));
                // Before what has been asked for earlier: that is what lies behind pages which have been sent.
                self.send_some(remaining.take(process, &(address..first))?)?;
                self.asked.push_back((process, first..end));
            }
            FromDestination::Arrived => self.pace.confirm(Instant::now()),
            FromDestination::Whole => {
                remaining.clear();
                send(&mut self.sealer, &ToDestination::Released)?;
            }
            other => return Ok(Some(other)),
        }
        Ok(None)
    }

    /// Sends some of what has been asked for, if there is something. What is not left is on its way.
    fn send_asked(&mut self, remaining: &mut Remaining) -> io::Result<bool> {
        while let Some((process, range)) = self.asked.front() {
            if self.send_some(remaining.take(*process, range)?)? {
                return Ok(true);
            }
            self.asked.pop_front();
        }
        Ok(false)
    }

    fn send_some(&mut self, pages: Pages) -> io::Result<bool> {
        let is_some = pages.size() > 0;
        if is_some {
            self.send_pages(pages)?;
        }
        Ok(is_some)
    }

    fn send_pages(&mut self, pages: Pages) -> io::Result<()> {
        self.pace.send(pages.size(), Instant::now());
        let Pages { process, runs, zeros } = pages;
        let runs = runs.into_iter().map(|(address, bytes)| (address, bytes.into())).collect();
        send(&mut self.sealer, &ToDestination::Pages { process, runs, zeros })
    }
}
