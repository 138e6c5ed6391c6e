//! What nodes say to each other, and a command to the daemon of its own machine (docs/nodes.md has the list).
//!
//! A message is its length (u32, little-endian) and so many bytes in postcard's format, in an authenticated connection or over a Unix socket. All of one [`VERSION`]
//! agree on all messages; there is no reading of others'.

mod moving;
mod program;
mod wire;

pub use maize_snapshot::{TerminalSize, TerminalState};
pub use moving::{Arrival, FromDestination, ToDestination};
pub use program::{
    Attached, Ending, Figures, FromProgram, Hop, Location, LogRecord, Passage, Periodic, ProgramState, ProgramStatus,
    Restoration, Snapshot, Start, Stream, Text, ToProgram, Transfer, Usage, WINDOW,
};
pub use wire::{LIMIT, STRANGERS_LIMIT, decode, receive, send};

use crate::identity::{MemoryOrder, PublicKey};
use crate::members::Member;
use serde::{Deserialize, Serialize};

/// The version of the protocol: of the handshake and of all messages.
pub const VERSION: u16 = 18;
/// Ranges of memory in a message, at most.
pub const RANGES: usize = 1 << 16;
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
    /// Let a saved program go on. The answers are those to [`Request::Start`]; the shim's first is [`FromProgram::Awaits`].
    Restore(Box<Restoration>),
    /// What has a detached program said?
    Logs {
        /// The program.
        program: u32,
        /// Go on until the program ends.
        follow: bool,
    },
    /// Which programs are there?
    Programs,
    /// What do the programs use that run there?
    Usage,
    /// Send a program a signal.
    Signal {
        /// The program.
        program: u32,
        /// The signal's number.
        signal: u8,
    },
    /// Have a program go to another node.
    Migrate {
        /// The program.
        program: u32,
        /// The node.
        to: String,
        /// The ISA to be on there; the node's own if `None`.
        isa: Option<String>,
        /// How long it may take to stop the program, in milliseconds.
        timeout_ms: u64,
        /// When memory goes that it changes faster than it can be sent; what the node's configuration says if `None`.
        memory: Option<MemoryOrder>,
        /// Only find out whether it can. The answer is [`Reply::Done`] if it can, as far as that shows while it runs.
        dry_run: bool,
    },
    /// Take over a program. The answers are those to [`Request::Start`]; what follows [`Reply::Ready`] is said by the program's new shim ([`FromDestination`]).
    Receive(Box<Arrival>),
    /// Hand on the streams of a program that is to come here: its shim is connected there to the command that has started it. The answer is [`Reply::Ready`], and what
    /// follows is said as between that command and that shim.
    Attach {
        /// The number of the program that the shim has had first.
        program: u32,
        /// The attempt to bring the program here.
        transfer: Transfer,
    },
    /// Go on to send what is left of the memory of a program that has come from there: the connection was lost. The answer is [`Reply::Ready`], and what follows is said as between the shim
    /// that the program has come to and the one that it has left, [`FromDestination::Lacks`] first.
    Follow {
        /// The number of the program there.
        program: u32,
        /// The attempt in which it has come.
        transfer: Transfer,
    },
    /// Ask a program something, as by its control socket (docs/control.md): [`maize_node::Action`], in JSON. The answers are [`Reply::Answer`], and [`Reply::EndOfAnswers`] when the program has
    /// ended. A snapshot comes after its answer, in pieces ([`ToProgram::Input`]) up to [`ToProgram::EndOfInput`], which is said in return when it is on disk, if the program waits for that.
    Ask {
        /// The program.
        program: u32,
        /// What.
        action: String,
    },
    /// Serve this node's files to a program there. The answer is [`Reply::Ready`], and what follows are FUSE's messages (`maize-files`).
    Files,
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
    /// Ask another node. Only from the same machine. The answer is that node's; if it is [`Reply::Ready`], to [`Request::Follow`], the connection is handed over then.
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
    /// What a program answers: [`maize_node::Answer`], in JSON.
    Answer(String),
    /// It has ended.
    EndOfAnswers,
    /// It is not here, nor has it been.
    NoSuchProgram,
    /// The programs.
    Programs(Vec<ProgramStatus>),
    /// What those use that run.
    Usage(Vec<Usage>),
    /// The program is not here any more; ask there.
    Elsewhere(Location),
    /// It has gone there.
    Migrated(Location),
    /// The number that the program has there, if it has come.
    Settled(Option<u32>),
    /// [`Request::Settle`] may still be asked.
    Awaits(bool),
    /// What is asked for is nowhere any more, because of this: to ask again is of no use. Only to the same machine.
    Gone(String),
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

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
