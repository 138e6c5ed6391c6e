//! What clients of the control socket ask for, and the one thing that is being done for one of them.

use crate::checkpoint::{Checkpoint, Goal, Order, Target};
use crate::control::door::{Client, Heard};
use crate::control::protocol::{Action, Answer, Failure, FailureKind, Outcome, Question, Status};
use crate::precopy::Precopy;
use crate::processes::Id;
use crate::supervisor::{Supervisor, adopt_processes};
use maize_abi::Isa;
use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use std::time::{Duration, UNIX_EPOCH};

/// Time between attempts at a move that a process has declined.
const AGAIN: Duration = Duration::from_millis(5);

pub(crate) const BUSY: &str = "somebody else is moving or saving the program; try again when that is done";

/// What is being done for a client.
pub(crate) enum Job {
    /// Processes move.
    Migrate(Migrate),
    /// A snapshot is taken.
    Checkpoint(Box<Checkpoint>),
}

/// Processes on their way to an ISA.
pub(crate) struct Migrate {
    client: Client,
    to: Isa,
    /// From the start of the run.
    deadline: Duration,
    /// Those that are not there yet, and when to try again with those that have declined.
    waiting: BTreeMap<Id, Option<Duration>>,
    done: Vec<Outcome>,
}

impl Job {
    /// When there is something to do even if nothing happens.
    pub(crate) fn due(&self) -> Option<Duration> {
        match self {
            Job::Migrate(job) => job.waiting.values().flatten().copied().chain([job.deadline]).min(),
            Job::Checkpoint(job) => job.due(),
        }
    }

    /// The program has been captured for another node, and may be there by now.
    pub(crate) fn is_leaving(&self) -> bool {
        matches!(self, Job::Checkpoint(job) if job.is_leaving())
    }

    /// Becomes readable when there is something to do.
    pub(crate) fn watched(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Job::Migrate(_) => None,
            Job::Checkpoint(job) => job.done(),
        }
    }
}

fn failure(kind: FailureKind, message: impl Into<String>) -> Answer {
    Answer::Error(Failure { kind, message: message.into() })
}

