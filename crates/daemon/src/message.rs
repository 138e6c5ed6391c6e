//! What nodes say to each other, and a command to the daemon of its own machine (docs/nodes.md has the list).
//!
//! A message is its length (u32, little-endian) and so many bytes in postcard's format, in an authenticated connection or over a Unix socket. All of one [`VERSION`]
//! agree on all messages; there is no reading of others'.

use crate::hosts::HostProcess;
use crate::identity::PublicKey;
use crate::members::Member;
use maize_node::Need;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

/// The version of the protocol: of the handshake and of all messages.
pub const VERSION: u16 = 3;
/// The longest message among members: arguments and environment of a program are the largest part of one.
pub const LIMIT: usize = 4 << 20;
/// The longest message of somebody who is no member.
pub const STRANGERS_LIMIT: usize = 1024;
/// Streams and files are cut into pieces of so many bytes.
pub const PIECE: usize = 60_000;

/// What is asked.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// To become a member. The only one that others than members may ask.
    Join(Join),
    /// How are you, and what do you know?
    Heartbeat(Heartbeat),
    /// How is each member, as far as you know?
    Nodes,
    /// Take programs from now on, or none.
    Accept(bool),
    /// Run a program. The answers are [`Reply::SendExecutable`], [`Reply::Ready`], and then those of the program's shim.
    Start(Box<Start>),
    /// What has a detached program said?
    Logs {
        /// The program.
        program: u32,
        /// Go on until the program ends.
        follow: bool,
    },
    /// Which programs are there?
    Programs,
    /// Send a program a signal.
    Signal {
        /// The program.
        program: u32,
        /// The signal's number.
        signal: u8,
    },
    /// Have a detached program go to another node.
    Migrate {
        /// The program.
        program: u32,
        /// The node.
        to: String,
        /// The ISA to be on there; the node's own if `None`.
        isa: Option<String>,
        /// How long it may take to stop the program, in milliseconds.
        timeout_ms: u64,
        /// Only find out whether it can. The answer is [`Reply::Done`] if it can, as far as that shows while it runs.
        dry_run: bool,
    },
    /// Take over a program. The answers are those to [`Request::Start`]; what follows [`Reply::Ready`] is said by the program's new shim ([`FromDestination`]).
    Receive(Box<Arrival>),
    /// Has this program come? If not, it is not to come any more.
    Settle(Transfer),
    /// Is it unknown to you, or not made true yet, what has become of this program of yours? The answer is [`Reply::Awaits`].
    Awaits(Transfer),
    /// A program's shim waits for word from the node that it was given to, which may never come: the program is to run on here, or is taken to be there.
    Resolve {
        /// The program.
        program: u32,
        /// It is to run on here.
        here: bool,
    },
    /// Ask another node. Only from the same machine. The answer is that node's.
    Relay {
        /// The node.
        node: String,
        /// What is asked.
        request: Box<Request>,
    },
    /// How are you yourself? Only from the same machine.
    Status,
    /// Read the list of members again. Only from the same machine.
    Reload,
    /// End. Only from the same machine.
    Stop,
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
pub enum Reply {
    /// It is done.
    Done,
    /// It is not, because of this.
    Refused(String),
    /// It is not, and `maize run` is to end with this status.
    CannotStart {
        /// The status.
        status: i32,
        /// Why.
        message: String,
    },
    /// You are a member, and these are all.
    Welcome(Vec<Member>),
    /// How this node is.
    Heartbeat(Heartbeat),
    /// How the nodes are.
    Nodes(Vec<NodeStatus>),
    /// The executable is not here: send it in pieces ([`ToProgram::Input`]).
    SendExecutable,
    /// The executable is here, and what follows is said by the program's shim ([`FromProgram`]).
    Ready,
    /// Something a program has said.
    Log(LogRecord),
    /// All of it has been said.
    EndOfLog,
    /// The programs.
    Programs(Vec<ProgramStatus>),
    /// The program is not here any more; ask there.
    Elsewhere(Location),
    /// It has gone there.
    Migrated(Location),
    /// The number that the program has there, if it has come.
    Settled(Option<u32>),
    /// [`Request::Settle`] may still be asked.
    Awaits(bool),
}

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

