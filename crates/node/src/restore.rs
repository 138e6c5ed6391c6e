//! Restoring a program from a snapshot: each of its processes comes into a fresh host process as if it moved there, with this one as its
//! source (docs/protocol.md).

use crate::describe::Streams;
use crate::error::RunError;
use crate::host::{Host, Launchers, MAX_DESCRIPTORS, receive_from, send_all, socket_pair};
use crate::processes::Table;
use crate::program::{CLOSE_ON_EXEC, OF_REGION, Program, monotonic_ns};
use crate::reopen::{self, ChangedFiles};
use crate::report::{Child, Report};
use crate::supervisor::{Event, RunOptions, Supervisor, adopt_processes, release_standard_streams};
use maize_abi::control::{Kind, Message, SETS_CLOCKS};
use maize_abi::processes::SERVED;
use maize_snapshot::{Executable, Kind as Section, Metadata, Process, Reader, SnapshotError};
use rustix::fs::{MemfdFlags, memfd_create};
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufReader, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::rc::Rc;
use std::time::Instant;

/// Bytes read at a time.
const BUFFER: usize = 1 << 20;

/// Restores a program and runs it to its end. `options` say how, as for [`crate::run`]; program and arguments are the snapshot's.
///
/// # Errors
/// [`RunError`], if the snapshot is damaged, or something that it refers to is not there any more; nothing has been changed then.
pub fn restore(
    file: &Path,
    options: &RunOptions,
    changed: ChangedFiles,
    observe: &mut dyn FnMut(Event<'_>),
) -> Result<Report, RunError> {
    let damaged = |source| RunError::Snapshot { path: file.to_owned(), source };
    let opened = File::open(file).map_err(|error| damaged(error.into()))?;
    let input = BufReader::with_capacity(BUFFER, opened);
    restore_from(input, Origin { name: file, own: None, changed }, options, observe, || Ok(()))
}

/// Receives a program from another node and runs it to its end. `options` say how; its file, which may have another path here, is theirs. `commit` is called
/// when everything is in place, and nothing runs before it returns, or ever if it returns a reason.
///
/// # Errors
/// [`RunError`], if what comes is damaged, refers to something that is not here, or is not committed.
pub fn receive(
    input: impl Read,
    options: &RunOptions,
    observe: &mut dyn FnMut(Event<'_>),
    commit: impl FnOnce() -> Result<(), String>,
) -> Result<Report, RunError> {
    let name = Path::new("what the other node sends");
    restore_from(
        input,
        Origin { name, own: Some(&options.program), changed: ChangedFiles::Refuse },
        options,
        observe,
        commit,
    )
}

/// Where a snapshot comes from.
struct Origin<'a> {
    /// For people.
    name: &'a Path,
    /// The program's file, if it may be elsewhere than where it was.
    own: Option<&'a Path>,
    changed: ChangedFiles,
}

fn restore_from(
    input: impl Read,
    origin: Origin<'_>,
    options: &RunOptions,
    observe: &mut dyn FnMut(Event<'_>),
    decide: impl FnOnce() -> Result<(), String>,
) -> Result<Report, RunError> {
    let begin = Instant::now();
    let Origin { name, own, changed } = origin;
    let damaged = |source| RunError::Snapshot { path: name.to_owned(), source };
    let mut reader = Reader::new(input).map_err(damaged)?;
    let metadata = reader.metadata().clone();
    let arguments: Vec<OsString> = metadata.arguments.iter().cloned().map(OsString::from_vec).collect();
    let executables = metadata.executables.iter().map(|executable| find(executable, own, options, &arguments));
    let executables = executables.collect::<Result<Vec<_>, _>>()?;
    let obstacles = reopen::check(&metadata, changed);
    if !obstacles.is_empty() {
        return Err(RunError::Files(obstacles.join("\n  ")));
    }
    // They start while the snapshot is read.
    let mut hosts = Hosts(Vec::new());
    for process in &metadata.processes {
        let launcher = executables[process.executable].of(options.isa)?;
        hosts.0.push(Host::start(&launcher, &Message::new(Kind::Receive, [0; 8]))?);
    }
    let Contents { memories, files } = read(&mut reader, &metadata).map_err(damaged)?;
    let files = reopen::open_all(&metadata, files, changed).map_err(RunError::Files)?;
    let ahead = metadata.monotonic_ns.wrapping_sub(monotonic_ns());
    let mut transfers = Vec::new();
    for ((process, host), memory) in metadata.processes.iter().zip(&hosts.0).zip(&memories) {
        transfers.push(hand_over(process, host, memory, &files, ahead, metadata.monotonic_ns)?);
    }
    let streams = Streams::note();
    drop(files);
    release_standard_streams()?;
    adopt_processes()?;

    let main_executable = metadata.processes.iter().find(|process| process.id == metadata.main);
    let program = main_executable.map_or(name, |process| &executables[process.executable].program).to_owned();
    let options = RunOptions { program, arguments, movable: true, ..options.clone() };
    decide().map_err(RunError::NotCommitted)?;
    let mut supervisor = Supervisor::new(&options, observe, metadata.main, vec![options.isa], true, streams);
    supervisor.table = Table::restored(&metadata.relations, metadata.main, std::process::id());
    for ((process, host), transfer) in metadata.processes.iter().zip(hosts.0.drain(..)).zip(transfers) {
        let launchers = Rc::clone(&executables[process.executable]);
        let mut program = Program::new(process.id, launchers, host, None, supervisor.common.started.elapsed());
        program.has_used(process.times);
        program.begin_arriving();
        commit(process, &transfer)?;
        supervisor.programs.insert(process.id, program);
        if process.id != metadata.main {
            let (parent, started_on) =
                (supervisor.table.parent(process.id).unwrap_or(0), options.isa.name().to_owned());
            supervisor.children.push(Child { id: process.id, parent, started_on, ..Child::default() });
        }
    }
    supervisor.restored = Some(begin.elapsed());
    supervisor.run()
}

/// Host processes that hold nothing yet: they end if nothing comes of them.
struct Hosts(Vec<Host>);

impl Drop for Hosts {
    fn drop(&mut self) {
        self.0.drain(..).for_each(Host::discard);
    }
}

/// The program in a file, if it is the one that was saved.
fn find(
    executable: &Executable,
    own: Option<&Path>,
    options: &RunOptions,
    arguments: &[OsString],
) -> Result<Rc<Launchers>, RunError> {
    if let Some(own) = own {
        let launchers = Launchers::new(own, &[options.isa], arguments)?;
        if launchers.identity().is_ok_and(|found| found.sha256 == executable.sha256) {
            return Ok(Rc::new(launchers));
        }
    }
    let path = &executable.path;
    let launchers = Launchers::new(path, &[options.isa], arguments)?;
    let found =
        launchers.identity().map_err(|source| RunError::System { what: "reading the program's file", source })?;
    if (found.size, &found.sha256) != (executable.size, &executable.sha256) {
        return Err(RunError::OtherProgram { path: path.clone(), expected: executable.sha256.clone() });
    }
    Ok(Rc::new(launchers))
}

/// What a snapshot holds besides its metadata.
struct Contents {
    /// For each process, pages and then tables.
    memories: Vec<File>,
    files: Vec<File>,
}

fn read<R: Read>(reader: &mut Reader<R>, metadata: &Metadata) -> Result<Contents, SnapshotError> {
    let memory = || memfd_create("maize-restore", MemfdFlags::CLOEXEC).map(File::from);
    let memories = metadata.processes.iter().map(|_| memory()).collect::<Result<Vec<_>, _>>();
    let files = metadata.contents.iter().map(|_| memory()).collect::<Result<Vec<_>, _>>();
    let failed = |error: rustix::io::Errno| SnapshotError::System(error.into());
    let (memories, files) = (memories.map_err(failed)?, files.map_err(failed)?);
    while let Some(piece) = reader.next_piece()? {
        match piece.kind {
            Section::Pages => memories[piece.owner].write_all_at(&piece.bytes, piece.start)?,
            Section::Tables => {
                memories[piece.owner].write_all_at(&piece.bytes, metadata.processes[piece.owner].pages)?
            }
            Section::Content => files[piece.owner].write_all_at(&piece.bytes, piece.start)?,
            Section::Metadata | Section::End => {}
        }
    }
    Ok(Contents { memories, files })
}

/// Hands a process to a host, which then waits for [`commit`]. Returns the socket to it.
fn hand_over(
    process: &Process,
    host: &Host,
    memory: &File,
    files: &[Option<OwnedFd>],
    ahead: u64,
    monotonic_ns: u64,
) -> Result<OwnedFd, RunError> {
    let gone = || RunError::NotReady { isa: host.isa };
    if host.await_message().and_then(|message| message.kind()) != Some(Kind::Ready) {
        return Err(gone());
    }
    let (theirs, ours) = socket_pair()?;
    host.send(&Message::new(Kind::Accept, [SERVED, SETS_CLOCKS, ahead, 0, 0, 0, 0, 0]), Some(theirs.as_fd()))?;
    drop(theirs);
    let Process { regions, runs, pages, .. } = *process;
    let state = Message::new(Kind::State, [regions, runs, monotonic_ns, pages, 0, 0, 0, 0]);
    send_all(ours.as_fd(), &state, &[memory.as_fd()])?;
    let file = |index: usize| files[index].as_ref().map(OwnedFd::as_fd);
    let own = process.descriptors.iter().filter_map(|one| {
        let flag = if one.close_on_exec { CLOSE_ON_EXEC } else { 0 };
        Some((u64::from(one.number) | flag, file(one.file)?))
    });
    let mapped = process.mapped.iter().filter_map(|one| Some((one.region | OF_REGION, file(one.file)?)));
    let all: Vec<(u64, BorrowedFd<'_>)> = own.chain(mapped).collect();
    for batch in all.chunks(MAX_DESCRIPTORS).chain([&[][..]]) {
        let mut values = [0; 8];
        for (to, (value, _)) in values.iter_mut().zip(batch) {
            *to = *value;
        }
        let descriptors: Vec<BorrowedFd<'_>> = batch.iter().map(|(_, descriptor)| *descriptor).collect();
        send_all(ours.as_fd(), &Message::new(Kind::Descriptors, values), &descriptors)?;
    }
    let answer = receive_from(ours.as_fd()).ok_or_else(gone)?.message;
    match answer.kind() {
        Some(Kind::Restored) => Ok(ours),
        Some(Kind::Refused) => {
            Err(RunError::Refused { process: process.id, isa: host.isa, reason: answer.text().to_owned() })
        }
        _ => Err(gone()),
    }
}

/// Lets a process run, with the signals that wait for it.
fn commit(process: &Process, transfer: &OwnedFd) -> Result<(), RunError> {
    send_all(transfer.as_fd(), &Message::new(Kind::Commit, [0; 8]), &[])?;
    for signal in &process.signals {
        let code = u64::from(signal.code.cast_unsigned());
        let values = [signal.signal.into(), code, signal.sender, signal.value, signal.thread.into(), 0, 0, 0];
        send_all(transfer.as_fd(), &Message::new(Kind::Undelivered, values), &[])?;
    }
    Ok(())
}
