//! `maize run --node` and `maize restore --node`: has a program run on another node as if it ran here. Its streams, its terminal and signals for it are relayed, and how it ends is how
//! the command ends.

use crate::channel::{Opener, Sealer};
use crate::client::{Connection, Node, unexpected};
use crate::error::{NodeError, Result};
use crate::limits::Limits;
use crate::message::{
    Attached, Ending, FromProgram, Hop, LIMIT, PIECE, Periodic, Reply, Request, Restoration, Snapshot, Start, Stream,
    TerminalSize, Text, ToProgram, WINDOW, receive, send,
};
use crate::saved::Saved;
use crate::sync::lock;
use maize_node::{Address, ChangedFiles, RunError};
use maize_snapshot::Executable;
use ring::digest::{Context, SHA256};
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGINT, SIGPIPE, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

/// What to run on another node.
#[derive(Debug)]
pub enum Subject {
    /// A program, from its beginning.
    Program {
        /// The multi-ISA binary, here.
        file: PathBuf,
        /// The program's arguments, its name first.
        arguments: Vec<OsString>,
        /// Where it is to run there; the directory that this is in, if `None`.
        directory: Option<PathBuf>,
    },
    /// One that was saved.
    Snapshot {
        /// The snapshot, here.
        file: PathBuf,
        /// What to do about files of the program's that have changed.
        changed: ChangedFiles,
    },
}

