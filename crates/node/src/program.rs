//! One process of the program: the host process it is in, the one it moves to next, and the moves it has made.
//!
//! The memory, descriptors and frames go from host to host directly; the node only brings the two together and keeps the record. If a
//! destination fails, the process runs on at its source.

use crate::control::door::Door;
use crate::control::protocol::Happened;
use crate::error::RunError;
use crate::events::Counted;
use crate::host::{Heard, Host, Launchers, socket_pair};
use crate::kernel::Ended;
use crate::pager::Offer;
use crate::plan::Tour;
use crate::processes::{Change, Id};
use crate::reminder::Reminder;
use crate::report::{Fetched, Migration, Place, Stay};
use crate::supervisor::{Event, Memory, RunOptions};
use maize_abi::control::{Kind, Message};
use maize_abi::processes::{SERVED, SignalInformation};
use rustix::process::{Signal, kill_process};
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

mod behind;
mod course;
mod order;
mod saving;
mod signals;
mod watch;

pub(crate) use behind::Absent;
use behind::Behind;
pub(crate) use order::Order;
pub(crate) use saving::{CLOSE_ON_EXEC, Held, OF_REGION, Saving, Stage};
use signals::undelivered;
use watch::Watch;

/// What all processes of a run share.
pub(crate) struct Common<'a> {
    pub(crate) options: &'a RunOptions,
    pub(crate) started: Instant,
    /// How many moves have been asked for.
    pub(crate) asked: usize,
    pub(crate) observe: &'a mut dyn FnMut(Event<'_>),
    /// The control socket, if there is one.
    pub(crate) door: Option<Door>,
}

impl Common<'_> {
    fn moved(&mut self, process: Id, migration: &Migration) {
        (self.observe)(Event::Moved(migration));
        self.tell(|| Happened::Moved { process, migration: migration.clone() });
    }

    fn stayed(&mut self, process: Id, stay: &Stay) {
        (self.observe)(Event::Stayed(stay));
        self.tell(|| Happened::Stayed { process, stay: stay.clone() });
    }

    /// Tells those who want to know of an event.
    pub(crate) fn tell(&mut self, event: impl FnOnce() -> Happened) {
        if let Some(door) = &mut self.door {
            door.tell(event);
        }
    }
}

/// A destination: started, then ready, then with the move asked for, then with the source gone.
struct Destination {
    host: Host,
    phase: Phase,
    /// By which missing pages can be brought to it, if that is possible.
    offer: Option<Offer>,
}

impl Destination {
    fn starting(host: Host) -> Destination {
        Destination { host, phase: Phase::Starting, offer: None }
    }
}

enum Phase {
    Starting,
    Ready,
    Asked(Box<Request>),
}

/// A move that has been asked for.
struct Request {
    at: Duration,
    /// The same on the clock that hosts read, ns.
    at_ns: u64,
    /// Where in the program, if events are counted.
    place: Option<Place>,
    overdue_reported: bool,
    /// What the source has said when it left.
    departed: Option<Message>,
    /// What the destination has said when the program had come.
    arrived: Option<Message>,
    /// The destination has ended.
    dead: bool,
    /// The source has ended.
    source_gone: bool,
    /// The source stays, with pages that the destination needs.
    behind: bool,
    /// Which those are, if it has said so.
    touched: Option<Vec<Range<u64>>>,
    /// What the destination needs.
    absent: Absent,
}

impl Request {
    /// Whether the source has not left by now, and nobody has been told that.
    fn may_be_overdue(&self) -> bool {
        self.departed.is_none() && !self.overdue_reported
    }

    /// The report of a move that did not happen.
    fn stay(&self, source: &Host, destination: &Host, reason: String) -> Stay {
        Stay {
            on: source.isa.name().to_owned(),
            to: destination.isa.name().to_owned(),
            at_us: micros(self.at),
            reason,
            place: self.place.clone(),
        }
    }
}

/// Something that a process's hosts may do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Happening {
    SourceSpoke,
    SourceEnded,
    DestinationSpoke,
    DestinationEnded,
    /// All that was left behind has come, or cannot.
    Brought,
    /// The host that kept it has ended.
    BehindEnded,
    /// It hands something over, for a snapshot.
    Saved,
}

/// Another program that the process is about to execute.
pub(crate) enum Execution {
    /// One of Maize's.
    Multi(Rc<Launchers>),
    /// Any other: it will not move.
    Native,
}

/// Where a process moves, and when.
pub(crate) enum Moves {
    /// At times.
    Timed(Tour),
    /// At counted events.
    Counted(Counted),
}

