//! Where others connect: the port for other machines, and the socket in the node's directory for commands on this one.

use super::{Counted, Daemon, note, session, start};
use crate::channel::{self, Authenticated};
use crate::error::{NodeError, Result};
use crate::link;
use crate::message::{LIMIT, Reply, Request, receive, send};
use crate::sync::lock;
use std::fs;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// So many may be saying who they are at a time. What comes above that is closed at once; members try again.
const MOST_STRANGERS: usize = 64;
/// So many connections members may have.
const MOST_SESSIONS: usize = 512;
/// Commands on this machine are short.
const COMMANDS_PATIENCE: Duration = Duration::from_secs(10);

/// Serves other machines. Does not return.
pub(super) fn serve(daemon: &Arc<Daemon>, listener: &TcpListener) {
    loop {
        let socket = match listener.accept() {
            Ok((socket, _)) => socket,
            // No descriptors left, for instance: others may be closed soon.
            Err(_) => {
                thread::sleep(Duration::from_millis(100));
                continue;
            }
        };
        let Some(stranger) = Counted::new(daemon, |daemon| &daemon.strangers, MOST_STRANGERS) else { continue };
        let daemon = Arc::clone(daemon);
        // A machine that has no thread left drops the connection.
        let _ = start("session", move || greet(&daemon, socket, stranger));
    }
}

/// Finds out who has connected.
fn greet(daemon: &Arc<Daemon>, socket: TcpStream, stranger: Counted) {
    match channel::accept(socket, daemon.identity.private()) {
        Ok(connection) => admit(daemon, connection, stranger),
        Err(error) => note_seldom(&format!("{error}")),
    }
}

fn admit(daemon: &Arc<Daemon>, connection: Authenticated, stranger: Counted) {
    let name = lock(&daemon.members).trusted(&connection.peer).map(|member| member.name.clone());
    let result = match name {
        Some(name) => {
            let Some(_session) = Counted::new(daemon, |daemon| &daemon.sessions, MOST_SESSIONS) else { return };
            drop(stranger);
            session::serve(daemon, connection, &name)
        }
        None => super::join::serve(daemon, connection),
    };
    if let Err(error) = result {
        note_seldom(&error.to_string());
    }
}

/// Notes what anybody may cause, once a second at most.
fn note_seldom(text: &str) {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    if LAST.swap(now, Ordering::Relaxed) != now {
        note(text);
    }
}

/// Makes the socket for commands.
pub(super) fn control(daemon: &Daemon) -> Result<UnixListener> {
    let path = daemon.directory.control();
    // Left by one that was killed; the lock says that none runs.
    let _ = fs::remove_file(&path);
    UnixListener::bind(&path).map_err(NodeError::file("listen at", path))
}

/// Serves commands. Does not return.
pub(super) fn serve_control(daemon: &Arc<Daemon>, listener: &UnixListener) {
    for stream in listener.incoming() {
        match stream {
            Ok(stream) => {
                let daemon = Arc::clone(daemon);
                let _ = start("command", move || {
                    // Who has gone does not hear the answer.
                    let _ = command(&daemon, stream);
                });
            }
            Err(_) => thread::sleep(Duration::from_millis(100)),
        }
    }
}

/// Only the node's user, or root, gets through the directory to this socket.
fn command(daemon: &Arc<Daemon>, mut stream: UnixStream) -> io::Result<()> {
    stream.set_read_timeout(Some(COMMANDS_PATIENCE))?;
    stream.set_write_timeout(Some(COMMANDS_PATIENCE))?;
    let Some(request) = receive::<Request>(&mut stream, LIMIT)? else { return Ok(()) };
    let reply = match request {
        Request::Status => Reply::Nodes(vec![daemon.status()]),
        Request::Reload => {
            session::refuse(crate::members::Members::read(&daemon.directory).and_then(|members| daemon.know(members)))
        }
        Request::Stop => {
            send(&mut stream, &Reply::Done)?;
            daemon.stop()
        }
        Request::Relay { node, request } if matches!(*request, Request::Follow { .. }) => {
            match daemon.follow(&node, &request) {
                Ok((socket, connection)) => {
                    send(&mut stream, &Reply::Ready)?;
                    return link::hand_over_connection(&mut stream, &connection, &socket);
                }
                Err(NodeError::Refused { reason, .. }) => Reply::Gone(reason),
                Err(error) => Reply::Refused(error.to_string()),
            }
        }
        Request::Relay { node, request } => {
            daemon.relay(&node, &request).unwrap_or_else(|error| Reply::Refused(error.to_string()))
        }
        request => return session::answer(daemon, &request, "this machine", &mut stream),
    };
    send(&mut stream, &reply)
}