/// How to run it.
#[derive(Debug)]
pub struct RemoteRun {
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
    /// Snapshots that are taken of it.
    pub checkpoint: Option<maize_node::Periodic>,
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
pub fn run(node: &Node, name: &str, subject: Subject, options: RemoteRun) -> Result<Outcome> {
    let attached = attached(options.detach);
    type Open<'a> = Box<dyn FnOnce() -> Result<(File, PathBuf)> + 'a>;
    let (request, open, saved): (Request, Open<'_>, Option<(Saved, PathBuf)>) = match subject {
        Subject::Program { file: path, arguments, directory } => {
            let mut file = File::open(&path).map_err(NodeError::file("read", &path))?;
            let (hash, size) = hash(&mut file).map_err(NodeError::file("read", &path))?;
            let at = path.canonicalize().map_err(NodeError::file("find", &path))?;
            let executed = Executed { hash, size, file: at.into_os_string().into() };
            let directory = directory.map_or_else(std::env::current_dir, Ok).map_err(NodeError::file("find", "."))?;
            let start = start(node, executed, arguments, directory, attached, options);
            (Request::Start(Box::new(start)), Box::new(|| Ok((file, path))), None)
        }
        Subject::Snapshot { file: path, changed } => {
            let saved = Saved::read(&path)?;
            let (executable, hash) = saved.executable()?;
            let file = executable.path.clone().into_os_string().into();
            let executed = Executed { hash, size: executable.size, file };
            let arguments = saved.metadata.arguments.iter().cloned().map(OsString::from_vec).collect();
            // Where the program itself is, the snapshot says.
            let start = start(node, executed, arguments, PathBuf::from("/"), attached, options);
            let files = saved.list().map_err(NodeError::file("read", &path))?;
            let request = Request::Restore(Box::new(Restoration { start, snapshot: Snapshot { changed, files } }));
            let executable = executable.clone();
            (request, Box::new(move || find(node, &executable, &hash)), Some((saved, path)))
        }
    };
    // Only now: a node does not wait for long.
    let mut connection = node.connect(Some(name))?;
    connection.send(&request)?;
    let Connection { name, sealer, opener } = &mut connection;
    offer(sealer, opener, name, open)?;
    let mut files = Vec::new();
    if let Some((saved, path)) = saved {
        if attached != Attached::No {
            maize_node::seek_standard_streams(&saved.metadata).map_err(NodeError::system("reading on where it was"))?;
        }
        files = saved.into_files().map_err(NodeError::file("read", &path))?;
    }
    let program = begin(&mut connection, files)?;
    if attached == Attached::No {
        return Ok(Outcome::Detached(program));
    }
    relay(connection, attached).map(Outcome::Ended)
}

/// What a program executes.
struct Executed {
    hash: [u8; 32],
    size: u64,
    file: Text,
}

/// How a program is started.
fn start(
    node: &Node,
    Executed { hash, size, file }: Executed,
    arguments: Vec<OsString>,
    directory: PathBuf,
    attached: Attached,
    options: RemoteRun,
) -> Start {
    Start {
        hash,
        size,
        file,
        arguments: arguments.into_iter().map(Text::from).collect(),
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
        checkpoint: options.checkpoint.map(|periodic| Periodic {
            every_us: u64::try_from(periodic.every.as_micros()).unwrap_or(u64::MAX),
            file: periodic.file.into_os_string().into(),
        }),
        host_name: None,
    }
}

/// The program that was saved: where it was, or among those that this node has been sent.
fn find(node: &Node, executable: &Executable, wanted: &[u8; 32]) -> Result<(File, PathBuf)> {
    let paths = [executable.path.clone(), node.directory().store().join(&executable.sha256)];
    let open = |path: PathBuf| -> Option<(File, PathBuf)> {
        let mut file = File::open(&path).ok()?;
        hash(&mut file).is_ok_and(|(hash, _)| hash == *wanted).then_some((file, path))
    };
    paths.into_iter().find_map(open).ok_or_else(|| {
        let Executable { path, sha256, .. } = executable.clone();
        let error = RunError::OtherProgram { path, expected: sha256 };
        NodeError::CannotStart { status: error.exit_status(), message: error.to_string() }
    })
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

/// Sends the executable, if the node does not have it. `open` opens it.
pub(crate) fn offer(
    sealer: &mut Sealer,
    opener: &mut Opener,
    node: &str,
    open: impl FnOnce() -> Result<(File, PathBuf)>,
) -> Result<()> {
    let lost = |source| NodeError::Lost { peer: node.into(), source };
    let mut hear = || -> Result<Reply> {
        receive(opener, LIMIT).map_err(lost)?.ok_or_else(|| lost(io::ErrorKind::UnexpectedEof.into()))
    };
    let mut reply = hear()?;
    if matches!(reply, Reply::SendExecutable) {
        let (mut file, path) = open()?;
        io::Seek::rewind(&mut file).map_err(NodeError::file("read", &path))?;
        send_file(sealer, node, &mut file, &path)?;
        reply = hear()?;
    }
    match reply {
        Reply::Ready => Ok(()),
        other => Err(unexpected(node.into(), other)),
    }
}

/// Sends the rest of a file.
pub(crate) fn send_file(sealer: &mut Sealer, to: &str, file: &mut File, path: &Path) -> Result<()> {
    let mut buffer = vec![0; PIECE];
    loop {
        let length = file.read(&mut buffer).map_err(NodeError::file("read", path))?;
        if length == 0 {
            return Ok(());
        }
        let sent = send(sealer, &ToProgram::Input(buffer[..length].to_vec()));
        sent.map_err(|source| NodeError::Lost { peer: to.into(), source })?;
    }
}

/// Hears that it runs. If it is restored, its files are sent before.
fn begin(connection: &mut Connection, files: Vec<(Text, File)>) -> Result<u32> {
    let mut heard = connection.receive()?;
    if matches!(heard, FromProgram::Awaits) {
        connection.opener.watch();
        // Whether they have arrived, and what is wrong if not, is said by the shim.
        let Connection { name, sealer, .. } = &mut *connection;
        let mut send_one =
            |(path, mut file): (Text, File)| send_file(sealer, name, &mut file, path.as_os_str().as_ref());
        let _ = files.into_iter().try_for_each(&mut send_one);
        let _ = send(&mut connection.sealer, &ToProgram::EndOfInput);
        heard = connection.receive()?;
    }
    match heard {
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
