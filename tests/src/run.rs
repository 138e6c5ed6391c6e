//! Runs programs: by themselves, on one ISA, or hopping.

use crate::check::Checked as _;
use crate::report::Report;
use crate::toolchain::maize;
use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

/// So often [`Run::moving`] runs a program.
const TRIES: u32 = 6;

/// Where a program runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Placement {
    /// As an ordinary executable, without `maize run`.
    Directly,
    /// On one ISA, with `maize run --isa`.
    On(&'static str),
    /// With `maize run --hop`.
    Hopping {
        /// The ISAs to visit, the first to start on.
        isas: Vec<&'static str>,
        /// Time between moves, as the command line has it.
        every: &'static str,
        /// Seed of random times and destinations.
        seed: Option<u64>,
    },
    /// Round all ISAs, at counted events: with `maize run --mean`.
    Counted {
        /// Seed of distances and destinations.
        seed: u64,
        /// Events between moves on average.
        mean: u64,
        /// At most so many moves.
        limit: u64,
    },
    /// With `maize chaos`, whose report, as JSON, is the output.
    Examined,
}

impl Placement {
    /// Round all ISAs.
    pub fn hopping(every: &'static str, seed: Option<u64>) -> Placement {
        Placement::Hopping { isas: crate::ISAS.to_vec(), every, seed }
    }
}

/// What a program finds on its standard input.
#[derive(Clone, Debug, Default)]
pub enum Input {
    /// Its end.
    #[default]
    Nothing,
    /// A file, from its start.
    File(PathBuf),
    /// These bytes, through a pipe.
    Bytes(Vec<u8>),
    /// A pipe that the test writes to.
    Pipe,
}

/// A program about to be run.
#[derive(Clone, Debug)]
pub struct Run {
    program: PathBuf,
    arguments: Vec<OsString>,
    placement: Placement,
    input: Input,
    directory: Option<PathBuf>,
    environment: Vec<(String, String)>,
    options: Vec<String>,
    timeout: Duration,
}

/// A program that has ended.
#[derive(Debug)]
pub struct Outcome {
    /// What it printed.
    pub stdout: Vec<u8>,
    /// Its errors, and those of `maize run`.
    pub stderr: String,
    /// How it (or `maize run`) ended.
    pub status: ExitStatus,
    /// The report, if it hopped.
    pub report: Option<Report>,
    /// The command that repeats the run.
    pub command: String,
}

impl Run {
    /// A run of `program` as an ordinary executable, with no input.
    pub fn new(program: impl Into<PathBuf>) -> Run {
        Run {
            program: program.into(),
            arguments: Vec::new(),
            placement: Placement::Directly,
            input: Input::Nothing,
            directory: None,
            environment: Vec::new(),
            options: Vec::new(),
            timeout: Duration::from_secs(300),
        }
    }

