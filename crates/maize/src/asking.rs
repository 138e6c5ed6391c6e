//! Programs that commands ask something: one of this machine by its control socket, one on a node by way of that.

use crate::arguments::nodes::{ProgramName, Where};
use crate::error::CommandError;
use maize_daemon::asked::Asked;
use maize_daemon::client::Node;
use maize_node::{Action, Answer, ControlError, Controlled};
use std::path::Path;

/// A program that has been asked something.
pub enum Asking {
    /// Of this machine.
    Here(Controlled),
    /// On a node.
    There(Box<Asked>),
}

impl Asking {
    /// Asks a program; returns its first answer, too, or `None` if it has ended.
    ///
    /// # Errors
    /// If there is no such program, or it cannot be asked, or refuses.
    pub fn new(place: &Where, name: &ProgramName, action: Action) -> Result<(Asking, Option<Answer>), CommandError> {
        let ProgramName { node, program } = name;
        if node.is_some() {
            let mut asked = Node::open(place.dir.clone())?.ask_program(node.as_deref(), *program, &action)?;
            let answer = asked.receive()?;
            return Ok((Asking::There(Box::new(asked)), answer));
        }
        let mut controlled = Controlled::find(*program)?;
        let answer = match controlled.ask(action) {
            Err(ControlError::Ended) => None,
            answer => Some(answer?),
        };
        Ok((Asking::Here(controlled), answer))
    }

    /// The next answer; `None` when the program has ended.
    ///
    /// # Errors
    /// If it refuses, or the connection is lost.
    pub fn receive(&mut self) -> Result<Option<Answer>, CommandError> {
        Ok(match self {
            Asking::Here(controlled) => controlled.receive()?,
            Asking::There(asked) => asked.receive()?,
        })
    }

    /// Has a snapshot, of which it has answered that it has been taken, in this file.
    ///
    /// # Errors
    /// If it cannot be sent, or written.
    pub fn take_snapshot(&mut self, file: &Path, size: u64) -> Result<(), CommandError> {
        match self {
            // It was written there.
            Asking::Here(_) => Ok(()),
            Asking::There(asked) => Ok(asked.take_snapshot(file, size)?),
        }
    }

    /// The snapshot is where it was to go: a program that waits for that is ended. Returns its answer.
    ///
    /// # Errors
    /// If it is not there any more.
    pub fn confirm(&mut self) -> Result<Option<Answer>, CommandError> {
        match self {
            Asking::Here(controlled) => Ok(Some(controlled.ask(Action::Confirm)?)),
            Asking::There(asked) => {
                asked.confirm()?;
                Ok(asked.receive()?)
            }
        }
    }
}
