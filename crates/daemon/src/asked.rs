//! Asking programs on nodes what commands ask those of their own machine: to move to another ISA, to be saved, what happens to them.

use crate::client::{Connection, Found, Node, unexpected};
use crate::directory::Draft;
use crate::error::{NodeError, Result};
use crate::message::{Reply, Request, ToProgram};
use crate::read::Pieces;
use maize_node::{Action, Answer, Saved};
use std::fs::File;
use std::io;
use std::path::Path;

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
        self.seek(name, program, |at| {
            let mut connection = self.connect(Some(&at.node))?;
            connection.send(&Request::Ask { program: at.program, action: action.clone() })?;
            connection.opener.watch();
            Ok(match connection.receive()? {
                Reply::Elsewhere(location) => Found::Elsewhere(location),
                Reply::NoSuchProgram => {
                    return Err(NodeError::NoSuchProgram { program: at.program, node: at.node.clone() });
                }
                heard => Found::Here(Asked { connection, heard: Some(heard) }),
            })
        })
    }
}

impl Asked {
    /// The next answer; `None` if the program has ended.
    ///
    /// # Errors
    /// If it refuses, or the connection is lost.
    pub fn receive(&mut self) -> Result<Option<Answer>> {
        match self.heard.take().map_or_else(|| self.connection.receive(), Ok)? {
            Reply::EndOfAnswers => Ok(None),
            Reply::Answer(answer) => match serde_json::from_str(&answer) {
                Ok(Answer::Error(failure)) => Err(NodeError::Invalid(failure.message)),
                Ok(answer) => Ok(Some(answer)),
                Err(error) => {
                    Err(NodeError::Protocol { peer: self.connection.name.clone(), message: error.to_string() })
                }
            },
            other => Err(unexpected(self.connection.name.clone(), other)),
        }
    }

    /// Has a snapshot in a file, if the program has answered that it was taken. One that is to be ended is ended when the file is on disk. `None` if it has ended before.
    ///
    /// # Errors
    /// If the file cannot be written, or the connection is lost; an older one of that name is as it was then, and the program runs on.
    pub fn save(mut self, answer: Option<Answer>, file: &Path) -> Result<Option<Saved>> {
        let (Some(Answer::Saved(saved)) | Some(Answer::Held(saved))) = &answer else { return Ok(None) };
        self.write(file, saved.bytes)?;
        if matches!(answer, Some(Answer::Held(_))) {
            self.connection.send(&ToProgram::EndOfInput)?;
            return Ok(self.receive()?.and_then(Answer::saved));
        }
        Ok(answer.and_then(Answer::saved))
    }

    /// Writes the snapshot that comes next to a file, which has its name when all of it is on disk.
    fn write(&mut self, path: &Path, size: u64) -> Result<()> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let draft = path.with_file_name(format!(".{name}.{}", std::process::id()));
        let opener = &mut self.connection.opener;
        let fill = |file: &mut File| match io::copy(&mut Pieces::new(opener), file)? {
            copied if copied == size => Ok(()),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        };
        Draft::of(draft, path, fill).map_err(NodeError::file("write", path))?.place()?;
        let place = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(place).and_then(|place| place.sync_all()).map_err(NodeError::file("write", path))
    }
}
