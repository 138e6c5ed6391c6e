//! Runs one program on one machine: keeps the host process it is in, prepares the one it moves to
//! next, and asks for the move.
//!
//! The memory, descriptors and frames go from host to host directly; the supervisor only brings
//! the two together and keeps the record. If a destination fails, the program runs on at its source.

use crate::error::RunError;
use crate::events::{EventMoves, EventPlan, Move};
use crate::host::{Host, Launcher, socket_pair};
use crate::plan::{HopPlan, Tour};
use crate::report::{self, Activation, Exit, Migration, Place, Report, Stay};
use maize_abi::Isa;
use maize_abi::control::{Kind, Message, NEVER};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Signal, kill_process};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What to run, and how.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// The multi-ISA binary.
    pub program: PathBuf,
    /// The program's arguments, its name first.
    pub arguments: Vec<OsString>,
    /// The ISA to start on.
    pub isa: Isa,
    /// Where to move, and when.
    pub hop: Option<HopPlan>,
    /// At which counted events to move; instead of `hop`.
    pub events: Option<EventPlan>,
    /// How long a program may take to reach a migration point before the report says so.
    pub patience: Duration,
    /// Kill the destination of every move with this number (from 1) while the move is under way, to show that nothing is lost.
    pub kill_destination: Vec<usize>,
    /// Signals to hand on to the program, one byte each, as they come.
    pub signals: Option<Arc<OwnedFd>>,
}

