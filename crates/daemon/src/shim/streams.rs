//! The standard streams of a program: pipes or a terminal at its side; a connection, or a log, at the other.

use super::log;
use super::terminal::Terminal;
use crate::channel::Sealer;
use crate::directory::has_no_room;
use crate::error::{NodeError, Result};
use crate::message::{Attached, FromProgram, PIECE, Stream, send};
use crate::poll::is_ready;
use crate::sync::lock;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, TryLockError, Weak};
use std::time::Duration;

/// Time between looks whether there is room on the disk again.
pub(super) const AGAIN: Duration = Duration::from_millis(200);

/// The ends of a program's streams that the shim keeps.
pub(super) struct Streams {
    /// What it reads, if that is a pipe.
    pub(super) input: Option<OwnedFd>,
    /// What it writes.
    pub(super) outputs: Vec<(Stream, Source)>,
    /// Its terminal, of which the others are parts then.
    pub(super) terminal: Option<Arc<Terminal>>,
}

/// Where what a program writes comes from.
#[derive(Clone)]
pub(super) enum Source {
    Pipe(Arc<OwnedFd>),
    Terminal(Arc<Terminal>),
}

impl Source {
    fn pipe(end: OwnedFd) -> Source {
        Source::Pipe(Arc::new(end))
    }

    fn read(&self, buffer: &mut [u8]) -> rustix::io::Result<usize> {
        match self {
            Source::Pipe(pipe) => rustix::io::read(pipe, buffer),
            Source::Terminal(terminal) => terminal.read(buffer),
        }
    }
}

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Source::Pipe(pipe) => pipe.as_fd(),
            Source::Terminal(terminal) => terminal.as_fd(),
        }
    }
}

/// What it writes.
fn outputs(output: OwnedFd, error: OwnedFd) -> Vec<(Stream, Source)> {
    vec![(Stream::Output, Source::pipe(output)), (Stream::Error, Source::pipe(error))]
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
            Ok(Streams { input: None, outputs: outputs(output, error), terminal: None })
        }
        Attached::Pipes => {
            let ((input_end, input), (output, output_end), (error, error_end)) = (pipe()?, pipe()?, pipe()?);
            become_standard(&input_end, &output_end, &error_end)?;
            Ok(Streams { input: Some(input), outputs: outputs(output, error), terminal: None })
        }
        Attached::Terminal { size, separate_error } => {
            let (terminal, theirs) = Terminal::open(size)?;
            let terminal = Arc::new(terminal);
            let mut outputs = vec![(Stream::Output, Source::Terminal(Arc::clone(&terminal)))];
            if separate_error {
                let (error, error_end) = pipe()?;
                become_standard(&theirs, &theirs, &error_end)?;
                outputs.push((Stream::Error, Source::pipe(error)));
            } else {
                become_standard(&theirs, &theirs, &theirs)?;
            }
            Ok(Streams { input: None, outputs, terminal: Some(terminal) })
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
    /// Something waits for room on the disk.
    is_full: Arc<AtomicBool>,
}

impl Flow {
    /// This will be read.
    pub(super) fn watch(&self, source: &Arc<OwnedFd>) {
        lock(&self.sources).push(Arc::downgrade(source));
    }

    /// Waits until all that the program has written is in the log. The program does not write any more.
    pub(super) fn drain(&self) -> io::Result<()> {
        loop {
            if self.is_full.load(Ordering::SeqCst) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let turn = self.turn.try_lock();
            if !matches!(turn, Err(TryLockError::WouldBlock)) {
                let sources = lock(&self.sources);
                let mut sources = sources.iter().filter_map(Weak::upgrade);
                if sources.all(|source| rustix::io::ioctl_fionread(&source).map_or(true, |waiting| waiting == 0)) {
                    return Ok(());
                }
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Writes to the log. While the disk is full this waits, and so does the program when the pipe is full, too.
    fn write(&self, log: &Mutex<log::Writer>, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        let log = || lock(log);
        let mut result = log().write(stream, bytes);
        while result.as_ref().is_err_and(has_no_room) {
            self.is_full.store(true, Ordering::SeqCst);
            std::thread::sleep(AGAIN);
            result = log().flush();
        }
        self.is_full.store(false, Ordering::SeqCst);
        result
    }
}

impl Sink {
    fn write(&self, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        match self {
            Sink::Connection(sealer) => {
                let mut sealer = lock(sealer);
                send(&mut *sealer, &FromProgram::Output(stream, bytes.to_vec()))
            }
            Sink::Log(writer, flow) => flow.write(writer, stream, bytes),
        }
    }
}

/// Hands on what a program writes until it has no stream left to write to, or `ended` can be read and nothing is left that it wrote before. Then, or
/// if the sink takes no more, the stream is closed, and who still writes to it hears of that.
pub(super) fn pump(stream: Stream, from: &Source, sink: &Sink, ended: impl AsFd) {
    let mut buffer = vec![0; PIECE];
    loop {
        let mut waited = [PollFd::new(from, PollFlags::IN), PollFd::new(&ended, PollFlags::IN)];
        match poll(&mut waited, None) {
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => return,
            Ok(_) => {}
        }
        let has_ended = !waited[1].revents().is_empty();
        if waited[0].revents().is_empty() && has_ended && !is_ready(from, PollFlags::IN) {
            return;
        }
        if waited[0].revents().is_empty() && !has_ended {
            continue;
        }
        let _turn = match sink {
            Sink::Log(_, flow) => Some(lock(&flow.turn)),
            Sink::Connection(_) => None,
        };
        match from.read(&mut buffer) {
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

/// Where the program's input is written.
pub(super) enum Input {
    Pipe(File),
    Terminal(Arc<Terminal>),
}

impl Input {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Input::Pipe(pipe) => pipe.write_all(bytes),
            Input::Terminal(terminal) => terminal.type_in(bytes),
        }
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        if let Input::Terminal(terminal) = self {
            terminal.end();
        }
    }
}

/// Writes to the program's input what comes, and says how much that was, so that more comes.
pub(super) fn feed(queue: &Receiver<Vec<u8>>, mut input: Option<Input>, sealer: &Mutex<Sealer>, waiting: &AtomicUsize) {
    while let Ok(piece) = queue.recv() {
        if let Some(to) = &mut input
            && to.write(&piece).is_err()
        {
            // It does not read any more.
            input = None;
        }
        waiting.fetch_sub(piece.len(), Ordering::Relaxed);
        let mut sealer = lock(sealer);
        let taken = FromProgram::Taken(u32::try_from(piece.len()).unwrap_or(u32::MAX));
        if send(&mut *sealer, &taken).is_err() {
            return;
        }
    }
}
