//! `maize run --node`: has a program run on another node as if it ran here. Its streams, its terminal and signals for it are relayed, and how it ends is how
//! the command ends.

use crate::channel::{Opener, Sealer};
use crate::client::{Connection, Node, unexpected};
use crate::error::{NodeError, Result};
use crate::limits::Limits;
use crate::message::{
    Attached, Ending, FromProgram, Hop, LIMIT, PIECE, Reply, Request, Start, Stream, TerminalSize, Text, ToProgram,
    WINDOW, receive, send,
};
use crate::sync::lock;
use maize_node::Address;
use ring::digest::{Context, SHA256};
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGINT, SIGPIPE, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

/// What to run on another node, and how.
#[derive(Debug)]
pub struct RemoteRun {
    /// The multi-ISA binary, here.
    pub program: PathBuf,
    /// The program's arguments, its name first.
    pub arguments: Vec<OsString>,
    /// Where it is to run there; the directory that this is in, if `None`.
    pub directory: Option<PathBuf>,
    /// The ISA to start on.
    pub isa: Option<String>,
    /// Moves between ISAs of the node.
    pub hop: Option<Hop>,
    /// Do not wait for it.
    pub detach: bool,
    /// It can move while it has children, even if it has a terminal.
    pub movable: bool,
    /// An address that it has by itself.
    pub address: Option<Address>,
    /// It sees the files of this node, wherever it is.
    pub home: bool,
}

/// What has become of it.
#[derive(Debug)]
pub enum Outcome {
    /// It runs, under this number.
    Detached(u32),
    /// It has ended.
    Ended(Ending),
}

/// Runs a program on a node.
///
/// # Errors
/// If it could not be started, or the connection was lost before it ended.
pub fn run(node: &Node, name: &str, options: RemoteRun) -> Result<Outcome> {
    let mut file = File::open(&options.program).map_err(NodeError::file("read", &options.program))?;
    let (hash, size) = hash(&mut file).map_err(NodeError::file("read", &options.program))?;
    let attached = attached(options.detach);
    let directory = options.directory.map_or_else(std::env::current_dir, Ok).map_err(NodeError::file("find", "."))?;
    let start = Start {
        hash,
        size,
        arguments: options.arguments.into_iter().map(Text::from).collect(),
        environment: std::env::vars_os().map(|(name, value)| (name.into(), value.into())).collect(),
        directory: directory.into_os_string().into(),
        umask: umask(),
        limits: Limits::own(),
        isa: options.isa,
        hop: options.hop,
        attached,
        // In a terminal the kernel's own table of processes does more for those that nobody wants to move.
        movable: options.movable || !matches!(attached, Attached::Terminal { .. }),
        address: options.address,
        files: options.home.then(|| node.identity().configuration.name.clone()),
    };
    let mut connection = node.connect(Some(name))?;
    connection.send(&Request::Start(Box::new(start)))?;
    let program = begin(&mut connection, &mut file, &options.program)?;
    if options.detach {
        return Ok(Outcome::Detached(program));
    }
    relay(connection, attached).map(Outcome::Ended)
}