impl Supervisor<'_> {
    pub(crate) fn let_in(&mut self) {
        if let Some(door) = &mut self.common.door {
            door.accept();
        }
    }

    pub(crate) fn answer_client(&mut self, client: Client, answer: Answer) {
        if let Some(door) = &mut self.common.door {
            door.answer(client, answer);
        }
    }

    /// A client has said something.
    pub(crate) fn hear_client(&mut self, client: Client) {
        let Some(door) = &mut self.common.door else { return };
        let answer = match door.hear(client) {
            None => return,
            Some(Heard::Nonsense(reason)) => Some(failure(FailureKind::Question, reason)),
            Some(Heard::Question(Question { action, .. })) => match action {
                Action::Events => return door.watch(client),
                Action::Status => Some(Answer::Status(self.status())),
                Action::Migrate { to, process, timeout_ms, dry_run } => {
                    self.migrate(client, &to, process, Duration::from_millis(timeout_ms), dry_run)
                }
                Action::Confirm => self.confirm_checkpoint(client),
                Action::Checkpoint { file, leave_running, incremental, hold, timeout_ms } => {
                    let timeout = Duration::from_millis(timeout_ms);
                    self.begin_checkpoint(Order {
                        client: Some(client),
                        to: Goal::File(Target { path: file, incremental }),
                        leave_running,
                        holds: hold && !leave_running,
                        timeout,
                        precopy: Precopy::default(),
                    })
                }
            },
        };
        // What takes its time is answered when it is done.
        let Some(answer) = answer else { return };
        self.answer_client(client, answer);
    }

    fn status(&self) -> Status {
        let options = self.common.options;
        let parent = |id| self.table.parent(id).unwrap_or(0);
        let started = self.began.duration_since(UNIX_EPOCH).unwrap_or_default();
        Status {
            pid: std::process::id(),
            id: self.main,
            program: options.program.display().to_string(),
            arguments: options.arguments.iter().map(|argument| argument.to_string_lossy().into_owned()).collect(),
            started_ms: u64::try_from(started.as_millis()).unwrap_or(0),
            processes: self.programs.iter().map(|(&id, program)| program.status(parent(id))).collect(),
            ended_processor_ms: self.ended_us / 1000,
            note: options.departures.as_ref().and_then(|departures| departures.noted()),
        }
    }

    /// Begins to move processes; returns what there is to answer at once.
    fn migrate(
        &mut self,
        client: Client,
        to: &str,
        process: Option<Id>,
        timeout: Duration,
        dry_run: bool,
    ) -> Option<Answer> {
        let Some(to) = Isa::from_name(to) else {
            return Some(failure(FailureKind::Question, format!("{to}: no such ISA; name x86_64, aarch64 or riscv64")));
        };
        let ids: Vec<Id> = match process {
            Some(id) if self.programs.contains_key(&id) => vec![id],
            Some(id) => {
                let text = format!("the program has no process {id} any more; `maize ps --json` lists those it has");
                return Some(failure(FailureKind::Refused, text));
            }
            None => self.programs.keys().copied().collect(),
        };
        if dry_run {
            let outcome = |id| self.programs.get(id).map(|program| program.outcome(to, None, program.obstacle(to)));
            return Some(Answer::Migrated(ids.iter().filter_map(outcome).collect()));
        }
        if self.job.is_some() {
            return Some(failure(FailureKind::Busy, BUSY));
        }
        if let Err(error) = self.take_over_processes() {
            return Some(failure(FailureKind::Refused, error));
        }
        for id in &ids {
            if let Some(program) = self.programs.get_mut(id) {
                program.order(to);
            }
        }
        let waiting = ids.into_iter().map(|id| (id, None)).collect();
        let deadline = self.common.started.elapsed().saturating_add(timeout);
        self.job = Some(Job::Migrate(Migrate { client, to, deadline, waiting, done: Vec::new() }));
        None
    }

    /// Begins to take a snapshot; returns what there is to answer at once.
    pub(crate) fn begin_checkpoint(&mut self, order: Order) -> Option<Answer> {
        if self.job.is_some() {
            return Some(failure(FailureKind::Busy, BUSY));
        }
        match self.checkpoint(order) {
            Ok(job) => self.job = Some(Job::Checkpoint(Box::new(job))),
            Err(error) => return Some(failure(FailureKind::Refused, error)),
        }
        None
    }

    /// The snapshot for which the program waits is where it was to go.
    fn confirm_checkpoint(&mut self, client: Client) -> Option<Answer> {
        let is_confirmed = match &mut self.job {
            Some(Job::Checkpoint(job)) => job.confirm(client),
            _ => false,
        };
        (!is_confirmed).then(|| failure(FailureKind::Question, "there is no snapshot that waits to be confirmed"))
    }

    /// A program that has run by itself so far is about to leave its host process: from then on the kernel's table of processes does not do.
    pub(crate) fn take_over_processes(&mut self) -> Result<(), String> {
        if self.is_served {
            return Ok(());
        }
        adopt_processes().map_err(|error| error.to_string())?;
        let Some(program) = self.programs.get(&self.main) else { return Ok(()) };
        let number = |id: rustix::process::Pid| id.as_raw_nonzero().get().unsigned_abs();
        let host = Some(program.current.pid());
        if let (Ok(group), Ok(session)) = (rustix::process::getpgid(host), rustix::process::getsid(host)) {
            self.table.place(self.main, number(group), number(session));
        }
        Ok(())
    }

    /// Goes on with what is being done for a client.
    pub(crate) fn advance_job(&mut self) {
        self.job = match self.job.take() {
            Some(Job::Migrate(job)) => self.advance_migration(job),
            Some(Job::Checkpoint(job)) => self.advance_checkpoint(*job).map(Box::new).map(Job::Checkpoint),
            None => None,
        };
    }

    fn advance_migration(&mut self, mut job: Migrate) -> Option<Job> {
        let now = self.common.started.elapsed();
        let late = now >= job.deadline;
        for (id, again) in std::mem::take(&mut job.waiting) {
            let Some(program) = self.programs.get_mut(&id) else {
                let (on, to) = (String::new(), job.to.name().to_owned());
                let reason = Some(String::from("it has ended"));
                job.done.push(Outcome { process: id, on, to, migration: None, reason });
                continue;
            };
            let outcome = match program.ordered() {
                Some(outcome) if outcome.is_there() || late || !program.may_try_again() => outcome,
                Some(_) if again.is_some_and(|again| now >= again) => {
                    program.order(job.to);
                    job.waiting.insert(id, None);
                    continue;
                }
                Some(_) => {
                    job.waiting.insert(id, again.or(Some(now + AGAIN)));
                    continue;
                }
                None if late => {
                    let reason = match program.is_asked() {
                        true => "it has reached no migration point in time; it will move when it does",
                        false => "it could not be asked in time",
                    };
                    program.outcome(job.to, None, Some(reason.to_owned()))
                }
                None => {
                    job.waiting.insert(id, None);
                    continue;
                }
            };
            self.is_served |= outcome.migration.is_some();
            program.withdraw_order();
            job.done.push(outcome);
        }
        if !job.waiting.is_empty() {
            return Some(Job::Migrate(job));
        }
        self.answer_client(job.client, Answer::Migrated(job.done));
        None
    }
}
