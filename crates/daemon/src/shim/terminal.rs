//! The terminal of an attached program, and what of it goes along to another node (docs/nodes.md): its settings, and what has been typed and not read.
//!
//! How that is taken out and put in is `maize_node`'s business (`line_discipline`); here it is when, and where goes meanwhile what is typed.

use crate::error::{NodeError, Result};
use crate::message::{TerminalSize, TerminalState};
use crate::poll::is_ready;
use crate::sync::lock;
use maize_node::line_discipline;
use maize_snapshot::Typed;
use rustix::event::PollFlags;
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::Errno;
use rustix::process::getpgrp;
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcgetpgrp, tcsetpgrp, tcsetwinsize};
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, PoisonError, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

/// Time between looks.
const GLANCE: Duration = Duration::from_millis(1);
/// Who hands on what the program has written does that at once, unless the link is stuck.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where goes what is typed.
enum To {
    Here,
    /// The program has been stopped, and it is not known yet where it goes on.
    Nowhere,
    /// To who hands it on to where the program is.
    Elsewhere(File),
}

struct Typing {
    to: To,
    /// Typed before, in vain.
    backlog: Vec<u8>,
    /// What was taken out, until it is known where the program goes on.
    taken: Option<TerminalState>,
}

/// A terminal whose other side the program has.
pub(super) struct Terminal {
    ours: File,
    /// Held by who reads what the program has written.
    turn: Mutex<()>,
    typing: Mutex<Typing>,
    changed: Condvar,
}

impl Terminal {
    /// A new one, which becomes that of this session, and the program's side of it.
    pub(super) fn open(size: TerminalSize) -> Result<(Terminal, OwnedFd)> {
        let open = || {
            let terminal = Terminal::new(size)?;
            let theirs = terminal.theirs()?;
            rustix::process::ioctl_tiocsctty(&theirs)?;
            Ok((terminal, theirs))
        };
        open().map_err(NodeError::system::<Errno>("making a terminal"))
    }

