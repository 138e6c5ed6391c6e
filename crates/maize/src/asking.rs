//! Programs that commands ask something: one of this machine by its control socket, one on a node by way of that.

use crate::arguments::nodes::{ProgramName, Where};
use crate::error::CommandError;
use maize_daemon::asked::Asked;
use maize_daemon::client::Node;
use maize_node::{Action, Answer, ControlError, Controlled, Saved};
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

    /// Has a snapshot in this file, if the program's first answer is that it was taken. `None` if it has ended before.
    ///
    /// # Errors
    /// If it cannot be sent, or written: the program runs on then.
    pub fn save(self, answer: Option<Answer>, file: &Path) -> Result<Option<Saved>, CommandError> {
        Ok(match self {
            // It was written there.
            Asking::Here(_) => answer.and_then(Answer::saved),
            Asking::There(asked) => asked.save(answer, file)?,
        })
    }
}
