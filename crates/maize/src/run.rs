//! `maize run`.

use crate::CANNOT_RUN;
use crate::arguments::running::{Changed, Restore};
use crate::arguments::{self, Run};
use crate::error::CommandError;
use crate::status::Status;
use maize_abi::Isa;
use maize_daemon::client::Node;
use maize_daemon::message::{Ending, Hop};
use maize_daemon::remote::{self, Outcome, RemoteRun, Subject};
use maize_daemon::{Directory, NodeError};
use maize_node::{
    ChangedFiles, Draw, Event, EventMoves, EventPlan, Exit, HopPlan, Machine, Memory, Periodic, Report, RunOptions,
    Snapshot,
};
use maize_terminal as terminal;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH};
use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// As HTCondor's for jobs that have saved themselves: the program has been ended, and a snapshot has it.
const SAVED: i32 = 85;
/// As podman's: the file is there but cannot be run.
const NOT_A_PROGRAM: i32 = 126;
/// As podman's: there is no such file.
const NO_SUCH_FILE: i32 = 127;

/// Runs a program and returns its exit status. Does not return if a signal ended the program.
pub fn execute(options: Run) -> i32 {
    end(run(options))
}

/// Restores a program and runs it likewise.
pub fn restore(options: Restore) -> i32 {
    end(go_on(options))
}

fn end(result: Result<Exit, Failure>) -> i32 {
    match result {
        Ok(Exit::Status(status)) => status,
        Ok(Exit::Signal(signal)) => end_by(signal),
        // A run of this command's own is told to go nowhere.
        Ok(Exit::Saved | Exit::Away) => SAVED,
        Err((code, message)) => {
            terminal::error(&message);
            code
        }
    }
}

/// An exit status and what to say.
pub type Failure = (i32, String);

fn run(options: Run) -> Result<Exit, Failure> {
    let program = find(Path::new(options.command.first().map_or("".as_ref(), OsString::as_os_str)))?;
    let isa = start(&options)?;
    if options.node.is_some() {
        return begin_elsewhere(options, program);
    }
    // Before the program starts: a report that cannot be written should not cost a run.
    let file = options.report.as_deref().map(create).transpose()?;
    keep_interrupts_for_the_program();
    let (hop, events) = plans(&options, isa);
    let status = Status::new(options.quiet || hop.is_none() && events.is_none());
    status.show(isa.name(), 0);
    let mut moves = 0;
    let run = RunOptions {
        program,
        original: None,
        arguments: options.command,
        isa,
        hop,
        movable: options.movable,
        checkpoint: periodic(&options.periodic)?,
        events,
        patience: options.patience,
        kill_destination: options.kill_destination,
        memory: match options.memory {
            arguments::Memory::Copy => Memory::Copy,
            arguments::Memory::PostCopy => Memory::PostCopy,
        },
        signals: signals_to_hand_on(),
        departures: None,
        address: None,
        machine: Machine::here(),
    };
    let result = maize_node::run(&run, &mut |event| {
        if let Event::Moved(migration) = event {
            moves += 1;
            status.show(&migration.to, moves);
        }
    });
    drop(status);
    let report = result.map_err(|error| (error.exit_status(), error.to_string()))?;
    record(&report, options.report.as_deref().zip(file), options.json)
        .map_err(|error| (CANNOT_RUN, error.to_string()))?;
    Ok(report.exit)
}

