//! Terminals: their settings, and what is in them.

use serde::{Deserialize, Serialize};

/// The size of a terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalSize {
    /// In characters.
    pub rows: u16,
    /// In characters.
    pub columns: u16,
}

/// A terminal's settings, and what has been typed into it and not read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalState {
    /// Its size.
    pub size: TerminalSize,
    /// Of input, output, control (and speed) and local (`struct termios`), which have the same bits on all ISAs.
    pub modes: [u32; 4],
    /// Those with a meaning, in the order of `struct termios`.
    pub characters: [u8; 17],
    /// What has been typed, as it would be read.
    pub typed: Vec<Typed>,
}

/// A piece of what has been typed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Typed {
    /// A line, with what ends it.
    Line(#[serde(with = "serde_bytes")] Vec<u8>),
    /// Ended by the character for the end of input, which is not read.
    Ended(#[serde(with = "serde_bytes")] Vec<u8>),
    /// A line that is not finished, or bytes of a terminal without lines.
    Begun(#[serde(with = "serde_bytes")] Vec<u8>),
}

impl Typed {
    /// What would be read.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Typed::Line(bytes) | Typed::Ended(bytes) | Typed::Begun(bytes) => bytes,
        }
    }
}

/// A terminal that the program has made (pty(7)). A side that none of its open files is has been closed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terminal {
    /// N of `/dev/pts/N`, as the program knows it.
    pub number: u32,
    /// Settings, and what has been typed and not read.
    pub state: TerminalState,
    /// Its width and height in pixels.
    pub pixels: [u16; 2],
    /// Who may do what with its file, as `st_mode` has it.
    pub mode: u32,
    /// Its file cannot be opened (`TIOCSPTLCK`).
    pub locked: bool,
    /// It is read in packets (`TIOCPKT`).
    pub packets: bool,
    /// It is not opened once more (`TIOCEXCL`).
    pub exclusive: bool,
    /// Index of what has been written or echoed, and not read.
    pub content: usize,
}
