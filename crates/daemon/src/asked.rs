//! Asking programs on nodes what commands ask those of their own machine: to move to another ISA, to be saved, what happens to them.

use crate::client::{Connection, MOST_MOVES, Node, moves_in_circles, unexpected};
use crate::error::{NodeError, Result};
use crate::message::{Location, Reply, Request, ToProgram};
use crate::read::Pieces;
use maize_node::{Action, Answer};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// A program that has been asked something.
pub struct Asked {
    connection: Connection,
    /// What has been heard and not been told.
    heard: Option<Reply>,
}

impl Node {
    /// Asks a program where it is, if it has moved.
    ///
    /// # Errors
    /// If there is no such program, or its node cannot be reached.
    pub fn ask_program(&self, name: Option<&str>, program: u32, action: &Action) -> Result<Asked> {
        let action = serde_json::to_string(action).map_err(|error| NodeError::Invalid(error.to_string()))?;
        let mut at = Location { node: self.called(name), program };
        for _ in 0..MOST_MOVES {
            let mut connection = self.connect(Some(&at.node))?;
            connection.send(&Request::Ask { program: at.program, action: action.clone() })?;
            connection.opener.watch();
            match connection.receive()? {
                Reply::Elsewhere(location) => at = location,
                Reply::NoSuchProgram => {
                    return Err(NodeError::NoSuchProgram { program: at.program, node: at.node });
                }
                heard => return Ok(Asked { connection, heard: Some(heard) }),
            }
        }
        Err(moves_in_circles(&at))
    }
}

impl Asked {
    /// The next answer; `None` if the program has ended.
    ///
    /// # Errors
    /// If it refuses, or the connection is lost.
    pub fn receive(&mut self) -> Result<Option<Answer>> {
        let wrong = |peer: &str, message: String| NodeError::Protocol { peer: peer.into(), message };
        match self.heard.take().map_or_else(|| self.connection.receive(), Ok)? {
            Reply::EndOfAnswers => Ok(None),
            Reply::Answer(answer) => match serde_json::from_str(&answer) {
                Ok(Answer::Error(failure)) => Err(NodeError::Invalid(failure.message)),
                Ok(answer) => Ok(Some(answer)),
                Err(error) => Err(wrong(&self.connection.name, error.to_string())),
            },
            other => Err(unexpected(self.connection.name.clone(), other)),
        }
    }

    /// Writes the snapshot that comes next to a file, which has its name when all of it is on disk.
    ///
    /// # Errors
    /// If it cannot be written, or the connection is lost. An older file of that name is as it was.
    pub fn take_snapshot(&mut self, path: &Path, size: u64) -> Result<()> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let draft = path.with_file_name(format!(".{name}.{}", std::process::id()));
        let written = self.write(&draft, path, size);
        if written.is_err() {
            let _ = fs::remove_file(draft);
        }
        written
    }

    fn write(&mut self, draft: &PathBuf, path: &Path, size: u64) -> Result<()> {
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(draft);
        let mut file = file.map_err(NodeError::file("write", path))?;
        let copied = io::copy(&mut Pieces::new(&mut self.connection.opener), &mut file);
        if copied.map_err(NodeError::file("write", path))? != size {
            return Err(NodeError::file("receive", path)(io::Error::from(io::ErrorKind::UnexpectedEof)));
        }
        let place = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let publish = || {
            file.sync_all()?;
            fs::rename(draft, path)?;
            File::open(place)?.sync_all()
        };
        publish().map_err(NodeError::file("write", path))
    }

    /// Says that the snapshot is where it was to go: the program is ended.
    ///
    /// # Errors
    /// If the connection is lost.
    pub fn confirm(&mut self) -> Result<()> {
        self.connection.send(&ToProgram::EndOfInput)
    }
}
