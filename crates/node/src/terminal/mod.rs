//! Terminals that a program has made itself (pty(7)): what is in them is taken out where the program has been stopped, and put into new ones where it goes on, or into the same if it goes on
//! there after all.

pub mod line_discipline;

use crate::describe::identity;
use crate::describe::terminals::{CONTROLLING, FOREIGN};
use line_discipline::{GLANCE, HELD, SMALL, as_typed, split, take_out, type_again};
use maize_abi::terminals::Number;
use maize_snapshot::{Terminal, TerminalSize};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, OFlags, Stat, fcntl_getfl, fcntl_setfl, fstat, major, minor};
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer};
use rustix::termios::{OptionalActions, OutputModes, Winsize, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::thread;

/// Numbers of `/dev/ptmx`, and the major one of `/dev/pts/N` (Linux, admin-guide/devices.txt).
const MASTER: (u32, u32) = (5, 2);
const SLAVE: u32 = 136;
/// Of what a terminal can hold (4,095 bytes in the line discipline, and some 17 KB before it), so much may wait on either side. What is before the line discipline has not been echoed.
const MUCH: u64 = 3072;
/// The kernel takes microseconds to hand on what has been written. So often it is looked at, [`GLANCE`] apart, without any of that.
const LOOKS: u32 = 10_000;
/// What waits before the line discipline is in buffers (`struct tty_buffer`), each for twice as much as what it was made for, of which one takes at most so many bytes (`TTY_BUFFER_PAGE`). So written
/// in such pieces as much fits as in any.
const LARGE: usize = 1792;

/// Which side of a terminal an open file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The one that is typed into.
    Master,
    /// The one that programs use as their terminal, with this number.
    Slave(u32),
}

impl Side {
    /// `None` if it is none.
    pub(crate) fn of(status: &Stat) -> Option<Side> {
        let is_character = FileType::from_raw_mode(status.st_mode) == FileType::CharacterDevice;
        match (major(status.st_rdev), minor(status.st_rdev)) {
            number if is_character && number == MASTER => Some(Side::Master),
            (SLAVE, number) if is_character => Some(Side::Slave(number)),
            _ => None,
        }
    }
}

/// Why a terminal cannot go along.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// As long as the program has it.
    Never(String),
    /// It may be able to soon.
    NotNow(String),
}

/// Asks for a number, or a switch, of a terminal.
fn get(terminal: impl AsFd, request: libc::Ioctl) -> io::Result<u32> {
    let mut value = 0;
    // SAFETY: these requests write one integer.
    let result = unsafe { libc::ioctl(terminal.as_fd().as_raw_fd(), request, &raw mut value) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(value) }
}

