//! Runs the program, by `maize run`, to its end or for as long as it may take.

use crate::error::ChaosError;
use maize_abi::Isa;
use maize_node::{Exit, MoveList, Report};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, kill_process_group, pidfd_open};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How much longer than what is expected an output may get before its reader turns away, bytes.
const OUTPUT_SLACK: u64 = 1 << 20;
/// How long a program may take to end after `SIGTERM`.
const GRACE: Duration = Duration::from_secs(2);

/// What to run.
#[derive(Clone, Debug)]
pub struct Program {
    /// The `maize` command.
    pub maize: PathBuf,
    /// The multi-ISA binary.
    pub path: PathBuf,
    /// Its arguments, without its name.
    pub arguments: Vec<OsString>,
    /// What it finds on standard input; nothing if not given.
    pub input: Option<PathBuf>,
}

/// A run with or without moves.
#[derive(Clone, Debug)]
pub(crate) enum Moves {
    /// On one ISA, and uncounted.
    None,
    /// At these events.
    Listed(MoveList),
    /// At drawn ones.
    Drawn { isas: Vec<Isa>, seed: u64, mean: u64, limit: u64 },
}

/// What a run may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) time: Duration,
    /// Bytes of each output.
    pub(crate) output: u64,
}

/// How a run went.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    /// Nothing if it had to be ended because it took too long.
    pub(crate) exit: Option<Exit>,
    pub(crate) elapsed: Duration,
    /// Of `maize run`, if that came to write one.
    pub(crate) report: Option<Report>,
}

impl Bounds {
    /// As for an output of this size.
    pub(crate) fn for_output(time: Duration, size: usize) -> Bounds {
        Bounds { time, output: size as u64 * 2 + OUTPUT_SLACK }
    }
}

impl Program {
    /// The options of `maize run` for a start on `isa` and these moves.
    pub(crate) fn options(isa: Isa, moves: &Moves, passes: u8) -> Vec<OsString> {
        let mut options: Vec<String> = vec!["--isa".into(), isa.name().into()];
        match moves {
            Moves::None => return options.into_iter().map(OsString::from).collect(),
            Moves::Listed(list) => options.extend(["--moves".into(), list.to_string()]),
            Moves::Drawn { isas, seed, mean, limit } => {
                let names: Vec<&str> = isas.iter().map(|isa| isa.name()).collect();
                options.extend(["--hop".into(), names.join(","), "--seed".into(), seed.to_string()]);
                options.extend(["--mean".into(), mean.to_string(), "--limit".into(), limit.to_string()]);
            }
        }
        options.extend(["--passes".into(), passes.to_string()]);
        options.into_iter().map(OsString::from).collect()
    }

    /// Runs it with these options of `maize run`.
    pub(crate) fn run(&self, options: &[OsString], bounds: Bounds) -> Result<Outcome, ChaosError> {
        let directory = tempfile::tempdir().map_err(ChaosError::process("creating a temporary directory"))?;
        let report_path = directory.path().join("report.json");
        let mut command = Command::new(&self.maize);
        command.args(["run", "--quiet"]).args(options).arg("--report").arg(&report_path);
        command.arg("--").arg(&self.path).args(&self.arguments);
        let mut outcome = run_command(command, self.input.as_ref(), bounds)?;
        // Emptied when the run begins, written when it ends.
        outcome.report = fs::read(&report_path).ok().and_then(|json| serde_json::from_slice(&json).ok());
        match (&outcome.report, outcome.exit) {
            (Some(report), Some(_)) => outcome.exit = Some(report.exit),
            (None, Some(exit)) => {
                let status = if let Exit::Status(status) = exit { status } else { 125 };
                let message = String::from_utf8_lossy(&outcome.stderr).trim_end().to_owned();
                let message = message.strip_prefix("maize: error: ").unwrap_or(&message).to_owned();
                return Err(ChaosError::Run { status, message });
            }
            (_, None) => {}
        }
        Ok(outcome)
    }
}

/// Runs a shell command as the reference.
pub(crate) fn run_shell(line: &OsStr, input: Option<&PathBuf>, bounds: Bounds) -> Result<Outcome, ChaosError> {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(line);
    run_command(command, input, bounds)
}

fn run_command(mut command: Command, input: Option<&PathBuf>, bounds: Bounds) -> Result<Outcome, ChaosError> {
    let stdin = match input {
        Some(path) => File::open(path).map_err(|source| ChaosError::Read { path: path.clone(), source })?.into(),
        None => Stdio::null(),
    };
    let started = Instant::now();
    // A group of its own, so that a run that hangs is ended with all its hosts.
    command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command.spawn().map_err(ChaosError::process(format!("starting {name}")))?;
    let stdout = read_up_to(child.stdout.take(), bounds.output);
    let stderr = read_up_to(child.stderr.take(), bounds.output);
    let in_time = ended(&child, bounds.time)?;
    if !in_time {
        // `maize run` hands it on, and then reports.
        let _ = kill_process(Pid::from_child(&child), Signal::TERM);
        if !ended(&child, GRACE)? {
            let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
        }
    }
    let status = child.wait().map_err(ChaosError::process("waiting for the program"))?;
    let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
    let exit = match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Status(code),
        (None, signal) => Exit::Signal(signal.unwrap_or(0)),
    };
    Ok(Outcome {
        stdout: stdout.join().unwrap_or_default(),
        stderr: stderr.join().unwrap_or_default(),
        exit: in_time.then_some(exit),
        elapsed: started.elapsed(),
        report: None,
    })
}

fn read_up_to(pipe: Option<impl Read + Send + 'static>, limit: u64) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What a program that has gone wild prints more finds nobody who reads it.
        let _ = pipe.map(|pipe| pipe.take(limit).read_to_end(&mut bytes));
        bytes
    })
}

/// Whether the process ends within the time.
fn ended(child: &Child, time: Duration) -> Result<bool, ChaosError> {
    let watch = || ChaosError::process("watching the program");
    let pidfd = pidfd_open(Pid::from_child(child), PidfdFlags::empty()).map_err(watch())?;
    let deadline = Instant::now() + time;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = rustix::time::Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        };
        match poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&timeout)) {
            Err(rustix::io::Errno::INTR) => {}
            result => return Ok(result.map_err(watch())? > 0),
        }
    }
}