/// A program that comes from another node.
#[derive(Debug, Serialize, Deserialize)]
pub struct Arrival {
    /// As it was started, with the ISA that it is to be on here.
    pub start: Start,
    /// As it is known where it comes from.
    pub status: ProgramStatus,
    /// Names this attempt.
    pub transfer: Transfer,
}

/// What the shim that a program leaves says to the one that it comes to.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToDestination {
    /// The program uses these by their names. The answer is [`FromDestination::Suitable`], or a refusal.
    Needs(Vec<Need>),
    /// The program has written this so far.
    Log(LogRecord),
    /// A part of the program, as a snapshot.
    Piece(Vec<u8>),
    /// That was the last.
    EndOfPieces,
    /// The program is yours: it will never run here again.
    Commit,
    /// It is known here that you have it.
    Known,
}

/// What the shim that a program comes to says to the one that it leaves.
#[derive(Debug, Serialize, Deserialize)]
pub enum FromDestination {
    /// The program can come, and will have this number.
    Ready(u32),
    /// It cannot come, for this reason.
    Refused(String),
    /// What it needs is here.
    Suitable,
    /// All of it is here, and waits.
    Restored,
    /// It is here, and runs.
    Taken,
}

/// To become a member.
#[derive(Debug, Serialize, Deserialize)]
pub struct Join {
    /// The token's secret.
    pub secret: [u8; 16],
    /// What the node is to be called.
    pub name: String,
    /// Where it listens: a host and port, or only `:port` for where it connects from; empty if nowhere.
    pub address: String,
}

/// What each tells the other, about once a second.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Heartbeat {
    /// How the sender is.
    pub report: Report,
    /// Of the sender's list of members.
    pub digest: [u8; 16],
    /// The list, if the other is not known to have the same.
    pub members: Vec<Member>,
}

/// How a node is, by itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The release of Maize.
    pub version: String,
    /// ISAs that the machine executes.
    pub native: Vec<String>,
    /// ISAs that it emulates.
    pub emulated: Vec<String>,
    /// It takes no programs.
    pub draining: bool,
    /// How many programs run.
    pub programs: u32,
    /// Threads that want a processor, on average over the last minute.
    pub load: f32,
    /// Processors.
    pub processors: u32,
    /// Memory of the machine, in bytes.
    pub memory: u64,
    /// How much of it programs can have.
    pub available: u64,
}

/// Whether a node is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It takes programs.
    Ready,
    /// It runs what it has and takes no more.
    Draining,
    /// It does not answer.
    Down,
}

/// How a node is, as another sees it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeStatus {
    /// What it is called.
    pub name: String,
    /// Where it listens.
    pub address: String,
    /// Its key.
    pub key: PublicKey,
    /// Whether it is there.
    pub state: State,
    /// Why it is down.
    pub reason: Option<String>,
    /// What it said last.
    pub report: Option<Report>,
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
    /// The program's arguments, its name first.
    pub arguments: Vec<Text>,
    /// Its variables.
    pub environment: Vec<(Text, Text)>,
    /// Its working directory.
    pub directory: Text,
    /// Its file mode creation mask.
    pub umask: u32,
    /// The ISA to start on; the machine's own if `None`.
    pub isa: Option<String>,
    /// To move between these, if any.
    pub hop: Option<Hop>,
    /// How it is attached to who starts it.
    pub attached: Attached,
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

/// The size of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalSize {
    /// In characters.
    pub rows: u16,
    /// In characters.
    pub columns: u16,
}

