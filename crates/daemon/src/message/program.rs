//! What a program is, and what is said to and by its shim.

use crate::hosts::HostProcess;
use crate::limits::Limits;
use maize_node::{Address, ChangedFiles, Fetched, Status};
use maize_snapshot::TerminalSize;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

/// The name of one attempt to bring a program to another node.
pub type Transfer = [u8; 16];

/// Where a program is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    /// The node.
    pub node: String,
    /// Its number there.
    pub program: u32,
}

/// Bytes that the kernel has no encoding for: arguments, variables, names of files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text(Vec<u8>);

impl From<OsString> for Text {
    fn from(text: OsString) -> Text {
        Text(text.into_vec())
    }
}

impl From<Text> for OsString {
    fn from(text: Text) -> OsString {
        OsString::from_vec(text.0)
    }
}

impl Text {
    /// As the kernel takes it.
    #[must_use]
    pub fn as_os_str(&self) -> &std::ffi::OsStr {
        std::ffi::OsStr::from_bytes(&self.0)
    }
}

/// A program to be run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Start {
    /// Of the executable (SHA-256).
    pub hash: [u8; 32],
    /// The executable's size in bytes.
    pub size: u64,
    /// Where it is at the node that starts it.
    pub file: Text,
    /// The program's arguments, its name first.
    pub arguments: Vec<Text>,
    /// Its variables.
    pub environment: Vec<(Text, Text)>,
    /// Its working directory.
    pub directory: Text,
    /// Its file mode creation mask.
    pub umask: u32,
    /// Its resource limits.
    pub limits: Limits,
    /// The ISA to start on; the machine's own if `None`.
    pub isa: Option<String>,
    /// To move between these, if any.
    pub hop: Option<Hop>,
    /// How it is attached to who starts it.
    pub attached: Attached,
    /// Maize keeps its table of processes, so that it can move while it has children.
    pub movable: bool,
    /// An address that it has by itself, wherever it is.
    pub address: Option<Address>,
    /// The node whose files it sees, wherever it is; those of the node that it is on if `None`.
    pub files: Option<String>,
    /// Snapshots that are taken of it, wherever it is.
    pub checkpoint: Option<Periodic>,
    /// What it knows its machine as (`uname`), wherever it is; its first node's name if `None`.
    pub host_name: Option<Text>,
}

/// Snapshots that are taken of a program while it runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Periodic {
    /// Time between them, in microseconds.
    pub every_us: u64,
    /// The file, with an absolute path, of the node that the program is on, or of its home.
    pub file: Text,
}

/// A program that goes on from a snapshot.
#[derive(Debug, Serialize, Deserialize)]
pub struct Restoration {
    /// How it is to run. Its arguments and executable are the snapshot's.
    pub start: Start,
    /// The snapshot, which is sent after [`FromProgram::Awaits`].
    pub snapshot: Snapshot,
}

/// A snapshot in files.
#[derive(Debug, Serialize, Deserialize)]
pub struct Snapshot {
    /// What to do about files of the program's that have changed.
    pub changed: ChangedFiles,
    /// The snapshot's own file and those that it builds on: the name of each, and its size in bytes. All are in one directory.
    pub files: Vec<(Text, u64)>,
}

/// A tour between ISAs of one node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Hop {
    /// In this order.
    pub isas: Vec<String>,
    /// Time between moves, in microseconds.
    pub every_us: u64,
    /// At random, with this seed.
    pub seed: Option<u64>,
    /// At most so often.
    pub limit: u64,
}

/// Where a program's standard streams are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Attached {
    /// In a log.
    No,
    /// In three pipes.
    Pipes,
    /// In a terminal.
    Terminal {
        /// Its size.
        size: TerminalSize,
        /// Standard error is a pipe of its own.
        separate_error: bool,
    },
}