/// The moves that a process has made and has not made, and how many events it counted.
pub(crate) struct History {
    pub(crate) migrations: Vec<Migration>,
    pub(crate) stays: Vec<Stay>,
    pub(crate) events: Option<u64>,
    /// Processor time without what moves took, ns.
    pub(crate) processor_ns: u64,
}

/// One process.
pub(crate) struct Program {
    id: Id,
    pub(crate) launchers: Rc<Launchers>,
    pub(crate) current: Host,
    next: Option<Destination>,
    behind: Option<Behind>,
    /// What has been brought since it was put in place here, of which nobody has been told.
    fetched: Option<Fetched>,
    moves: Option<Moves>,
    /// A move that somebody has asked for.
    order: Option<Order>,
    /// Whether it is known which pages it changes.
    watch: Watch,
    /// It is being saved.
    saving: Option<Saving>,
    /// Why it has declined to be.
    declined: Option<String>,
    /// When the host of the next move is to be started, if there is to be one, and when the move is due, from the start of the run.
    start_at: Option<Duration>,
    deadline: Duration,
    /// The process has been called and has not stopped.
    reminder: Reminder,
    /// Signals that have come back from a source that the process has left. They are older than those held.
    returned: Vec<SignalInformation>,
    /// Signals that wait until the process is in one place.
    held: Vec<SignalInformation>,
    /// Its end of the control socket of the child that it is about to make.
    pub(crate) forking: Option<OwnedFd>,
    pub(crate) executing: Option<Execution>,
    /// It is being restored: nothing is to reach its host before it says that it runs there.
    arriving: bool,
    /// It waits for a change of a child.
    pub(crate) waits: bool,
    /// It has been said to be stopped.
    stopped: bool,
    /// Stops and their ends that nobody has been told of yet.
    pub(crate) changes: Vec<Change>,
    /// Processor time used in the hosts that it has left: user and system, microseconds.
    times: [u64; 2],
    /// What its present host had used of it when the process came, ns.
    at_arrival_ns: u64,
    history: History,
}

/// How long a process has to live before a host is started for its first move.
const SETTLING: Duration = Duration::from_millis(5);

impl Program {
    pub(crate) fn new(id: Id, launchers: Rc<Launchers>, current: Host, moves: Option<Moves>, now: Duration) -> Program {
        let mut program = Program {
            id,
            launchers,
            current,
            next: None,
            behind: None,
            fetched: None,
            moves,
            order: None,
            watch: Watch::default(),
            saving: None,
            declined: None,
            start_at: None,
            deadline: Duration::ZERO,
            reminder: Reminder::default(),
            returned: Vec::new(),
            held: Vec::new(),
            forking: None,
            executing: None,
            arriving: false,
            waits: false,
            stopped: false,
            changes: Vec::new(),
            times: [0; 2],
            at_arrival_ns: 0,
            history: History { migrations: Vec::new(), stays: Vec::new(), events: None, processor_ns: 0 },
        };
        program.schedule(now);
        if let Some(Moves::Timed(_)) = program.moves {
            program.start_at = Some(now + SETTLING);
        }
        program
    }

    fn schedule(&mut self, now: Duration) {
        self.start_at = self.moves.is_some().then_some(now);
        if let Some(Moves::Timed(tour)) = &mut self.moves {
            self.deadline = now + tour.interval();
        }
    }

    /// The process executes another program now. Its events are not counted.
    pub(crate) fn executed(&mut self, launchers: Rc<Launchers>, now: Duration) {
        self.launchers = launchers;
        self.watch = Watch::default();
        self.drop_destination();
        self.moves.take_if(|moves| matches!(moves, Moves::Counted(_)));
        self.schedule(now);
    }

    /// The process will not move any more.
    fn settle(&mut self) {
        self.moves = None;
        self.start_at = None;
        self.drop_destination();
        self.fail_order("it executes a program that is not Maize's");
    }

    fn drop_destination(&mut self) {
        if let Some(next) = self.next.take() {
            next.host.discard();
        }
    }

    fn request(&self) -> Option<&Request> {
        match &self.next {
            Some(Destination { phase: Phase::Asked(request), .. }) => Some(request),
            _ => None,
        }
    }

    /// Whether the process has left its source and not arrived yet.
    fn is_between(&self) -> bool {
        self.request().is_some_and(|request| request.departed.is_some())
    }

    /// It is on its way from a snapshot into its host.
    pub(crate) fn begin_arriving(&mut self) {
        self.arriving = true;
    }

