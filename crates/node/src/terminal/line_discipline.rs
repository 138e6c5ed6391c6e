//! What a terminal's line discipline (n_tty) holds: its settings, and what has been typed and not read.
//!
//! That has been echoed already, and is given out as lines. So it is read as the program would read it, and typed again into another terminal with settings by which it stays what it is.
//! What is echoed meanwhile is read back here and shown to nobody: that tells when the kernel is done with it.

use maize_snapshot::{TerminalSize, TerminalState, Typed};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::termios::{
    ControlModes, InputModes, LocalModes, OptionalActions, OutputModes, SpecialCodeIndex, Termios, tcgetattr,
    tcgetwinsize, tcsetattr,
};
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::thread;
use std::time::Duration;

/// Time between looks.
pub(super) const GLANCE: Duration = Duration::from_millis(1);
/// The kernel echoes at once what is typed, unless the program or a key has stopped the terminal.
const PATIENCE: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };
/// So much that is not read the line discipline holds (`N_TTY_BUF_SIZE`), but for one byte.
pub(super) const HELD: usize = 4095;
/// Pieces that leave no large buffer behind before the line discipline (the least size of a `struct tty_buffer`).
pub(super) const SMALL: usize = 256;
/// Has the next character taken as it is.
const LITERAL_NEXT: u8 = 0x16;
/// End of input, where the program's terminal has no character for it.
const END: u8 = 4;

/// All characters that a terminal's settings have, in this order (`struct termios`).
const CHARACTERS: [SpecialCodeIndex; 17] = [
    SpecialCodeIndex::VINTR,
    SpecialCodeIndex::VQUIT,
    SpecialCodeIndex::VERASE,
    SpecialCodeIndex::VKILL,
    SpecialCodeIndex::VEOF,
    SpecialCodeIndex::VTIME,
    SpecialCodeIndex::VMIN,
    SpecialCodeIndex::VSWTC,
    SpecialCodeIndex::VSTART,
    SpecialCodeIndex::VSTOP,
    SpecialCodeIndex::VSUSP,
    SpecialCodeIndex::VEOL,
    SpecialCodeIndex::VREPRINT,
    SpecialCodeIndex::VDISCARD,
    SpecialCodeIndex::VWERASE,
    SpecialCodeIndex::VLNEXT,
    SpecialCodeIndex::VEOL2,
];

/// A terminal's settings, seen from either side.
///
/// # Errors
/// The kernel's.
pub fn settings(terminal: impl AsFd) -> io::Result<TerminalState> {
    let modes = tcgetattr(&terminal)?;
    let size = tcgetwinsize(&terminal)?;
    Ok(TerminalState {
        size: TerminalSize { rows: size.ws_row, columns: size.ws_col },
        modes: [
            modes.input_modes.bits(),
            modes.output_modes.bits(),
            modes.control_modes.bits(),
            modes.local_modes.bits(),
        ],
        characters: CHARACTERS.map(|index| modes.special_codes[index]),
        typed: Vec::new(),
    })
}

/// Takes out what has been typed into `ours` and can be read from `theirs`, which does not wait, until that is all and nobody types any more, by `is_last`. Its settings are to be given back
/// to it afterwards ([`type_again`]).
///
/// # Errors
/// The kernel's. What has been taken out by then is in `typed`.
pub fn take_out(
    ours: &File,
    theirs: &OwnedFd,
    typed: &mut Vec<Typed>,
    mut is_last: impl FnMut() -> bool,
) -> io::Result<()> {
    let modes = tcgetattr(ours)?;
    let is_canonical = modes.local_modes.contains(LocalModes::ICANON);
    let mut at_once = modes.clone();
    at_once.local_modes.remove(LocalModes::ICANON);
    at_once.special_codes[SpecialCodeIndex::VMIN] = 0;
    at_once.special_codes[SpecialCodeIndex::VTIME] = 0;
    if !is_canonical {
        tcsetattr(ours, OptionalActions::Now, &at_once)?;
    }
    loop {
        // Who types may wait for room.
        let is_last = is_last();
        match is_canonical {
            true => take_lines(theirs, &modes, typed)?,
            false => take_bytes(theirs, typed)?,
        }
        if is_last {
            break;
        }
        thread::sleep(GLANCE);
    }
    if is_canonical {
        // What is left is a line that is not finished.
        tcsetattr(ours, OptionalActions::Now, &at_once)?;
        take_bytes(theirs, typed)?;
    }
    Ok(())
}

/// Gives a terminal of which nothing waits to be read these settings, but for the size, and has this typed into it, which it has room for ([`split`]).
///
/// # Errors
/// The kernel's, or if nothing is echoed.
pub fn type_again(ours: &File, state: &TerminalState, typed: &[Typed]) -> io::Result<()> {
    let mut modes = tcgetattr(ours)?;
    set_modes(&mut modes, state);
    let typing = || {
        tcsetattr(ours, OptionalActions::Now, &without_meaning(&modes))?;
        let mut ours = ours;
        for typed in typed {
            literally(typed, state).chunks(SMALL).try_for_each(|piece| ours.write_all(piece))?;
        }
        read_back(ours, typed.iter().map(|typed| typed.bytes().len()).sum())
    };
    let result = typing();
    tcsetattr(ours, OptionalActions::Now, &modes)?;
    result
}

