//! What the daemon asks of a program's shim, and hands to it, while the program runs.

use super::resident::Resident;
use super::{ask, leave};
use crate::channel::{Handover, Opener, Sealer};
use crate::error::{NodeError, Result};
use crate::link::{self, Ask, Attach, Follow, QUESTIONS_LIMIT, Question};
use crate::message::{ProgramState, receive, send};
use std::io::{self, PipeWriter};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// Listens for the daemon.
pub(super) fn listen(resident: &Arc<Resident>, to_signals: &Arc<PipeWriter>) -> Result<()> {
    let path = link::socket(&resident.directory);
    let listener = UnixListener::bind(&path).map_err(NodeError::file("listen at", path))?;
    let (resident, to_signals) = (Arc::clone(resident), Arc::clone(to_signals));
    thread::spawn(move || {
        // Closed by the end of this process.
        let mut watchers = Vec::new();
        for mut stream in listener.incoming().flatten() {
            let mut answer = || -> io::Result<bool> {
                stream.set_read_timeout(Some(Duration::from_secs(10)))?;
                let question = receive::<Question>(&mut stream, QUESTIONS_LIMIT)?;
                if let Some(Question::Leave(order)) = question {
                    let connection = link::receive_socket(&stream)?;
                    let (resident, mut stream) = (Arc::clone(&resident), stream.try_clone()?);
                    let to_wait_for = Arc::clone(&resident);
                    let answering = thread::spawn(move || {
                        // Who asked may have gone.
                        let _ = send(&mut stream, &leave::leave(&resident, *order, connection));
                    });
                    to_wait_for.answers(answering);
                    return Ok(false);
                }
                if let Some(Question::Attach(attach)) = question {
                    let Attach { to, transfer, connection } = *attach;
                    let (sealer, opener) = take_over(connection, &stream)?;
                    resident.relay.attach(to, transfer, sealer, opener)?;
                    return Ok(false);
                }
                if let Some(Question::Follow(follow)) = question {
                    let Follow { transfer, connection } = *follow;
                    let (sealer, opener) = take_over(connection, &stream)?;
                    resident.successors.add(transfer, sealer, opener)?;
                    return Ok(false);
                }
                if let Some(Question::Ask(ask)) = question {
                    let Ask { action, connection } = *ask;
                    let action = serde_json::from_str(&action)?;
                    let (mut sealer, mut opener) = take_over(connection, &stream)?;
                    opener.watch();
                    let resident = Arc::clone(&resident);
                    // Who asked may have gone.
                    thread::spawn(move || ask::answer(&resident, action, &mut sealer, &mut opener));
                    return Ok(false);
                }
                let is_done = match question {
                    Some(Question::Signal(signal)) => resident.hand_on(signal, &mut &*to_signals)?,
                    Some(Question::Resolve { here }) => {
                        let waits = matches!(resident.status().state, ProgramState::Unsettled(_));
                        if waits {
                            resident.verdict.say(here);
                        }
                        waits
                    }
                    _ => true,
                };
                send(&mut stream, &is_done)?;
                Ok(matches!(question, Some(Question::Watch)))
            };
            if answer().is_ok_and(|stays| stays) {
                watchers.push(stream);
            }
        }
    });
    Ok(())
}

/// Takes a connection that comes after a question, which is answered on it.
fn take_over(connection: Handover, question: &UnixStream) -> io::Result<(Sealer, Opener)> {
    let socket = link::receive_socket(question)?;
    socket.set_write_timeout(Some(Duration::from_secs(1)))?;
    connection.resume(socket)
}