/// What the shim of a program says to who started it.
#[derive(Debug, Serialize, Deserialize)]
pub enum FromProgram {
    /// The snapshot that it is restored from can be sent: its files, one after the other, in pieces ([`ToProgram::Input`]), and then [`ToProgram::EndOfInput`].
    Awaits,
    /// It runs.
    Started {
        /// Its number.
        program: u32,
        /// Resource limits that are lower than it was to have.
        lowered: Vec<String>,
    },
    /// It could not be started.
    CannotStart {
        /// The status that `maize run` is to end with.
        status: i32,
        /// Why.
        message: String,
    },
    /// It has written this.
    Output(Stream, #[serde(with = "serde_bytes")] Vec<u8>),
    /// So many bytes of its input have been taken.
    Taken(u32),
    /// It has ended.
    Ended(Ending),
    /// It has gone to another node, in this attempt. Only to a shim that hands on its streams, from which nothing but [`ToProgram::EndOfInput`] follows.
    Left(Transfer),
    /// Input that it has not read here. Only after [`FromProgram::Left`].
    Unread(#[serde(with = "serde_bytes")] Vec<u8>),
    /// That is all that there was here, of input and output.
    Gone,
}

/// How a program has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// With this status.
    Status(i32),
    /// By this signal.
    Signal(i32),
}

/// What who has started a program says to its shim.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToProgram {
    /// Bytes for its standard input. Not more than [`WINDOW`] that have not been taken.
    Input(#[serde(with = "serde_bytes")] Vec<u8>),
    /// There is no more.
    EndOfInput,
    /// A signal.
    Signal(u8),
    /// The terminal has another size.
    Resize(TerminalSize),
}

/// How much of a program's input may be on its way.
pub const WINDOW: u32 = 1 << 18;

/// Which of its streams a program has written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

/// What a detached program has written at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRecord {
    /// Microseconds since 1970.
    pub time_us: u64,
    /// Where to.
    pub stream: Stream,
    /// What.
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
}

/// How a program on a node is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProgramStatus {
    /// Its number on its node: the process id of its shim.
    pub program: u32,
    /// Its name and arguments.
    pub command: Vec<String>,
    /// Who has started it.
    pub started_by: String,
    /// When, in seconds since 1970.
    pub started: u64,
    /// What it is doing.
    pub state: ProgramState,
    /// Memory that was brought to its processes, by page faults and otherwise, while they ran here already: of a program that has come from another node, once all of that has been brought.
    #[serde(default)]
    pub fetched: Option<Fetched>,
}

/// What a program uses that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Its number on its node.
    pub program: u32,
    /// Its name and arguments, or their beginning.
    pub command: Vec<String>,
    /// When it was started, in milliseconds since 1970.
    pub started_ms: u64,
    /// `None` if it has not said in time.
    pub figures: Option<Figures>,
}

/// What all processes of a program use together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// The ISAs that they are on, each once.
    pub isas: Vec<String>,
    /// How many there are.
    pub processes: u32,
    /// Their threads, with those of emulators.
    pub threads: u32,
    /// How often they have moved between ISAs of the node.
    pub moves: u64,
    /// Processor time so far, in milliseconds, with that of processes that have ended.
    pub processor_ms: u64,
    /// Memory that is resident, in bytes; what processes share counts for each.
    pub resident_bytes: u64,
}

/// So much of a command is told, in bytes: with as many programs as a node may have, the message is not too long.
const TOLD: usize = 512;

impl Usage {
    /// As a program says itself.
    #[must_use]
    pub fn of(program: u32, status: &Status) -> Usage {
        let Status { arguments, started_ms, processes, ended_processor_ms, .. } = status;
        let mut isas: Vec<String> = Vec::new();
        for process in processes {
            if !isas.contains(&process.isa) {
                isas.push(process.isa.clone());
            }
        }
        let figures = Figures {
            isas,
            processes: u32::try_from(processes.len()).unwrap_or(u32::MAX),
            threads: processes.iter().map(|process| process.threads).sum(),
            moves: processes.iter().map(|process| process.moves as u64).sum(),
            processor_ms: ended_processor_ms + processes.iter().map(|process| process.processor_ms).sum::<u64>(),
            resident_bytes: processes.iter().map(|process| process.resident_bytes).sum(),
        };
        Usage { program, command: beginning(arguments), started_ms: *started_ms, figures: Some(figures) }
    }

