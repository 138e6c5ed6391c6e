//! What is known of a program besides its memory and the contents of files: the first section, as JSON.

use crate::error::SnapshotError;
use crate::terminal::Terminal;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;

/// A program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// The version of maize that took the snapshot; for people.
    pub maize: String,
    /// When it was taken, nanoseconds since 1970.
    pub taken_ns: u64,
    /// The program's monotonic clock at that time, ns.
    pub monotonic_ns: u64,
    /// The id of the process that was started first.
    pub main: u32,
    /// The arguments of that process, its name first, as bytes.
    pub arguments: Vec<Vec<u8>>,
    /// The files that processes execute.
    pub executables: Vec<Executable>,
    /// The processes that run.
    pub processes: Vec<Process>,
    /// How all processes are related, those included that have ended and are still to be waited for.
    pub relations: Vec<Relation>,
    /// The open files of all processes.
    pub files: Vec<File>,
    /// The pipes among them.
    pub pipes: Vec<Pipe>,
    /// The terminals among them that the program has made.
    pub terminals: Vec<Terminal>,
    /// What is kept of the contents of files and pipes.
    pub contents: Vec<Content>,
}

/// A file that is executed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Executable {
    /// Where it was.
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of its content, in hexadecimal digits.
    pub sha256: String,
}

/// A process that runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its id, as programs see it.
    pub id: u32,
    /// The ISA that it was on.
    pub isa: String,
    /// Index of the file that it executes.
    pub executable: usize,
    /// Number of regions in its tables.
    pub regions: u64,
    /// Number of runs of pages in its tables.
    pub runs: u64,
    /// Bytes of its tables.
    pub tables: u64,
    /// Number of runs of pages in its tables that are in its image ([`crate::Image`]): all that is not zero in regions that are left out of its pages.
    pub image: u64,
    /// Bytes of its pages.
    pub pages: u64,
    /// Its descriptors.
    pub descriptors: Vec<Descriptor>,
    /// The files that it has mapped.
    pub mapped: Vec<Mapped>,
    /// The signals that wait for it.
    pub signals: Vec<Signal>,
    /// Processor time used so far: user and system, microseconds.
    pub times: [u64; 2],
}

/// A descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Descriptor {
    /// Its number.
    pub number: u32,
    /// It is closed on exec.
    pub close_on_exec: bool,
    /// Index of the open file.
    pub file: usize,
}

/// A file that is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapped {
    /// Index of the region.
    pub region: u64,
    /// Index of the open file.
    pub file: usize,
}

/// A signal that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signal {
    /// Its number.
    pub signal: u32,
    /// `si_code`.
    pub code: i32,
    /// `si_pid` and, in the upper half, `si_uid`.
    pub sender: u64,
    /// `si_value` or `si_status`.
    pub value: u64,
    /// Id of the thread that it is for, or 0.
    pub thread: u32,
}

/// How a process is related to others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relation {
    /// Its id.
    pub id: u32,
    /// Its parent's.
    pub parent: u32,
    /// Its group's.
    pub group: u32,
    /// Its session's.
    pub session: u32,
    /// Its children leave no status behind.
    pub discards_children: bool,
    /// It is not told of children that stop.
    pub stops_silently: bool,
    /// The signal that it gets when its parent ends, or 0.
    pub parent_end: u32,
    /// It has executed another program.
    pub has_executed: bool,
    /// What its parent has not waited for yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<Change>,
}

/// A change of a process that its parent can wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It has ended.
    Ended {
        /// As `wait4` gives it.
        status: i32,
        /// Processor time: user and system, microseconds.
        times: [u64; 2],
    },
    /// A signal has stopped it.
    Stopped {
        /// The signal.
        signal: i32,
    },
    /// It has gone on.
    Continued,
}

/// An open file, with what descriptors that were copied from each other share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// `O_*` as the kernel of x86-64 has them: access mode and status flags.
    pub flags: u32,
    /// Where reading or writing goes on, bytes.
    pub offset: u64,
    /// What it is.
    #[serde(flatten)]
    pub kind: FileKind,
}

/// What an open file is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FileKind {
    /// One of the streams that the program was given: 0, 1 or 2. It becomes the one that the restored program is given.
    Standard {
        /// Which.
        stream: u32,
        /// It was a file, whose position is `offset`.
        seeks: bool,
        /// Its device and inode.
        identity: [u64; 2],
    },
    /// A file with a name.
    Regular {
        /// Its name.
        path: PathBuf,
        /// Its device and inode.
        identity: [u64; 2],
        /// Bytes.
        size: u64,
        /// When it was last changed, ns since 1970.
        changed_ns: i64,
        /// Who may do what with it, as `st_mode` has it.
        mode: u32,
        /// Index of what it held, if that is kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        content: Option<usize>,
    },
    /// A file whose name has been removed. Its content is kept.
    Unlinked {
        /// The name that it had.
        path: PathBuf,
        /// Index of its content.
        content: usize,
    },
    /// A file in memory (`memfd_create`). Its content is kept.
    Memory {
        /// Its name.
        name: String,
        /// Index of its content.
        content: usize,
    },
    /// A directory.
    Directory {
        /// Its name.
        path: PathBuf,
    },
    /// A device, such as /dev/null.
    Device {
        /// Its name.
        path: PathBuf,
        /// Which one.
        number: u64,
    },
    /// One end of a pipe.
    Pipe {
        /// Index of the pipe.
        pipe: usize,
        /// The end that is written to.
        writes: bool,
    },
    /// One side of a terminal that the program has made.
    Terminal {
        /// Index of the terminal.
        terminal: usize,
        /// The side that is typed into (`/dev/ptmx`).
        master: bool,
    },
    /// An `eventfd`.
    Event {
        /// Its count.
        count: u64,
        /// It is read one by one.
        semaphore: bool,
    },
    /// An `epoll`.
    Epoll {
        /// What it watches.
        watches: Vec<Watch>,
    },
    /// A `timerfd`.
    Timer {
        /// Its clock, as `timerfd_create` has it.
        clock: u32,
        /// When it expires next, if it is set.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<Expiry>,
        /// Time between expirations, ns; 0 if it expires once.
        interval_ns: u64,
        /// Expirations that have not been read.
        ticks: u64,
    },
    /// A `signalfd`.
    Signals {
        /// The signals that it takes: bit n is of signal n + 1.
        mask: u64,
    },
    /// An `inotify`.
    Inotify {
        /// What it watches, by rising numbers.
        watches: Vec<FileWatch>,
    },
    /// A socket.
    Socket {
        /// What it is.
        socket: Socket,
    },
}

