//! The report of `maize run --report`, read as any other program would read it: from its documented JSON.

use serde::Deserialize;

/// What happened in a run.
#[derive(Debug, Deserialize)]
pub struct Report {
    /// Version of the format.
    pub version: u32,
    /// The program.
    pub program: String,
    /// How it ended.
    pub exit: Exit,
    /// The ISA it started on.
    pub started_on: String,
    /// Wall-clock time of the run, microseconds.
    pub elapsed_us: u64,
    /// Processor time of the program, microseconds, without what its moves took.
    pub processor_us: f64,
    /// Every move, in order.
    pub migrations: Vec<Migration>,
    /// Moves that were asked for and did not happen.
    pub stays: Vec<Stay>,
    /// The processes that the program has forked.
    pub children: Vec<Child>,
}

/// A process that the program, or a child of it, has forked.
#[derive(Debug, Deserialize)]
pub struct Child {
    /// Its process id.
    pub id: u32,
    /// That of its parent.
    pub parent: u32,
    /// The ISA it began on.
    pub started_on: String,
    /// Every move, in order.
    pub migrations: Vec<Migration>,
    /// Moves that were asked for and did not happen.
    pub stays: Vec<Stay>,
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// With this status.
    Status(i32),
    /// By this signal.
    Signal(i32),
}

/// One move.
#[derive(Clone, Debug, Deserialize)]
pub struct Migration {
    /// ISA of the source.
    pub from: String,
    /// ISA of the destination.
    pub to: String,
    /// When it was asked for, microseconds after the start.
    pub at_us: u64,
    /// Time until the program reached a migration point, microseconds.
    pub wait_us: u64,
    /// Processor time that it used of this, microseconds; none if events were counted.
    pub wait_cpu_us: Option<f64>,
    /// The innermost activation.
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
    /// What was brought afterwards.
    pub fetched: Option<Fetched>,
    /// Where, if events were counted.
    pub place: Option<Place>,
}

/// Memory that was brought while the program ran.
#[derive(Clone, Debug, Deserialize)]
pub struct Fetched {
    /// Bytes, without pages of zeros.
    pub bytes: u64,
    /// How often the program had to wait for a page.
    pub faults: u64,
    /// Time until nothing was left behind, microseconds.
    pub took_us: f64,
}

/// A suspended activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct Activation {
    /// Address of its function's resume clone.
    pub resume: u32,
    /// Number of the call in the function.
    pub site: u32,
}

/// A place in the program's run.
#[derive(Clone, Debug, Deserialize)]
pub struct Place {
    /// Number of the event.
    pub event: u64,
}

/// A move that did not happen.
#[derive(Clone, Debug, Deserialize)]
pub struct Stay {
    /// ISA on which the program ran on.
    pub on: String,
    /// ISA of the intended destination.
    pub to: String,
    /// When it was asked for, microseconds after the start.
    pub at_us: u64,
    /// Why it did not happen.
    pub reason: String,
}