    fn new(size: TerminalSize) -> rustix::io::Result<Terminal> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let ours = openpt(flags)?;
        grantpt(&ours)?;
        unlockpt(&ours)?;
        let typing = Typing { to: To::Here, backlog: Vec::new(), taken: None };
        let (typing, changed) = (Mutex::new(typing), Condvar::new());
        let terminal = Terminal { ours: ours.into(), turn: Mutex::default(), typing, changed };
        terminal.resize(size)?;
        Ok(terminal)
    }

    fn theirs(&self) -> rustix::io::Result<OwnedFd> {
        ioctl_tiocgptpeer(&self.ours, OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
    }

    /// Tells it its size; the kernel tells the program.
    pub(super) fn resize(&self, size: TerminalSize) -> rustix::io::Result<()> {
        let size = Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.ours, size)
    }

    /// Types something; waits while the program is nowhere.
    pub(super) fn type_in(&self, bytes: &[u8]) -> io::Result<()> {
        let typing = lock(&self.typing);
        let typing = self.changed.wait_while(typing, |typing| matches!(typing.to, To::Nowhere));
        let mut typing = typing.unwrap_or_else(PoisonError::into_inner);
        let backlog = std::mem::take(&mut typing.backlog);
        [&backlog, bytes].into_iter().try_for_each(|bytes| match &mut typing.to {
            To::Elsewhere(file) => file.write_all(bytes),
            _ => (&self.ours).write_all(bytes),
        })
    }

    /// Reads what the program has written. Nothing if there is nothing, or it was not the program's.
    pub(super) fn read(&self, buffer: &mut [u8]) -> rustix::io::Result<usize> {
        let _turn = lock(&self.turn);
        // Ready, too, when nobody has the other side open.
        if !is_ready(&self.ours, PollFlags::IN) {
            return Err(Errno::AGAIN);
        }
        rustix::io::read(&self.ours, buffer)
    }

    /// Takes what has been typed and not read out of it, with its settings. The program does not run. Until [`Terminal::put_back`] or [`Terminal::leave`], what is typed waits.
    pub(super) fn take(self: &Arc<Self>) -> io::Result<TerminalState> {
        let state = self.in_foreground(|| {
            let mut state = line_discipline::settings(&self.ours)?;
            let theirs = self.theirs()?;
            fcntl_setfl(&theirs, OFlags::NONBLOCK)?;
            // Who types may wait for room.
            let is_last = || {
                let typing = match self.typing.try_lock() {
                    Ok(typing) => Some(typing),
                    Err(TryLockError::Poisoned(error)) => Some(error.into_inner()),
                    Err(TryLockError::WouldBlock) => None,
                };
                typing.map(|mut typing| typing.to = To::Nowhere).is_some()
            };
            let taken = line_discipline::take_out(&self.ours, &theirs, &mut state.typed, is_last);
            lock(&self.typing).taken = Some(state.clone());
            taken.map(|()| state)
        });
        state.inspect_err(|_| self.put_back())
    }

    /// Gives it what was taken out of another one, and that one's settings but for the size.
    pub(super) fn put(self: &Arc<Self>, state: &TerminalState) -> io::Result<()> {
        let (held, beyond) = line_discipline::split(&state.typed);
        let put = self.in_foreground(|| self.type_again(state, held));
        let mut typing = lock(&self.typing);
        typing.to = To::Here;
        // There is no more room: the kernel takes that when the program reads, and echoes it once more.
        beyond.iter().for_each(|typed| typing.backlog.extend(line_discipline::as_typed(typed, state)));
        drop(typing);
        self.go_on();
        put
    }

    fn type_again(&self, state: &TerminalState, typed: &[Typed]) -> io::Result<()> {
        let _turn = self.wait_until_all_is_read();
        line_discipline::type_again(&self.ours, state, typed)
    }

    /// Who hands on what the program has written does that first.
    fn wait_until_all_is_read(&self) -> std::sync::MutexGuard<'_, ()> {
        let begun = Instant::now();
        loop {
            let turn = lock(&self.turn);
            if !is_ready(&self.ours, PollFlags::IN) || begun.elapsed() > PATIENCE {
                return turn;
            }
            drop(turn);
            thread::sleep(GLANCE);
        }
    }

    /// The program goes on here: it gets back what was taken, if anything was.
    pub(super) fn put_back(self: &Arc<Self>) {
        let taken = lock(&self.typing).taken.take();
        if let Some(state) = taken {
            // Its settings are as they were at least, or it cannot be reached at all.
            let _ = self.put(&state);
        }
    }

    /// The program goes on elsewhere: what has been typed and is not there yet goes to who hands it on.
    pub(super) fn leave(self: &Arc<Self>, elsewhere: File) {
        let mut typing = lock(&self.typing);
        (typing.to, typing.taken) = (To::Elsewhere(elsewhere), None);
        drop(typing);
        self.go_on();
    }

    /// Nothing more is typed.
    pub(super) fn end(&self) {
        let mut typing = lock(&self.typing);
        if matches!(typing.to, To::Elsewhere(_)) {
            typing.to = To::Here;
        }
    }

    fn go_on(self: &Arc<Self>) {
        self.changed.notify_all();
        if !lock(&self.typing).backlog.is_empty() {
            let own = Arc::clone(self);
            thread::spawn(move || own.type_in(&[]));
        }
    }

    /// Does something that the kernel lets the foreground process group of the terminal alone do.
    fn in_foreground<T>(&self, act: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T>
    where
        T: Send,
    {
        let act = || {
            block_terminal_signals();
            // The program may have given it to another group.
            let own = getpgrp();
            let Some(before) = tcgetpgrp(&self.ours).ok().filter(|before| *before != own) else { return act() };
            let theirs = self.theirs()?;
            tcsetpgrp(&theirs, own)?;
            let result = act();
            // A group that has ended meanwhile needs it no more.
            let _ = tcsetpgrp(&theirs, before);
            result
        };
        thread::scope(|scope| scope.spawn(act).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl AsFd for Terminal {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ours.as_fd()
    }
}

/// In the calling thread.
fn block_terminal_signals() {
    // SAFETY: a set of this thread's own, made by the first call.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGTTOU);
        libc::sigaddset(&raw mut set, libc::SIGTTIN);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::termios::{OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};

    const SIZE: TerminalSize = TerminalSize { rows: 25, columns: 80 };

    fn new() -> (Arc<Terminal>, OwnedFd) {
        let terminal = Terminal::new(SIZE).unwrap();
        let theirs = terminal.theirs().unwrap();
        fcntl_setfl(&theirs, OFlags::NONBLOCK).unwrap();
        (Arc::new(terminal), theirs)
    }

    /// Types something into a terminal, and takes it to another one.
    fn moved(typed: &[u8], change: impl Fn(&mut Termios)) -> (Arc<Terminal>, OwnedFd) {
        let (from, theirs) = new();
        let mut modes = tcgetattr(&theirs).unwrap();
        change(&mut modes);
        tcsetattr(&theirs, OptionalActions::Now, &modes).unwrap();
        from.type_in(typed).unwrap();
        let state = from.take().unwrap();
        let (to, there) = new();
        to.put(&state).unwrap();
        assert_eq!(line_discipline::settings(&there).unwrap(), TerminalState { typed: Vec::new(), ..state });
        assert!(!is_ready(&to.ours, PollFlags::IN), "what has been echoed is echoed again");
        (to, there)
    }

    fn read(theirs: &OwnedFd) -> Option<Vec<u8>> {
        let mut bytes = [0; 8192];
        rustix::io::read(theirs, &mut bytes).ok().map(|length| bytes[..length].to_vec())
    }

    #[test]
    fn lines_ends_of_input_and_a_line_that_is_being_edited_move() {
        let (to, theirs) = moved(b"one\ntwo\x04\x04thre\x7fne", |_| ());
        assert_eq!(
            [read(&theirs), read(&theirs), read(&theirs)],
            [b"one\n".as_slice(), b"two", b""].map(|line| Some(line.into()))
        );
        assert_eq!(read(&theirs), None);
        to.type_in(b"\x7f\x7fee\n").unwrap();
        assert_eq!(read(&theirs), Some(b"three\n".into()));
    }

    #[test]
    fn characters_with_a_meaning_that_were_taken_as_they_are_stay_so() {
        let end = |modes: &mut Termios| modes.special_codes[SpecialCodeIndex::VEOL] = b';';
        let (to, theirs) = moved(b"a\x16\x04\x16\x16\x16\x03b;\x16;c\x16\n", end);
        assert_eq!(read(&theirs), Some(b"a\x04\x16\x03b;".into()));
        to.type_in(b"d\n").unwrap();
        assert_eq!(read(&theirs), Some(b";c\nd\n".into()));
    }

    #[test]
    fn keys_of_a_program_that_reads_them_one_by_one_move() {
        let raw = |modes: &mut Termios| modes.make_raw();
        let (to, theirs) = moved(b"\x03\x04k\r\xff\0", raw);
        assert_eq!(read(&theirs), Some(b"\x03\x04k\r\xff\0".into()));
        to.type_in(b"\x7f").unwrap();
        assert_eq!(read(&theirs), Some(b"\x7f".into()));
    }

    #[test]
    fn more_than_the_kernel_holds_comes_when_there_is_room() {
        let line = |number: u32| format!("{number:099}\n").into_bytes();
        let all: Vec<u8> = (0..100).flat_map(line).collect();
        let (from, _theirs) = new();
        // More than is echoed without being read.
        let reader = Arc::clone(&from);
        thread::spawn(move || while Terminal::read(&reader, &mut [0; 4096]) != Ok(0) {});
        from.type_in(&all).unwrap();
        let state = from.take().unwrap();
        assert_eq!(state.typed.len(), 100);
        let (to, theirs) = new();
        to.put(&state).unwrap();
        let found: Vec<u8> = (0..100)
            .flat_map(|_| {
                is_ready(&theirs, PollFlags::IN);
                loop {
                    match read(&theirs) {
                        Some(line) => return line,
                        None => thread::sleep(GLANCE),
                    }
                }
            })
            .collect();
        assert_eq!(found, all);
    }

    #[test]
    fn what_is_typed_while_the_program_is_nowhere_waits_and_what_was_taken_comes_back_first() {
        let (terminal, theirs) = new();
        terminal.type_in(b"one\n").unwrap();
        assert_eq!(terminal.take().unwrap().typed, [Typed::Line(b"one\n".into())]);
        let typist = thread::spawn({
            let terminal = Arc::clone(&terminal);
            move || terminal.type_in(b"two\n").unwrap()
        });
        assert!(!is_ready(&theirs, PollFlags::IN));
        // Its echo has been seen.
        let (mut echoed, mut length) = ([0; 16], 0);
        while length < 5 {
            match terminal.read(&mut echoed[length..]) {
                Ok(read) => length += read,
                Err(error) => assert_eq!(error, Errno::AGAIN),
            }
        }
        assert_eq!(&echoed[..length], b"one\r\n");
        terminal.put_back();
        typist.join().unwrap();
        assert_eq!([read(&theirs), read(&theirs)], [b"one\n", b"two\n"].map(|line| Some(line.to_vec())));

        terminal.type_in(b"three\n").unwrap();
        terminal.take().unwrap();
        let (elsewhere, writer) = io::pipe().unwrap();
        terminal.leave(OwnedFd::from(writer).into());
        terminal.type_in(b"four\n").unwrap();
        terminal.end();
        assert_eq!(io::read_to_string(elsewhere).unwrap(), "four\n");
    }
}
