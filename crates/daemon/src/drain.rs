//! `maize migrate --all` and `maize node drain --move`: all programs of a node go to others. What cannot go is found out before anything moves.

use crate::client::{Node, Travel};
use crate::error::{NodeError, Result};
use crate::identity::MemoryOrder;
use crate::message::{Location, NodeStatus, ProgramState, ProgramStatus, State};
use serde::Serialize;
use std::time::Duration;

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Drain {
    /// The node that programs leave; this one, if `None`.
    pub from: Option<String>,
    /// Where they all go; if `None`, each goes to the node with the fewest programs of those that can take it.
    pub to: Option<String>,
    /// The ISA to be on there; each node's own if `None`.
    pub isa: Option<String>,
    /// How long it may take to stop each of them.
    pub timeout: Duration,
    /// When their memory goes ([`Travel::memory`]).
    pub memory: Option<MemoryOrder>,
    /// Only find out what could be done.
    pub dry_run: bool,
}

/// What becomes of one program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fate {
    /// Its number on the node that it leaves.
    pub program: u32,
    /// Its name and arguments.
    pub command: Vec<String>,
    /// What it is.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What has become of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// It is there now.
    Moved {
        /// Where.
        to: Location,
    },
    /// On a dry run: it could go there.
    CanMove {
        /// The node.
        node: String,
    },
    /// It stays.
    Stayed {
        /// Why.
        reason: String,
    },
    /// It has ended meanwhile.
    Ended,
}

impl Outcome {
    /// Whether the program is still on the node, or would be.
    #[must_use]
    pub fn is_left(&self) -> bool {
        matches!(self, Outcome::Stayed { .. })
    }
}

/// What is being done.
#[derive(Debug)]
pub enum Step<'a> {
    /// Before anything moves, or after it was to.
    Stays {
        /// Its number.
        program: u32,
        /// Why.
        reason: &'a str,
    },
    /// It begins to move.
    Moves {
        /// Its number.
        program: u32,
        /// The node that it goes to.
        to: &'a str,
        /// Which of those that move, from 1.
        number: usize,
        /// How many those are.
        of: usize,
    },
}

/// A node that may take programs.
struct Candidate {
    name: String,
    /// Those that it has and those that are to come.
    programs: usize,
}

/// Moves all programs that run on a node; `observe` is told what is done. What becomes of each is returned in the order in which they were started.
///
/// # Errors
/// If it cannot be found out what there is to be moved, or where to. That a program stays is none.
pub fn drain(node: &Node, drain: &Drain, observe: &mut dyn FnMut(Step<'_>)) -> Result<Vec<Fate>> {
    let from = drain.from.as_deref();
    let own = from.unwrap_or(&node.identity().configuration.name).to_owned();
    let mut candidates = candidates(node, drain, &own)?;
    let programs = node.programs(from)?;
    let running = programs.iter().filter(is_there);
    let mut fates = Vec::new();
    for ProgramStatus { program, command, .. } in running {
        let outcome = match choose(node, drain, *program, &mut candidates) {
            Ok(node) => Outcome::CanMove { node },
            Err(reason) => stayed(node, from, *program, reason)?,
        };
        if let Outcome::Stayed { reason } = &outcome {
            observe(Step::Stays { program: *program, reason });
        }
        fates.push(Fate { program: *program, command: command.clone(), outcome });
    }
    if drain.dry_run {
        return Ok(fates);
    }
    let of = fates.iter().filter(|fate| matches!(fate.outcome, Outcome::CanMove { .. })).count();
    let mut number = 0;
    for Fate { program, outcome, .. } in &mut fates {
        let Outcome::CanMove { node: to } = outcome else { continue };
        number += 1;
        observe(Step::Moves { program: *program, to, number, of });
        *outcome = match node.migrate(from, *program, &drain.travel(to)) {
            Ok(to) => Outcome::Moved { to },
            Err(error) => stayed(node, from, *program, error.to_string())?,
        };
        if let Outcome::Stayed { reason } = outcome {
            observe(Step::Stays { program: *program, reason });
        }
    }
    Ok(fates)
}

impl Drain {
    fn travel(&self, to: &str) -> Travel {
        Travel { to: to.to_owned(), isa: self.isa.clone(), timeout: self.timeout, memory: self.memory }
    }
}

/// The nodes that programs may go to.
fn candidates(node: &Node, drain: &Drain, own: &str) -> Result<Vec<Candidate>> {
    let nodes = node.nodes()?;
    if let Some(to) = &drain.to {
        if to == own {
            return Err(NodeError::Invalid(format!("the programs are on {own}; name another node with --to")));
        }
        if !nodes.iter().any(|node| node.name == *to) {
            let known: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
            return Err(NodeError::UnknownNode { name: to.clone(), known: known.join(", ") });
        }
        return Ok(vec![Candidate { name: to.clone(), programs: 0 }]);
    }
    let mut ready = Vec::new();
    let mut others = Vec::new();
    for NodeStatus { name, state, reason, .. } in nodes.into_iter().filter(|node| node.name != own) {
        match state {
            // What is heard of them every second may be too old.
            State::Ready => match node.programs(Some(&name)) {
                Ok(programs) => {
                    let programs = programs.iter().filter(is_there).count();
                    ready.push(Candidate { name, programs });
                }
                Err(error) => others.push(error.to_string()),
            },
            State::Draining => others.push(format!("{name} is draining")),
            State::Down => others.push(format!("{name} is down ({})", reason.unwrap_or_default())),
        }
    }
    if ready.is_empty() {
        let others = if others.is_empty() { "there is none".into() } else { others.join("; ") };
        return Err(NodeError::Invalid(format!("no other node is ready to take programs: {others}")));
    }
    Ok(ready)
}

/// Whether a program is on its node.
fn is_there(program: &&ProgramStatus) -> bool {
    matches!(program.state, ProgramState::Running | ProgramState::Unsettled(_))
}

/// The node that a program is to go to, which has one more then; or why none takes it.
fn choose(
    node: &Node,
    drain: &Drain,
    program: u32,
    candidates: &mut [Candidate],
) -> std::result::Result<String, String> {
    candidates.sort_by(|one, other| (one.programs, &one.name).cmp(&(other.programs, &other.name)));
    let mut reasons: Vec<String> = Vec::new();
    for candidate in candidates {
        match node.can_migrate(drain.from.as_deref(), program, &drain.travel(&candidate.name)) {
            Ok(()) => {
                candidate.programs += 1;
                return Ok(candidate.name.clone());
            }
            Err(error) => reasons.push(error.to_string()),
        }
    }
    // What is in the way here is in the way of each.
    reasons.dedup();
    Err(reasons.join("; "))
}

/// A program that has not gone has ended, or stays.
fn stayed(node: &Node, from: Option<&str>, program: u32, reason: String) -> Result<Outcome> {
    let now = node.programs(from)?.into_iter().find(|status| status.program == program);
    Ok(match now.map(|status| status.state) {
        None | Some(ProgramState::Ended(_)) => Outcome::Ended,
        Some(ProgramState::Moved(to)) => Outcome::Moved { to },
        Some(_) => Outcome::Stayed { reason },
    })
}
