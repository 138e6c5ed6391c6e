//! What is said about a program that goes to another node.

use super::program::{Location, LogRecord, ProgramStatus, Start, Transfer};
use maize_node::Need;
use maize_snapshot::TerminalState;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// A program that comes from another node.
#[derive(Debug, Serialize, Deserialize)]
pub struct Arrival {
    /// As it was started, with the ISA that it is to be on here.
    pub start: Start,
    /// As it is known where it comes from.
    pub status: ProgramStatus,
    /// Names this attempt.
    pub transfer: Transfer,
    /// If it is attached to the command that has started it: the program as which it was started, whose shim is connected to that command.
    pub home: Option<Location>,
}

/// What the shim that a program leaves says to the one that it comes to.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToDestination {
    /// The program uses these by their names. The answer is [`FromDestination::Suitable`] or [`FromDestination::Missing`].
    Needs(Vec<Need>),
    /// The program has written this so far.
    Log(LogRecord),
    /// So many bytes of the program, as a snapshot, come next, as they are.
    Piece(u32),
    /// So many rounds have been sent while the program runs. The answer is [`FromDestination::Marked`], or a refusal.
    Mark(u32),
    /// These pages of a process, each an address and a length in bytes, are in no piece. They come as [`ToDestination::Pages`] after the last: those that are asked for, and when the
    /// program is known to have come all others.
    Later {
        /// The process.
        process: u32,
        /// Without any in common.
        ranges: Vec<(u64, u64)>,
    },
    /// That was the last piece.
    EndOfPieces,
    /// Pages that were to come later. Each is kept until [`FromDestination::Whole`]. The answer is [`FromDestination::Arrived`].
    Pages {
        /// The process.
        process: u32,
        /// Each with its address.
        runs: Vec<(u64, ByteBuf)>,
        /// Those that hold only zeros: each an address and a length in bytes.
        zeros: Vec<(u64, u64)>,
    },
    /// A part of its connections, in postcard's format. They are not this node's any more, if they are not yours.
    Connections(#[serde(with = "serde_bytes")] Vec<u8>),
    /// What it has in its terminal. Nothing of that is here any more, if the program is not this node's.
    Terminal(TerminalState),
    /// The program is yours: it will never run here again.
    Commit,
    /// It is known here that you have it.
    Known,
    /// [`FromDestination::Whole`] has been heard, and nothing of the program is here any more.
    Released,
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
    /// These are not, for these reasons. The program may have had them for a moment only, and need others now.
    Missing(Vec<(Need, String)>),
    /// All that was sent before this mark has been taken in.
    Marked(u32),
    /// All of it is here, and waits.
    Restored,
    /// It is here, and runs.
    Taken,
    /// A process waits for a page that was to come later, at this address, and what lies behind it may be needed next.
    Bring {
        /// The process.
        process: u32,
        /// A multiple of 4096.
        address: u64,
        /// In bytes.
        length: u64,
    },
    /// What was in a message of pages is in place.
    Arrived,
    /// All that was to come later has come, or is not needed any more. The answer is [`ToDestination::Released`].
    Whole,
    /// Of the pages that were to come later these have not come by the connections that were lost, each an address and a length in bytes.
    Lacks {
        /// The process.
        process: u32,
        /// Sorted.
        ranges: Vec<(u64, u64)>,
    },
    /// Those were all.
    EndOfLacks,
}
