//! The standard streams of a program: pipes or a terminal at its side; a connection, or a log, at the other.

use super::log;
use crate::channel::Sealer;
use crate::error::{NodeError, Result};
use crate::message::{Attached, FromProgram, PIECE, Stream, TerminalSize, send};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::Winsize;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// The ends of a program's streams that the shim keeps.
pub(super) struct Streams {
    /// What it reads. `None` if that is nothing.
    pub(super) input: Option<OwnedFd>,
    /// What it writes.
    pub(super) outputs: Vec<(Stream, OwnedFd)>,
    /// Its terminal.
    pub(super) terminal: Option<Arc<OwnedFd>>,
}

/// Gives this process, and so the program, streams of that kind.
pub(super) fn open(attached: Attached) -> Result<Streams> {
    let pipe = || rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(NodeError::system("making a pipe"));
    match attached {
        Attached::No => {
            let null = rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
                .map_err(NodeError::file("open", "/dev/null"))?;
            let ((output, output_end), (error, error_end)) = (pipe()?, pipe()?);
            become_standard(&null, &output_end, &error_end)?;
            Ok(Streams { input: None, outputs: vec![(Stream::Output, output), (Stream::Error, error)], terminal: None })
        }
        Attached::Pipes => {
            let ((input_end, input), (output, output_end), (error, error_end)) = (pipe()?, pipe()?, pipe()?);
            become_standard(&input_end, &output_end, &error_end)?;
            Ok(Streams {
                input: Some(input),
                outputs: vec![(Stream::Output, output), (Stream::Error, error)],
                terminal: None,
            })
        }
        Attached::Terminal { size, separate_error } => {
            let (ours, theirs) = terminal(size).map_err(NodeError::system("making a terminal"))?;
            let duplicate = || ours.try_clone().map_err(NodeError::system("duplicating a terminal"));
            let mut outputs = vec![(Stream::Output, duplicate()?)];
            if separate_error {
                let (error, error_end) = pipe()?;
                become_standard(&theirs, &theirs, &error_end)?;
                outputs.push((Stream::Error, error));
            } else {
                become_standard(&theirs, &theirs, &theirs)?;
            }
            Ok(Streams { input: Some(duplicate()?), outputs, terminal: Some(Arc::new(ours)) })
        }
    }
}

fn become_standard(input: &OwnedFd, output: &OwnedFd, error: &OwnedFd) -> Result<()> {
    let all = || {
        rustix::stdio::dup2_stdin(input)?;
        rustix::stdio::dup2_stdout(output)?;
        rustix::stdio::dup2_stderr(error)
    };
    all().map_err(NodeError::system("setting standard streams"))
}

/// A new terminal, which becomes that of this session.
fn terminal(size: TerminalSize) -> rustix::io::Result<(OwnedFd, OwnedFd)> {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&ours)?;
    unlockpt(&ours)?;
    let name = ptsname(&ours, Vec::new())?;
    let theirs = rustix::fs::open(&*name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::process::ioctl_tiocsctty(&theirs)?;
    resize(&ours, size)?;
    Ok((ours, theirs))
}

/// Tells a terminal its size; the kernel tells the program.
pub(super) fn resize(terminal: impl AsFd, size: TerminalSize) -> rustix::io::Result<()> {
    let size = Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(terminal, size)
}

/// Where what a program writes goes.
#[derive(Clone)]
pub(super) enum Sink {
    Connection(Arc<Mutex<Sealer>>),
    Log(Arc<Mutex<log::Writer>>, Flow),
}

/// What is on its way from a program into its log.
#[derive(Clone, Default)]
pub(super) struct Flow {
    /// Held from before something is read until it is written.
    turn: Arc<Mutex<()>>,
    /// Where the program writes to, as long as that is read.
    sources: Arc<Mutex<Vec<Weak<OwnedFd>>>>,
}

impl Flow {
    /// This will be read.
    pub(super) fn watch(&self, source: &Arc<OwnedFd>) {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(source));
    }

    /// Waits until all that the program has written is in the log. The program does not write any more.
    pub(super) fn drain(&self) {
        loop {
            {
                let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
                let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
                let mut sources = sources.iter().filter_map(Weak::upgrade);
                if sources.all(|source| rustix::io::ioctl_fionread(&source).map_or(true, |waiting| waiting == 0)) {
                    return;
                }
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Sink {
    fn write(&self, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        match self {
            Sink::Connection(sealer) => {
                let mut sealer = sealer.lock().unwrap_or_else(PoisonError::into_inner);
                send(&mut *sealer, &FromProgram::Output(stream, bytes.to_vec()))
            }
            Sink::Log(writer, _) => writer.lock().unwrap_or_else(PoisonError::into_inner).write(stream, bytes),
        }
    }
}

/// Hands on what a program writes until it has no stream left to write to, or `ended` can be read and nothing is left that it wrote before. Then, or
/// if the sink takes no more, the stream is closed, and who still writes to it hears of that.
pub(super) fn pump(stream: Stream, from: &OwnedFd, sink: &Sink, ended: impl AsFd) {
    let mut buffer = vec![0; PIECE];
    loop {
        let mut waited = [PollFd::new(from, PollFlags::IN), PollFd::new(&ended, PollFlags::IN)];
        match poll(&mut waited, None) {
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => return,
            Ok(_) => {}
        }
        let has_ended = !waited[1].revents().is_empty();
        if waited[0].revents().is_empty() && has_ended && !is_readable(from) {
            return;
        }
        if waited[0].revents().is_empty() && !has_ended {
            continue;
        }
        let _turn = match sink {
            Sink::Log(_, flow) => Some(flow.turn.lock().unwrap_or_else(PoisonError::into_inner)),
            Sink::Connection(_) => None,
        };
        match rustix::io::read(from, &mut buffer) {
            Ok(0) => return,
            Ok(length) => {
                if sink.write(stream, &buffer[..length]).is_err() {
                    return;
                }
            }
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
            // The way in which a terminal says that nobody has it open.
            Err(_) => return,
        }
    }
}

/// Once more, after the end is known: what was written before it is there by now.
fn is_readable(from: &OwnedFd) -> bool {
    let mut waited = [PollFd::new(from, PollFlags::IN)];
    let now = rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut waited, Some(&now)).is_ok_and(|ready| ready > 0)
}