fn go_on(options: Restore) -> Result<Exit, Failure> {
    let changed = match options.changed_files {
        Changed::Refuse => ChangedFiles::Refuse,
        Changed::RollBack => ChangedFiles::RollBack,
        Changed::Keep => ChangedFiles::Keep,
    };
    if let Some(name) = options.node {
        let remote = RemoteRun {
            isa: options.isa.map(|isa| isa.name().to_owned()),
            hop: None,
            detach: options.place.detach,
            movable: true,
            address: options.place.address,
            home: options.place.home_files,
            checkpoint: periodic(&options.periodic)?,
        };
        let subject = Subject::Snapshot { file: options.file, changed };
        return elsewhere(options.place.dir, &name, subject, remote);
    }
    let file = options.report.as_deref().map(create).transpose()?;
    keep_interrupts_for_the_program();
    let run = RunOptions {
        program: PathBuf::new(),
        original: None,
        arguments: Vec::new(),
        isa: options.isa.unwrap_or_else(native),
        hop: None,
        movable: true,
        checkpoint: periodic(&options.periodic)?,
        events: None,
        patience: Duration::from_secs(2),
        kill_destination: Vec::new(),
        memory: Memory::default(),
        signals: signals_to_hand_on(),
        departures: None,
        address: None,
        // One that was saved on a node was executed from that node's store.
        machine: Machine { store: Directory::new(options.place.dir).ok().map(|node| node.store()), ..Machine::here() },
    };
    let snapshot = Snapshot { file: &options.file, program: None, changed };
    let result = maize_node::restore(snapshot, &run, &mut |_| {}, || Ok(()));
    let report = result.map_err(|error| (error.exit_status(), error.to_string()))?;
    record(&report, options.report.as_deref().zip(file), false).map_err(|error| (CANNOT_RUN, error.to_string()))?;
    Ok(report.exit)
}

fn periodic(options: &arguments::running::Periodic) -> Result<Option<Periodic>, Failure> {
    let Some((&every, file)) = options.checkpoint_every.as_ref().zip(options.checkpoint.as_ref()) else {
        return Ok(None);
    };
    let absolute = std::path::absolute(file);
    let file = absolute.map_err(|error| (CANNOT_RUN, CommandError::write(file)(error).to_string()))?;
    Ok(Some(Periodic { every, file }))
}

fn native() -> Isa {
    Isa::from_name(env::consts::ARCH).unwrap_or(Isa::X86_64)
}

/// Runs the program on another node.
fn begin_elsewhere(options: Run, program: PathBuf) -> Result<Exit, Failure> {
    // What it says of a file that is no program is the same wherever it is to run.
    maize_image::Image::open(&program).map_err(|error| (NOT_A_PROGRAM, CommandError::from(error).to_string()))?;
    let name = options.node.unwrap_or_default();
    let hop = (!options.hop.is_empty()).then(|| Hop {
        isas: options.hop.iter().map(|isa| isa.name().to_owned()).collect(),
        every_us: u64::try_from(options.every.as_micros()).unwrap_or(u64::MAX),
        seed: options.seed,
        limit: options.limit,
    });
    let remote = RemoteRun {
        isa: options.isa.map(|isa| isa.name().to_owned()),
        hop,
        detach: options.place.detach,
        movable: options.movable,
        address: options.place.address,
        home: options.place.home_files,
        checkpoint: periodic(&options.periodic)?,
    };
    let subject = Subject::Program { file: program, arguments: options.command, directory: options.directory };
    elsewhere(options.place.dir, &name, subject, remote)
}

fn elsewhere(directory: Option<PathBuf>, name: &str, subject: Subject, remote: RemoteRun) -> Result<Exit, Failure> {
    let failed = |error: NodeError| match error {
        NodeError::CannotStart { status, message } => (status, message),
        error => (CANNOT_RUN, error.to_string()),
    };
    let node = Node::open(directory).map_err(failed)?;
    match remote::run(&node, name, subject, remote).map_err(failed)? {
        Outcome::Ended(Ending::Status(status)) => Ok(Exit::Status(status)),
        Outcome::Ended(Ending::Signal(signal)) => Ok(Exit::Signal(signal)),
        Outcome::Detached(program) => {
            crate::error::print(&format!("{name}:{program}\n")).map_err(|error| (CANNOT_RUN, error.to_string()))?;
            Ok(Exit::Status(0))
        }
    }
}

