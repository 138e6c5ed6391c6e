//! Messages between a host process (the runtime in a running program) and the node that started it,
//! and between the two host processes of a move. docs/protocol.md explains the exchange.
//!
//! All sockets are `SOCK_SEQPACKET` Unix sockets; each packet is one [`Message`], little-endian.
//! Descriptors travel as `SCM_RIGHTS`.

/// Version of these messages. Either side refuses any other.
pub const VERSION: u32 = 8;

/// Environment variable that names the control socket's descriptor. The runtime removes it.
pub const DESCRIPTOR_VARIABLE: &str = "MAIZE_CONTROL_FD";

/// The signal by which a node draws a host process's attention to its control socket. Ignored by
/// default, so a process that has not set up its handler yet is not harmed; Linux number, the same on every ISA.
pub const ATTENTION_SIGNAL: i32 = 23; // SIGURG

/// As the number of an event: there is none.
pub const NEVER: u64 = u64::MAX;

/// In `values[1]` of `Kind::Accept`: the program's clocks are set.
pub const SETS_CLOCKS: u64 = 1;

/// In `values[1]` of `Kind::Move`: large regions stay behind, and the node reads them from there.
pub const LEAVES: u64 = 1;

/// In `values[4]` of `Kind::State`: the destination keeps its userfaultfd, since the node alone has it besides.
pub const KEEPS: u64 = 1;

/// Bytes of text in a message.
pub const TEXT_SIZE: usize = 184;

/// One packet.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Message {
    /// One of [`Kind`].
    pub kind: u32,
    /// [`VERSION`].
    pub version: u32,
    /// Numbers; which, the kind says.
    pub values: [u64; 8],
    /// A reason for people, UTF-8, zero-padded.
    pub text: [u8; TEXT_SIZE],
}

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// Node to host, first of all: run the program from its start. `[1 to count events, or 0, the event at which to move or [`NEVER`],
    /// how often a point counts in a round or 0, crate::processes::SERVED or 0, the process's id if it was forked]`, and in the text the
    /// path of the program's file.
    Run = 1,
    /// Node to host, first of all: wait for a program to arrive.
    Receive = 2,
    /// Node to source, with the transfer socket: move the program to the process at its other end; `[the event at which to move
    /// next, or [`NEVER`], [`LEAVES`] or 0]`. With the destination's pidfd as second descriptor if pages can be brought to it when it runs.
    Move = 3,
    /// Node to destination, with the transfer socket: `[crate::processes::SERVED or 0, [`SETS_CLOCKS`] or 0, ns that the program's clocks
    /// are ahead of this machine's from now on]`.
    Accept = 4,
    /// Node to source, after `Departed`: nothing more is sent to it. It hands back signals that it has got, and exits.
    Release = 5,
    /// Node to host: the node wants to know which pages the program changes. Answered with `Watched`; the program runs on.
    Watch = 6,
    /// Host to node: set up and waiting. With its userfaultfd, if the kernel grants it one, or else its memory (`/proc/PID/mem`) and the eventfd by which it asks for pages, if the node can write to
    /// the one.
    Ready = 16,
    /// Source to node: the program has left; `[frames, record bytes, capture ns, bytes moved, when it was suspended (ns of
    /// CLOCK_MONOTONIC), processor ns from the node's call to that, innermost activation as in `Frames`, processor ns used in this process]`. The source exits, after `Release`, or says `Behind`.
    Departed = 17,
    /// Destination to node: the program runs; `[resume ns, pause ns, processor ns used in this process]`.
    Arrived = 18,
    /// Source to node: the program stays for the reason in `text` and runs on.
    Stayed = 19,
    /// Host to node, before `Reached`: activations, the innermost first, at most 8 to a message, 0 for none; each is the address of its
    /// function's resume clone in the upper half, and the number of its site in the lower.
    Frames = 20,
    /// Source to node: the program has reached the event at which to move, and waits for `Move`; `[number of the event, system call or
    /// [`NEVER`] at a migration point]`.
    Reached = 21,
    /// Host to node: the program ends; `[events so far]`.
    Passed = 22,
    /// Host to node: with a userfaultfd that knows pages that are written (`UFFD_FEATURE_WP_ASYNC`), if the kernel grants one.
    Watched = 23,
    /// Source to destination after `Commit`, and to node after `Release`: a signal that waits, `[signal, si_code, sender, value, id of the thread that
    /// it is for or 0]`.
    Undelivered = 24,
    /// A child of a `fork` to node, first of all: `[its process id]`.
    Born = 25,
    /// Host to node: a question about processes ([`crate::processes::Request`]).
    Call = 26,
    /// Node to host, on the socket that came with the question: `[result, ...]`.
    Answer = 27,
    /// Destination to node, before `Restored`: regions whose pages are still at the source, `[address, bytes]` of 4 at most; an address of 0 is none. The last
    /// such message comes with the source's memory (`/proc/PID/mem`) and, of a host without userfaultfd, with a [`crate::board`] for the pages of all of them in the order told.
    Absent = 28,
    /// Source to node, when it has handed back signals and pages are to be brought from it: it waits, and runs nothing, until it is killed. `[runs]`, with a file of
    /// so many [`Run`]s: pages of the absent regions that hold something. Without a file any page may.
    Behind = 29,
    /// Source to destination: what follows, `[regions, runs, start time ns, memory bytes, [`KEEPS`] or 0]`, with the memory file as descriptor, and, if regions are
    /// left behind, its memory (`/proc/PID/mem`).
    State = 32,
    /// Source to destination: descriptors, numbers in `values` (at most 8 to a message). One without descriptors ends them.
    Descriptors = 33,
    /// Destination to source: everything is in place. With the destination's userfaultfd, if it has one and regions are absent.
    Restored = 34,
    /// Source to destination: run; the source will not.
    Commit = 35,
    /// Destination to source: it cannot be done, for the reason in `text`.
    Refused = 36,
    /// Destination to source before `Restored`: which signals wait. The source answers with `Undelivered` for each, and with this.
    Signals = 37,
    /// Node, as a source, to destination, before `Descriptors`: the numbers of terminals that the program knows by others than the kernel does ([`crate::terminals::Number::to_word`]),
    /// at most 8 to a message. They take the place of all that it knew.
    Terminals = 38,
}