/// Reads lines as long as there are any that are finished.
fn take_lines(theirs: &OwnedFd, modes: &Termios, typed: &mut Vec<Typed>) -> io::Result<()> {
    let mut line = [0; HELD + 1];
    loop {
        let length = match rustix::io::read(theirs, &mut line) {
            Ok(length) => length,
            Err(Errno::AGAIN) => return Ok(()),
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        };
        let line = line[..length].to_vec();
        let ends = |last: &u8| *last == b'\n' || ends_of_line(modes).contains(last);
        typed.push(if line.last().is_some_and(ends) { Typed::Line(line) } else { Typed::Ended(line) });
    }
}

/// Reads what there is, with `VMIN` and `VTIME` 0.
fn take_bytes(theirs: &OwnedFd, typed: &mut Vec<Typed>) -> io::Result<()> {
    let mut bytes = [0; HELD + 1];
    loop {
        match rustix::io::read(theirs, &mut bytes) {
            Ok(0) | Err(Errno::AGAIN) => return Ok(()),
            Ok(length) => typed.push(Typed::Begun(bytes[..length].to_vec())),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Reads so much that is echoed.
fn read_back(ours: &File, mut length: usize) -> io::Result<()> {
    let mut echoed = [0; HELD + 1];
    while length > 0 {
        if poll(&mut [PollFd::new(ours, PollFlags::IN)], Some(&PATIENCE))? == 0 {
            return Err(Errno::TIMEDOUT.into());
        }
        let most = length.min(echoed.len());
        length -= rustix::io::read(ours, &mut echoed[..most])?;
    }
    Ok(())
}

/// Characters that end lines beside that for new lines.
fn ends_of_line(modes: &Termios) -> Vec<u8> {
    let codes = [SpecialCodeIndex::VEOL, SpecialCodeIndex::VEOL2].map(|code| modes.special_codes[code]);
    codes.into_iter().filter(|&code| code != 0).collect()
}

fn set_modes(modes: &mut Termios, state: &TerminalState) {
    let [input, output, control, local] = state.modes;
    modes.input_modes = InputModes::from_bits_retain(input);
    modes.output_modes = OutputModes::from_bits_retain(output);
    modes.control_modes = ControlModes::from_bits_retain(control);
    modes.local_modes = LocalModes::from_bits_retain(local);
    for (index, character) in CHARACTERS.into_iter().zip(state.characters) {
        modes.special_codes[index] = character;
    }
}

/// Lines remain lines, and no other character has a meaning, or is echoed as another.
fn without_meaning(modes: &Termios) -> Termios {
    let mut quiet = modes.clone();
    quiet.input_modes = InputModes::empty();
    quiet.output_modes = OutputModes::empty();
    quiet.local_modes = (modes.local_modes & LocalModes::ICANON) | LocalModes::IEXTEN | LocalModes::ECHO;
    for index in CHARACTERS {
        quiet.special_codes[index] = 0;
    }
    let kept = [SpecialCodeIndex::VEOL, SpecialCodeIndex::VEOL2];
    kept.into_iter().for_each(|index| quiet.special_codes[index] = modes.special_codes[index]);
    let end = modes.special_codes[SpecialCodeIndex::VEOF];
    quiet.special_codes[SpecialCodeIndex::VEOF] = if end == 0 { END } else { end };
    quiet.special_codes[SpecialCodeIndex::VLNEXT] = LITERAL_NEXT;
    quiet.special_codes[SpecialCodeIndex::VMIN] = 1;
    quiet
}

fn end_of_input(state: &TerminalState) -> u8 {
    let index = CHARACTERS.iter().position(|index| *index == SpecialCodeIndex::VEOF);
    index.map(|index| state.characters[index]).filter(|&end| end != 0).unwrap_or(END)
}

/// As it would be typed.
#[must_use]
pub fn as_typed(typed: &Typed, state: &TerminalState) -> Vec<u8> {
    let mut bytes = typed.bytes().to_vec();
    if matches!(typed, Typed::Ended(_)) {
        bytes.push(end_of_input(state));
    }
    bytes
}

/// As it is typed to a terminal with settings [`without_meaning`].
fn literally(typed: &Typed, state: &TerminalState) -> Vec<u8> {
    if state.modes[3] & LocalModes::ICANON.bits() == 0 {
        return typed.bytes().to_vec();
    }
    let characters = CHARACTERS.iter().zip(state.characters);
    let ends = characters.filter(|(index, _)| [SpecialCodeIndex::VEOL, SpecialCodeIndex::VEOL2].contains(index));
    let special: Vec<u8> = ends.map(|(_, character)| character).filter(|&character| character != 0).collect();
    let special = [special.as_slice(), &[b'\n', LITERAL_NEXT, end_of_input(state)]].concat();
    let bytes = typed.bytes();
    let (content, end) = match typed {
        Typed::Line(_) => bytes.split_at(bytes.len().saturating_sub(1)),
        Typed::Ended(_) | Typed::Begun(_) => (bytes, &[][..]),
    };
    let mut result = Vec::with_capacity(bytes.len() + 1);
    for &byte in content {
        if special.contains(&byte) {
            result.push(LITERAL_NEXT);
        }
        result.push(byte);
    }
    result.extend(end);
    if matches!(typed, Typed::Ended(_)) {
        result.push(end_of_input(state));
    }
    result
}

/// What the line discipline has room for, and the rest.
#[must_use]
pub fn split(typed: &[Typed]) -> (&[Typed], &[Typed]) {
    let mut room = HELD;
    let fits = |typed: &&Typed| {
        // The mark that ends input has a place, too.
        let length = typed.bytes().len() + usize::from(matches!(typed, Typed::Ended(_)));
        let left = room.checked_sub(length);
        room = left.unwrap_or(0);
        left.is_some()
    };
    typed.split_at(typed.iter().take_while(fits).count())
}