/// Sets a switch that is given by its address.
fn set(terminal: impl AsFd, request: libc::Ioctl, value: bool) -> io::Result<()> {
    let value = libc::c_int::from(value);
    // SAFETY: these requests read one integer.
    let result = unsafe { libc::ioctl(terminal.as_fd().as_raw_fd(), request, &raw const value) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The kernel's number of a terminal, from its master side.
pub(crate) fn number(master: impl AsFd) -> io::Result<u32> {
    get(master, libc::TIOCGPTN)
}

/// Has its file locked, or not.
pub(crate) fn lock(master: impl AsFd, locks: bool) -> io::Result<()> {
    set(master, libc::TIOCSPTLCK, locks)
}

/// What is so of it now.
fn state_now(end: impl AsFd, asked: PollFlags) -> PollFlags {
    let mut polled = [PollFd::new(&end, asked)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut polled, Some(&now)).map_or(PollFlags::empty(), |_| polled[0].revents())
}

/// Whether nobody has the other side open any more. One that has not been opened yet is not meant.
pub(crate) fn is_hung_up(end: impl AsFd) -> bool {
    state_now(end, PollFlags::empty()).contains(PollFlags::HUP)
}

/// Whether it is the terminal of a session.
pub(crate) fn is_controlling(master: impl AsFd) -> bool {
    get(master, libc::TIOCGSID).is_ok()
}

/// Its other side, without waiting. If nobody else has that open, the terminal is hung up when it is closed again.
pub(crate) fn slave(master: impl AsFd) -> io::Result<OwnedFd> {
    let is_locked = get(&master, libc::TIOCGPTLCK)? != 0;
    lock(&master, false)?;
    let opened = ioctl_tiocgptpeer(&master, OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC);
    if is_locked {
        lock(&master, true)?;
    }
    let opened = opened?;
    fcntl_setfl(&opened, OFlags::NONBLOCK)?;
    Ok(opened)
}

/// What is in the way of a terminal whose processes wait. `slaves` has the identity of the program's files of the other side, if it has that open. Nothing is changed.
pub(crate) fn obstacle(master: BorrowedFd<'_>, slaves: &[[u64; 2]]) -> io::Result<Option<Obstacle>> {
    let never = |reason: &str| Ok(Some(Obstacle::Never(reason.to_owned())));
    let not_now = |reason: &str| Ok(Some(Obstacle::NotNow(reason.to_owned())));
    if is_controlling(master) {
        return never(CONTROLLING);
    }
    if slaves.is_empty() && !is_hung_up(master) {
        return not_now("a terminal whose other side has not been opened yet, or not by the program");
    }
    if state_now(master, PollFlags::PRI).contains(PollFlags::PRI) {
        return not_now("a terminal which has something to tell that has not been read");
    }
    let slave = slave(master)?;
    if !slaves.is_empty() && !slaves.contains(&identity(&fstat(&slave)?)) {
        return never(FOREIGN);
    }
    if get(&slave, libc::TIOCGETD)? != 0 {
        return never("a terminal with another line discipline than terminals have: close it before");
    }
    let unread = rustix::io::ioctl_fionread(master)?;
    if rustix::io::ioctl_fionread(&slave)? > MUCH {
        return not_now("a terminal into which more has been typed than it has been ready to take");
    }
    if unread < MUCH && !state_now(&slave, PollFlags::OUT).contains(PollFlags::OUT) {
        return not_now("a terminal which has been stopped (by Ctrl-S, or tcflow)");
    }
    Ok(None)
}

/// What was taken out of a terminal. Dropped, it is put back, unless the program has [left](Taken::leave).
pub(crate) struct Taken {
    master: File,
    terminal: Terminal,
    written: Vec<u8>,
    has_left: bool,
}

impl Taken {
    /// Takes it out; the program does not run.
    pub(crate) fn take(master: OwnedFd) -> io::Result<Taken> {
        let master = File::from(master);
        let slave = slave(&master)?;
        let size = tcgetwinsize(&slave)?;
        let terminal = Terminal {
            number: number(&master)?,
            state: line_discipline::settings(&slave)?,
            pixels: [size.ws_xpixel, size.ws_ypixel],
            mode: fstat(&slave)?.st_mode & 0o7777,
            locked: get(&master, libc::TIOCGPTLCK)? != 0,
            packets: get(&master, libc::TIOCGPKT)? != 0,
            exclusive: get(&slave, libc::TIOCGEXCL)? != 0,
            content: 0,
        };
        // From here on it is put back.
        let mut taken = Taken { master, terminal, written: Vec::new(), has_left: false };
        set(&taken.master, libc::TIOCPKT, false)?;
        read_all(&taken.master, &mut taken.written)?;
        take_out(&taken.master, &slave, &mut taken.terminal.state.typed, || true)?;
        // What the kernel has echoed only now.
        read_all(&taken.master, &mut taken.written)?;
        Ok(taken)
    }

    /// What it is, but for where its content is, and what has been written into it and not read. The number is the kernel's.
    pub(crate) fn told(&self) -> (&Terminal, &[u8]) {
        (&self.terminal, &self.written)
    }

    /// The program goes on elsewhere.
    pub(crate) fn leave(&mut self) {
        self.has_left = true;
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if self.has_left {
            return;
        }
        let put = slave(&self.master).and_then(|slave| {
            put(&self.master, &slave, &self.terminal, &self.written)?;
            set(&self.master, libc::TIOCPKT, self.terminal.packets)
        });
        if let Err(error) = put {
            let number = self.terminal.number;
            eprintln!("maize: warning: what was in /dev/pts/{number} is lost, or a part of it: {error}");
        }
    }
}

/// Makes one again; both sides, the second of which does not wait.
pub(crate) fn make(terminal: &Terminal, written: &[u8]) -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = File::from(rustix::pty::openpt(flags)?);
    let slave = slave(&master)?;
    lock(&master, false)?;
    rustix::fs::fchmod(&slave, rustix::fs::Mode::from_raw_mode(terminal.mode))?;
    let TerminalSize { rows, columns } = terminal.state.size;
    let [ws_xpixel, ws_ypixel] = terminal.pixels;
    tcsetwinsize(&slave, Winsize { ws_row: rows, ws_col: columns, ws_xpixel, ws_ypixel })?;
    put(&master, &slave, terminal, written)?;
    Ok((master.into(), slave))
}

/// Sets what keeps a terminal from being opened, and how it is read, when all of its sides have been opened.
pub(crate) fn settle(master: &OwnedFd, slave: &OwnedFd, terminal: &Terminal) -> io::Result<()> {
    set(master, libc::TIOCPKT, terminal.packets)?;
    if terminal.exclusive {
        set(slave, libc::TIOCEXCL, true)?;
    }
    lock(master, terminal.locked)
}

/// Puts into an empty terminal what was taken out of one.
fn put(master: &File, slave: &OwnedFd, terminal: &Terminal, written: &[u8]) -> io::Result<()> {
    let (held, beyond) = split(&terminal.state.typed);
    type_again(master, &terminal.state, held)?;
    let modes = tcgetattr(master)?;
    let mut as_it_is = modes.clone();
    as_it_is.output_modes.remove(OutputModes::OPOST);
    tcsetattr(master, OptionalActions::Now, &as_it_is)?;
    let result = fill(master, slave, written);
    tcsetattr(master, OptionalActions::Now, &modes)?;
    result?;
    let flags = fcntl_getfl(master)?;
    fcntl_setfl(master, flags | OFlags::NONBLOCK)?;
    let beyond: Vec<u8> = beyond.iter().flat_map(|typed| as_typed(typed, &terminal.state)).collect();
    let result = write_all(master, &beyond, LARGE);
    fcntl_setfl(master, flags)?;
    result
}

/// Reads all that has been written into the other side.
fn read_all(master: &File, written: &mut Vec<u8>) -> io::Result<()> {
    let mut bytes = [0; 4096];
    while state_now(master, PollFlags::IN).contains(PollFlags::IN) {
        match rustix::io::read(master, &mut bytes) {
            Ok(length) => written.extend_from_slice(&bytes[..length]),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Writes to a side that does not wait, in such pieces. What does not fit in at once may when the kernel has handed on what came before; it takes more than `poll` says.
fn write_all(end: impl AsFd, bytes: &[u8], piece: usize) -> io::Result<()> {
    let (mut rest, mut looks) = (bytes, 0);
    while !rest.is_empty() {
        match rustix::io::write(&end, &rest[..rest.len().min(piece)]) {
            Ok(length) => (rest, looks) = (&rest[length..], 0),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) if looks < LOOKS => {
                looks += 1;
                thread::sleep(GLANCE);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Writes into the other side of a terminal of which nothing is to be read, as much as it can hold.
fn fill(master: &File, slave: &OwnedFd, bytes: &[u8]) -> io::Result<()> {
    let (first, rest) = bytes.split_at(bytes.len().min(HELD));
    write_all(slave, first, SMALL)?;
    // What is in the line discipline takes no room before it.
    let mut looks = 0;
    while !rest.is_empty() && rustix::io::ioctl_fionread(master)? < first.len() as u64 && looks < LOOKS {
        looks += 1;
        thread::sleep(GLANCE);
    }
    write_all(slave, rest, LARGE)
}

/// The terminals among these that the program knows by other numbers than the kernel gives them here.
pub(crate) fn renumbered(terminals: &[Terminal], here: impl Iterator<Item = u32>) -> Vec<Number> {
    let numbers = terminals.iter().zip(here).map(|(terminal, here)| Number { known: terminal.number, here });
    numbers.filter(|number| number.known != number.here).collect()
}

#[cfg(test)]
mod tests;