/// A file that an `inotify` watches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileWatch {
    /// The number by which the program knows it.
    pub number: u32,
    /// Its name.
    pub path: PathBuf,
    /// `IN_*`.
    pub events: u32,
}

/// A socket. Its numbers are those of Linux.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Socket {
    /// `AF_*`.
    pub family: u32,
    /// `SOCK_*`.
    pub kind: u32,
    /// `IPPROTO_*`, or 0.
    pub protocol: u32,
    /// Those that are not as in a new socket.
    pub options: Vec<SocketOption>,
    /// What it is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<SocketName>,
    /// What it does.
    pub state: SocketState,
}

/// An option of a socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketOption {
    /// `SOL_*` or `IPPROTO_*`.
    pub level: i32,
    /// Its number there.
    pub name: i32,
    /// Its value, as the kernel has it.
    pub value: Vec<u8>,
}

/// The name of a socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SocketName {
    /// An address and port.
    Internet(SocketAddr),
    /// A path.
    Path {
        /// As bytes.
        path: Vec<u8>,
        /// The inode of the socket's file.
        inode: u64,
    },
    /// A name that is no path, as bytes.
    Abstract(Vec<u8>),
}

/// What a socket does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SocketState {
    /// Nothing, besides being bound.
    Idle,
    /// It takes connections.
    Listening {
        /// How many may wait.
        backlog: u32,
    },
    /// It sends and receives datagrams.
    Datagrams {
        /// Where they go to and come from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        peer: Option<SocketName>,
    },
    /// One of two that are connected to each other, on one machine.
    Pair {
        /// Index of the other one among the open files; nothing if that is closed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        peer: Option<usize>,
        /// Nothing more is read from it.
        reads_no_more: bool,
        /// Nothing more is written to it.
        writes_no_more: bool,
        /// Index of what waits in it.
        content: usize,
        /// How long the messages in that are, bytes; nothing if it is a stream.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        messages: Vec<u32>,
    },
    /// It is a TCP connection, of which the rest comes by another way: only to another node.
    Connection,
    /// A connection that was lost, which the program has not been told of, perhaps.
    Lost,
}

/// Something that an `epoll` watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// The descriptor by which it was added. It may be another file's by now, or nobody's.
    pub descriptor: u32,
    /// Index of the open file.
    pub file: usize,
    /// `EPOLL*`, with what says how it is watched.
    pub events: u32,
    /// What the program is told with an event.
    pub data: u64,
}

/// When a `timerfd` expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expiry {
    /// So long after [`Metadata::monotonic_ns`].
    In {
        /// ns.
        after_ns: u64,
    },
    /// At a time of `CLOCK_REALTIME`.
    At {
        /// ns since 1970.
        since_1970_ns: u64,
        /// Reading fails if that clock is set meanwhile (`TFD_TIMER_CANCEL_ON_SET`).
        cancelled_when_set: bool,
    },
}

/// A pipe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pipe {
    /// Bytes that it can hold.
    pub capacity: u32,
    /// Index of what is in it.
    pub content: usize,
}

/// Something's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Bytes.
    pub size: u64,
}

impl Metadata {
    /// Checks that all indices are of something that is there.
    pub(crate) fn check(&self) -> Result<(), SnapshotError> {
        let fault = |text: String| Err(SnapshotError::Contradiction(text));
        if !self.processes.iter().any(|process| process.id == self.main) {
            return fault(format!("its first process, {}, is not in it", self.main));
        }
        for process in &self.processes {
            let files = process.descriptors.iter().map(|one| one.file).chain(process.mapped.iter().map(|one| one.file));
            if process.executable >= self.executables.len() || files.into_iter().any(|file| file >= self.files.len()) {
                return fault(format!("process {} has a file that is not in it", process.id));
            }
            if !self.relations.iter().any(|relation| relation.id == process.id) {
                return fault(format!("process {} is related to none", process.id));
            }
        }
        let contents = self.contents.len();
        let is_wrong = |file: &File| match file.kind {
            FileKind::Pipe { pipe, .. } => pipe >= self.pipes.len(),
            FileKind::Terminal { terminal, .. } => terminal >= self.terminals.len(),
            FileKind::Unlinked { content, .. } | FileKind::Memory { content, .. } => content >= contents,
            FileKind::Regular { content: Some(content), .. } => content >= contents,
            FileKind::Socket { socket: Socket { state: SocketState::Pair { peer, content, .. }, .. } } => {
                content >= contents || peer.is_some_and(|peer| peer >= self.files.len())
            }
            FileKind::Epoll { ref watches } => watches.iter().any(|watch| watch.file >= self.files.len()),
            _ => false,
        };
        if self.files.iter().any(is_wrong)
            || self.pipes.iter().any(|pipe| pipe.content >= contents)
            || self.terminals.iter().any(|terminal| terminal.content >= contents)
        {
            return fault(String::from("what a file refers to is not in it"));
        }
        Ok(())
    }
}
