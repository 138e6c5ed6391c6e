//! Restoring a program from a snapshot: each of its processes comes into a fresh host process as if it moved there, with this one as its
//! source (docs/protocol.md).

use crate::describe::Streams;
use crate::error::RunError;
use crate::host::{Host, Launchers, MAX_DESCRIPTORS, receive_from, send_all, socket_pair};
use crate::incoming_memory::{Images, Memory, new_file};
use crate::network::Incoming;
use crate::pager::{Offer, Pager, Target};
use crate::processes::{Id, Table};
use crate::program::{Absent, CLOSE_ON_EXEC, OF_REGION, Program, monotonic_ns};
use crate::reopen::{self, ChangedFiles, Opened};
use crate::report::{Child, Report};
use crate::rest::Rest;
use crate::stored::Files;
use crate::supervisor::{Event, RunOptions, Supervisor, adopt_processes, open_door, release_standard_streams};
use maize_abi::Isa;
use maize_abi::control::{KEEPS, Kind, Message, SETS_CLOCKS};
use maize_abi::processes::SERVED;
use maize_abi::terminals::{self, Number};
use maize_snapshot::{Executable, Kind as Section, Metadata, Process, Reader, SnapshotError};
use rustix::event::{PollFd, PollFlags, poll};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

/// Bytes read at a time.
const BUFFER: usize = 16 << 10;

/// What a program is restored from.
#[derive(Clone, Copy, Debug)]
pub struct Snapshot<'a> {
    /// The file.
    pub file: &'a Path,
    /// The program's own file, if it may be elsewhere than where it was.
    pub program: Option<&'a Path>,
    /// What to do about files that have changed.
    pub changed: ChangedFiles,
}

