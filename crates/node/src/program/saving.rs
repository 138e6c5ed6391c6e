//! Saving a process: to the process it looks like a move, whose destination is this one (docs/protocol.md). It waits, with all of its
//! memory in a file and its descriptors handed over, until it is let go or killed.

use super::{Program, undelivered};
use crate::error::RunError;
use crate::host::{self, socket_pair};
use crate::precopy::Precopy;
use crate::reminder::Reminder;
use maize_abi::control::{Kind, LEAVES, Message, NEVER};
use maize_abi::processes::SignalInformation;
use maize_snapshot::Signal;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::Duration;

/// Set in a value of `Kind::Descriptors`: the descriptor is closed on exec.
pub(crate) const CLOSE_ON_EXEC: u64 = 1 << 32;
/// Set instead: the value is the index of a region, whose file this is.
pub(crate) const OF_REGION: u64 = 1 << 63;

/// A process on its way into a snapshot.
pub(crate) struct Saving {
    transfer: OwnedFd,
    stage: Stage,
    state: Option<(Message, OwnedFd)>,
    descriptors: Vec<(u64, OwnedFd)>,
    signals: Vec<Signal>,
    was_let_go: bool,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It has been asked.
    Asked,
    /// It waits, and has handed over memory and descriptors.
    Waits,
    /// It has been asked for its signals.
    Shows,
    /// It has handed over everything.
    Whole,
    /// It has been let go, and has still to say so.
    LetGo,
}

/// What a process has handed over.
pub(crate) struct Held<'a> {
    /// Numbers as `Kind::State` has them.
    pub(crate) values: [u64; 8],
    /// Its memory.
    pub(crate) memory: BorrowedFd<'a>,
    /// Values as `Kind::Descriptors` has them, and what they are of.
    pub(crate) descriptors: &'a [(u64, OwnedFd)],
    /// Those in the kernel's queue.
    pub(crate) signals: &'a [Signal],
}

impl Program {
    /// Asks the process to hand everything over, unless something else is being done with it; whether it has been asked. Large regions of which most has been sent ahead it keeps.
    pub(crate) fn save(&mut self, now: Duration, precopy: &Precopy) -> Result<bool, RunError> {
        if self.saving.is_some() || !self.may_be_asked() || self.is_asked() {
            return Ok(false);
        }
        let (theirs, ours) = socket_pair()?;
        let is_known = self.tracker().is_some_and(|tracker| precopy.knows(self.id, &tracker));
        let order = Message::new(Kind::Move, [NEVER, if is_known { LEAVES } else { 0 }, 0, 0, 0, 0, 0, 0]);
        // It may just have ended; its pidfd will tell.
        let _ = self.current.send(&order, Some(theirs.as_fd()));
        self.current.draw_attention();
        self.reminder = Reminder::new(now);
        self.declined = None;
        let (state, descriptors, signals) = (None, Vec::new(), Vec::new());
        self.saving =
            Some(Saving { transfer: ours, stage: Stage::Asked, state, descriptors, signals, was_let_go: false });
        Ok(true)
    }

    /// How far it has come, if it is being saved.
    pub(crate) fn saving_stage(&self) -> Option<Stage> {
        self.saving.as_ref().map(|saving| saving.stage)
    }

    /// What becomes readable when it hands something over.
    pub(super) fn transfer(&self) -> Option<BorrowedFd<'_>> {
        let saving = self.saving.as_ref()?;
        matches!(saving.stage, Stage::Asked | Stage::Shows).then(|| saving.transfer.as_fd())
    }

    /// It has handed something over.
    pub(crate) fn hear_saved(&mut self) {
        let Some(saving) = &mut self.saving else { return };
        let Some(heard) = host::receive_from(saving.transfer.as_fd()) else {
            // It has closed its end, and says why on its control socket, or has ended.
            saving.stage = Stage::LetGo;
            return;
        };
        let mut descriptors = heard.descriptors.into_iter();
        match heard.message.kind() {
            Some(Kind::State) => {
                self.reminder = Reminder::default();
                saving.state = descriptors.next().map(|memory| (heard.message, memory));
            }
            Some(Kind::Descriptors) if descriptors.len() == 0 => saving.stage = Stage::Waits,
            Some(Kind::Descriptors) => saving.descriptors.extend(heard.message.values.into_iter().zip(descriptors)),
            Some(Kind::Undelivered) => {
                let SignalInformation { signal, code, sender, value } = undelivered(&heard.message);
                let thread = heard.message.values[4] as u32;
                saving.signals.push(Signal { signal, code, sender, value, thread });
            }
            Some(Kind::Signals) => saving.stage = Stage::Whole,
            _ => {}
        }
    }

    /// Asks it for its signals. All processes wait, so no more come.
    pub(crate) fn ask_for_signals(&mut self) {
        if let Some(saving) = self.saving.as_mut().filter(|saving| saving.stage == Stage::Waits) {
            saving.stage = Stage::Shows;
            let _ = host::send(saving.transfer.as_fd(), &Message::new(Kind::Signals, [0; 8]), None);
        }
    }

    /// What it has handed over, when that is all.
    pub(crate) fn held(&self) -> Option<Held<'_>> {
        let saving = self.saving.as_ref().filter(|saving| saving.stage == Stage::Whole)?;
        let (message, memory) = saving.state.as_ref()?;
        let (descriptors, signals) = (&saving.descriptors, &saving.signals);
        Some(Held { values: message.values, memory: memory.as_fd(), descriptors, signals })
    }

    /// Signals that wait for it here.
    pub(crate) fn signals_here(&self) -> impl Iterator<Item = &SignalInformation> {
        self.returned.iter().chain(&self.held)
    }

    /// Has it run on. It says so in the end (`Stayed`).
    pub(crate) fn let_go(&mut self) {
        let Some(saving) = self.saving.as_mut().filter(|saving| saving.stage != Stage::LetGo) else { return };
        (saving.stage, saving.was_let_go) = (Stage::LetGo, true);
        let _ = host::send(saving.transfer.as_fd(), &Message::new(Kind::Refused, [0; 8]), None);
        // What was handed over would keep pipes open.
        saving.descriptors.clear();
        saving.state = None;
    }

    /// It runs on: because it was let go, or because it has declined for this reason.
    pub(super) fn runs_on(&mut self, reason: &str) {
        if let Some(saving) = self.saving.take()
            && !saving.was_let_go
        {
            self.declined = Some(reason.to_owned());
        }
    }

    /// Why it has declined to be saved, if it has.
    pub(crate) fn take_declined(&mut self) -> Option<String> {
        self.declined.take()
    }

    /// Why it cannot be saved now and will not be soon.
    pub(crate) fn never_saved(&self) -> Option<String> {
        let path = self.launchers.program.display();
        let is_foreign = self.current.control().is_none() && self.saving.is_none();
        is_foreign.then(|| format!("process {} executes another program than {path}, which is not Maize's", self.id))
    }

    /// Processor time used in all its hosts: user and system, microseconds.
    pub(crate) fn used(&self) -> [u64; 2] {
        let here = crate::kernel::processor_time(self.current.pid());
        [self.times[0] + u64::try_from(here.as_micros()).unwrap_or(0), self.times[1]]
    }

    /// A restored process has used so much before.
    pub(crate) fn has_used(&mut self, times: [u64; 2]) {
        self.times = times;
    }
}
