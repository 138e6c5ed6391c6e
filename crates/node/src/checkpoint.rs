//! Taking a snapshot of a running program: most of its memory is written while it runs; then all its processes stop where they can be suspended and hand over what they are; when
//! that has been written they are ended, or run on. Whatever goes wrong, they run on.

use crate::chain::{Chain, Link};
use crate::control::door::Client;
use crate::control::protocol::{Answer, Failure, FailureKind, Saved};
use crate::departure::Carry;
use crate::describe::{Description, Destination};
use crate::draft::Draft;
use crate::network::{Carried, Gate};
use crate::precopy::Precopy;
use crate::processes::Id;
use crate::program::{CLOSE_ON_EXEC, Held, OF_REGION, Program, Stage, since_1970_ns};
use crate::supervisor::{Left, Supervisor};
use crate::tracker::Tracker;
use crate::watching::WATCHES_WITHIN;
use crate::worker::Worker;
use crate::write::{Memory, Parts, Writing, Written, carry_away, write_file};
use maize_abi::processes::SignalInformation;
use maize_snapshot::{Descriptor, Executable, Mapped, Metadata, Process, Signal, SnapshotError};
use rustix::process::{Signal as KernelSignal, kill_process};
use std::fs::File;
use std::io;
use std::mem;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Time between attempts.
const AGAIN: Duration = Duration::from_millis(10);

/// Where a snapshot goes.
pub(crate) enum Goal {
    /// To a file.
    File(Target),
    /// To another node. Nothing when that is under way.
    Away(Option<Carry>),
}

/// A file that a snapshot is written to.
pub(crate) struct Target {
    /// With an absolute path.
    pub(crate) path: PathBuf,
    /// It holds only what has changed since the one before that was taken so, if that is known, and the next may build on it.
    pub(crate) incremental: bool,
}

/// What is to be done.
pub(crate) struct Order {
    /// Who is told; nobody, if the run itself does it.
    pub(crate) client: Option<Client>,
    /// Where to.
    pub(crate) to: Goal,
    /// The program runs on afterwards.
    pub(crate) leave_running: bool,
    /// Otherwise it is ended only when the client has said so.
    pub(crate) holds: bool,
    /// How long to try.
    pub(crate) timeout: Duration,
    /// What has been sent ahead.
    pub(crate) precopy: Precopy,
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
    /// Lets no connections in that could not go along.
    gate: Option<Gate>,
    /// What is written to if that is a file.
    draft: Option<Draft>,
    /// What that builds on, the whole one first.
    links: Vec<Link>,
}

/// Why writing does not begin.
enum Unwritten {
    /// It will not as long as the program is as it is.
    Refused(String),
    /// It may when the program has run on.
    NotNow(String),
}

impl From<String> for Unwritten {
    fn from(reason: String) -> Unwritten {
        Unwritten::Refused(reason)
    }
}

enum Progress {
    /// Processes are asked for what knows their changes, until this time from the start of the run.
    Watching(Duration),
    /// Memory is written while the program runs.
    Ahead(Worker<(Draft, Precopy, Result<(), SnapshotError>)>),
    /// Nothing is done until this time from the start of the run.
    Resting(Duration),
    /// Processes are asked, until all wait.
    Stopping,
    /// Their signals are asked for.
    Signals,
    /// It is being written. The program did not run for this time so far.
    Writing(Writing, Duration),
    /// It is on disk, and the program waits until the client confirms it.
    Held { written: Box<Written>, is_confirmed: bool },
    /// Processes are let go after an attempt that failed.
    Failing,
}

impl Checkpoint {
    /// When there is something to do even if nothing happens.
    pub(crate) fn due(&self) -> Option<Duration> {
        match self.stage {
            Progress::Watching(until) | Progress::Resting(until) => Some(until),
            Progress::Stopping | Progress::Signals | Progress::Failing => Some(self.deadline),
            Progress::Ahead(_) | Progress::Writing(..) | Progress::Held { .. } => None,
        }
    }

    /// The client says that the snapshot is where it was to go; whether that is what is waited for.
    pub(crate) fn confirm(&mut self, by: Client) -> bool {
        match &mut self.stage {
            Progress::Held { is_confirmed, .. } if self.order.client == Some(by) => {
                *is_confirmed = true;
                true
            }
            _ => false,
        }
    }

