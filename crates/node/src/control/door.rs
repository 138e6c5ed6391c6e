//! The program's end of its control socket. Nothing here waits: the supervisor says when there is something to read, and what a client
//! does not take at once is dropped with the client.

use super::directory;
use super::protocol::{Answer, Happened, Line, Question, VERSION};
use rustix::net::sockopt::socket_peercred;
use rustix::process::geteuid;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Longest question, bytes.
const LONGEST: usize = 64 << 10;

/// A client's name, while it is connected.
pub(crate) type Client = u64;

/// What a client has said.
pub(crate) enum Heard {
    /// A question.
    Question(Question),
    /// Something else: why it cannot be understood.
    Nonsense(String),
}

struct Connection {
    stream: UnixStream,
    input: Vec<u8>,
    watches: bool,
}

/// The socket, and who is connected.
pub(crate) struct Door {
    listener: UnixListener,
    path: PathBuf,
    connections: BTreeMap<Client, Connection>,
    next: Client,
}

impl Door {
    /// Opens the control socket of the program that this process runs.
    pub(crate) fn open(directory: &Path) -> io::Result<Door> {
        directory::create(directory)?;
        let path = directory::socket(directory, std::process::id());
        // Who finds a socket that does not listen yet takes it for a dead program's, and removes it.
        let silent = path.with_extension("new");
        match fs::remove_file(&silent) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&silent)?;
        listener.set_nonblocking(true)?;
        // There may be one of an earlier process with this id.
        fs::rename(&silent, &path)?;
        Ok(Door { listener, path, connections: BTreeMap::new(), next: 0 })
    }

    /// Becomes readable when somebody wants to connect.
    pub(crate) fn listener(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    /// Those who are connected, and what becomes readable when they have said something.
    pub(crate) fn clients(&self) -> impl Iterator<Item = (Client, BorrowedFd<'_>)> {
        self.connections.iter().map(|(&client, connection)| (client, connection.stream.as_fd()))
    }

    /// Lets in who waits, if it is the same user, or root.
    pub(crate) fn accept(&mut self) {
        let Ok((stream, _)) = self.listener.accept() else { return };
        let is_known = socket_peercred(&stream).is_ok_and(|peer| peer.uid == geteuid() || peer.uid.is_root());
        if is_known && stream.set_nonblocking(true).is_ok() {
            self.connections.insert(self.next, Connection { stream, input: Vec::new(), watches: false });
            self.next += 1;
        }
    }

    /// Reads what a client has said, up to the end of a line.
    pub(crate) fn hear(&mut self, client: Client) -> Option<Heard> {
        let connection = self.connections.get_mut(&client)?;
        let mut buffer = [0; 4096];
        match connection.stream.read(&mut buffer) {
            Ok(length) if length > 0 => connection.input.extend_from_slice(&buffer[..length]),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                return None;
            }
            _ => {
                self.connections.remove(&client);
                return None;
            }
        }
        let Some(end) = connection.input.iter().position(|&byte| byte == b'\n') else {
            if connection.input.len() > LONGEST {
                self.connections.remove(&client);
            }
            return None;
        };
        let line: Vec<u8> = connection.input.drain(..=end).collect();
        Some(understand(&line))
    }

    /// Whether a client is still connected.
    pub(crate) fn has(&self, client: Client) -> bool {
        self.connections.contains_key(&client)
    }

    /// Answers a client.
    pub(crate) fn answer(&mut self, client: Client, answer: Answer) {
        let Some(connection) = self.connections.get_mut(&client) else { return };
        let Ok(mut line) = serde_json::to_vec(&Line { version: VERSION, answer }) else { return };
        line.push(b'\n');
        if connection.stream.write_all(&line).is_err() {
            self.connections.remove(&client);
        }
    }

    /// The client wants to know of events.
    pub(crate) fn watch(&mut self, client: Client) {
        if let Some(connection) = self.connections.get_mut(&client) {
            connection.watches = true;
        }
    }

    /// Tells of an event those who want to know.
    pub(crate) fn tell(&mut self, event: impl FnOnce() -> Happened) {
        let watching = |(&client, connection): (&Client, &Connection)| connection.watches.then_some(client);
        let watchers: Vec<Client> = self.connections.iter().filter_map(watching).collect();
        if watchers.is_empty() {
            return;
        }
        let event = Answer::Event(event());
        for client in watchers {
            self.answer(client, event.clone());
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // Whoever finds it cannot connect, and removes it.
        let _ = fs::remove_file(&self.path);
    }
}

fn understand(line: &[u8]) -> Heard {
    // The version first: what follows it may have another meaning in another one.
    let version = serde_json::from_slice::<serde_json::Value>(line)
        .map(|value| value.get("version").and_then(serde_json::Value::as_u64));
    match version {
        Ok(Some(version)) if version == u64::from(VERSION) => match serde_json::from_slice(line) {
            Ok(question) => Heard::Question(question),
            Err(error) => Heard::Nonsense(format!("the question is not understood: {error}")),
        },
        Ok(Some(version)) => Heard::Nonsense(format!(
            "version {version} of the control protocol is asked for, and this program was started by a maize that speaks version \
             {VERSION}; use that one"
        )),
        Ok(None) => Heard::Nonsense(String::from("the question names no version of the control protocol")),
        Err(error) => Heard::Nonsense(format!("the question is no JSON: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::protocol::Action;

    #[test]
    fn questions_of_another_version_and_other_lines_are_told_apart() {
        let understood = understand(br#"{"version":1,"action":"migrate","to":"aarch64","timeout_ms":5}"#);
        let Heard::Question(Question {
            action: Action::Migrate { to, process: None, timeout_ms: 5, dry_run: false },
            ..
        }) = understood
        else {
            panic!("not understood")
        };
        assert_eq!(to, "aarch64");
        for (line, reason) in [
            (r#"{"version":2,"action":"fly"}"#, "version 2"),
            (r#"{"version":1,"action":"fly"}"#, "fly"),
            (r#"{"action":"status"}"#, "names no version"),
            ("status", "no JSON"),
        ] {
            let Heard::Nonsense(said) = understand(line.as_bytes()) else { panic!("{line} is understood") };
            assert!(said.contains(reason), "{said}");
        }
    }
}
