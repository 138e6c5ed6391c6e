//! Taking a snapshot of a running program: all its processes stop where they can be suspended and hand over what they are; when that has
//! been written they are ended, or run on. Whatever goes wrong, they run on.

use crate::control::door::Client;
use crate::control::protocol::{Answer, Failure, FailureKind, Saved};
use crate::departure::Carry;
use crate::describe::Description;
use crate::processes::Id;
use crate::program::{CLOSE_ON_EXEC, Held, OF_REGION, Program, Stage, monotonic_ns};
use crate::supervisor::{Left, Supervisor};
use crate::write::{Parts, Writing};
use maize_abi::control::Run;
use maize_abi::processes::SignalInformation;
use maize_snapshot::{Descriptor, Executable, Mapped, Metadata, Process, Signal};
use rustix::process::{Signal as KernelSignal, kill_process};
use std::fs::File;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Time between attempts.
const AGAIN: Duration = Duration::from_millis(10);

/// Where a snapshot goes.
pub(crate) enum Goal {
    /// To this file.
    File(PathBuf),
    /// To another node. Nothing when that is under way.
    Away(Option<Carry>),
}

/// What is to be done.
pub(crate) struct Order {
    /// Who is told; nobody, if the run itself does it.
    pub(crate) client: Option<Client>,
    /// Where to.
    pub(crate) to: Goal,
    /// The program runs on afterwards.
    pub(crate) leave_running: bool,
    /// How long to try.
    pub(crate) timeout: Duration,
}

/// A snapshot being taken.
pub(crate) struct Checkpoint {
    order: Order,
    /// From the start of the run.
    deadline: Duration,
    stage: Progress,
    /// When the first process was asked, of the present attempt.
    began: Instant,
    /// Why the last attempt failed.
    reason: String,
}

enum Progress {
    /// Nothing is done until this time from the start of the run.
    Resting(Duration),
    /// Processes are asked, until all wait.
    Stopping,
    /// Their signals are asked for.
    Signals,
    /// It is being written. The program did not run for this time so far.
    Writing(Writing, Duration),
    /// Processes are let go after an attempt that failed.
    Failing,
}

impl Checkpoint {
    /// When there is something to do even if nothing happens.
    pub(crate) fn due(&self) -> Option<Duration> {
        match self.stage {
            Progress::Resting(until) => Some(until),
            Progress::Stopping | Progress::Signals | Progress::Failing => Some(self.deadline),
            Progress::Writing(..) => None,
        }
    }

    /// The program has been captured and may be elsewhere by now.
    pub(crate) fn is_leaving(&self) -> bool {
        matches!((&self.stage, &self.order.to), (Progress::Writing(..), Goal::Away(_)))
    }

    /// Becomes readable when there is something to do.
    pub(crate) fn done(&self) -> Option<BorrowedFd<'_>> {
        match &self.stage {
            Progress::Writing(writing, _) => Some(writing.done()),
            _ => None,
        }
    }
}