/// Moves by time, or at counted events.
fn plans(options: &Run, start: Isa) -> (Option<HopPlan>, Option<EventPlan>) {
    let moves = if let Some(list) = &options.moves {
        EventMoves::Listed(list.clone())
    } else if let Some(mean) = options.mean {
        let mut isas = options.hop.clone();
        isas.extend((!isas.contains(&start)).then_some(start));
        EventMoves::Drawn(Draw { isas, seed: options.seed.unwrap_or(0), mean: mean.into(), limit: options.limit })
    } else {
        let plan =
            HopPlan { isas: options.hop.clone(), every: options.every, seed: options.seed, limit: options.limit };
        return ((!options.hop.is_empty()).then_some(plan), None);
    };
    (None, Some(EventPlan { moves, passes: options.passes }))
}

/// A name without a slash is a file here, or else one on the path, as in a shell.
pub fn find(program: &Path) -> Result<PathBuf, Failure> {
    if program.components().count() > 1 || program.is_absolute() {
        return check(program.to_owned());
    }
    let here = Path::new(".").join(program);
    if here.is_file() {
        return Ok(here);
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|directory| directory.join(program)).find(|file| file.is_file());
    found.map_or_else(|| check(here), Ok)
}

fn check(program: PathBuf) -> Result<PathBuf, Failure> {
    let name = program.display();
    match program.metadata() {
        Ok(metadata) if metadata.is_file() => Ok(program),
        Ok(_) => Err((NOT_A_PROGRAM, format!("{name}: not a file; name a program made by `maize cc`"))),
        Err(error) => Err((NO_SUCH_FILE, format!("{name}: {error}; name a program made by `maize cc`"))),
    }
}

fn start(options: &Run) -> Result<Isa, Failure> {
    match (options.isa, options.hop.first()) {
        (Some(isa), Some(first)) if isa != *first => {
            Err((CANNOT_RUN, format!("--isa {0} and --hop disagree; name {0} first in --hop", isa.name())))
        }
        (isa, first) => Ok(isa.or(first.copied()).unwrap_or_else(native)),
    }
}

/// Makes a file for a report.
pub fn create(path: &Path) -> Result<File, Failure> {
    File::create(path).map_err(|error| (CANNOT_RUN, CommandError::write(path)(error).to_string()))
}

/// What is typed at the terminal reaches the program too, which decides; its supervisor waits for it. A handler that does
/// nothing much, unlike ignoring, is not inherited by the program.
fn keep_interrupts_for_the_program() {
    for signal in [SIGINT, SIGQUIT] {
        // It can fail only for signals that cannot be handled.
        let _ = signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)));
    }
}

/// The signals that whoever started this command means for the program, and those that tell of its processes, as bytes to be read.
fn signals_to_hand_on() -> Option<Arc<OwnedFd>> {
    let (reader, writer) = std::io::pipe().ok()?;
    let writer = Arc::new(writer);
    for signal in [SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH, SIGCHLD] {
        let writer = Arc::clone(&writer);
        let hand_on = move || {
            // A signal handler has nobody to tell that it failed.
            let _ = (&*writer).write(&[signal as u8]);
        };
        // SAFETY: `write` to a pipe is async-signal-safe, and nothing else is done.
        let _ = unsafe { signal_hook::low_level::register(signal, hand_on) };
    }
    Some(Arc::new(reader.into()))
}

fn record(report: &Report, file: Option<(&Path, File)>, print: bool) -> Result<(), CommandError> {
    let mut text = serde_json::to_string_pretty(report)?;
    text.push('\n');
    if let Some((path, mut file)) = file {
        file.write_all(text.as_bytes()).map_err(CommandError::write(path))?;
    }
    if print {
        eprint!("{text}");
    }
    Ok(())
}

/// Ends as the program did, so that a shell or a test harness sees the same.
fn end_by(signal: i32) -> i32 {
    // The program has left its own core dump, if any.
    let limit = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    let _ = rustix::process::setrlimit(rustix::process::Resource::Core, limit);
    let _ = signal_hook::low_level::emulate_default_handler(signal);
    128 + signal
}