    /// The program has been captured and may be elsewhere by now.
    pub(crate) fn is_leaving(&self) -> bool {
        matches!((&self.stage, &self.order.to), (Progress::Writing(..), Goal::Away(_)))
    }

    /// What the client is told of it.
    fn saved(&self, written: &Written, pause: Duration) -> Option<Saved> {
        let (Goal::File(target), Some(link)) = (&self.order.to, &written.link) else { return None };
        let (file, base) = (target.path.display().to_string(), link.base.as_ref());
        let base = base.map(|base| base.display().to_string());
        Some(Saved { file, bytes: link.bytes, base, pause_us: pause.as_secs_f64() * 1e6 })
    }

    /// Becomes readable when there is something to do.
    pub(crate) fn done(&self) -> Option<BorrowedFd<'_>> {
        match &self.stage {
            Progress::Ahead(worker) => Some(worker.done()),
            Progress::Writing(writing, _) => Some(writing.done()),
            _ => None,
        }
    }
}

impl Supervisor<'_> {
    /// Begins.
    pub(crate) fn checkpoint(&mut self, mut order: Order) -> Result<Checkpoint, String> {
        self.take_over_processes()?;
        let now = self.common.started.elapsed();
        let deadline = now.saturating_add(order.timeout);
        let mut stage = Progress::Stopping;
        let mut gate = None;
        let (mut draft, mut links) = (None, Vec::new());
        if let Goal::File(target) = &order.to {
            let (begun, precopy, older) = self.draft(target).map_err(|error| {
                format!(
                    "no snapshot was taken, and the program runs on: cannot write {}: {error}",
                    target.path.display()
                )
            })?;
            (draft, links, order.precopy) = (Some(begun), older, precopy);
            stage = Progress::Watching(now + WATCHES_WITHIN);
        } else if self.keeps_connections(&order) {
            gate = Some(Gate::of(self.programs.values().map(|program| program.current.pid())));
            // For those that are on their way in.
            stage = Progress::Resting(now + AGAIN);
        }
        Ok(Checkpoint { order, deadline, stage, began: Instant::now(), reason: String::new(), gate, draft, links })
    }

    /// Begins a file, with what is known of the program's memory since the snapshots that it builds on.
    fn draft(&mut self, target: &Target) -> Result<(Draft, Precopy, Vec<Link>), SnapshotError> {
        let chain = self.chain.take().filter(|_| target.incremental).and_then(|mut chain| {
            let is_there = |id: Id, tracker: &Arc<Tracker>| {
                let current = self.programs.get(&id).and_then(Program::tracker);
                current.is_some_and(|current| Arc::ptr_eq(&current, tracker))
            };
            chain.precopy.keep(is_there);
            let foundation = (!chain.precopy.is_empty()).then(|| chain.foundation(&target.path)).flatten()?;
            Some((foundation, chain))
        });
        Ok(match chain {
            Some((foundation, Chain { precopy, links })) => {
                (Draft::new(&target.path, Some(foundation), true)?, precopy, links)
            }
            // What the processes are known by has been dropped: everything counts as changed.
            None => (Draft::new(&target.path, None, target.incremental)?, Precopy::default(), Vec::new()),
        })
    }

    /// Writes memory while the program runs, if what changes there is known.
    fn write_ahead(&mut self, job: &mut Checkpoint, waits: bool) -> Result<(), String> {
        let Some(watches) = self.watches(&job.order.precopy, waits) else { return Ok(()) };
        // Snapshots of a chain hold what has changed, which has to be known for that.
        job.order.precopy.add(watches.into_iter().filter(|(_, tracker)| tracker.is_exact()).collect());
        let Some(mut draft) = job.draft.take_if(|_| !job.order.precopy.is_empty()) else {
            self.begin_to_stop(job);
            return Ok(());
        };
        let mut precopy = mem::take(&mut job.order.precopy);
        let worker = Worker::begin(Some(draft.cancelled()), move || {
            let result = precopy.rounds(|precopy, _| precopy.round_to_file(draft.writer()));
            (draft, precopy, result)
        });
        job.stage = Progress::Ahead(worker.map_err(|error| format!("a thread cannot be started: {error}"))?);
        Ok(())
    }

    fn begin_to_stop(&mut self, job: &mut Checkpoint) {
        job.deadline = self.common.started.elapsed().saturating_add(job.order.timeout);
        (job.stage, job.began) = (Progress::Stopping, Instant::now());
    }

    /// Goes on; nothing when it is done.
    pub(crate) fn advance_checkpoint(&mut self, mut job: Checkpoint) -> Option<Checkpoint> {
        let now = self.common.started.elapsed();
        match &mut job.stage {
            Progress::Watching(until) => {
                let waits = now < *until;
                if let Err(reason) = self.write_ahead(&mut job, waits) {
                    return self.fail(job, FailureKind::Refused, reason);
                }
                if matches!(job.stage, Progress::Stopping) {
                    return self.advance_checkpoint(job);
                }
            }
            Progress::Ahead(worker) => match worker.result() {
                None => {}
                Some((draft, _, Err(error))) => return self.fail(job, FailureKind::Refused, draft.failed(&error)),
                Some((draft, precopy, Ok(()))) => {
                    (job.draft, job.order.precopy) = (Some(draft), precopy);
                    self.begin_to_stop(&mut job);
                    return self.advance_checkpoint(job);
                }
            },
            Progress::Resting(until) if now >= *until => {
                (job.stage, job.began) = (Progress::Stopping, Instant::now());
                return self.advance_checkpoint(job);
            }
            Progress::Resting(_) => {}
            Progress::Stopping | Progress::Signals => match self.stop(&job.stage, &job.order.precopy) {
                Err(reason) => return self.try_again(job, reason),
                Ok(true) if job.gate.as_ref().is_some_and(Gate::is_crowded) => {
                    return self.try_again(job, "connections wait to be accepted, and would be lost".to_owned());
                }
                Ok(true) => match self.write(&mut job) {
                    Ok(writing) => {
                        let stopped = job.began.elapsed();
                        if job.order.leave_running {
                            self.let_all_go();
                        }
                        job.stage = Progress::Writing(writing, stopped);
                    }
                    Err(Unwritten::Refused(reason)) => return self.fail(job, FailureKind::Refused, reason),
                    Err(Unwritten::NotNow(reason)) => return self.try_again(job, reason),
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
                Some(Ok(written)) if job.order.holds => {
                    if let (Some(client), Some(saved)) = (job.order.client, job.saved(&written, job.began.elapsed())) {
                        self.answer_client(client, Answer::Held(saved));
                    }
                    job.stage = Progress::Held { written: Box::new(written), is_confirmed: false };
                }
                Some(Ok(written)) => {
                    let pause = if job.order.leave_running { *stopped } else { job.began.elapsed() };
                    self.saved(job, written, pause);
                    return None;
                }
            },
            Progress::Held { written, is_confirmed } => {
                if *is_confirmed {
                    let (written, pause) = (mem::take(&mut **written), job.began.elapsed());
                    self.saved(job, written, pause);
                    return None;
                }
                let door = self.common.door.as_ref();
                if !job.order.client.is_some_and(|client| door.is_some_and(|door| door.has(client))) {
                    return self.fail(job, FailureKind::Refused, "nobody has confirmed the snapshot".to_owned());
                }
            }
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

    /// This attempt has failed; there is another one when all processes run on. That may be so by now, and then nothing comes of which one could hear it.
    fn try_again(&mut self, mut job: Checkpoint, reason: String) -> Option<Checkpoint> {
        self.let_all_go();
        (job.stage, job.reason) = (Progress::Failing, reason);
        self.advance_checkpoint(job)
    }

    fn keeps_connections(&self, order: &Order) -> bool {
        matches!(order.to, Goal::Away(_)) && self.common.options.address.is_some()
    }

    /// Asks the processes that have not been asked, those forked meanwhile included; whether all have handed over everything.
    fn stop(&mut self, progress: &Progress, precopy: &Precopy) -> Result<bool, String> {
        let now = self.common.started.elapsed();
        for (id, program) in &mut self.programs {
            if let Some(reason) = program.never_saved().or_else(|| program.take_declined()) {
                return Err(format!("process {id} cannot be saved: {reason}"));
            }
            program.save(now, precopy).map_err(|error| error.to_string())?;
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
            _ if program.is_in_parts() => Some(format!("process {id} still gets its memory from where it has been")),
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
    fn saved(&mut self, job: Checkpoint, written: Written, pause: Duration) {
        if !job.order.leave_running {
            for program in self.programs.values() {
                // It waits, and will never run again.
                let _ = kill_process(program.current.pid(), KernelSignal::KILL);
            }
            self.left = Some(match &job.order.to {
                // One that was held is elsewhere by now.
                Goal::File(target) => Left::Saved((!job.order.holds).then(|| target.path.clone())),
                Goal::Away(_) => Left::Away,
            });
        }
        if let (Some(client), Some(saved)) = (job.order.client, job.saved(&written, pause)) {
            self.answer_client(client, Answer::Saved(saved));
        }
        let (Goal::File(target), Some(link)) = (job.order.to, written.link) else { return };
        if target.incremental && job.order.leave_running && !written.precopy.is_empty() {
            let links = job.links.into_iter().chain([link]).collect();
            self.chain = Some(Chain { precopy: written.precopy, links });
        }
    }

    /// Describes the program, all of whose processes wait, and begins to write that.
    fn write(&self, job: &mut Checkpoint) -> Result<Writing, Unwritten> {
        let order = &mut job.order;
        let destination = match order.to {
            Goal::File(_) => Destination::File,
            Goal::Away(_) => Destination::Node(self.common.options.address.clone()),
        };
        let mut description =
            Description::new(self.streams.clone(), destination, self.numbers.clone(), order.leave_running);
        let mut executables: Vec<Executable> = Vec::new();
        let (mut processes, mut memories) = (Vec::new(), Vec::new());
        for (&id, program) in &self.programs {
            let held = program.held().ok_or_else(|| "a process has ended meanwhile".to_owned())?;
            let path = &program.launchers.program;
            let identity = program.launchers.identity();
            let mut identity = identity.map_err(|error| format!("{}: {error}", path.display()))?;
            if let Some(original) =
                self.common.options.original.clone().filter(|_| *path == self.common.options.program)
            {
                identity.path = original;
            }
            let executable = executables.iter().position(|known| *known == identity).unwrap_or(executables.len());
            if executable == executables.len() {
                executables.push(identity);
            }
            let memory = held.memory.try_clone_to_owned().map_err(|error| error.to_string())?;
            let memory = Memory::new(File::from(memory), held.values).map_err(|error| error.to_string())?;
            processes.push(process(id, program, &held, executable, &memory, &mut description)?);
            memories.push(memory);
        }
        description.finish();
        if !description.refused.is_empty() {
            return Err(Unwritten::Refused(description.refused.join("\n  ")));
        }
        if !description.not_now.is_empty() {
            return Err(Unwritten::NotNow(description.not_now.join("; ")));
        }
        let Description { files, pipes, terminals, terminals_taken, contents, sources, connections, told_ns, .. } =
            description;
        let holding = self.holding.clone().filter(|_| self.keeps_connections(order));
        let carried = Carried::new(holding, connections);
        let options = self.common.options;
        let metadata = Metadata {
            maize: env!("CARGO_PKG_VERSION").to_owned(),
            taken_ns: since_1970_ns(),
            monotonic_ns: told_ns.wrapping_add(self.ahead_ns),
            main: self.main,
            arguments: options.arguments.iter().map(|argument| argument.as_bytes().to_vec()).collect(),
            executables,
            processes,
            relations: self.table.relations(),
            files,
            pipes,
            terminals,
            contents,
        };
        let precopy = mem::take(&mut order.precopy);
        let mut parts = Parts {
            metadata,
            memories,
            precopy,
            captured: Vec::new(),
            remaining: None,
            sources,
            carried,
            terminals: terminals_taken,
        };
        let hosts = self.programs.values().map(|program| program.current.pid()).collect();
        if order.leave_running {
            parts.capture().map_err(|error| format!("its memory cannot be read: {error}"))?;
            // It needs what is in them again.
            parts.terminals.clear();
        }
        let writing = match (&mut order.to, job.draft.take()) {
            (Goal::Away(carry), _) => carry.take().map(|carry| carry_away(parts, hosts, carry)),
            (Goal::File(_), draft) => draft.map(|draft| write_file(parts, draft)),
        };
        let writing = writing.unwrap_or_else(|| Err(io::ErrorKind::InvalidInput.into()));
        writing.map_err(|error| Unwritten::Refused(format!("a thread cannot be started: {error}")))
    }
}

/// Describes one process.
fn process(
    id: Id,
    program: &Program,
    held: &Held<'_>,
    executable: usize,
    memory: &Memory,
    description: &mut Description,
) -> Result<Process, String> {
    let [regions, runs, _, pages, ..] = held.values;
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
        image: 0,
        tables: memory.tables.len() as u64,
        pages,
        descriptors,
        mapped,
        signals: signals.collect(),
        times: program.used(),
    })
}
