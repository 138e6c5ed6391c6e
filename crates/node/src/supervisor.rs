//! Runs one program on one machine, with all processes that it forks: waits for what they and their hosts say, and has each move when it is
//! due ([`Program`]). While there is a plan of moves, the node keeps the table of processes, too (docs/processes.md).

use crate::chain::Chain;
use crate::checkpoint::{Goal, Order, Target};
use crate::control::door::{Client, Door};
use crate::control::protocol::{Answer, Happened};
use crate::departure::Departures;
use crate::describe::Streams;
use crate::error::RunError;
use crate::events::{Counted, EventPlan};
use crate::host::{Host, Launchers, is_native};
use crate::kernel::Ended;
use crate::machine::Machine;
use crate::network::{Address, Holding};
use crate::orders::Job;
use crate::plan::{HopPlan, Tour};
use crate::precopy::Precopy;
use crate::processes::{Change, Id, Notice, Table};
use crate::program::{Common, Happening, History, Moves, Program, micros};
use crate::report::{self, Child, Exit, Fetched, Migration, Report, Stay};
use crate::serve::Served;
use maize_abi::Isa;
use maize_abi::control::{Kind, Message};
use maize_abi::processes::{SERVED, SignalInformation};
use maize_abi::terminals::Number;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// What to run, and how.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// The multi-ISA binary.
    pub program: PathBuf,
    /// Where snapshots say that it is, if this is a copy that may not last.
    pub original: Option<PathBuf>,
    /// The program's arguments, its name first.
    pub arguments: Vec<OsString>,
    /// The ISA to start on.
    pub isa: Isa,
    /// Where to move, and when.
    pub hop: Option<HopPlan>,
    /// Keep the table of processes from the start on, so that a program that forks can be moved or saved while it runs.
    pub movable: bool,
    /// Take snapshots of itself.
    pub checkpoint: Option<Periodic>,
    /// At which counted events to move; instead of `hop`. Processes that are forked are not counted.
    pub events: Option<EventPlan>,
    /// How long a program may take to reach a migration point before the report says so.
    pub patience: Duration,
    /// Kill the destination of every move with this number (from 1) while the move is under way, to show that nothing is lost.
    pub kill_destination: Vec<usize>,
    /// What becomes of large memory in a move.
    pub memory: Memory,
    /// Signals to hand on to the program, one byte each, as they come. By `SIGCHLD` it is learned that a process has stopped.
    pub signals: Option<Arc<OwnedFd>>,
    /// By which the program is told to go to another node.
    pub departures: Option<Arc<Departures>>,
    /// An address that the program has by itself, and takes along to other nodes.
    pub address: Option<Address>,
    /// What it finds on the machine.
    pub machine: Machine,
}

/// What becomes of large memory in a move.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Memory {
    /// It is copied while the program waits.
    Copy,
    /// It is brought while the program runs, where the kernel allows that.
    #[default]
    PostCopy,
}

/// Snapshots that a run takes of itself.
#[derive(Clone, Debug)]
pub struct Periodic {
    /// Time between them.
    pub every: Duration,
    /// The file, with an absolute path, which is replaced when the next one is on disk.
    pub file: PathBuf,
}

