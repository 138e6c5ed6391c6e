//! What the programs of a node use. Their shims know, and are asked by their control sockets as `maize ps` asks (docs/control.md).

use super::Daemon;
use crate::message::{ProgramState, ProgramStatus, Usage};
use std::collections::BTreeMap;
use std::time::Duration;

/// Who says nothing by then, being stopped or between two nodes, is shown without figures.
const PATIENCE: Duration = Duration::from_secs(1);

impl Daemon {
    /// What each program uses that is here. No lock is held while they are asked.
    pub(super) fn usage(&self) -> Vec<Usage> {
        let is_here =
            |status: &ProgramStatus| matches!(status.state, ProgramState::Running | ProgramState::Unsettled(_));
        let here: Vec<ProgramStatus> = self.programs.list().into_iter().filter(is_here).collect();
        let numbers: Vec<u32> = here.iter().map(|status| status.program).collect();
        // If the sockets cannot be looked for, none has said anything.
        let said: BTreeMap<_, _> =
            maize_node::statuses(Some(&numbers), PATIENCE).unwrap_or_default().into_iter().collect();
        let is_left = |status: &ProgramStatus| {
            let is_unsettled = matches!(status.state, ProgramState::Unsettled(_));
            is_unsettled || said.contains_key(&status.program) || self.programs.is_running(status.program)
        };
        let left = here.iter().filter(|status| is_left(status));
        left.map(|status| match said.get(&status.program) {
            Some(said) => Usage::of(status.program, said),
            None => Usage::unknown(status),
        })
        .collect()
    }
}
