//! What is said on a control socket: lines of JSON, a question and its answer. docs/control.md has examples.

use crate::report::{Migration, Stay};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Version of the protocol. Either side refuses any other.
pub const VERSION: u32 = 1;

/// A question.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Question {
    /// [`VERSION`].
    pub version: u32,
    /// What is asked for.
    #[serde(flatten)]
    pub action: Action,
}

/// What is asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// How the program is. Answered by [`Answer::Status`].
    Status,
    /// What happens from now on. Answered by an [`Answer::Event`] for each event, until the program ends.
    Events,
    /// Move to another ISA. Answered by [`Answer::Migrated`] when that is done.
    Migrate {
        /// The ISA.
        to: String,
        /// The process to move; all of the program's if left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        process: Option<u32>,
        /// How long to try, milliseconds.
        timeout_ms: u64,
        /// Only say what would be done, and what is in the way.
        #[serde(default)]
        dry_run: bool,
    },
    /// Write a snapshot. Answered by [`Answer::Saved`] when it is on disk.
    Checkpoint {
        /// The file, with an absolute path.
        file: PathBuf,
        /// The program runs on; otherwise it is ended when the snapshot is on disk.
        leave_running: bool,
        /// It may hold only what has changed since the last that was taken so, if that is in the same directory and the program runs on.
        #[serde(default)]
        incremental: bool,
        /// The program that is to be ended waits until [`Action::Confirm`] says so. If who asks goes before, it runs on.
        #[serde(default)]
        hold: bool,
        /// How long to try, milliseconds.
        timeout_ms: u64,
    },
    /// The snapshot is where it was to go. Answered by [`Answer::Saved`]; the program is ended.
    Confirm,
}

/// A line in answer to a question.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// To [`Action::Status`].
    Status(Status),
    /// To [`Action::Migrate`]: a line for each process.
    Migrated(Vec<Outcome>),
    /// To [`Action::Checkpoint`], and to [`Action::Confirm`].
    Saved(Saved),
    /// To [`Action::Checkpoint`] with `hold`: the snapshot is on disk, and the program waits.
    Held(Saved),
    /// To [`Action::Events`].
    Event(Happened),
    /// What was asked for cannot be done, or was not in time. The program runs on.
    Error(Failure),
}

impl Answer {
    /// The snapshot that has been taken, if that is the answer.
    #[must_use]
    pub fn saved(self) -> Option<Saved> {
        match self {
            Answer::Saved(saved) => Some(saved),
            _ => None,
        }
    }
}

/// An answer with the version.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) version: u32,
    #[serde(flatten)]
    pub(crate) answer: Answer,
}

/// A running program.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// The process that runs it, `maize run`; its name for other commands.
    pub pid: u32,
    /// The program's own process id, as it sees it.
    pub id: u32,
    /// Its file.
    pub program: String,
    /// Its arguments, its name first.
    pub arguments: Vec<String>,
    /// When it began, milliseconds since 1970.
    pub started_ms: u64,
    /// Its processes, by their ids.
    pub processes: Vec<ProcessStatus>,
    /// Processor time that those used which have ended since it runs here, milliseconds.
    #[serde(default)]
    pub ended_processor_ms: u64,
    /// Why it waits and what can be done, if it is between two nodes and it is not known which has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A process of a running program.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProcessStatus {
    /// Its id, as the program sees it.
    pub id: u32,
    /// Its parent's.
    pub parent: u32,
    /// The id of the host process that it is in now.
    pub host: u32,
    /// The ISA that it is on now.
    pub isa: String,
    /// The file that it executes.
    pub program: String,
    /// What it does.
    pub state: State,
    /// How often it has moved.
    pub moves: usize,
    /// Processor time used so far, milliseconds, with its moves.
    pub processor_ms: u64,
    /// Threads of its host process, with those of an emulator.
    #[serde(default)]
    pub threads: u32,
    /// Memory of its host process that is resident, bytes; what processes share counts for each.
    #[serde(default)]
    pub resident_bytes: u64,
}

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It runs, or could.
    Running,
    /// It waits for something.
    Sleeping,
    /// A signal or a debugger has stopped it.
    Stopped,
    /// It is between two hosts.
    Moving,
    /// It executes a program that is not Maize's.
    Foreign,
}

/// What has become of a process that was to move.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// The process.
    pub process: u32,
    /// The ISA that it is on.
    pub on: String,
    /// The ISA that it was to come to.
    pub to: String,
    /// The move, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migration: Option<Migration>,
    /// Why it is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Outcome {
    /// Whether the process is where it was to be.
    pub fn is_there(&self) -> bool {
        self.reason.is_none()
    }
}

/// A snapshot that has been taken.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Saved {
    /// The file.
    pub file: String,
    /// Its size.
    pub bytes: u64,
    /// The file in the same directory that holds what has not changed since, if it is not whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// How long the program did not run: until it ran on, or ended.
    pub pause_us: f64,
}

/// Something that has happened to a program.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Happened {
    /// A process has moved.
    Moved {
        /// The process.
        process: u32,
        /// The move.
        migration: Migration,
    },
    /// A process was to move and did not.
    Stayed {
        /// The process.
        process: u32,
        /// What was to be.
        stay: Stay,
    },
    /// A process was forked.
    Began {
        /// The process.
        process: u32,
        /// Its parent.
        parent: u32,
    },
    /// A process has ended.
    Ended {
        /// The process.
        process: u32,
        /// Its status, as `wait4` gives it.
        status: i32,
    },
}

/// Why something was not done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// For programs.
    pub kind: FailureKind,
    /// For people: cause and next step.
    pub message: String,
}

/// Kinds of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The question is not understood.
    Question,
    /// The program cannot do it, or not now.
    Refused,
    /// It was not done in time.
    Timeout,
    /// Something else is being done with the program.
    Busy,
}