/// What an observer may want to show while the program runs.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// A process of the program runs on this ISA now.
    Moved(&'a Migration),
    /// A move did not happen.
    Stayed(&'a Stay),
    /// All memory has come of a process that was put in place with a part of it still in a file ([`crate::receive`]).
    Whole(&'a Fetched),
}

/// Runs a program to its end. Processes that it leaves behind go on where they are.
///
/// # Errors
/// [`RunError`], if the program could not be started or its host was lost without an exit status.
pub fn run(options: &RunOptions, observe: &mut dyn FnMut(Event<'_>)) -> Result<Report, RunError> {
    let hop_isas = options.hop.iter().flat_map(|plan| plan.isas.iter().copied());
    let event_isas = options.events.iter().flat_map(EventPlan::isas);
    let isas: Vec<Isa> = std::iter::once(options.isa).chain(hop_isas).chain(event_isas).collect();
    let launchers = Rc::new(Launchers::new(&options.program, &isas, &options.arguments, &options.machine)?);
    // Without moves and emulators the kernel's table does, and is faster.
    let asked_for = options.movable || options.checkpoint.is_some();
    let is_served = asked_for || options.hop.is_some() || options.events.is_some() || !is_native(options.isa);
    if is_served {
        adopt_processes()?;
    }
    let mut counted = options.events.as_ref().map(|plan| Counted::new(plan, options.isa));
    let [counts, next, passes] = counted.as_mut().map_or([0; 3], Counted::request);
    let served = if is_served { SERVED } else { 0 };
    let mut first = Message::new(Kind::Run, [counts, next, passes, served, 0, 0, 0, 0]);
    first.text = launchers.described();
    let holding = options.address.as_ref().map(Holding::prepare).transpose().map_err(RunError::Address)?;
    if let Some(holding) = &holding {
        holding.take().map_err(RunError::Address)?;
    }
    let door = open_door(options);
    let host = Host::start(&*launchers.of(options.isa)?, &first)?;
    let streams = Streams::note();
    release_standard_streams()?;
    let main = host.pid().as_raw_nonzero().get().unsigned_abs();
    let mut supervisor = Supervisor::new(options, observe, door, main, isas, is_served, streams);
    supervisor.holding = holding.map(Arc::new);
    supervisor.begin(main, launchers, host, counted);
    supervisor.run()
}

/// Processes whose parents have left their hosts are this one's children.
pub(crate) fn adopt_processes() -> Result<(), RunError> {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(RunError::system("adopting processes"))
}

/// The control socket, which is there before the program runs. A run whose events are counted has none: what others ask for would change the count.
pub(crate) fn open_door(options: &RunOptions) -> Option<Door> {
    if options.events.is_some() {
        return None;
    }
    match Door::open(&options.machine.control) {
        Ok(door) => Some(door),
        Err(error) => {
            eprintln!("maize: warning: `maize ps` and the like will not find this program: no control socket: {error}");
            None
        }
    }
}

/// The program alone holds its input and output, so that whoever is at their other ends sees it
/// close them. Standard error stays, for the supervisor's own messages.
pub(crate) fn release_standard_streams() -> Result<(), RunError> {
    let null = rustix::fs::open("/dev/null", rustix::fs::OFlags::RDWR, rustix::fs::Mode::empty())
        .map_err(RunError::system("opening /dev/null"))?;
    rustix::stdio::dup2_stdin(&null).map_err(RunError::system("releasing standard input"))?;
    rustix::stdio::dup2_stdout(&null).map_err(RunError::system("releasing standard output"))
}

enum Heard {
    Of(Id, Happening),
    Signal,
    Connection,
    Client(Client),
    /// There is something to do for a client.
    Job,
    /// The program is to go to another node.
    Departure,
}

/// Where a program is that is not here any more.
pub(crate) enum Left {
    /// In this file, or in one that has gone on from here.
    Saved(Option<PathBuf>),
    /// On another node.
    Away,
}

pub(crate) struct Supervisor<'a> {
    pub(crate) common: Common<'a>,
    pub(crate) began: SystemTime,
    /// The table of processes is this one's, not the kernel's.
    pub(crate) is_served: bool,
    /// What it was given as standard streams.
    pub(crate) streams: Streams,
    /// Where the program has gone, if it has been ended for that.
    pub(crate) left: Option<Left>,
    /// How long it took to restore the program.
    pub(crate) restored: Option<Duration>,
    /// What its clocks are ahead of this machine's, ns; wraps.
    pub(crate) ahead_ns: u64,
    /// Terminals that the program knows by other numbers than the kernel here does.
    pub(crate) numbers: Vec<Number>,
    /// Its own address, while it is here.
    pub(crate) holding: Option<Arc<Holding>>,
    /// When the next snapshot is due that the run itself takes.
    next_checkpoint: Option<Duration>,
    /// What is being done for a client.
    pub(crate) job: Option<Job>,
    /// The snapshots that the next can build on.
    pub(crate) chain: Option<Chain>,
    /// The process that was started first, whose end is the run's.
    pub(crate) main: Id,
    pub(crate) programs: BTreeMap<Id, Program>,
    pub(crate) table: Table,
    pub(crate) served: Served,
    /// How many processes have begun.
    begun: u64,
    /// In the order in which they began.
    pub(crate) children: Vec<Child>,
    /// Processor time of the processes that have ended, microseconds.
    pub(crate) ended_us: u64,
}

impl<'a> Supervisor<'a> {
    /// One that has no processes yet.
    pub(crate) fn new(
        options: &'a RunOptions,
        observe: &'a mut dyn FnMut(Event<'_>),
        door: Option<Door>,
        main: Id,
        isas: Vec<Isa>,
        is_served: bool,
        streams: Streams,
    ) -> Supervisor<'a> {
        Supervisor {
            common: Common { options, started: Instant::now(), asked: 0, observe, door },
            began: SystemTime::now(),
            is_served,
            streams,
            left: None,
            restored: None,
            ahead_ns: 0,
            numbers: Vec::new(),
            holding: None,
            next_checkpoint: options.checkpoint.as_ref().map(|periodic| periodic.every),
            job: None,
            chain: None,
            main,
            programs: BTreeMap::new(),
            table: Table::default(),
            served: Served::new(isas, options.machine.clone()),
            begun: 0,
            children: Vec::new(),
            ended_us: 0,
        }
    }

    /// Runs the program to its end.
    pub(crate) fn run(mut self) -> Result<Report, RunError> {
        let (exit, History { migrations, stays, events, processor_ns }) = self.supervise()?;
        let options = self.common.options;
        if let Some(Left::Saved(Some(file))) = &self.left {
            eprintln!("maize: saved to {0}; `maize restore {0}` goes on", file.display());
        }
        Ok(Report {
            version: report::VERSION,
            program: options.program.clone(),
            exit,
            started_on: options.isa.name().to_owned(),
            elapsed_us: micros(self.common.started.elapsed()),
            processor_us: processor_ns as f64 / 1000.0,
            restored_us: self.restored.map(|time| time.as_secs_f64() * 1e6),
            migrations,
            stays,
            children: self.children,
            events,
        })
    }

    fn begin(&mut self, id: Id, launchers: Rc<Launchers>, host: Host, counted: Option<Counted>) {
        let kernel_id = |id: rustix::process::Pid| id.as_raw_nonzero().get().unsigned_abs();
        let session = rustix::process::getsid(None).map_or(id, kernel_id);
        self.table.begin(id, std::process::id(), kernel_id(rustix::process::getpgrp()), session);
        self.watch(id, launchers, host, counted);
    }

    /// A process has been forked.
    pub(crate) fn begin_child(&mut self, parent: Id, id: Id, host: Host) {
        let Some(launchers) = self.programs.get(&parent).map(|program| Rc::clone(&program.launchers)) else { return };
        self.table.fork(parent, id);
        self.common.tell(|| Happened::Began { process: id, parent });
        self.children.push(Child { id, parent, started_on: host.isa.name().to_owned(), ..Child::default() });
        self.watch(id, launchers, host, None);
    }

    fn watch(&mut self, id: Id, launchers: Rc<Launchers>, host: Host, counted: Option<Counted>) {
        let tour = self.common.options.hop.clone().map(|plan| Tour::new(plan, self.begun, host.isa));
        self.begun += 1;
        let moves = counted.map(Moves::Counted).or(tour.map(Moves::Timed));
        let program = Program::new(id, launchers, host, moves, self.common.started.elapsed());
        self.programs.insert(id, program);
    }

    fn supervise(&mut self) -> Result<(Exit, History), RunError> {
        loop {
            // One at a time: each may replace the hosts that the others were about.
            match self.wait()? {
                Some(Heard::Signal) => self.hand_on_signal(),
                Some(Heard::Of(id, Happening::SourceEnded)) => {
                    if let Some(end) = self.ended(id)? {
                        return Ok(end);
                    }
                }
                Some(Heard::Of(id, happening)) => self.hear(id, happening)?,
                Some(Heard::Connection) => self.let_in(),
                Some(Heard::Client(client)) => self.hear_client(client),
                Some(Heard::Departure) => self.depart(),
                Some(Heard::Job) | None => {}
            }
            for program in self.programs.values_mut() {
                program.act(&mut self.common)?;
            }
            self.tell_of_stops();
            self.checkpoint_when_due();
            self.advance_job();
        }
    }

    /// Waits for words from or the end of any host, or a deadline.
    fn wait(&self) -> Result<Option<Heard>, RunError> {
        let mut waited = Vec::new();
        let mut sockets = Vec::new();
        // What becomes of hosts that hold a program which may be on another node by now is the business of who has taken it there.
        let is_leaving = self.job.as_ref().is_some_and(Job::is_leaving);
        for (&id, program) in self.programs.iter().filter(|_| !is_leaving) {
            for (happening, descriptor) in program.watched() {
                waited.push(Heard::Of(id, happening));
                sockets.push(PollFd::from_borrowed_fd(descriptor, PollFlags::IN));
            }
        }
        // Signals for such a program wait in the pipe, for whoever has it in the end.
        let is_away = is_leaving || matches!(self.left, Some(Left::Away));
        if let Some(signals) = self.common.options.signals.as_ref().filter(|_| !is_away) {
            waited.push(Heard::Signal);
            sockets.push(PollFd::from_borrowed_fd(signals.as_fd(), PollFlags::IN));
        }
        if let Some(door) = &self.common.door {
            waited.push(Heard::Connection);
            sockets.push(PollFd::from_borrowed_fd(door.listener(), PollFlags::IN));
            for (client, stream) in door.clients() {
                waited.push(Heard::Client(client));
                sockets.push(PollFd::from_borrowed_fd(stream, PollFlags::IN));
            }
        }
        if let Some(departures) = &self.common.options.departures {
            waited.push(Heard::Departure);
            sockets.push(PollFd::from_borrowed_fd(departures.asked(), PollFlags::IN));
        }
        if let Some(watched) = self.job.as_ref().and_then(Job::watched) {
            waited.push(Heard::Job);
            sockets.push(PollFd::from_borrowed_fd(watched, PollFlags::IN));
        }
        let now = self.common.started.elapsed();
        let due = self.programs.values().filter_map(|program| program.due(self.common.options));
        let due = match &self.job {
            Some(job) => due.chain(job.due()).min(),
            None => due.chain(self.next_checkpoint).min(),
        };
        let timeout = due.map(|due| due.saturating_sub(now)).map(|timeout| rustix::time::Timespec {
            tv_sec: timeout.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        });
        match poll(&mut sockets, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(RunError::system("waiting for hosts")(error)),
        }
        let first = sockets.iter().position(|socket| !socket.revents().is_empty());
        Ok(first.map(|index| waited.swap_remove(index)))
    }

    /// Takes a snapshot if the run is to take one now.
    fn checkpoint_when_due(&mut self) {
        let now = self.common.started.elapsed();
        let Some(periodic) = &self.common.options.checkpoint else { return };
        if self.job.is_some() || self.next_checkpoint.is_none_or(|next| now < next) {
            return;
        }
        self.next_checkpoint = Some(now + periodic.every);
        let (file, timeout) = (periodic.file.clone(), periodic.every);
        if let Some(Answer::Error(failure)) = self.begin_checkpoint(Order {
            client: None,
            to: Goal::File(Target { path: file, incremental: true }),
            leave_running: true,
            holds: false,
            timeout,
            precopy: Precopy::default(),
        }) {
            eprintln!("maize: warning: {}", failure.message);
        }
    }

    fn hand_on_signal(&mut self) {
        let Some(signals) = &self.common.options.signals else { return };
        let mut number = [0];
        if rustix::io::read(signals, &mut number) != Ok(1) {
            return;
        }
        let Some(signal) = Signal::from_named_raw(number[0].into()) else { return };
        if signal == Signal::CHILD {
            self.look_for_stops();
        } else if let Some(program) = self.programs.get_mut(&self.main) {
            let signal = u32::from(number[0]);
            program.deliver(SignalInformation { signal, code: 0, sender: std::process::id().into(), value: 0 });
        }
    }

    fn look_for_stops(&mut self) {
        for program in self.programs.values_mut() {
            program.look_for_stop();
        }
    }

    fn tell_of_stops(&mut self) {
        let changes: Vec<(Id, Change)> = self
            .programs
            .iter_mut()
            .flat_map(|(&id, program)| program.changes.drain(..).map(move |change| (id, change)))
            .collect();
        for (id, change) in changes {
            let notice = self.table.change(id, change);
            self.tell(notice);
        }
    }

    fn hear(&mut self, id: Id, happening: Happening) -> Result<(), RunError> {
        let Some(program) = self.programs.get_mut(&id) else { return Ok(()) };
        match happening {
            Happening::SourceSpoke => match program.current.receive() {
                Some(heard) if heard.message.kind() == Some(Kind::Call) => self.answer(id, heard),
                Some(heard) => program.hear_source(&heard, &mut self.common),
                None if program.current.control().is_none() => {
                    program.hung_up();
                    Ok(())
                }
                None => Ok(()),
            },
            Happening::DestinationSpoke => program.hear_destination(&mut self.common),
            Happening::DestinationEnded => program.destination_ended(&mut self.common),
            Happening::Brought => program.hear_pager(),
            Happening::BehindEnded => program.behind_ended(),
            Happening::Saved => {
                program.hear_saved();
                Ok(())
            }
            Happening::SourceEnded => Ok(()),
        }
    }

    /// A process has ended. If it was the first, so has the run.
    fn ended(&mut self, id: Id) -> Result<Option<(Exit, History)>, RunError> {
        let Some(program) = self.programs.get_mut(&id) else { return Ok(None) };
        if !program.source_ended(&mut self.common)? {
            return Ok(None);
        }
        let Some(program) = self.programs.remove(&id) else { return Ok(None) };
        let (Ended { status, times }, history) = program.end()?;
        self.ended_us += times.iter().sum::<u64>();
        self.common.tell(|| Happened::Ended { process: id, status });
        for (child, signal) in self.table.told_of_end(id) {
            if let Some(child) = self.programs.get_mut(&child) {
                child.deliver(SignalInformation { signal, code: 0, sender: id.into(), value: 0 });
            }
        }
        let notice = self.table.change(id, Change::Ended { status, times });
        self.tell(notice);
        if id == self.main {
            let others = std::mem::take(&mut self.programs);
            for (id, program) in others {
                // Those that were saved have been killed, too, and are to leave no trace of their ids.
                let history = if self.left.is_some() { program.end()?.1 } else { program.leave()? };
                self.record(id, history);
            }
            let exit = match self.left {
                Some(Left::Saved(_)) => Exit::Saved,
                Some(Left::Away) => Exit::Away,
                None if status & 0x7f == 0 => Exit::Status(status >> 8 & 0xff),
                None => Exit::Signal(status & 0x7f),
            };
            return Ok(Some((exit, history)));
        }
        self.record(id, history);
        Ok(None)
    }

    fn record(&mut self, id: Id, history: History) {
        // Ids come again; the last of this one is meant.
        if let Some(child) = self.children.iter_mut().rfind(|child| child.id == id) {
            (child.migrations, child.stays) = (history.migrations, history.stays);
        }
    }

    /// Tells a parent of a change of a child.
    fn tell(&mut self, notice: Option<Notice>) {
        let Some(notice) = notice else { return };
        let Some(parent) = self.programs.get_mut(&notice.parent) else { return };
        if let Some(signal) = notice.signal {
            parent.deliver(signal);
        }
        if std::mem::take(&mut parent.waits) {
            parent.current.draw_attention();
        }
    }
}
