//! A move that somebody has asked for while the program runs, beside those of a plan. It comes first.

use super::{Destination, Phase, Program};
use crate::control::protocol::{Outcome, ProcessStatus, State};
use crate::host::Host;
use crate::kernel::{self, Resources};
use crate::processes::Id;
use crate::report::{Migration, Stay};
use maize_abi::Isa;
use maize_abi::control::{Kind, Message};
use std::time::Duration;

/// The move, and what has become of it.
pub(crate) struct Order {
    to: Isa,
    /// The move or, if there was none, why.
    done: Option<Result<Option<Migration>, String>>,
    /// It may be possible later: the process itself has declined it.
    may_try_again: bool,
}

impl Program {
    /// Whether a move has been asked for that has not been made.
    pub(super) fn is_ordered(&self) -> bool {
        self.order.as_ref().is_some_and(|order| order.done.is_none())
    }

    /// Has the process move to an ISA.
    pub(crate) fn order(&mut self, to: Isa) {
        let is_there = self.current.isa == to && !self.is_between();
        self.order = Some(Order { to, done: is_there.then_some(Ok(None)), may_try_again: false });
        if self.current.control().is_none() {
            self.fail_order("it executes a program that is not Maize's");
        }
    }

    /// The process is not to move any more.
    pub(crate) fn withdraw_order(&mut self) {
        self.order = None;
    }

    /// What has become of the move that was asked for, if that is known.
    pub(crate) fn ordered(&self) -> Option<Outcome> {
        let Order { to, done, .. } = self.order.as_ref()?;
        let (migration, reason) = match done.as_ref()? {
            Ok(migration) => (migration.clone(), None),
            Err(reason) => (None, Some(reason.clone())),
        };
        Some(self.outcome(*to, migration, reason))
    }

    /// Whether the move that was declined may be possible later.
    pub(crate) fn may_try_again(&self) -> bool {
        self.order.as_ref().is_some_and(|order| order.may_try_again)
    }

    /// Whether the process has been told to move, and cannot be told otherwise any more.
    pub(crate) fn is_asked(&self) -> bool {
        self.request().is_some()
    }

    /// How the process stands to such a move.
    pub(crate) fn outcome(&self, to: Isa, migration: Option<Migration>, reason: Option<String>) -> Outcome {
        let (on, to) = (self.current.isa.name().to_owned(), to.name().to_owned());
        Outcome { process: self.id, on, to, migration, reason }
    }

    /// Starts the host that it is to come to, in place of one that the plan has ready.
    pub(super) fn start_ordered(&mut self) {
        let Some(Order { to, done: None, .. }) = self.order else { return };
        if self.executing.is_some() {
            return;
        }
        match &self.next {
            Some(Destination { phase: Phase::Asked(_), .. }) => return,
            Some(Destination { host, .. }) if host.isa == to => return,
            _ => self.drop_destination(),
        }
        if self.current.isa == to {
            // The plan has brought it there meanwhile.
            self.order = Some(Order { to, done: Some(Ok(None)), may_try_again: false });
            return;
        }
        let started = self.launchers.of(to).and_then(|one| Host::start(&one, &Message::new(Kind::Receive, [0; 8])));
        match started {
            Ok(host) => self.next = Some(Destination::starting(host)),
            Err(error) => {
                self.fail_order(&error.to_string());
            }
        }
    }

    /// The move that was asked for, if there is one, cannot be made; whether there was one.
    pub(super) fn fail_order(&mut self, reason: &str) -> bool {
        let is_ordered = self.is_ordered();
        if let (true, Some(order)) = (is_ordered, &mut self.order) {
            order.done = Some(Err(reason.to_owned()));
        }
        is_ordered
    }

    /// The process has stayed; whether that is news. One who asks for a move may try again every few milliseconds.
    pub(super) fn note_stay(&mut self, stay: &Stay) -> bool {
        let is_ordered = self.fail_order(&stay.reason);
        if let Some(order) = &mut self.order {
            order.may_try_again = true;
        }
        let last = self.history.stays.last();
        !is_ordered || last.is_none_or(|last| (&last.reason, &last.to) != (&stay.reason, &stay.to))
    }

    /// The process has moved.
    pub(super) fn note_arrival(&mut self, migration: &Migration) {
        if let Some(order) = self.order.as_mut().filter(|order| order.done.is_none() && order.to == self.current.isa) {
            order.done = Some(Ok(Some(migration.clone())));
        }
    }

    /// What can be said of the process before it is asked: why it will not move to an ISA.
    pub(crate) fn obstacle(&self, to: Isa) -> Option<String> {
        if self.current.control().is_none() {
            return Some(String::from("it executes a program that is not Maize's"));
        }
        if self.is_stopped() {
            return Some(String::from("a signal has stopped it; let it go on (kill -CONT)"));
        }
        self.launchers.of(to).err().map(|error| error.to_string())
    }

    /// Whether the kernel has it stopped.
    pub(crate) fn is_stopped(&self) -> bool {
        matches!(kernel::state(self.current.pid()), Some('T' | 't'))
    }

    /// How the process is.
    pub(crate) fn status(&self, parent: Id) -> ProcessStatus {
        let host = self.current.pid();
        let state = match kernel::state(host) {
            _ if self.is_between() => State::Moving,
            Some('T' | 't') => State::Stopped,
            _ if self.current.control().is_none() => State::Foreign,
            Some('R') => State::Running,
            _ => State::Sleeping,
        };
        let before = Duration::from_micros(self.times.iter().sum());
        let used = before + kernel::processor_time(host);
        let Resources { threads, resident } = kernel::resources(host);
        ProcessStatus {
            id: self.id,
            parent,
            host: host.as_raw_nonzero().get().unsigned_abs(),
            isa: self.current.isa.name().to_owned(),
            program: self.launchers.program.display().to_string(),
            state,
            moves: self.history.migrations.len(),
            processor_ms: u64::try_from(used.as_millis()).unwrap_or(u64::MAX),
            threads,
            resident_bytes: resident,
        }
    }
}