    /// Sets where it runs.
    #[must_use]
    pub fn placed(mut self, placement: Placement) -> Run {
        self.placement = placement;
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn arguments<I: IntoIterator<Item: Into<OsString>>>(mut self, arguments: I) -> Run {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets its standard input.
    #[must_use]
    pub fn input(mut self, input: Input) -> Run {
        self.input = input;
        self
    }

    /// Sets its working directory.
    #[must_use]
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Run {
        self.directory = Some(directory.into());
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Run {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Adds an option of `maize run`.
    #[must_use]
    pub fn option(mut self, option: impl Into<String>) -> Run {
        self.options.push(option.into());
        self
    }

    /// Sets the time after which it counts as hung and is killed.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Run {
        self.timeout = timeout;
        self
    }

    /// Runs it until it has moved so many times at least, each time with this output: on a machine that is busy with something else it may be over before.
    ///
    /// # Errors
    /// If it printed something else, or moved less in each of many runs.
    pub fn moving(self, expected: &[u8], times: usize) -> Result<Report> {
        for _ in 1..TRIES {
            let report = self.clone().run()?.printed(expected)?.moved(0)?;
            if report.migrations.len() >= times {
                return Ok(report);
            }
        }
        self.run()?.printed(expected)?.moved(times)
    }

    fn command(&self, report: &Path) -> Command {
        let mut command = match &self.placement {
            Placement::Directly => Command::new(&self.program),
            Placement::On(isa) => {
                let mut command = Command::new(maize());
                command.args(["run", "--isa", isa, "--report"]).arg(report);
                command
            }
            Placement::Hopping { isas, every, seed } => {
                let mut command = Command::new(maize());
                command.args(["run", "--hop", &isas.join(","), "--every", every]);
                if let Some(seed) = seed {
                    command.arg("--seed").arg(seed.to_string());
                }
                command.arg("--report").arg(report);
                command
            }
            Placement::Counted { seed, mean, limit } => {
                let mut command = Command::new(maize());
                command.args(["run", "--hop", &crate::ISAS.join(",")]);
                command.args(["--seed", &seed.to_string(), "--mean", &mean.to_string(), "--limit", &limit.to_string()]);
                command.arg("--report").arg(report);
                command
            }
            Placement::Examined => {
                let mut command = Command::new(maize());
                command.args(["chaos", "--json"]);
                command
            }
        };
        if self.placement != Placement::Directly {
            command.args(&self.options).arg(&self.program);
        }
        command.args(&self.arguments);
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// If it could not be started, or did not end in time.
    pub fn run(self) -> Result<Outcome> {
        self.start()?.finish()
    }

    /// Starts it and hands over its standard input and output, for tests that talk with it ([`Input::Pipe`]).
    ///
    /// # Errors
    /// If it could not be started.
    pub fn start(self) -> Result<Running> {
        let work = tempfile::tempdir().context("creating a scratch directory")?;
        let report = work.path().join("report.json");
        let mut command = self.command(&report);
        let repeat = describe(&command, &self.input);
        let stdin = match &self.input {
            Input::Nothing => Stdio::null(),
            Input::File(path) => File::open(path).with_context(|| path.display().to_string())?.into(),
            Input::Bytes(_) | Input::Pipe => Stdio::piped(),
        };
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own, so that a run that hangs is ended with all its hosts.
        let child = command.process_group(0).spawn().with_context(|| repeat.clone())?;
        Ok(Running { child, input: self.input, timeout: self.timeout, command: repeat, report, _work: work })
    }
}

/// A program that runs.
#[derive(Debug)]
pub struct Running {
    /// The process, with its standard streams.
    pub child: Child,
    input: Input,
    timeout: Duration,
    command: String,
    report: PathBuf,
    _work: tempfile::TempDir,
}

impl Running {
    /// Closes its input, if that is still open, reads its output, and waits for its end.
    ///
    /// # Errors
    /// If it did not end in time.
    pub fn finish(mut self) -> Result<Outcome> {
        let bytes = if let Input::Bytes(bytes) = &mut self.input { std::mem::take(bytes) } else { Vec::new() };
        let stdin = self.child.stdin.take();
        let writer = thread::spawn(move || {
            // A program may end without reading all of its input.
            let _ = stdin.map(|mut pipe| pipe.write_all(&bytes));
        });
        let stdout = read_all(self.child.stdout.take());
        let stderr = read_all(self.child.stderr.take());
        let in_time = wait_until_end(&self.child, self.timeout)?;
        if !in_time {
            let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        }
        let status = self.child.wait()?;
        let joined = |thread: thread::JoinHandle<Vec<u8>>| thread.join().unwrap_or_default();
        let (stdout, stderr) = (joined(stdout), String::from_utf8_lossy(&joined(stderr)).into_owned());
        let _ = writer.join();
        if !in_time {
            bail!("not ended after {} s\nto repeat: {}\n{stderr}", self.timeout.as_secs(), self.command);
        }
        let report = match fs::read(&self.report) {
            Ok(json) => Some(serde_json::from_slice(&json).with_context(|| format!("the report of {}", self.command))?),
            Err(_) => None,
        };
        Ok(Outcome { stdout, stderr, status, report, command: self.command })
    }
}

fn read_all(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.map(|mut pipe| pipe.read_to_end(&mut bytes));
        bytes
    })
}

fn wait_until_end(child: &Child, timeout: Duration) -> Result<bool> {
    let pidfd = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    let timeout = rustix::time::Timespec { tv_sec: i64::try_from(timeout.as_secs())?, tv_nsec: 0 };
    loop {
        match poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&timeout)) {
            Err(rustix::io::Errno::INTR) => {}
            result => return Ok(result? > 0),
        }
    }
}

fn describe(command: &Command, input: &Input) -> String {
    let mut line = String::new();
    if let Some(directory) = command.get_current_dir() {
        line = format!("cd {} && ", directory.display());
    }
    for (name, value) in command.get_envs() {
        line.push_str(&format!("{}={} ", name.display(), value.unwrap_or_default().display()));
    }
    line.push_str(&command.get_program().to_string_lossy());
    for argument in command.get_args() {
        let argument = argument.to_string_lossy();
        let plain = argument.chars().all(|c| c.is_ascii_alphanumeric() || "-_./,=+:".contains(c));
        line.push(' ');
        line.push_str(&if plain { argument.into_owned() } else { format!("'{argument}'") });
    }
    match input {
        Input::File(path) => format!("{line} < {}", path.display()),
        _ => line,
    }
}