/// What the shim of a program says to who started it.
#[derive(Debug, Serialize, Deserialize)]
pub enum FromProgram {
    /// It runs, under this number.
    Started(u32),
    /// It could not be started.
    CannotStart {
        /// The status that `maize run` is to end with.
        status: i32,
        /// Why.
        message: String,
    },
    /// It has written this.
    Output(Stream, Vec<u8>),
    /// So many bytes of its input have been taken.
    Taken(u32),
    /// It has ended.
    Ended(Ending),
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
    Input(Vec<u8>),
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

/// Sends a message.
///
/// # Errors
/// If the connection fails, or the message is longer than [`LIMIT`].
pub fn send<T: Serialize>(stream: &mut impl Write, message: &T) -> io::Result<()> {
    let bytes = postcard::to_extend(message, vec![0; 4]).map_err(io::Error::other)?;
    let mut bytes = bytes;
    let length = bytes.len() - 4;
    if length > LIMIT {
        let message = format!("{length} bytes of arguments and environment; {LIMIT} at most go to another node");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    bytes[..4].copy_from_slice(&u32::try_from(length).unwrap_or(0).to_le_bytes());
    stream.write_all(&bytes)
}

/// Receives a message of at most `limit` bytes; `None` if the connection has been closed before one.
///
/// # Errors
/// If the connection fails, or there is something else than a message.
pub fn receive<T: DeserializeOwned>(stream: &mut impl Read, limit: usize) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    if stream.read(&mut length[..1])? == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut length[1..])?;
    let length = u32::from_le_bytes(length) as usize;
    let wrong = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    if length > limit {
        return Err(wrong(format!("a message of {length} bytes; {limit} at most are read")));
    }
    let mut bytes = Vec::new();
    // Memory grows with what comes, not with what is announced.
    stream.by_ref().take(length as u64).read_to_end(&mut bytes)?;
    if bytes.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    decode(&bytes).map(Some).map_err(|error| wrong(format!("not a message: {error}")))
}

/// Reads a message from all of these bytes.
///
/// # Errors
/// If they are not one.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> postcard::Result<T> {
    match postcard::take_from_bytes(bytes)? {
        (message, []) => Ok(message),
        _ => Err(postcard::Error::DeserializeBadEncoding),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_received_as_sent_and_limits_are_kept() {
        let mut bytes = Vec::new();
        send(&mut bytes, &Request::Signal { program: 7, signal: 2 }).unwrap();
        send(&mut bytes, &Request::Nodes).unwrap();
        let mut stream = &bytes[..];
        assert!(matches!(receive(&mut stream, LIMIT).unwrap(), Some(Request::Signal { program: 7, signal: 2 })));
        assert!(matches!(receive(&mut stream, LIMIT).unwrap(), Some(Request::Nodes)));
        assert!(receive::<Request>(&mut stream, LIMIT).unwrap().is_none());
        let long = ToProgram::Input(vec![0; LIMIT]);
        assert_eq!(send(&mut Vec::new(), &long).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        let mut bytes = Vec::new();
        send(&mut bytes, &ToProgram::Input(vec![0; STRANGERS_LIMIT])).unwrap();
        let error = receive::<ToProgram>(&mut &bytes[..], STRANGERS_LIMIT).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn what_is_cut_or_has_a_rest_is_no_message() {
        let mut bytes = Vec::new();
        send(&mut bytes, &Request::Accept(true)).unwrap();
        for end in 1..bytes.len() {
            assert!(receive::<Request>(&mut &bytes[..end], LIMIT).is_err(), "{end} bytes");
        }
        assert!(decode::<Request>(&[&bytes[4..], &[0]].concat()).is_err());
        assert!(decode::<Request>(&[200]).is_err());
    }

    /// 200,000 changed messages; with a seed, so that a failure repeats.
    #[test]
    fn arbitrary_bytes_are_read_or_refused() {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let mut whole = Vec::new();
        let heartbeat = Heartbeat { report: Report::default(), digest: [1; 16], members: Vec::new() };
        send(&mut whole, &Request::Heartbeat(heartbeat)).unwrap();
        let mut read = 0;
        for _ in 0..200_000 {
            let mut bytes = whole[4..].to_vec();
            for _ in 0..random() % 4 {
                let position = random() as usize % bytes.len();
                bytes[position] = random() as u8;
            }
            bytes.truncate(1 + random() as usize % (2 * bytes.len()));
            read += u32::from(decode::<Request>(&bytes).is_ok());
            let _ = (decode::<Reply>(&bytes), decode::<ToProgram>(&bytes), decode::<FromProgram>(&bytes));
        }
        assert!(read > 1000, "only {read} could be read: too much is changed to tell anything");
    }
}