/// Restores a program and runs it to its end. `options` say how, as for [`crate::run`]; program and arguments are the snapshot's. `commit` is called when everything is in place, and nothing
/// runs before it returns, or ever if it returns a reason.
///
/// # Errors
/// [`RunError`], if the snapshot is damaged, or something that it refers to is not there any more; nothing has been changed then.
pub fn restore(
    snapshot: Snapshot<'_>,
    options: &RunOptions,
    observe: &mut dyn FnMut(Event<'_>),
    commit: impl FnOnce() -> Result<(), String>,
) -> Result<Report, RunError> {
    let Snapshot { file, program: own, changed } = snapshot;
    let damaged = |source| RunError::Snapshot { path: file.to_owned(), source };
    let files = Files::default();
    let open = |path: &Path| files.open(path).map(|file| BufReader::with_capacity(BUFFER, file));
    let input = open(file).map_err(|error| damaged(error.into()))?;
    // Behind symbolic links.
    let place = file.canonicalize().map_err(|error| damaged(error.into()))?;
    let beside = |name: &Path| open(&place.with_file_name(name));
    let origin = Origin { name: file, own, changed, files: &files, rest: None };
    restore_from(input, beside, origin, options, observe, |_| commit())
}

/// Receives a program from another node and runs it to its end. `options` say how; its file, which may have another path here, is theirs. A part of its memory may
/// come when it runs already (`rest`). `commit` is called when everything is in place, and nothing runs before it returns, or ever if it returns a reason.
///
/// # Errors
/// [`RunError`], if what comes is damaged, refers to something that is not here, or is not committed.
pub fn receive(
    input: impl Read,
    options: &RunOptions,
    observe: &mut dyn FnMut(Event<'_>),
    rest: &Arc<Rest>,
    commit: impl FnOnce(&mut Incoming) -> Result<(), String>,
) -> Result<Report, RunError> {
    let name = Path::new("what the other node sends");
    restore_from(
        input,
        |_| Err(io::ErrorKind::NotFound.into()),
        Origin {
            name,
            own: Some(&options.program),
            changed: ChangedFiles::Refuse,
            files: &Files::default(),
            rest: Some(rest),
        },
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
    /// In which pages can stay.
    files: &'a Files,
    /// By which memory comes later.
    rest: Option<&'a Arc<Rest>>,
}

fn restore_from<R: Read>(
    input: R,
    open: impl FnMut(&Path) -> io::Result<R>,
    origin: Origin<'_>,
    options: &RunOptions,
    observe: &mut dyn FnMut(Event<'_>),
    decide: impl FnOnce(&mut Incoming) -> Result<(), String>,
) -> Result<Report, RunError> {
    let begin = Instant::now();
    let Origin { name, own, changed, files: snapshots, rest } = origin;
    let damaged = |source| RunError::Snapshot { path: name.to_owned(), source };
    let mut prepared = own.and_then(|own| Prepared::new(own, options));
    let mut images = Images::default();
    let mut reader =
        Reader::new(input, open, |process, image| images.add(process, image, snapshots)).map_err(damaged)?;
    let metadata = reader.metadata().clone();
    let arguments: Vec<OsString> = metadata.arguments.iter().cloned().map(OsString::from_vec).collect();
    let executables =
        metadata.executables.iter().map(|executable| find(executable, prepared.as_ref(), options, &arguments));
    let executables = executables.collect::<Result<Vec<_>, _>>()?;
    let obstacles = reopen::check(&metadata, changed);
    if !obstacles.is_empty() {
        return Err(RunError::Files(obstacles.join("\n  ")));
    }
    // They start while the snapshot is read.
    let mut hosts = Hosts(Vec::new());
    for process in &metadata.processes {
        let launchers = &executables[process.executable];
        let host = match prepared.as_mut().filter(|prepared| Rc::ptr_eq(&prepared.launchers, launchers)) {
            Some(prepared) => prepared.hosts.0.pop(),
            None => None,
        };
        hosts.0.push(match host {
            Some(host) => host,
            None => start(launchers, options.isa)?,
        });
    }
    let Contents { mut memories, files } = read(&mut reader, &metadata, images).map_err(damaged)?;
    // Who brings pages closes the files when all are there.
    drop(reader);
    snapshots.close();
    let ahead = metadata.monotonic_ns.wrapping_sub(monotonic_ns());
    let mut incoming = Incoming::new(options.address.as_ref()).map_err(RunError::Address)?;
    // What a program that is nowhere else has can be had before it runs, unless that takes an address which is not here yet.
    let later = (rest.is_some() || options.address.is_some()).then(|| incoming.later());
    let Opened { files, numbers } =
        reopen::open_all(&metadata, files, changed, ahead, later).map_err(RunError::Files)?;
    let mut transfers = Vec::new();
    for ((process, host), memory) in metadata.processes.iter().zip(&hosts.0).zip(&mut memories) {
        transfers.push(hand_over(process, host, memory, rest, &files, &numbers, [ahead, metadata.monotonic_ns])?);
    }
    let streams = Streams::note();
    drop(files);
    release_standard_streams()?;
    adopt_processes()?;

    let main_executable = metadata.processes.iter().find(|process| process.id == metadata.main);
    let program = main_executable.map_or(name, |process| &executables[process.executable].program).to_owned();
    let options = RunOptions { program, arguments, movable: true, ..options.clone() };
    decide(&mut incoming).map_err(RunError::NotCommitted)?;
    let (holding, failed) = incoming.complete();
    for reason in failed {
        // It runs here, and nowhere else, whether or not it has all that it had.
        eprintln!("maize: warning: {reason}");
    }
    let door = open_door(&options);
    let mut supervisor = Supervisor::new(&options, observe, door, metadata.main, vec![options.isa], true, streams);
    supervisor.table = Table::restored(&metadata.relations, metadata.main, std::process::id());
    for ((process, host), transfer) in metadata.processes.iter().zip(hosts.0.drain(..)).zip(transfers) {
        let launchers = Rc::clone(&executables[process.executable]);
        let mut program = Program::new(process.id, launchers, host, None, supervisor.common.started.elapsed());
        program.has_used(process.times);
        program.begin_arriving();
        let (transfer, pager) = transfer;
        if let Some(pager) = pager {
            program.begin_in_parts(pager);
        }
        commit(process, &transfer)?;
        supervisor.programs.insert(process.id, program);
        if process.id != metadata.main {
            let (parent, started_on) =
                (supervisor.table.parent(process.id).unwrap_or(0), options.isa.name().to_owned());
            supervisor.children.push(Child { id: process.id, parent, started_on, ..Child::default() });
        }
    }
    supervisor.ahead_ns = ahead;
    supervisor.numbers = numbers;
    supervisor.holding = holding.map(Arc::new);
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

/// What can be done before anything is known of what comes: it most likely executes the program's own file, in one process at least.
struct Prepared {
    launchers: Rc<Launchers>,
    identity: Executable,
    hosts: Hosts,
}

impl Prepared {
    /// `None` if that is not possible; what comes may execute another file.
    fn new(own: &Path, options: &RunOptions) -> Option<Prepared> {
        let launchers = Rc::new(Launchers::new(own, &[options.isa], &options.arguments, &options.machine).ok()?);
        let identity = launchers.identity().ok()?;
        let hosts = Hosts(vec![start(&launchers, options.isa).ok()?]);
        Some(Prepared { launchers, identity, hosts })
    }
}

/// Starts a host that waits for a process.
fn start(launchers: &Launchers, isa: Isa) -> Result<Host, RunError> {
    Host::start(&*launchers.of(isa)?, &Message::new(Kind::Receive, [0; 8]))
}

/// The program in a file, if it is the one that was saved.
fn find(
    executable: &Executable,
    prepared: Option<&Prepared>,
    options: &RunOptions,
    arguments: &[OsString],
) -> Result<Rc<Launchers>, RunError> {
    if let Some(prepared) = prepared.filter(|prepared| prepared.identity.sha256 == executable.sha256) {
        return Ok(Rc::clone(&prepared.launchers));
    }
    let open = |path: &Path| {
        let launchers = Launchers::new(path, &[options.isa], arguments, &options.machine)?;
        let found =
            launchers.identity().map_err(|source| RunError::System { what: "reading the program's file", source })?;
        if (found.size, &found.sha256) != (executable.size, &executable.sha256) {
            return Err(RunError::OtherProgram { path: path.to_owned(), expected: executable.sha256.clone() });
        }
        Ok(Rc::new(launchers))
    };
    let stored = options.machine.store.as_ref().map(|store| store.join(&executable.sha256));
    open(&executable.path).or_else(|error| stored.and_then(|stored| open(&stored).ok()).ok_or(error))
}

/// What a snapshot holds besides its metadata.
struct Contents {
    /// Of each process.
    memories: Vec<Memory>,
    files: Vec<File>,
}

fn read<R: Read>(reader: &mut Reader<R>, metadata: &Metadata, mut images: Images) -> Result<Contents, SnapshotError> {
    let memories = metadata.processes.iter().map(|process| images.take(process));
    let mut memories = memories.collect::<Result<Vec<_>, _>>()?;
    let files = metadata.contents.iter().map(|_| new_file()).collect::<Result<Vec<_>, _>>()?;
    while let Some(piece) = reader.next_piece()? {
        match piece.kind {
            Section::Pages => memories[piece.owner].file.write_all_at(piece.bytes, piece.start)?,
            Section::Tables => memories[piece.owner].add_tables(piece.bytes)?,
            Section::Content => files[piece.owner].write_all_at(piece.bytes, piece.start)?,
            Section::Lineage | Section::Metadata | Section::Image | Section::End => {}
        }
    }
    Ok(Contents { memories, files })
}

/// Hands a process to a host, which then waits for [`commit`]. Returns the socket to it, and what brings the rest of its memory, if that is to follow.
fn hand_over(
    process: &Process,
    host: &Host,
    memory: &mut Memory,
    rest: Option<&Arc<Rest>>,
    files: &[Option<OwnedFd>],
    numbers: &[Number],
    [ahead, monotonic_ns]: [u64; 2],
) -> Result<(OwnedFd, Option<Pager>), RunError> {
    let gone = || RunError::NotReady { isa: host.isa };
    let ready = host.await_message().filter(|heard| heard.message.kind() == Some(Kind::Ready)).ok_or_else(gone)?;
    let offer = Offer::new(ready.descriptors).filter(|_| memory.has_absent());
    if offer.is_none() {
        let rest = rest.map(AsRef::as_ref);
        memory
            .complete(process.id, rest)
            .map_err(|source| RunError::System { what: "putting its memory together", source })?;
    }
    let (theirs, ours) = socket_pair()?;
    host.send(&Message::new(Kind::Accept, [SERVED, SETS_CLOCKS, ahead, 0, 0, 0, 0, 0]), Some(theirs.as_fd()))?;
    drop(theirs);
    let keeps = if offer.is_some() { KEEPS } else { 0 };
    let state = [process.regions, memory.runs, monotonic_ns, process.pages, keeps, 0, 0, 0];
    let source = [memory.file.as_fd(), memory.file.as_fd()];
    let source = &source[..if offer.is_some() { 2 } else { 1 }];
    send_all(ours.as_fd(), &Message::new(Kind::State, state), source)?;
    for batch in numbers.chunks(8).chain(numbers.is_empty().then_some(&[][..])) {
        let mut values = [terminals::NONE; 8];
        for (to, number) in values.iter_mut().zip(batch) {
            *to = number.to_word();
        }
        send_all(ours.as_fd(), &Message::new(Kind::Terminals, values), &[])?;
    }
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
    // It may need pages to be in place itself.
    let rest = rest.map(|rest| (process.id, Arc::clone(rest)));
    let pager = offer.map(|offer| start_pager(host, &ours, memory, rest, offer)).transpose()?.flatten();
    if let Some(pager) = &pager {
        await_word(&ours, pager)?;
    }
    let answer = receive_from(ours.as_fd()).ok_or_else(gone)?.message;
    match answer.kind() {
        Some(Kind::Restored) => Ok((ours, pager)),
        Some(Kind::Refused) => {
            Err(RunError::Refused { process: process.id, isa: host.isa, reason: answer.text().to_owned() })
        }
        _ => Err(gone()),
    }
}

/// Begins to bring what a process, which is in place but for that, says is absent. `None` if it says something else on `transfer`.
fn start_pager(
    host: &Host,
    transfer: &OwnedFd,
    memory: &mut Memory,
    rest: Option<(Id, Arc<Rest>)>,
    offer: Offer,
) -> Result<Option<Pager>, RunError> {
    let mut absent = Absent::default();
    loop {
        let control = host.control().ok_or(RunError::NotReady { isa: host.isa })?;
        let mut sockets = [control, transfer.as_fd()].map(|socket| PollFd::from_borrowed_fd(socket, PollFlags::IN));
        match poll(&mut sockets, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(RunError::system("waiting for a host process")(error)),
        }
        let has_spoken = !sockets[1].revents().is_empty();
        match host.receive() {
            Some(heard) if heard.message.kind() == Some(Kind::Absent) => {
                absent.add(&heard.message);
                if !heard.descriptors.is_empty() {
                    let failed = |source| RunError::System { what: "starting to bring missing pages", source };
                    let source = memory.source(host.pid(), rest).map_err(failed)?;
                    // The first is the source as the process knows it.
                    let target = Target::new(offer, heard.descriptors.into_iter().nth(1), &absent.regions);
                    let pager = target.and_then(|target| Pager::start(target, absent.regions, source));
                    return pager.map(Some).map_err(failed);
                }
            }
            Some(_) => {}
            None if has_spoken => return Ok(None),
            None => {}
        }
    }
}

/// Waits until the process says something on `transfer`. It may wait itself for a page that cannot be brought.
fn await_word(transfer: &OwnedFd, pager: &Pager) -> Result<(), RunError> {
    loop {
        let mut descriptors = [transfer.as_fd(), pager.done()].map(|one| PollFd::from_borrowed_fd(one, PollFlags::IN));
        // All may have been brought.
        let count = if pager.outcome().is_some() { 1 } else { 2 };
        match poll(&mut descriptors[..count], None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(RunError::system("waiting for a host process")(error)),
        }
        if let Some(Err(reason)) = pager.outcome() {
            let source = io::Error::other(reason.clone());
            return Err(RunError::System { what: "bringing its memory", source });
        }
        if !descriptors[0].revents().is_empty() {
            return Ok(());
        }
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