fn hash(file: &mut File) -> io::Result<([u8; 32], u64)> {
    let mut context = Context::new(&SHA256);
    let mut buffer = vec![0; 1 << 16];
    let mut size = 0;
    loop {
        let length = file.read(&mut buffer)?;
        if length == 0 {
            break;
        }
        context.update(&buffer[..length]);
        size += length as u64;
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    Ok((hash, size))
}

/// The kernel tells the mask only by replacing it.
fn umask() -> u32 {
    let mask = rustix::process::umask(rustix::fs::Mode::empty());
    rustix::process::umask(mask);
    mask.as_raw_mode()
}

fn attached(detach: bool) -> Attached {
    if detach {
        return Attached::No;
    }
    match tcgetwinsize(io::stdin()) {
        Ok(size) if isatty(io::stdout()) => Attached::Terminal {
            size: TerminalSize { rows: size.ws_row, columns: size.ws_col },
            separate_error: !isatty(io::stderr()),
        },
        _ => Attached::Pipes,
    }
}

/// Sends the executable, if the node does not have it.
pub(crate) fn offer(sealer: &mut Sealer, opener: &mut Opener, node: &str, file: &mut File, path: &Path) -> Result<()> {
    let lost = |source| NodeError::Lost { peer: node.into(), source };
    let mut hear = || -> Result<Reply> {
        receive(opener, LIMIT).map_err(lost)?.ok_or_else(|| lost(io::ErrorKind::UnexpectedEof.into()))
    };
    let mut reply = hear()?;
    if matches!(reply, Reply::SendExecutable) {
        io::Seek::rewind(file).map_err(NodeError::file("read", path))?;
        let mut buffer = vec![0; PIECE];
        loop {
            let length = file.read(&mut buffer).map_err(NodeError::file("read", path))?;
            if length == 0 {
                break;
            }
            send(sealer, &ToProgram::Input(buffer[..length].to_vec())).map_err(lost)?;
        }
        reply = hear()?;
    }
    match reply {
        Reply::Ready => Ok(()),
        other => Err(unexpected(node.into(), other)),
    }
}

/// Has it started there.
fn begin(connection: &mut Connection, file: &mut File, path: &Path) -> Result<u32> {
    let Connection { name, sealer, opener } = connection;
    offer(sealer, opener, name, file, path)?;
    match connection.receive()? {
        FromProgram::Started { program, lowered } => {
            for limit in lowered {
                eprintln!("maize: warning: node {}: {limit}", connection.name);
            }
            Ok(program)
        }
        FromProgram::CannotStart { status, message } => Err(NodeError::CannotStart { status, message }),
        other => {
            Err(NodeError::Protocol { peer: connection.name.clone(), message: format!("{other:?} before the start") })
        }
    }
}

/// What the threads of a relay share.
struct Shared {
    sealer: Mutex<crate::channel::Sealer>,
    /// How many bytes of input may be sent.
    credit: Mutex<u32>,
    more_credit: Condvar,
}

impl Shared {
    /// The one who receives finds out if the connection is lost.
    fn say(&self, message: &ToProgram) {
        let mut sealer = lock(&self.sealer);
        let _ = send(&mut *sealer, message);
    }
}

fn relay(connection: Connection, attached: Attached) -> Result<Ending> {
    let Connection { name, sealer, mut opener } = connection;
    let shared =
        Arc::new(Shared { sealer: Mutex::new(sealer), credit: Mutex::new(WINDOW), more_credit: Condvar::new() });
    opener.watch();
    let is_terminal = matches!(attached, Attached::Terminal { .. });
    let _raw = is_terminal.then(Raw::new).transpose().map_err(NodeError::system("setting the terminal"))?;
    relay_signals(&shared, is_terminal)?;
    let input = Arc::clone(&shared);
    thread::spawn(move || relay_input(&input));
    loop {
        let lost = |source| NodeError::Lost { peer: name.clone(), source };
        let message = crate::message::receive(&mut opener, crate::message::LIMIT).map_err(lost)?;
        match message {
            Some(FromProgram::Output(stream, bytes)) => {
                let written = match stream {
                    Stream::Output => io::stdout().write_all(&bytes).and_then(|()| io::stdout().flush()),
                    Stream::Error => io::stderr().write_all(&bytes),
                };
                if written.is_err() {
                    // Nobody reads any more. The program, whose connection closes now, hears of that, and so does who waits for this command.
                    return Ok(Ending::Signal(SIGPIPE));
                }
            }
            Some(FromProgram::Taken(length)) => {
                *lock(&shared.credit) += length;
                shared.more_credit.notify_one();
            }
            Some(FromProgram::Ended(ending)) => return Ok(ending),
            Some(FromProgram::CannotStart { status, message }) => {
                return Err(NodeError::CannotStart { status, message });
            }
            Some(other) => return Err(NodeError::Protocol { peer: name, message: format!("{other:?} by a program") }),
            None => return Err(lost(io::ErrorKind::UnexpectedEof.into())),
        }
    }
}

fn relay_input(shared: &Shared) {
    let mut buffer = vec![0; PIECE];
    loop {
        let credit = {
            let credit = lock(&shared.credit);
            let credit = shared.more_credit.wait_while(credit, |credit| *credit == 0);
            *credit.unwrap_or_else(PoisonError::into_inner)
        };
        let most = buffer.len().min(credit as usize);
        // Without buffering: what is not sent is for who reads next.
        match rustix::io::read(io::stdin(), &mut buffer[..most]) {
            Err(rustix::io::Errno::INTR) => {}
            Ok(0) | Err(_) => return shared.say(&ToProgram::EndOfInput),
            Ok(length) => {
                let sent = u32::try_from(length).unwrap_or(u32::MAX);
                *lock(&shared.credit) -= sent;
                shared.say(&ToProgram::Input(buffer[..length].to_vec()));
            }
        }
    }
}

fn relay_signals(shared: &Arc<Shared>, is_terminal: bool) -> Result<()> {
    let handled = [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH];
    let mut signals = signal_hook::iterator::Signals::new(handled).map_err(NodeError::system("handling signals"))?;
    let shared = Arc::clone(shared);
    thread::spawn(move || {
        for signal in signals.forever() {
            if signal != SIGWINCH {
                shared.say(&ToProgram::Signal(u8::try_from(signal).unwrap_or(0)));
            } else if is_terminal && let Ok(size) = tcgetwinsize(io::stdin()) {
                shared.say(&ToProgram::Resize(TerminalSize { rows: size.ws_row, columns: size.ws_col }));
            }
        }
    });
    Ok(())
}

/// The terminal hands on keys as they are while this exists: the one on the other node makes lines and signals of them.
struct Raw {
    before: Termios,
}

impl Raw {
    fn new() -> io::Result<Raw> {
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        Ok(Raw { before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &self.before);
    }
}
