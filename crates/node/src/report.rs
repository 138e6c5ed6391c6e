//! The record of a run, as JSON for other programs.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Version of the report's format.
pub const VERSION: u32 = 1;

/// What happened in a run.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    /// [`VERSION`].
    pub version: u32,
    /// The program.
    pub program: PathBuf,
    /// How it ended.
    pub exit: Exit,
    /// The ISA it started on.
    pub started_on: String,
    /// Wall-clock time of the run, microseconds.
    pub elapsed_us: u64,
    /// Processor time of the program, microseconds, without what its moves took.
    #[serde(default)]
    pub processor_us: f64,
    /// Of a restored program: time from the start of reading the snapshot until it ran, microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored_us: Option<f64>,
    /// Every move, in order.
    pub migrations: Vec<Migration>,
    /// Moves that were asked for and did not happen; the program ran on at its source.
    pub stays: Vec<Stay>,
    /// The processes that the program has forked, and theirs, in the order in which they began.
    pub children: Vec<Child>,
    /// How many events there were in all, if they were counted to the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<u64>,
}

/// A process that the program, or a child of it, has forked.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Child {
    /// Its process id, as programs see it.
    pub id: u32,
    /// That of its parent.
    pub parent: u32,
    /// The ISA it began on.
    pub started_on: String,
    /// Its moves, in order.
    pub migrations: Vec<Migration>,
    /// Moves that were asked for and did not happen.
    pub stays: Vec<Stay>,
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// With this status.
    Status(i32),
    /// By this signal.
    Signal(i32),
    /// Not: it was saved in a snapshot.
    Saved,
    /// Not: it runs on, on another node.
    Away,
}

/// One move.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Migration {
    /// ISA of the source.
    pub from: String,
    /// ISA of the destination.
    pub to: String,
    /// When it was asked for, microseconds after the start.
    pub at_us: u64,
    /// Time from the request until the program reached a migration point, microseconds.
    pub wait_us: u64,
    /// Processor time that the program used of it, microseconds: what other processes do does not count. Not known of moves at counted events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_cpu_us: Option<f64>,
    /// The innermost activation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub innermost: Option<Activation>,
    /// Activations carried over.
    pub frames: u64,
    /// Bytes of their records.
    pub record_bytes: u64,
    /// Time to capture them, microseconds.
    pub capture_us: f64,
    /// Time to resume them, microseconds.
    pub resume_us: f64,
    /// Time during which the program ran on neither host, microseconds.
    pub pause_us: f64,
    /// Bytes of memory copied while it did not run.
    pub bytes_moved: u64,
    /// What was brought afterwards, if anything was left behind and all of it has come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fetched: Option<Fetched>,
    /// Where in the program, if events were counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
}

/// Memory that was brought to its process while that ran.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Fetched {
    /// Bytes, without pages of zeros.
    pub bytes: u64,
    /// How often the process had to wait for a page.
    pub faults: u64,
    /// Time from the end of the move until nothing was left behind, microseconds.
    pub took_us: f64,
}

/// A move that did not happen.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Stay {
    /// ISA of the source, where the program ran on.
    pub on: String,
    /// ISA of the intended destination.
    pub to: String,
    /// When it was asked for, microseconds after the start.
    pub at_us: u64,
    /// Why it did not happen.
    pub reason: String,
    /// Where in the program, if events were counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
}

/// A place in the program's run, the same on every ISA.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Number of the event.
    pub event: u64,
    /// The system call about to be made (number on x86-64); none at a migration point.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_call: Option<u64>,
    /// The activations that move, the innermost first. Of a move that was drawn, the innermost alone.
    pub activations: Vec<Activation>,
}

/// A suspended activation of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Activation {
    /// Address of the function's resume clone.
    pub resume: u32,
    /// Number of the call in the function.
    pub site: u32,
}

impl Activation {
    /// From a host's message; 0 is none.
    pub(crate) fn from_number(number: u64) -> Option<Activation> {
        (number != 0).then_some(Activation { resume: (number >> 32) as u32, site: number as u32 })
    }
}