    /// What to wait for.
    pub(crate) fn watched(&self) -> Vec<(Happening, BorrowedFd<'_>)> {
        let mut watched = Vec::new();
        if let Some(control) = self.current.control() {
            watched.push((Happening::SourceSpoke, control));
        }
        if self.request().is_none_or(|request| !request.source_gone) {
            watched.push((Happening::SourceEnded, self.current.pidfd()));
        }
        if let Some(transfer) = self.transfer() {
            watched.push((Happening::Saved, transfer));
        }
        let (brought, behind) = self.watched_behind();
        watched.extend(brought.map(|done| (Happening::Brought, done)));
        watched.extend(behind.map(|source| (Happening::BehindEnded, source)));
        if let Some(next) = &self.next
            && self.request().is_none_or(|request| request.arrived.is_none() && !request.dead)
        {
            if let Some(control) = next.host.control() {
                watched.push((Happening::DestinationSpoke, control));
            }
            watched.push((Happening::DestinationEnded, next.host.pidfd()));
        }
        watched
    }

    /// When there is something to do even if nothing happens.
    pub(crate) fn due(&self, options: &RunOptions) -> Option<Duration> {
        let due = match &self.next {
            None if self.is_ordered() && self.executing.is_none() => Some(Duration::ZERO),
            None => self.start_at,
            Some(Destination { phase: Phase::Ready, .. }) if self.may_be_asked() && self.is_ordered() => {
                Some(Duration::ZERO)
            }
            Some(Destination { phase: Phase::Ready, .. }) if self.may_be_asked() && self.is_timed() => {
                Some(self.deadline)
            }
            Some(Destination { phase: Phase::Asked(request), .. }) if request.may_be_overdue() => {
                Some(request.at + options.patience)
            }
            _ => None,
        };
        due.into_iter().chain(self.reminder.due()).min()
    }

    fn may_be_asked(&self) -> bool {
        self.is_reachable() && self.executing.is_none() && self.saving.is_none() && !self.is_in_parts()
    }

    fn is_timed(&self) -> bool {
        matches!(self.moves, Some(Moves::Timed(_)))
    }

    fn is_due(&self, now: Duration) -> bool {
        match &self.moves {
            _ if self.is_ordered() => true,
            Some(Moves::Timed(_)) => now >= self.deadline,
            Some(Moves::Counted(counted)) => counted.is_reached(),
            None => false,
        }
    }

    /// Does what is due.
    pub(crate) fn act(&mut self, common: &mut Common<'_>) -> Result<(), RunError> {
        self.start_ordered();
        self.start_destination(common)?;
        self.ask_when_due(common)?;
        self.report_overdue(common);
        if self.reminder.take(common.started.elapsed()) {
            self.current.draw_attention();
        }
        if let Some(fetched) = self.fetched.take() {
            (common.observe)(Event::Whole(&fetched));
        }
        Ok(())
    }

    /// Starts the host of the next move ahead of time.
    fn start_destination(&mut self, common: &Common<'_>) -> Result<(), RunError> {
        let is_due = self.start_at.is_some_and(|start_at| common.started.elapsed() >= start_at);
        if self.next.is_some() || self.executing.is_some() || !is_due {
            return Ok(());
        }
        let isa = match &mut self.moves {
            Some(Moves::Timed(tour)) => tour.next(),
            Some(Moves::Counted(counted)) => counted.next(),
            None => None,
        };
        let Some(isa) = isa else {
            self.start_at = None;
            return Ok(());
        };
        let launcher = self.launchers.of(isa)?;
        let host = Host::start(&launcher, &Message::new(Kind::Receive, [0; 8]))?;
        self.next = Some(Destination::starting(host));
        Ok(())
    }

    fn ask_when_due(&mut self, common: &mut Common<'_>) -> Result<(), RunError> {
        let now = common.started.elapsed();
        if !self.is_due(now) || !self.may_be_asked() {
            return Ok(());
        }
        let Some(next) = self.next.as_mut().filter(|next| matches!(next.phase, Phase::Ready)) else { return Ok(()) };
        common.asked += 1;
        let at_ns = monotonic_ns();
        let kill = common.options.kill_destination.contains(&common.asked);
        if kill {
            // Stopped, it cannot answer; it is killed once the source has had time to start the move.
            let _ = kill_process(next.host.pid(), Signal::STOP);
        }
        let (theirs, ours) = socket_pair()?;
        // Whoever has moved is not where the kernel's table has it.
        next.host.send(&Message::new(Kind::Accept, [SERVED, 0, 0, 0, 0, 0, 0, 0]), Some(theirs.as_fd()))?;
        let mut order = Message::new(Kind::Move, [0; 8]);
        let mut place = None;
        if let Some(Moves::Counted(counted)) = &mut self.moves {
            order.values[0] = counted.next_event();
            place = Some(counted.take_place());
        }
        let may_leave = next.offer.is_some() && common.options.memory == Memory::PostCopy;
        let descriptors = [ours.as_fd(), next.host.pidfd()];
        // The process may just have ended; its pidfd will tell.
        let _ = self.current.send_all(&order, &descriptors[..if may_leave { 2 } else { 1 }]);
        if place.is_none() {
            // After the message: a source that finds none goes on.
            self.current.draw_attention();
            self.reminder = Reminder::new(now);
        }
        next.phase = Phase::Asked(Box::new(Request {
            at: now,
            at_ns,
            place,
            overdue_reported: false,
            departed: None,
            arrived: None,
            dead: false,
            source_gone: false,
            behind: false,
            touched: None,
            absent: Absent::default(),
        }));
        if kill {
            std::thread::sleep(Duration::from_millis(20));
            let _ = kill_process(next.host.pid(), Signal::KILL);
        }
        Ok(())
    }

