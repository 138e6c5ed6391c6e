//! Asking running programs.

use super::directory;
use super::protocol::{Action, Answer, Failure, Line, Question, Status, VERSION};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a program may take to say how it is.
const PATIENCE: Duration = Duration::from_secs(5);
/// So many are asked at a time by who keeps no connection to them: a process may have 1024 open files, often.
const BATCH: usize = 256;

/// Why a running program could not be asked, or what it said.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// There is no such program.
    #[error("no running program has the id {0}; `maize ps` lists those that `maize run` has started as this user")]
    NoSuchProgram(u32),
    /// Several programs see themselves by this id.
    #[error("several programs have the process id {0}; name one of them by the PID that `maize ps` shows")]
    Ambiguous(u32),
    /// The program's supervisor cannot be talked to.
    #[error("cannot talk to the program at {}: {source}", path.display())]
    Connection {
        /// Its socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It speaks another version, or nonsense.
    #[error("the program at {} gives an answer that is not understood ({reason}); was it started by another version of maize?", path.display())]
    Answer {
        /// Its socket.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// It ended while it was asked.
    #[error("the program has ended")]
    Ended,
    /// It refuses.
    #[error("{}", .0.message)]
    Refused(Failure),
}

/// A running program.
pub struct Controlled {
    pid: u32,
    path: PathBuf,
    stream: BufReader<UnixStream>,
}

impl Controlled {
    /// Connects to the program that a process runs. `None` if it has no socket, or has gone.
    fn connect(pid: u32, patience: Duration) -> Result<Option<Controlled>, ControlError> {
        Controlled::connect_in(&directory::path(), pid, patience)
    }

    /// The same, with the directory of sockets given.
    fn connect_in(directory: &Path, pid: u32, patience: Duration) -> Result<Option<Controlled>, ControlError> {
        let path = directory::socket(directory, pid);
        let checked = path.parent().map_or(Ok(()), directory::check);
        match checked.and_then(|()| reach(&path, patience)) {
            Ok(stream) => Ok(Some(Controlled { pid, path, stream: BufReader::new(stream) })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                // It was killed, and could not take its socket away.
                let _ = fs::remove_file(&path);
                Ok(None)
            }
            Err(source) => Err(ControlError::Connection { path, source }),
        }
    }

    /// Finds a program by the id of the process that runs it, or by an id of its own processes.
    ///
    /// # Errors
    /// [`ControlError`].
    pub fn find(pid: u32) -> Result<Controlled, ControlError> {
        if let Some(controlled) = Controlled::connect(pid, PATIENCE)? {
            return Ok(controlled);
        }
        let named = |status: &Status| status.processes.iter().any(|process| process.id == pid || process.host == pid);
        let mut found = running()?.into_iter().filter(|(_, status)| named(status));
        match (found.next(), found.next()) {
            (Some((controlled, _)), None) => Ok(controlled),
            (Some(_), Some(_)) => Err(ControlError::Ambiguous(pid)),
            (None, _) => Err(ControlError::NoSuchProgram(pid)),
        }
    }

    /// The program that this process runs itself, whose socket is in a directory.
    ///
    /// # Errors
    /// [`ControlError`].
    pub fn own(directory: &Path) -> Result<Controlled, ControlError> {
        let own = std::process::id();
        Controlled::connect_in(directory, own, PATIENCE)?.ok_or(ControlError::NoSuchProgram(own))
    }

    /// The process that runs the program.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Asks for something.
    ///
    /// # Errors
    /// [`ControlError`].
    pub fn ask(&mut self, action: Action) -> Result<Answer, ControlError> {
        self.say(action)?;
        self.receive()?.ok_or(ControlError::Ended)
    }

    fn say(&mut self, action: Action) -> Result<(), ControlError> {
        let question = Question { version: VERSION, action };
        let mut line = serde_json::to_vec(&question)
            .map_err(|error| ControlError::Connection { path: self.path.clone(), source: error.into() })?;
        line.push(b'\n');
        match self.stream.get_mut().write_all(&line) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(ControlError::Ended),
            Err(source) => Err(ControlError::Connection { path: self.path.clone(), source }),
            Ok(()) => Ok(()),
        }
    }

    /// The next answer; `None` when the program has ended.
    ///
    /// # Errors
    /// [`ControlError`].
    pub fn receive(&mut self) -> Result<Option<Answer>, ControlError> {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(0) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
            Err(source) => return Err(ControlError::Connection { path: self.path.clone(), source }),
            Ok(_) => {}
        }
        let wrong = |reason: String| ControlError::Answer { path: self.path.clone(), reason };
        match serde_json::from_str(&line) {
            Ok(Line { version: VERSION, answer: Answer::Error(failure) }) => Err(ControlError::Refused(failure)),
            Ok(Line { version: VERSION, answer }) => Ok(Some(answer)),
            Ok(Line { version, .. }) => Err(wrong(format!("version {version}"))),
            Err(error) => Err(wrong(error.to_string())),
        }
    }

    /// How the program is, which it has been asked.
    fn receive_status(&mut self, patience: Duration) -> Result<Status, ControlError> {
        self.set_patience(Some(patience))?;
        let answer = self.receive()?;
        self.set_patience(None)?;
        match answer {
            Some(Answer::Status(status)) => Ok(status),
            None => Err(ControlError::Ended),
            Some(_) => Err(ControlError::Answer { path: self.path.clone(), reason: String::from("no status") }),
        }
    }

    fn set_patience(&self, patience: Option<Duration>) -> Result<(), ControlError> {
        let set = self.stream.get_ref().set_read_timeout(patience);
        set.map_err(|source| ControlError::Connection { path: self.path.clone(), source })
    }
}