impl Supervisor<'_> {
    /// Begins.
    pub(crate) fn checkpoint(&mut self, order: Order) -> Result<Checkpoint, String> {
        self.take_over_processes()?;
        let deadline = self.common.started.elapsed().saturating_add(order.timeout);
        Ok(Checkpoint { order, deadline, stage: Progress::Stopping, began: Instant::now(), reason: String::new() })
    }

    /// Goes on; nothing when it is done.
    pub(crate) fn advance_checkpoint(&mut self, mut job: Checkpoint) -> Option<Checkpoint> {
        let now = self.common.started.elapsed();
        match &mut job.stage {
            Progress::Resting(until) if now >= *until => {
                (job.stage, job.began) = (Progress::Stopping, Instant::now());
            }
            Progress::Resting(_) => {}
            Progress::Stopping | Progress::Signals => match self.stop(&job.stage) {
                Err(reason) => {
                    job.reason = reason;
                    self.let_all_go();
                    job.stage = Progress::Failing;
                }
                Ok(true) => match self.write(&mut job.order) {
                    Ok(writing) => {
                        let stopped = job.began.elapsed();
                        if job.order.leave_running {
                            self.let_all_go();
                        }
                        job.stage = Progress::Writing(writing, stopped);
                    }
                    Err(reason) => return self.fail(job, FailureKind::Refused, reason),
                },
                Ok(false) if now >= job.deadline => {
                    let reason = self.laggards(&job.reason);
                    return self.fail(job, FailureKind::Timeout, reason);
                }
                Ok(false) => job.stage = self.next_stage(),
            },
            Progress::Writing(writing, stopped) => match writing.result() {
                None => {}
                Some(Err(reason)) => return self.fail(job, FailureKind::Refused, reason),
                Some(Ok(bytes)) => {
                    let pause = if job.order.leave_running { *stopped } else { job.began.elapsed() };
                    self.saved(&job, bytes, pause);
                    return None;
                }
            },
            Progress::Failing => {
                if now >= job.deadline {
                    let reason = job.reason.clone();
                    return self.fail(job, FailureKind::Timeout, reason);
                }
                if self.programs.values().all(|program| program.saving_stage().is_none()) {
                    job.stage = Progress::Resting(now + AGAIN);
                }
            }
        }
        Some(job)
    }

    /// Asks the processes that have not been asked, those forked meanwhile included; whether all have handed over everything.
    fn stop(&mut self, progress: &Progress) -> Result<bool, String> {
        let now = self.common.started.elapsed();
        for (id, program) in &mut self.programs {
            if let Some(reason) = program.never_saved().or_else(|| program.take_declined()) {
                return Err(format!("process {id} cannot be saved: {reason}"));
            }
            program.save(now).map_err(|error| error.to_string())?;
        }
        if matches!(progress, Progress::Stopping) && self.are_all(Stage::Waits) {
            self.programs.values_mut().for_each(Program::ask_for_signals);
        }
        Ok(self.are_all(Stage::Whole))
    }

    fn are_all(&self, stage: Stage) -> bool {
        self.programs.values().all(|program| program.saving_stage() == Some(stage))
    }

    fn next_stage(&self) -> Progress {
        let shows = |program: &Program| matches!(program.saving_stage(), Some(Stage::Shows | Stage::Whole));
        if self.programs.values().all(shows) { Progress::Signals } else { Progress::Stopping }
    }

    fn let_all_go(&mut self) {
        self.programs.values_mut().for_each(Program::let_go);
    }

    /// Which processes were too late, and what is known of the reason.
    fn laggards(&self, reason: &str) -> String {
        let late = |(id, program): (&Id, &Program)| match program.saving_stage() {
            Some(Stage::Waits | Stage::Shows | Stage::Whole) => None,
            _ if program.is_stopped() => {
                Some(format!("process {id} is stopped by a signal; let it go on (kill -CONT)"))
            }
            Some(Stage::LetGo) => None,
            _ if program.is_asked() => Some(format!("process {id} is moving")),
            _ => Some(format!("process {id} has reached no migration point")),
        };
        let late: Vec<String> = self.programs.iter().filter_map(late).collect();
        match (late.is_empty(), reason) {
            (true, reason) => reason.to_owned(),
            (false, "") => late.join("; "),
            (false, reason) => format!("{}; before, {reason}", late.join("; ")),
        }
    }

    fn fail(&mut self, mut job: Checkpoint, kind: FailureKind, reason: String) -> Option<Checkpoint> {
        self.let_all_go();
        let message = match &mut job.order.to {
            Goal::File(_) => format!("no snapshot was taken, and the program runs on: {reason}"),
            Goal::Away(carry) => {
                let reason = match kind {
                    FailureKind::Timeout => format!(
                        "it could not be stopped within {:?} ({reason}); it runs on where it is: try again, with a longer --timeout",
                        job.order.timeout
                    ),
                    _ => reason,
                };
                // Once it is under way, it is known there.
                let _ = carry.take().map(|carry| carry(Err(reason)));
                return None;
            }
        };
        match job.order.client {
            Some(client) => self.answer_client(client, Answer::Error(Failure { kind, message })),
            None => eprintln!("maize: warning: {message}"),
        }
        None
    }

    /// The snapshot is on disk.
    fn saved(&mut self, job: &Checkpoint, bytes: u64, pause: Duration) {
        if !job.order.leave_running {
            for program in self.programs.values() {
                // It waits, and will never run again.
                let _ = kill_process(program.current.pid(), KernelSignal::KILL);
            }
            self.left = Some(match &job.order.to {
                Goal::File(file) => Left::Saved(file.clone()),
                Goal::Away(_) => Left::Away,
            });
        }
        if let (Some(client), Goal::File(file)) = (job.order.client, &job.order.to) {
            let saved = Saved { file: file.display().to_string(), bytes, pause_us: pause.as_secs_f64() * 1e6 };
            self.answer_client(client, Answer::Saved(saved));
        }
    }

    /// Describes the program, all of whose processes wait, and begins to write that.
    fn write(&self, order: &mut Order) -> Result<Writing, String> {
        let mut description = Description::new(self.streams.clone(), order.leave_running);
        let mut executables: Vec<Executable> = Vec::new();
        let (mut processes, mut memories) = (Vec::new(), Vec::new());
        let mut monotonic_ns = monotonic_ns();
        for (&id, program) in &self.programs {
            let held = program.held().ok_or("a process has ended meanwhile")?;
            let identity = program.launchers.identity();
            let identity = identity.map_err(|error| format!("{}: {error}", program.launchers.program.display()))?;
            let executable = executables.iter().position(|known| *known == identity).unwrap_or(executables.len());
            if executable == executables.len() {
                executables.push(identity);
            }
            monotonic_ns = monotonic_ns.max(held.values[2]);
            let memory = held.memory.try_clone_to_owned().map_err(|error| error.to_string())?;
            let memory = File::from(memory);
            processes.push(process(id, program, &held, executable, &memory, &mut description)?);
            memories.push(memory);
        }
        description.finish();
        if !description.refused.is_empty() {
            return Err(description.refused.join("\n  "));
        }
        let Description { files, pipes, contents, sources, .. } = description;
        let options = self.common.options;
        let metadata = Metadata {
            maize: env!("CARGO_PKG_VERSION").to_owned(),
            taken_ns: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(0)),
            monotonic_ns,
            main: self.main,
            arguments: options.arguments.iter().map(|argument| argument.as_bytes().to_vec()).collect(),
            executables,
            processes,
            relations: self.table.relations(),
            files,
            pipes,
            contents,
        };
        let parts = Parts { metadata, memories, sources };
        let hosts = self.programs.values().map(|program| program.current.pid()).collect();
        Writing::begin(parts, hosts, &mut order.to).map_err(|error| format!("a thread cannot be started: {error}"))
    }
}