/// What an observer may want to show while the program runs.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// The program runs on this ISA now.
    Moved(&'a Migration),
    /// A move did not happen.
    Stayed(&'a Stay),
}

/// Runs a program to its end.
///
/// # Errors
/// [`RunError`], if the program could not be started or its host was lost without an exit status.
pub fn run(options: &RunOptions, observe: &mut dyn FnMut(Event<'_>)) -> Result<Report, RunError> {
    let image = maize_image::Image::open(&options.program).map_err(|error| RunError::Image(error.to_string()))?;
    let mut launchers = HashMap::new();
    let hop_isas = options.hop.iter().flat_map(|plan| plan.isas.iter().copied());
    let event_isas = options.events.iter().flat_map(EventPlan::isas);
    for isa in std::iter::once(options.isa).chain(hop_isas).chain(event_isas) {
        if let Entry::Vacant(place) = launchers.entry(isa) {
            place.insert(Launcher::new(&image, &options.program, isa, options.arguments.clone())?);
        }
    }
    let mut schedule = options.events.as_ref().map(|plan| plan.schedule(options.isa).peekable());
    let mut run = Message::new(Kind::Run, [0; 8]);
    if let (Some(plan), Some(schedule)) = (&options.events, &mut schedule) {
        run.values[..3].copy_from_slice(&[1, next_event(schedule), plan.passes.into()]);
    }
    let host = Host::start(&launchers[&options.isa], &run)?;
    release_standard_streams()?;
    let mut supervisor = Supervisor {
        launchers,
        current: host,
        next: None,
        tour: options.hop.clone().map(Tour::new),
        schedule,
        place: Place::default(),
        events: None,
        started: Instant::now(),
        deadline: Duration::ZERO,
        options,
        asked: 0,
        migrations: Vec::new(),
        stays: Vec::new(),
    };
    supervisor.schedule()?;
    let exit = supervisor.supervise(observe)?;
    Ok(Report {
        version: report::VERSION,
        program: options.program.clone(),
        exit,
        started_on: options.isa.name().to_owned(),
        elapsed_us: micros(supervisor.started.elapsed()),
        migrations: supervisor.migrations,
        stays: supervisor.stays,
        events: supervisor.events,
    })
}

/// The program alone holds its input and output, so that whoever is at their other ends sees it
/// close them. Standard error stays, for the supervisor's own messages.
fn release_standard_streams() -> Result<(), RunError> {
    let null = rustix::fs::open("/dev/null", rustix::fs::OFlags::RDWR, rustix::fs::Mode::empty())
        .map_err(RunError::system("opening /dev/null"))?;
    rustix::stdio::dup2_stdin(&null).map_err(RunError::system("releasing standard input"))?;
    rustix::stdio::dup2_stdout(&null).map_err(RunError::system("releasing standard output"))
}

/// A destination: started, then ready, then with the move asked for, then with the source gone.
struct Destination {
    host: Host,
    phase: Phase,
}

#[derive(Clone, Copy)]
enum Happening {
    SourceSpoke,
    SourceEnded,
    DestinationSpoke,
    DestinationEnded,
    Signalled,
}

enum Phase {
    Starting,
    Ready,
    Asked(Request),
    SourceGone(Request, Box<Message>),
}

#[derive(Clone)]
struct Request {
    at: Duration,
    /// The same on the clock that hosts read, ns.
    at_ns: u64,
    overdue_reported: bool,
    place: Option<Place>,
}

type Schedule = std::iter::Peekable<Box<dyn Iterator<Item = Move>>>;

fn next_event(schedule: &mut Schedule) -> u64 {
    schedule.peek().map_or(NEVER, |next| next.event)
}

struct Supervisor<'a> {
    launchers: HashMap<Isa, Launcher>,
    current: Host,
    next: Option<Destination>,
    tour: Option<Tour>,
    /// Moves at events that are still to be made.
    schedule: Option<Schedule>,
    /// What is known of the place at which the source waits to be moved; without an event it does not wait.
    place: Place,
    /// How many events there were in all.
    events: Option<u64>,
    started: Instant,
    /// When the next move is due, from the start.
    deadline: Duration,
    options: &'a RunOptions,
    asked: usize,
    migrations: Vec<Migration>,
    stays: Vec<Stay>,
}

impl Supervisor<'_> {
    /// Starts the host of the next move ahead of time.
    fn schedule(&mut self) -> Result<(), RunError> {
        let isa = if let Some(schedule) = &mut self.schedule {
            let Some(next) = schedule.next() else { return Ok(()) };
            next.to
        } else {
            let Some(tour) = &mut self.tour else { return Ok(()) };
            self.deadline = self.started.elapsed() + tour.interval();
            tour.next()
        };
        let host = Host::start(&self.launchers[&isa], &Message::new(Kind::Receive, [0; 8]))?;
        self.next = Some(Destination { host, phase: Phase::Starting });
        Ok(())
    }

    fn supervise(&mut self, observe: &mut dyn FnMut(Event<'_>)) -> Result<Exit, RunError> {
        loop {
            // One at a time: each may replace the hosts that the others were about.
            match self.wait()? {
                Some(Happening::SourceSpoke) => self.hear_source(observe)?,
                Some(Happening::DestinationSpoke) => self.hear_destination(observe)?,
                Some(Happening::DestinationEnded) => self.destination_ended(observe)?,
                Some(Happening::Signalled) => self.hand_on_signal(),
                Some(Happening::SourceEnded) => {
                    if let Some(exit) = self.source_ended()? {
                        return Ok(exit);
                    }
                }
                None => {}
            }
            self.ask_when_due()?;
            self.report_overdue(observe);
        }
    }

    /// Waits for words from or the end of either host, or a deadline.
    fn wait(&self) -> Result<Option<Happening>, RunError> {
        let mut waited = Vec::new();
        let mut sockets = Vec::new();
        let mut add = |happening, descriptor| {
            waited.push(happening);
            sockets.push(PollFd::from_borrowed_fd(descriptor, PollFlags::IN));
        };
        if let Some(control) = self.current.control() {
            add(Happening::SourceSpoke, control);
        }
        let source_is_gone = matches!(self.next, Some(Destination { phase: Phase::SourceGone(..), .. }));
        if !source_is_gone {
            add(Happening::SourceEnded, self.current.pidfd());
        }
        if let Some(next) = &self.next {
            if let Some(control) = next.host.control() {
                add(Happening::DestinationSpoke, control);
            }
            add(Happening::DestinationEnded, next.host.pidfd());
        }
        // While the program is on its way there is nobody to hand them to.
        if let Some(signals) = self.options.signals.as_ref().filter(|_| !source_is_gone) {
            add(Happening::Signalled, signals.as_fd());
        }
        let timeout = self.timeout().map(|timeout| rustix::time::Timespec {
            tv_sec: timeout.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        });
        match poll(&mut sockets, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(RunError::system("waiting for hosts")(error)),
        }
        let first = sockets.iter().position(|socket| !socket.revents().is_empty());
        Ok(first.and_then(|index| waited.get(index).copied()))
    }

    fn hand_on_signal(&self) {
        let Some(signals) = &self.options.signals else { return };
        let mut number = [0];
        if rustix::io::read(signals, &mut number) == Ok(1)
            && let Some(signal) = Signal::from_named_raw(number[0].into())
        {
            // The program may just have ended; its pidfd will tell.
            let _ = kill_process(self.current.pid(), signal);
        }
    }

    fn timeout(&self) -> Option<Duration> {
        let until = match &self.next.as_ref()?.phase {
            Phase::Ready if self.schedule.is_none() => self.deadline,
            Phase::Asked(request) if !request.overdue_reported => request.at + self.options.patience,
            _ => return None,
        };
        Some(until.saturating_sub(self.started.elapsed()))
    }

    fn ask_when_due(&mut self) -> Result<(), RunError> {
        let now = self.started.elapsed();
        let Some(next) = &mut self.next else { return Ok(()) };
        let is_due = if self.schedule.is_some() { self.place.event > 0 } else { now >= self.deadline };
        if !matches!(next.phase, Phase::Ready) || !is_due {
            return Ok(());
        }
        self.asked += 1;
        let at_ns = monotonic_ns();
        let kill = self.options.kill_destination.contains(&self.asked);
        if kill {
            // Stopped, it cannot answer; it is killed once the source has had time to start the move.
            let _ = kill_process(next.host.pid(), Signal::STOP);
        }
        let (theirs, ours) = socket_pair()?;
        next.host.send(&Message::new(Kind::Accept, [0; 8]), Some(theirs.as_fd()))?;
        let mut order = Message::new(Kind::Move, [0; 8]);
        if let Some(schedule) = &mut self.schedule {
            order.values[0] = next_event(schedule);
        }
        // The program may just have ended; its pidfd will tell.
        let _ = self.current.send(&order, Some(ours.as_fd()));
        if self.schedule.is_none() {
            // After the message: a source that finds none goes on.
            self.current.draw_attention();
        }
        let place = self.schedule.is_some().then(|| std::mem::take(&mut self.place));
        next.phase = Phase::Asked(Request { at: now, at_ns, overdue_reported: false, place });
        if kill {
            std::thread::sleep(Duration::from_millis(20));
            let _ = kill_process(next.host.pid(), Signal::KILL);
        }
        Ok(())
    }

    fn report_overdue(&mut self, observe: &mut dyn FnMut(Event<'_>)) {
        let now = self.started.elapsed();
        let Some(Destination { host, phase: Phase::Asked(request) }) = &mut self.next else { return };
        if request.overdue_reported || now < request.at + self.options.patience {
            return;
        }
        request.overdue_reported = true;
        let reason =
            format!("no migration point reached within {} ms; still waiting", self.options.patience.as_millis());
        let stay = Stay {
            on: self.current.isa.name().to_owned(),
            to: host.isa.name().to_owned(),
            at_us: micros(request.at),
            reason,
            place: request.place.clone(),
        };
        observe(Event::Stayed(&stay));
        self.stays.push(stay);
    }

    fn hear_source(&mut self, observe: &mut dyn FnMut(Event<'_>)) -> Result<(), RunError> {
        while let Some(message) = self.current.receive() {
            if self.hear_of_events(&message) {
                continue;
            }
            match (message.kind(), self.next.take()) {
                (Some(Kind::Departed), Some(Destination { host, phase: Phase::Asked(request) })) => {
                    self.next = Some(Destination { host, phase: Phase::SourceGone(request, Box::new(message)) });
                }
                (Some(Kind::Stayed), Some(Destination { host, phase: Phase::Asked(request) })) => {
                    let stay = Stay {
                        on: self.current.isa.name().to_owned(),
                        to: host.isa.name().to_owned(),
                        at_us: micros(request.at),
                        reason: message.text().to_owned(),
                        place: request.place,
                    };
                    observe(Event::Stayed(&stay));
                    self.stays.push(stay);
                    host.discard();
                    self.schedule()?;
                }
                (_, next) => self.next = next,
            }
        }
        Ok(())
    }

    /// Takes note of what a message says about counted events; whether it does.
    fn hear_of_events(&mut self, message: &Message) -> bool {
        match message.kind() {
            Some(Kind::Frames) => {
                let known = message.values.iter().filter(|&&value| value != 0);
                let activations = known.map(|&value| Activation { resume: (value >> 32) as u32, site: value as u32 });
                // Thousands of moves may be drawn.
                let limit = match self.options.events.as_ref().map(|plan| &plan.moves) {
                    Some(EventMoves::Listed(_)) => usize::MAX,
                    _ => 1_usize.saturating_sub(self.place.activations.len()),
                };
                self.place.activations.extend(activations.take(limit));
            }
            Some(Kind::Reached) => {
                let [event, call, ..] = message.values;
                self.place.event = event;
                self.place.system_call = (call != NEVER).then_some(call);
            }
            Some(Kind::Passed) => self.events = Some(message.values[0]),
            _ => return false,
        }
        true
    }

    fn hear_destination(&mut self, observe: &mut dyn FnMut(Event<'_>)) -> Result<(), RunError> {
        let Some(message) = self.next.as_ref().and_then(|next| next.host.receive()) else { return Ok(()) };
        if message.kind() == Some(Kind::Arrived) {
            // The program has left its source, which says so on another socket.
            self.await_source_word(observe)?;
        }
        match (message.kind(), self.next.take()) {
            (Some(Kind::Ready), Some(Destination { host, phase: Phase::Starting })) => {
                self.next = Some(Destination { host, phase: Phase::Ready });
            }
            (Some(Kind::Arrived), Some(Destination { host, phase: Phase::SourceGone(request, departed) })) => {
                let mut source = std::mem::replace(&mut self.current, host);
                source.wait()?;
                let [frames, record_bytes, capture_ns, bytes_moved, suspended_at_ns, ..] = departed.values;
                let [resume_ns, pause_ns, ..] = message.values;
                let migration = Migration {
                    from: source.isa.name().to_owned(),
                    to: self.current.isa.name().to_owned(),
                    at_us: micros(request.at),
                    wait_us: suspended_at_ns.saturating_sub(request.at_ns) / 1000,
                    frames,
                    record_bytes,
                    capture_us: capture_ns as f64 / 1000.0,
                    resume_us: resume_ns as f64 / 1000.0,
                    pause_us: pause_ns as f64 / 1000.0,
                    bytes_moved,
                    place: request.place,
                };
                observe(Event::Moved(&migration));
                self.migrations.push(migration);
                self.schedule()?;
            }
            (_, next) => self.next = next,
        }
        Ok(())
    }

    /// A host that dies before the move was asked for is an error. Later the source notices on the transfer socket,
    /// stays, and says so.
    fn destination_ended(&mut self, observe: &mut dyn FnMut(Event<'_>)) -> Result<(), RunError> {
        match self.next.take() {
            Some(Destination { host, phase: Phase::Starting | Phase::Ready }) => {
                let isa = host.isa;
                host.discard();
                Err(RunError::NotReady { isa })
            }
            Some(Destination { mut host, phase: Phase::SourceGone(request, _) }) => {
                // It holds the program: its end is the program's.
                let stay = Stay {
                    on: self.current.isa.name().to_owned(),
                    to: host.isa.name().to_owned(),
                    at_us: micros(request.at),
                    reason: "the new process ended when it had just taken it over".to_owned(),
                    place: request.place,
                };
                observe(Event::Stayed(&stay));
                self.stays.push(stay);
                std::mem::swap(&mut host, &mut self.current);
                host.wait()?;
                Ok(())
            }
            Some(Destination { mut host, phase: phase @ Phase::Asked(_) }) => {
                host.wait()?;
                self.next = Some(Destination { host, phase });
                self.await_source_word(observe)
            }
            None => Ok(()),
        }
    }

    /// Waits until the source has said whether it departed or stayed. After a destination died it may still be on its way
    /// to a migration point, and will say so then.
    fn await_source_word(&mut self, observe: &mut dyn FnMut(Event<'_>)) -> Result<(), RunError> {
        while matches!(self.next, Some(Destination { phase: Phase::Asked(_), .. })) {
            let mut sockets = vec![PollFd::from_borrowed_fd(self.current.pidfd(), PollFlags::IN)];
            sockets.extend(self.current.control().map(|control| PollFd::from_borrowed_fd(control, PollFlags::IN)));
            let _ = poll(&mut sockets, None);
            let ended = sockets[0].revents().contains(PollFlags::IN);
            self.hear_source(observe)?;
            if ended {
                break;
            }
        }
        Ok(())
    }

    fn source_ended(&mut self) -> Result<Option<Exit>, RunError> {
        if matches!(self.next, Some(Destination { phase: Phase::SourceGone(..), .. })) {
            return Ok(None);
        }
        let status = self.current.wait()?;
        if let Some(next) = self.next.take() {
            next.host.discard();
        }
        Ok(Some(match (status.code(), status.signal()) {
            (Some(code), _) => Exit::Status(code),
            (None, signal) => Exit::Signal(signal.unwrap_or(0)),
        }))
    }
}

/// The clock that the runtime reads (`CLOCK_MONOTONIC`).
fn monotonic_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let (seconds, nanoseconds) = (u64::try_from(now.tv_sec), u64::try_from(now.tv_nsec));
    seconds.unwrap_or(0) * 1_000_000_000 + nanoseconds.unwrap_or(0)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