/// Connects to a program. Where more want that than the kernel lets wait, since nobody lets them in, it would take for good.
fn reach(path: &Path, patience: Duration) -> io::Result<UnixStream> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    let stream = UnixStream::from(socket);
    stream.set_write_timeout(Some(patience))?;
    connect(&stream, &SocketAddrUnix::new(path)?)?;
    stream.set_write_timeout(None)?;
    Ok(stream)
}

/// All programs of this user's that run, and how they are.
///
/// # Errors
/// If the directory of sockets cannot be read. A program that ends meanwhile, or says nothing, is left out.
pub fn running() -> Result<Vec<(Controlled, Status)>, ControlError> {
    Ok(ask_all(&programs()?, Instant::now() + PATIENCE))
}

/// How the programs are that these processes run, or all of this user's if `None`: of those that say so in time.
///
/// # Errors
/// If the directory of sockets cannot be read.
pub fn statuses(pids: Option<&[u32]>, patience: Duration) -> Result<Vec<(u32, Status)>, ControlError> {
    let all = if pids.is_none() { programs()? } else { Vec::new() };
    let deadline = Instant::now() + patience;
    let batches = pids.unwrap_or(&all).chunks(BATCH);
    Ok(batches.flat_map(|pids| ask_all(pids, deadline)).map(|(program, status)| (program.pid, status)).collect())
}

fn programs() -> Result<Vec<u32>, ControlError> {
    directory::programs().map_err(|source| ControlError::Connection { path: directory::path(), source })
}

/// All are asked before the first is heard, so that none has to wait for another.
fn ask_all(pids: &[u32], deadline: Instant) -> Vec<(Controlled, Status)> {
    // What has been said by then is heard all the same.
    let left = || deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    let ask = |&pid: &u32| {
        let mut program = Controlled::connect(pid, left()).ok()??;
        program.say(Action::Status).ok()?;
        Some(program)
    };
    let asked: Vec<Controlled> = pids.iter().filter_map(ask).collect();
    let hear = |mut program: Controlled| {
        let status = program.receive_status(left()).ok()?;
        Some((program, status))
    };
    asked.into_iter().filter_map(hear).collect()
}
