//! What members ask, on a connection that has been authenticated.

use super::Daemon;
use super::programs::start_itself;
use crate::arrivals;
use crate::channel::{Authenticated, Handover, Opener, Sealer};
use crate::error::{NodeError, Result};
use crate::identity::MemoryOrder;
use crate::link::{self, Ask, Attach, Beginning, Come, Follow, Leave, Order, Question, Sockets};
use crate::message::{Arrival, LIMIT, Reply, Request, Restoration, Start, receive, send};
use crate::read::Pieces;
use crate::shim::log;
use crate::sync::lock;
use std::io::{self, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// A member that says nothing for so long is gone; heartbeats come each second.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a log that is followed is looked at.
const FOLLOW: Duration = Duration::from_millis(100);
/// As podman's.
const CANNOT_RUN: i32 = 125;

/// Serves a member until it closes, or the connection belongs to a program.
pub(super) fn serve(daemon: &Arc<Daemon>, connection: Authenticated, name: &str) -> Result<()> {
    let lost = |source| NodeError::Lost { peer: name.into(), source };
    let key = connection.peer;
    connection.socket.set_read_timeout(Some(PATIENCE)).map_err(lost)?;
    connection.socket.set_write_timeout(Some(PATIENCE)).map_err(lost)?;
    let (mut sealer, mut opener) = connection.state.resume(connection.socket).map_err(lost)?;
    while let Some(request) = receive::<Request>(&mut opener, LIMIT).map_err(lost)? {
        if lock(&daemon.members).trusted(&key).is_none() {
            let reply = Reply::Refused(format!("{name} has been removed"));
            return send(&mut sealer, &reply).map_err(lost);
        }
        match request {
            Request::Start(start) => {
                return run(daemon, name, *start, Beginning::Anew, sealer, opener).map_err(lost);
            }
            Request::Restore(restoration) => {
                let Restoration { start, snapshot } = *restoration;
                let start = Start { isa: start.isa.or_else(|| daemon.usual_isa()), ..start };
                return run(daemon, name, start, Beginning::Restored(snapshot), sealer, opener).map_err(lost);
            }
            Request::Receive(arrival) => {
                let Arrival { start, status, transfer, home } = *arrival;
                let start = Start { isa: start.isa.or_else(|| daemon.usual_isa()), ..start };
                let come = Come { status, transfer, from: key, node: name.into(), home };
                return run(daemon, name, start, Beginning::Comes(Box::new(come)), sealer, opener).map_err(lost);
            }
            Request::Ask { program, .. } if let Some(location) = daemon.programs.elsewhere(program) => {
                send(&mut sealer, &Reply::Elsewhere(location)).map_err(lost)?;
            }
            Request::Ask { program, action } => {
                let ask = |connection| Question::Ask(Box::new(Ask { action, connection }));
                return give(daemon, program, Reply::NoSuchProgram, ask, sealer, opener).map_err(lost);
            }
            Request::Files => return files(name, sealer, opener).map_err(lost),
            Request::Attach { program, transfer } => {
                let gone = "the command that has started the program is gone";
                let attach = |connection| Question::Attach(Box::new(Attach { to: name.into(), transfer, connection }));
                return give(daemon, program, Reply::Refused(gone.into()), attach, sealer, opener).map_err(lost);
            }
            Request::Follow { program, transfer } => {
                let gone = "the process that had what is left of the program's memory is gone";
                let follow = |connection| Question::Follow(Box::new(Follow { transfer, connection }));
                return give(daemon, program, Reply::Refused(gone.into()), follow, sealer, opener).map_err(lost);
            }
            Request::Status | Request::Reload | Request::Stop | Request::Relay { .. } | Request::Join(_) => {
                let reply = Reply::Refused("that can only be asked on the machine itself".into());
                send(&mut sealer, &reply).map_err(lost)?;
            }
            request => answer(daemon, &request, name, &mut sealer).map_err(lost)?,
        }
    }
    Ok(())
}

/// Answers what does not need the connection for itself.
pub(super) fn answer(daemon: &Arc<Daemon>, request: &Request, name: &str, stream: &mut impl Write) -> io::Result<()> {
    match request {
        Request::Logs { program, follow } if daemon.programs.elsewhere(*program).is_none() => {
            logs(daemon, *program, *follow, stream)
        }
        request => send(stream, &reply(daemon, request, name)),
    }
}

/// The answer to what is done, or is not.
pub(super) fn refuse(result: Result<()>) -> Reply {
    result.map_or_else(|error| Reply::Refused(error.to_string()), |()| Reply::Done)
}

/// The answer to what has one.
pub(super) fn reply(daemon: &Arc<Daemon>, request: &Request, name: &str) -> Reply {
    match request {
        Request::Heartbeat(heartbeat) => match daemon.learn(&heartbeat.members) {
            Ok(()) => Reply::Heartbeat(daemon.heartbeat(Some(heartbeat.digest))),
            Err(error) => Reply::Refused(error.to_string()),
        },
        Request::Nodes => Reply::Nodes(daemon.nodes()),
        Request::Accept(accept) => {
            super::note(&format!("{} programs from now on, says {name}", if *accept { "takes" } else { "takes no" }));
            refuse(daemon.accept_programs(*accept))
        }
        Request::Programs => Reply::Programs(daemon.programs.list()),
        Request::Usage => Reply::Usage(daemon.usage()),
        Request::Signal { program, .. } | Request::Logs { program, .. } | Request::Migrate { program, .. }
            if let Some(location) = daemon.programs.elsewhere(*program) =>
        {
            Reply::Elsewhere(location)
        }
        Request::Migrate { program, to, isa, timeout_ms, memory, dry_run } => {
            if !dry_run {
                super::note(&format!("moves {program} to {to}, says {name}"));
            }
            let timeout = Duration::from_millis(*timeout_ms);
            let memory = memory.unwrap_or(daemon.identity.configuration.memory);
            let (memory_after, dry_run) = (memory == MemoryOrder::After, *dry_run);
            let leave =
                |connection| Leave { to: to.clone(), isa: isa.clone(), timeout, memory_after, dry_run, connection };
            match daemon.migrate(*program, to, leave) {
                Ok(Some(location)) => Reply::Migrated(location),
                Ok(None) => Reply::Done,
                Err(error) => Reply::Refused(error.to_string()),
            }
        }
        Request::Settle(transfer) => match arrivals::decide(&daemon.directory, transfer, None) {
            Ok(program) => Reply::Settled(program),
            Err(error) => Reply::Refused(error.to_string()),
        },
        Request::Awaits(transfer) => Reply::Awaits(daemon.awaits(transfer)),
        Request::Resolve { program, here } => {
            super::note(&format!("decides that {program} is {}, says {name}", if *here { "here" } else { "gone" }));
            refuse(daemon.resolve(*program, *here))
        }
        Request::Signal { program, signal } => match daemon.programs.signal(*program, *signal) {
            Ok(()) => Reply::Done,
            // It may have gone meanwhile.
            Err(error) => {
                daemon.programs.elsewhere(*program).map_or_else(|| Reply::Refused(error.to_string()), Reply::Elsewhere)
            }
        },
        _ => Reply::Refused("that cannot be asked here".into()),
    }
}

fn logs(daemon: &Daemon, program: u32, follow: bool, stream: &mut impl Write) -> io::Result<()> {
    let mut reader = match log::Reader::open(&daemon.programs.directory(program)) {
        Ok(reader) => reader,
        Err(error) => {
            let own = &daemon.identity.configuration.name;
            let message = format!(
                "no log of a program {program} on {own} ({error}); programs that are started with --detach have one"
            );
            return send(stream, &Reply::Refused(message));
        }
    };
    loop {
        // In this order: what it said last is there when it has ended.
        let goes_on = follow && daemon.programs.is_running(program);
        while let Some(record) = reader.next()? {
            send(stream, &Reply::Log(record))?;
        }
        if !goes_on {
            let end = daemon.programs.elsewhere(program).map_or(Reply::EndOfLog, Reply::Elsewhere);
            return send(stream, &end);
        }
        thread::sleep(FOLLOW);
    }
}

/// Sees to it that the executable is here, and leaves the rest to a shim.
fn run(
    daemon: &Arc<Daemon>,
    name: &str,
    start: Start,
    beginning: Beginning,
    mut sealer: Sealer,
    mut opener: Opener,
) -> io::Result<()> {
    let prepared = prepare(daemon, &start, &mut sealer, &mut opener).and_then(|executable| {
        let attached = beginning.comes().and_then(|come| Some((come.home.as_ref()?, come.transfer)));
        let home = attached.map(|(home, transfer)| {
            daemon.attach(home, transfer).map_err(|error| {
                NodeError::Invalid(format!("its input and output go by way of {}: {error}", home.node))
            })
        });
        let home = home.transpose()?;
        let files = start.files.as_ref().filter(|node| **node != daemon.identity.configuration.name);
        let files = files.map(|node| {
            daemon.files(node).map_err(|error| NodeError::Invalid(format!("its files are those of {node}: {error}")))
        });
        Ok((executable, home.unzip(), files.transpose()?.unzip()))
    });
    match prepared {
        Ok((executable, (home_socket, home), (files_socket, files))) => {
            send(&mut sealer, &Reply::Ready)?;
            let command = start
                .arguments
                .first()
                .map_or_else(Default::default, |name| name.as_os_str().to_string_lossy().into_owned());
            let (socket, connection) = release(sealer, opener)?;
            let programs = daemon.programs.path().to_owned();
            let node = daemon.identity.configuration.name.clone();
            let started_by = name.into();
            let order = Order { start, executable, beginning, programs, node, started_by, connection, home, files };
            let sockets = Sockets { connection: socket, home: home_socket, files: files_socket };
            super::note(&format!("runs {command} for {name}"));
            daemon.programs.start(&order, &sockets).map_err(io::Error::other)?;
            daemon.look();
            Ok(())
        }
        Err(NodeError::CannotStart { status, message }) => send(&mut sealer, &Reply::CannotStart { status, message }),
        Err(error) => send(&mut sealer, &Reply::CannotStart { status: CANNOT_RUN, message: error.to_string() }),
    }
}

/// What another process needs to go on with a connection. That decides how long to wait for what.
fn release(sealer: Sealer, opener: Opener) -> io::Result<(TcpStream, Handover)> {
    let more = || io::Error::new(io::ErrorKind::InvalidData, "more was said than was asked");
    let (socket, connection) = opener.hand_over(sealer).ok_or_else(more)?;
    socket.set_read_timeout(None)?;
    socket.set_write_timeout(None)?;
    Ok((socket, connection))
}

/// Leaves a connection to the shim of a program that was here first, or has gone, which says what is to be said; or says that it is gone.
fn give(
    daemon: &Daemon,
    program: u32,
    gone: Reply,
    question: impl FnOnce(Handover) -> Question,
    mut sealer: Sealer,
    opener: Opener,
) -> io::Result<()> {
    if !daemon.programs.is_running(program) {
        return send(&mut sealer, &gone);
    }
    let (socket, connection) = release(sealer, opener)?;
    link::give(&daemon.programs.directory(program), &question(connection), &socket)
}

/// Leaves a connection to a process that serves this node's files on it.
fn files(name: &str, mut sealer: Sealer, opener: Opener) -> io::Result<()> {
    let (mut child, mut link) = match start_itself("files") {
        Ok(started) => started,
        Err(error) => return send(&mut sealer, &Reply::Refused(format!("its files cannot be served: {error}"))),
    };
    send(&mut sealer, &Reply::Ready)?;
    let (socket, connection) = release(sealer, opener)?;
    super::note(&format!("serves files to a program on {name}"));
    link::hand_over_connection(&mut link, &connection, &socket)?;
    drop((link, socket));
    // It ends with the connection.
    child.wait().map(drop)
}

fn prepare(daemon: &Daemon, start: &Start, sealer: &mut Sealer, opener: &mut Opener) -> Result<std::path::PathBuf> {
    let own = &daemon.identity.configuration.name;
    let refused = |message| Err(NodeError::CannotStart { status: CANNOT_RUN, message });
    if daemon.directory.draining().exists() {
        return refused(format!(
            "node {own} is draining and takes no programs; choose another, or run: maize node undrain {own}"
        ));
    }
    let offered = || daemon.native.iter().chain(&daemon.emulated);
    let wanted = start.isa.iter().chain(start.hop.iter().flat_map(|hop| &hop.isas));
    for isa in wanted {
        if !offered().any(|offered| offered.name() == isa) {
            let offered: Vec<&str> = offered().map(|isa| isa.name()).collect();
            return refused(format!("node {own} does not offer {isa}; it offers {}", offered.join(", ")));
        }
    }
    if start.isa.is_none() && daemon.native.is_empty() {
        return refused(format!("node {own} does not offer its own ISA; choose one with --isa"));
    }
    if let Some(executable) = daemon.store.find(&start.hash) {
        return Ok(executable);
    }
    send(sealer, &Reply::SendExecutable).map_err(NodeError::system("asking for the executable"))?;
    daemon.store.receive(&start.hash, start.size, &mut Pieces::new(opener))
}