/// Describes one process.
fn process(
    id: Id,
    program: &Program,
    held: &Held<'_>,
    executable: usize,
    memory: &File,
    description: &mut Description,
) -> Result<Process, String> {
    let [regions, runs, _, pages, ..] = held.values;
    let length = memory.metadata().map_err(|error| error.to_string())?.len();
    let tables = length.checked_sub(pages).filter(|&tables| tables >= runs * size_of::<Run>() as u64);
    let tables = tables.ok_or("a process has handed over less than it said")?;
    let (mut descriptors, mut mapped) = (Vec::new(), Vec::new());
    for (value, descriptor) in held.descriptors {
        if value & OF_REGION != 0 {
            let region = value & !OF_REGION;
            let what = format!("a file that process {id} has mapped");
            let file = description.add(descriptor.as_fd(), &what, None);
            mapped.extend(file.map(|file| Mapped { region, file }));
        } else {
            let number = value & (CLOSE_ON_EXEC - 1);
            let what = format!("descriptor {number} of process {id}");
            let file = description.add(descriptor.as_fd(), &what, Some(number));
            let close_on_exec = value & CLOSE_ON_EXEC != 0;
            descriptors.extend(file.map(|file| Descriptor { number: number as u32, close_on_exec, file }));
        }
    }
    let here = program.signals_here();
    let here = here.map(|&SignalInformation { signal, code, sender, value }| Signal {
        signal,
        code,
        sender,
        value,
        thread: 0,
    });
    let signals = held.signals.iter().copied().chain(here);
    Ok(Process {
        id,
        isa: program.current.isa.name().to_owned(),
        executable,
        regions,
        runs,
        tables,
        pages,
        descriptors,
        mapped,
        signals: signals.collect(),
        times: program.used(),
    })
}