impl Kind {
    /// The kind with this number.
    pub const fn from_number(number: u32) -> Option<Kind> {
        Some(match number {
            1 => Kind::Run,
            2 => Kind::Receive,
            3 => Kind::Move,
            4 => Kind::Accept,
            5 => Kind::Release,
            6 => Kind::Watch,
            16 => Kind::Ready,
            17 => Kind::Departed,
            18 => Kind::Arrived,
            19 => Kind::Stayed,
            20 => Kind::Frames,
            21 => Kind::Reached,
            22 => Kind::Passed,
            23 => Kind::Watched,
            24 => Kind::Undelivered,
            25 => Kind::Born,
            26 => Kind::Call,
            27 => Kind::Answer,
            28 => Kind::Absent,
            29 => Kind::Behind,
            32 => Kind::State,
            33 => Kind::Descriptors,
            34 => Kind::Restored,
            35 => Kind::Commit,
            36 => Kind::Refused,
            37 => Kind::Signals,
            38 => Kind::Terminals,
            _ => return None,
        })
    }
}

impl Message {
    /// A message without text.
    pub const fn new(kind: Kind, values: [u64; 8]) -> Message {
        Message { kind: kind as u32, version: VERSION, values, text: [0; TEXT_SIZE] }
    }

    /// A message with a reason, cut to what fits.
    pub fn with_text(kind: Kind, text: &str) -> Message {
        let mut message = Message::new(kind, [0; 8]);
        for (to, from) in message.text.iter_mut().zip(text.bytes()) {
            *to = from;
        }
        message
    }

    /// The kind, if message and version are known.
    pub const fn kind(&self) -> Option<Kind> {
        if self.version == VERSION { Kind::from_number(self.kind) } else { None }
    }

    /// The text without its padding.
    pub fn text(&self) -> &str {
        let end = self.text.iter().position(|&byte| byte == 0).unwrap_or(TEXT_SIZE);
        let text = self.text.get(..end).unwrap_or_default();
        match core::str::from_utf8(text) {
            Ok(text) => text,
            // A cut may have split a character.
            Err(error) => core::str::from_utf8(text.get(..error.valid_up_to()).unwrap_or_default()).unwrap_or_default(),
        }
    }

    /// The packet's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        // SAFETY: the structure is plain old data without padding (4 + 4 + 64 + 184 bytes, 8-aligned).
        unsafe { core::slice::from_raw_parts(core::ptr::from_ref(self).cast(), size_of::<Message>()) }
    }

    /// The message in a packet of the right size.
    pub fn from_bytes(bytes: &[u8]) -> Option<Message> {
        if bytes.len() != size_of::<Message>() {
            return None;
        }
        // SAFETY: every bit pattern is a valid Message, and the length was checked.
        Some(unsafe { core::ptr::read_unaligned(bytes.as_ptr().cast()) })
    }
}

const _: () = assert!(size_of::<Message>() == 256);

/// One run of pages in the memory file of a move.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Run {
    /// Address of the first byte.
    pub address: u64,
    /// Bytes.
    pub length: u64,
    /// Where in the memory file the run's content starts, or [`ABSENT`].
    pub offset: u64,
}

impl Run {
    /// As it is in files.
    pub fn to_bytes(self) -> [u8; size_of::<Run>()] {
        let mut bytes = [0; size_of::<Run>()];
        for (to, word) in bytes.chunks_exact_mut(8).zip([self.address, self.length, self.offset]) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// The run that these are.
    pub fn from_bytes(bytes: &[u8; size_of::<Run>()]) -> Run {
        let word =
            |at: usize| u64::from_le_bytes(core::array::from_fn(|byte| bytes.get(at + byte).copied().unwrap_or(0)));
        Run { address: word(0), length: word(8), offset: word(16) }
    }
}

/// As the offset of a run, which is a region then: it is still at the source.
pub const ABSENT: u64 = u64::MAX;
