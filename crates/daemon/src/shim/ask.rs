//! What other nodes ask of a program that runs here (`maize checkpoint NODE:PID` and the like): it is asked as commands on this machine ask it, by its control socket (docs/control.md), and its
//! answers are sent on. A snapshot is written here, sent, and removed; a program that is to be ended waits until it is on disk there.

use super::resident::Resident;
use crate::channel::{Opener, Sealer};
use crate::message::{LIMIT, Reply, ToProgram, receive, send};
use crate::remote::send_file;
use maize_node::{Action, Answer, ControlError, Controlled};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A snapshot that is removed in the end.
struct Temporary(PathBuf);

impl Temporary {
    fn new(directory: &Path) -> Temporary {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        Temporary(directory.join(format!("saved-{}", NUMBER.fetch_add(1, Ordering::Relaxed))))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // There may be none.
        let _ = fs::remove_file(&self.0);
    }
}

/// Asks the program, and answers until there is nothing more to be said.
///
/// # Errors
/// If the connection is lost.
pub(super) fn answer(resident: &Resident, action: Action, sealer: &mut Sealer, opener: &mut Opener) -> io::Result<()> {
    let snapshot = Temporary::new(&resident.directory);
    let action = match action {
        Action::Checkpoint { leave_running, timeout_ms, .. } => Action::Checkpoint {
            file: snapshot.0.clone(),
            leave_running,
            incremental: false,
            hold: !leave_running,
            timeout_ms,
        },
        action => action,
    };
    let mut program = match Controlled::own(&resident.control) {
        Ok(program) => program,
        Err(error) => return send(sealer, &Reply::Refused(error.to_string())),
    };
    let mut answer = program.ask(action).map(Some);
    while let Some(heard) = say(sealer, answer)? {
        match heard {
            Answer::Event(_) => answer = program.receive(),
            Answer::Saved(_) => return send_snapshot(sealer, &snapshot.0),
            Answer::Held(_) => {
                send_snapshot(sealer, &snapshot.0)?;
                // If this says something else, or nothing any more, the program runs on.
                if matches!(receive(opener, LIMIT)?, Some(ToProgram::EndOfInput)) {
                    say(sealer, program.ask(Action::Confirm).map(Some))?;
                }
                return Ok(());
            }
            _ => return Ok(()),
        }
    }
    Ok(())
}

/// Sends an answer on, and returns it if there is one.
fn say(sealer: &mut Sealer, answer: Result<Option<Answer>, ControlError>) -> io::Result<Option<Answer>> {
    let answer = match answer {
        Ok(Some(answer)) => answer,
        Err(ControlError::Refused(failure)) => Answer::Error(failure),
        Ok(None) | Err(ControlError::Ended) => return send(sealer, &Reply::EndOfAnswers).map(|()| None),
        Err(error) => return send(sealer, &Reply::Refused(error.to_string())).map(|()| None),
    };
    send(sealer, &Reply::Answer(serde_json::to_string(&answer)?))?;
    Ok(Some(answer))
}

fn send_snapshot(sealer: &mut Sealer, path: &Path) -> io::Result<()> {
    send_file(sealer, "who asks", &mut File::open(path)?, path).map_err(io::Error::other)?;
    send(sealer, &ToProgram::EndOfInput)
}
