//! Programs that were given to another node which has not said whether it has them (docs/nodes.md). Their shims ask for themselves; for those whose shims are gone the
//! daemon asks. What a person has decided because a node does not answer is made true on that node when it does.

use super::{BEAT, Daemon, note};
use crate::arrivals;
use crate::error::{NodeError, Result};
use crate::identity::PublicKey;
use crate::link::{self, Question};
use crate::message::{Location, Passage, ProgramState, ProgramStatus, Reply, Request, Transfer};
use crate::shim::record;
use crate::sync::lock;
use crate::verdicts::{self, Verdict};
use std::path::Path;
use std::sync::Arc;
use std::thread;

/// SIGKILL.
const KILL: u8 = 9;
/// How often a program is followed that goes on meanwhile.
const MOST_MOVES: u32 = 100;

impl Daemon {
    /// Does once a second what there is to do. Other nodes may be slow to answer.
    pub(super) fn settle(self: &Arc<Self>) {
        // Looked for at first, whenever a shim has ended, and while there is one.
        let mut seen = None;
        loop {
            thread::sleep(BEAT);
            let ended = self.programs.ended();
            if seen != Some(ended) {
                self.programs.remove_given_up();
                let abandoned = self.programs.abandoned();
                seen = abandoned.is_empty().then_some(ended);
                for (program, status, passage) in abandoned {
                    self.settle_abandoned(&program, status, &passage);
                }
            }
            verdicts::carry_out(&self.directory, |verdict| self.carry_out(verdict));
            arrivals::clean(&self.directory, |key, transfer| self.may_be_asked(key, transfer));
        }
    }

    /// Finds out where a program is whose shim is gone. It cannot run on here: what is left of it is ended when it is known that it is there or nowhere.
    fn settle_abandoned(self: &Arc<Self>, directory: &Path, status: ProgramStatus, passage: &Passage) {
        let Ok(Reply::Settled(found)) = self.relay(&passage.to.node, &Request::Settle(passage.transfer)) else {
            return;
        };
        let state = match found {
            Some(program) => ProgramState::Moved(Location { program, ..passage.to.clone() }),
            None => ProgramState::Lost,
        };
        self.end_abandoned(directory, ProgramStatus { state, ..status }, passage);
    }

    fn end_abandoned(&self, directory: &Path, status: ProgramStatus, passage: &Passage) {
        passage.hosts.iter().for_each(|host| host.end());
        note(&format!("the shim of {} was killed while it moved; now it is {:?}", status.program, status.state));
        if let Err(error) = record::write(directory, &status) {
            note(&error.to_string());
        }
    }

    /// Decides where a program is, because the node that may have it does not answer.
    pub(super) fn resolve(self: &Arc<Self>, program: u32, here: bool) -> Result<()> {
        let directory = self.programs.directory(program);
        let status = record::read(&directory);
        let Some((status, passage)) = status.and_then(|status| match status.state.clone() {
            ProgramState::Unsettled(passage) => Some((status, passage)),
            _ => None,
        }) else {
            return Err(NodeError::Invalid(format!(
                "no program {program} waits for another node here; nothing is to be decided"
            )));
        };
        let Passage { to, transfer, .. } = &passage;
        if let Ok(Reply::Settled(found)) = self.relay(&to.node, &Request::Settle(*transfer)) {
            let has = if found.is_some() { "has the program" } else { "does not have the program, and will not" };
            return Err(NodeError::Invalid(format!("{} answers: it {has}; nothing is to be decided", to.node)));
        }
        let has_shim = self.programs.is_running(program);
        if here && !has_shim {
            return Err(NodeError::Invalid(format!(
                "the process that looked after {program} here was killed, so that it cannot run on here; wait for {}, or end what is left of it with --gone",
                to.node
            )));
        }
        if has_shim {
            // If it hears from the node before this, that counts.
            return link::ask(&directory, &Question::Resolve { here }).map(|_| ());
        }
        Verdict { node: to.node.clone(), transfer: *transfer, here }.keep(&self.directory)?;
        let state = ProgramState::Moved(to.clone());
        self.end_abandoned(&directory, ProgramStatus { state, ..status }, &passage);
        Ok(())
    }

    /// Tells a node that answers again what was decided without it; whether it has been told.
    fn carry_out(self: &Arc<Self>, verdict: &Verdict) -> bool {
        let Verdict { node, transfer, here } = verdict;
        let Ok(Reply::Settled(found)) = self.relay(node, &Request::Settle(*transfer)) else { return false };
        let Some(program) = found else {
            if !here {
                note(&format!("{node} never had the program that was taken to be there: it is lost"));
            }
            return true;
        };
        if *here {
            note(&format!("ends {program} on {node}: it was decided that the program runs here"));
            let mut at = Location { node: node.clone(), program };
            for _ in 0..MOST_MOVES {
                match self.relay(&at.node, &Request::Signal { program: at.program, signal: KILL }) {
                    Ok(Reply::Elsewhere(further)) => at = further,
                    // It has ended if it is not there to be ended.
                    Ok(_) => break,
                    Err(_) => return false,
                }
            }
        }
        true
    }

    /// Whether it is not known here what has become of a program that was given to another node, or that has not been made true there.
    pub(super) fn awaits(&self, transfer: &Transfer) -> bool {
        self.programs.is_unsettled(transfer) || verdicts::is_kept(&self.directory, transfer)
    }

    /// Whether the node that a program came from may ask whether it has come. One that is no member any more cannot.
    fn may_be_asked(self: &Arc<Self>, key: &PublicKey, transfer: &Transfer) -> bool {
        let Some(member) = lock(&self.members).trusted(key).cloned() else { return false };
        !matches!(self.relay(&member.name, &Request::Awaits(*transfer)), Ok(Reply::Awaits(false)))
    }
}