    /// Of a program that says nothing.
    #[must_use]
    pub fn unknown(status: &ProgramStatus) -> Usage {
        let ProgramStatus { program, command, started, .. } = status;
        Usage { program: *program, command: beginning(command), started_ms: started * 1000, figures: None }
    }
}

/// As much of a command as is told.
fn beginning(command: &[String]) -> Vec<String> {
    let mut left = TOLD;
    let mut told = Vec::new();
    for word in command {
        let end = word.floor_char_boundary(left);
        told.push(word[..end].to_owned());
        // A word takes more than its letters.
        left = left.saturating_sub(end + 2);
        if end < word.len() || left == 0 {
            break;
        }
    }
    told
}

/// What a program is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProgramState {
    /// It runs.
    Running,
    /// It has ended.
    Ended(Ending),
    /// It has been given to another node, which has not said whether it has it.
    Unsettled(Passage),
    /// It has gone to another node.
    Moved(Location),
    /// Its shim is gone, and has not said how it ended.
    Lost,
}

/// A program that is one node's or the other's, and it is not known which.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passage {
    /// Where it is if it has come.
    pub to: Location,
    /// The attempt.
    pub transfer: Transfer,
    /// What holds it here. They are stopped.
    pub hosts: Vec<HostProcess>,
    /// Why it is not known.
    pub reason: Option<String>,
}

impl Passage {
    /// What there is to know and to do about a program with this number, for people.
    #[must_use]
    pub fn advice(&self, program: u32) -> String {
        let Passage { to, reason, .. } = self;
        let because = reason.as_ref().map_or_else(String::new, |reason| format!(" ({reason})"));
        format!(
            "{program} waits: it was given to {0}, as {0}:{1}, which has not said whether it has it{because}. It goes on here or there as soon as {0} answers. \
             If {0} never will: maize node settle {program} --here or --gone",
            to.node, to.program
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use maize_node::{ProcessStatus, State};

    #[test]
    fn what_processes_use_is_added_up() {
        let process = |id, isa: &str, threads, moves, processor_ms, resident_bytes| ProcessStatus {
            id,
            parent: 1,
            host: id,
            isa: isa.into(),
            program: "work".into(),
            state: State::Running,
            moves,
            processor_ms,
            threads,
            resident_bytes,
        };
        let status = Status {
            pid: 7,
            id: 8,
            program: "work".into(),
            arguments: vec!["work".into(), "hard".into()],
            started_ms: 5,
            processes: vec![
                process(8, "x86_64", 4, 1, 100, 1 << 20),
                process(9, "riscv64", 2, 2, 20, 1 << 21),
                process(10, "x86_64", 1, 0, 3, 1 << 22),
            ],
            ended_processor_ms: 1000,
            note: None,
        };
        let figures = Figures {
            isas: vec!["x86_64".into(), "riscv64".into()],
            processes: 3,
            threads: 7,
            moves: 3,
            processor_ms: 1123,
            resident_bytes: 7 << 20,
        };
        let command = vec!["work".into(), "hard".into()];
        assert_eq!(Usage::of(7, &status), Usage { program: 7, command, started_ms: 5, figures: Some(figures) });
    }

    #[test]
    fn as_much_of_a_command_is_told_as_fits() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>();
        let short = words(&["a", "", "b c"]);
        assert_eq!(beginning(&short), short);
        let long = "\u{e9}".repeat(TOLD);
        assert_eq!(beginning(&words(&["a", &long, "b"])), words(&["a", &"\u{e9}".repeat((TOLD - 3) / 2)]));
        assert!(beginning(&vec![String::new(); 10_000]).len() <= TOLD);
    }
}