    fn report_overdue(&mut self, common: &mut Common<'_>) {
        let now = common.started.elapsed();
        let Some(Destination { host, phase: Phase::Asked(request), .. }) = &mut self.next else { return };
        if !request.may_be_overdue() || now < request.at + common.options.patience {
            return;
        }
        request.overdue_reported = true;
        let reason =
            format!("no migration point reached within {} ms; still waiting", common.options.patience.as_millis());
        let stay = request.stay(&self.current, host, reason);
        common.stayed(self.id, &stay);
        self.history.stays.push(stay);
    }

    /// The source has said something about a move. Questions are not for here.
    pub(crate) fn hear_source(&mut self, heard: &Heard, common: &mut Common<'_>) -> Result<(), RunError> {
        let message = &heard.message;
        if let Some(Moves::Counted(counted)) = &mut self.moves {
            counted.hear(message);
            self.history.events = counted.passed();
        }
        if let Some(Kind::Departed | Kind::Stayed) = message.kind() {
            self.reminder = Reminder::default();
        }
        if message.kind() == Some(Kind::Departed) {
            self.look_for_stop();
        }
        match (message.kind(), &mut self.next) {
            (Some(Kind::Departed), Some(Destination { phase: Phase::Asked(request), .. })) => {
                request.departed = Some(*message);
                // It may be gone, which is as good.
                let _ = self.current.send(&Message::new(Kind::Release, [0; 8]), None);
                if self.stopped {
                    self.pass_stop_on();
                }
                self.complete(common)?;
            }
            (Some(Kind::Stayed), _) if self.saving.is_some() => {
                self.runs_on(message.text());
            }
            (Some(Kind::Watched), _) => self.hear_watched(heard),
            (Some(Kind::Behind), _) => {
                self.hear_behind(heard)?;
                self.complete(common)?;
            }
            (Some(Kind::Stayed), Some(Destination { host, phase: Phase::Asked(request), .. })) => {
                let stay = request.stay(&self.current, host, message.text().to_owned());
                if self.note_stay(&stay) {
                    common.stayed(self.id, &stay);
                    self.history.stays.push(stay);
                }
                self.drop_destination();
                self.schedule(common.started.elapsed());
            }
            (Some(Kind::Arrived), _) => {
                self.arriving = false;
                self.deliver_held();
            }
            (Some(Kind::Undelivered), _) => self.returned.push(undelivered(message)),
            _ => {}
        }
        Ok(())
    }

    /// The runtime has closed its control socket: the process ends, or executes what is not Maize's.
    pub(crate) fn hung_up(&mut self) {
        if self.request().is_none_or(|request| request.departed.is_none()) {
            self.executing = None;
            self.settle();
        }
    }

    fn add(&mut self, times: [u64; 2]) {
        for (sum, time) in self.times.iter_mut().zip(times) {
            *sum += time;
        }
    }

    /// The node ends before the process does.
    pub(crate) fn leave(mut self) -> Result<History, RunError> {
        self.drop_destination();
        self.await_behind()?;
        Ok(self.history)
    }

    /// The process has ended.
    pub(crate) fn end(mut self) -> Result<(Ended, History), RunError> {
        self.drop_destination();
        self.drop_behind()?;
        let ended = self.current.wait()?;
        let used_ns = ended.times.iter().sum::<u64>() * 1000;
        self.history.processor_ns += used_ns.saturating_sub(self.at_arrival_ns);
        self.add(ended.times);
        let ended = Ended { times: self.times, ..ended };
        Ok((ended, self.history))
    }
}

/// The clock that the runtime reads (`CLOCK_MONOTONIC`).
pub(crate) fn monotonic_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let (seconds, nanoseconds) = (u64::try_from(now.tv_sec), u64::try_from(now.tv_nsec));
    seconds.unwrap_or(0) * 1_000_000_000 + nanoseconds.unwrap_or(0)
}

/// The wall clock, ns.
pub(crate) fn since_1970_ns() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos());
    u64::try_from(now).unwrap_or(u64::MAX)
}

pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
