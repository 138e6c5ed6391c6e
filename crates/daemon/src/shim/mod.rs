//! The process that has a program in its care: it runs it, as `maize run` does, hands its standard streams on to who started it, or writes them to a log, and says
//! how it ended. The daemon starts it and hands it the connection; what becomes of the daemon then is nothing to it.

mod after;
mod arrive;
mod ask;
pub(crate) mod confine;
mod filter;
mod follow;
mod home;
mod incoming;
mod leave;
mod listen;
pub(crate) mod log;
mod outgoing;
mod pace;
pub(crate) mod record;
mod relay;
mod resident;
mod restore;
mod streams;
mod terminal;

use crate::addresses;
use crate::arrivals::Arriving;
use crate::channel::{Opener, Sealer};
use crate::directory::{Directory, make_private};
use crate::error::{NodeError, Result};
use crate::limits;
use crate::link::{self, Beginning, Come};
use crate::message::{
    Attached, Ending, FromDestination, FromProgram, LIMIT, ProgramState, ProgramStatus, Start, Stream, ToProgram,
    WINDOW, receive, send,
};
use crate::sync::lock;
use after::Origin;
use arrive::{Arrival, Papers, Pieces};
use confine::Terms;
use follow::Successors;
use incoming::Link;
use maize_abi::Isa;
use maize_files::Belief;
use maize_node::{Departures, Exit, HopPlan, Machine, Memory, Periodic, Report, RunError, RunOptions};
use relay::Relay;
use resident::{Resident, Verdict};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use std::ffi::OsString;
use std::fs;
use std::io::{self, PipeReader, PipeWriter, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use streams::{Flow, Input, Sink, Source, Streams};
use terminal::Terminal;

/// As podman's, and those of `maize run`.
const CANNOT_RUN: i32 = 125;
/// As of `maize run`: it has been saved in a snapshot.
const SAVED: i32 = 85;
/// How long a program may take to reach a migration point before a record says so.
const PATIENCE: Duration = Duration::from_secs(2);

/// Takes an order from standard input, and runs the program to its end.
///
/// # Errors
/// If there is no order, or its connection is lost. What is wrong with the program is said there.
pub fn run() -> Result<()> {
    let mut daemon = link::daemon()?;
    let (order, sockets) = link::take_over(&mut daemon).map_err(NodeError::system("hearing what to run"))?;
    let lost = |source| NodeError::Lost { peer: order.started_by.clone(), source };
    let (mut sealer, opener) = order.connection.resume(sockets.connection).map_err(lost)?;
    let mut start = order.start;
    let lowered = start.limits.make_room();
    start.host_name.get_or_insert_with(confine::host_name);
    limits::make_room_for_files().map_err(NodeError::system("making room for open files"))?;
    let terms = Terms::new(start.limits.clone())?;
    let store = order.executable.parent().map(Path::to_owned);
    let place = Place {
        programs: order.programs,
        executable: order.executable,
        node: order.node,
        started_by: order.started_by.clone(),
        machine: Machine { store, confinement: Some(Arc::new(terms)), ..Machine::here() },
        belief: Belief::default(),
    };
    let files = order.files.zip(sockets.files).map(|(connection, socket)| connection.resume(socket));
    let files = files.transpose().map_err(lost)?.zip(start.files.as_ref());
    let place = match files {
        Some((files, home)) => home::enter(place, home, files),
        None => Ok(place),
    };
    if let Beginning::Comes(come) = &order.beginning {
        let link = Link::new(sealer, opener).map_err(lost)?;
        let home = order.home.zip(sockets.home).map(|(connection, socket)| connection.resume(socket));
        let home = home.transpose().map_err(lost)?;
        let place = match lowered.is_empty() {
            true => place,
            false => Err(NodeError::Invalid(lowered.join("\n  "))),
        };
        return match place.and_then(|place| Shim::prepare(start, place, &order.beginning)) {
            Ok((shim, streams)) => shim.receive(&link, streams, come, home),
            Err(error) => {
                link.refuse(error.to_string());
                Ok(())
            }
        };
    }
    match place.and_then(|place| Shim::prepare(start, place, &order.beginning)) {
        Ok((shim, streams)) => {
            if let Beginning::Restored(snapshot) = &order.beginning {
                return shim.restore(snapshot, streams, sealer, opener, lowered).map_err(lost);
            }
            shim.resident.belief.begin();
            let started = FromProgram::Started { program: std::process::id(), lowered };
            send(&mut sealer, &started).map_err(lost)?;
            shim.run(streams, sealer, opener)
        }
        Err(error) => {
            let refused = FromProgram::CannotStart { status: CANNOT_RUN, message: error.to_string() };
            send(&mut sealer, &refused).map_err(lost)
        }
    }
    // The daemon's end of `daemon` tells it that this process has ended.
}

struct Place {
    programs: PathBuf,
    executable: PathBuf,
    node: String,
    started_by: String,
    machine: Machine,
    /// In the files of the program's home, if it sees those.
    belief: Belief,
}

struct Shim {
    resident: Arc<Resident>,
    /// What the program writes, if it is detached: there before anybody knows of the program.
    log: Option<Arc<Mutex<log::Writer>>>,
    /// Signals for the program, a byte each.
    signals: PipeReader,
    to_signals: Arc<PipeWriter>,
    machine: Machine,
}

impl Shim {
    /// Does all that may fail before the program runs.
    fn prepare(start: Start, place: Place, beginning: &Beginning) -> Result<(Shim, Streams)> {
        let come = beginning.comes();
        let program = std::process::id();
        let directory = place.programs.join(program.to_string());
        // Left by a program of the same number, long ago.
        let _ = fs::remove_dir_all(&directory);
        make_private(&directory)?;
        let parent = place.programs.parent().map(Path::to_owned);
        let prepare = || {
            let name = start.arguments.first().map(|name| PathBuf::from(OsString::from(name.clone())));
            let name = name.as_deref().and_then(Path::file_name).unwrap_or("program".as_ref());
            let bin = directory.join("bin");
            make_private(&bin)?;
            let file = bin.join(name);
            fs::hard_link(&place.executable, &file).map_err(NodeError::file("link", &file))?;
            confine::give_up_rights()?;
            confine::take_over(&start, &place.node)?;
            if let Some(address) = &start.address {
                if let Some(obstacle) = address.obstacle() {
                    return Err(NodeError::Invalid(obstacle));
                }
                addresses::note(&directory, address)?;
            }
            let (signals, to_signals) = io::pipe().map_err(NodeError::system("making a pipe"))?;
            let command = start.arguments.iter().map(|word| word.as_os_str().to_string_lossy().into_owned()).collect();
            let status = ProgramStatus {
                program,
                command,
                started_by: place.started_by.clone(),
                started: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
                state: ProgramState::Running,
                fetched: None,
            };
            let status = match come {
                Some(come) => {
                    ProgramStatus { program, state: ProgramState::Running, fetched: None, ..come.status.clone() }
                }
                None => status,
            };
            // The others are written down when it is known that they run here.
            if matches!(beginning, Beginning::Anew) {
                record::write(&directory, &status)?;
            }
            let to_signals = Arc::new(to_signals);
            let departures = Departures::new().map_err(NodeError::system("making a pipe"))?;
            let attached = start.attached;
            let resident = Arc::new(Resident {
                start,
                name: place.node.clone(),
                node: Directory::new(parent)?,
                control: place.machine.control.clone(),
                directory: directory.clone(),
                file,
                departures: Arc::new(departures),
                flow: Flow::default(),
                belief: place.belief,
                relay: Arc::new(Relay::new(come.and_then(|come| come.home.clone()))),
                leaves: AtomicBool::new(false),
                answering: Mutex::default(),
                following: Mutex::default(),
                successors: Successors::default(),
                verdict: Verdict::default(),
                status: Mutex::new(status),
            });
            let log = match attached {
                Attached::No => {
                    let writer = log::Writer::create(&directory).map_err(NodeError::file("write", &directory))?;
                    Some(Arc::new(Mutex::new(writer)))
                }
                _ => None,
            };
            // The daemon finds this process by its socket from now on.
            listen::listen(&resident, &to_signals)?;
            let streams = streams::open(attached)?;
            Ok((Shim { resident, log, signals, to_signals, machine: place.machine }, streams))
        };
        prepare().inspect_err(|_: &NodeError| {
            let _ = fs::remove_dir_all(&directory);
        })
    }

    /// Runs the program.
    fn run(self, streams: Streams, sealer: Sealer, opener: Opener) -> Result<()> {
        let attached = self.resident.start.attached;
        hand_on_signals(&self.to_signals, attached);
        let sealer = Arc::new(Mutex::new(sealer));
        let connection = self.log.is_none().then_some(&*sealer);
        self.has_started(&sealer);
        let pumps = self.pump(streams, &sealer, opener)?;
        let result = maize_node::run(&self.options(), &mut |_| {});
        self.end(result, pumps, connection)
    }

    /// Hands on what the program reads and writes: to who starts it, by this connection, or into its log.
    fn pump(&self, streams: Streams, sealer: &Arc<Mutex<Sealer>>, opener: Opener) -> Result<Pumps> {
        let sink = if let Some(log) = &self.log {
            Sink::Log(Arc::clone(log), self.resident.flow.clone())
        } else {
            self.relay_input(sealer, opener, streams.input, streams.terminal)?;
            Sink::Connection(Arc::clone(sealer))
        };
        Pumps::start(streams.outputs, &sink)
    }

    /// Who has started it knows its number, and needs no more if it is detached.
    fn has_started(&self, starter: &Mutex<Sealer>) {
        if self.log.is_some() {
            let _ = lock(starter).socket().shutdown(std::net::Shutdown::Both);
        }
    }

    /// Receives the program from another node, and runs it if it comes. If it is attached, `home` is the connection to the shim that hands on its streams.
    fn receive(self, link: &Link, streams: Streams, come: &Come, home: Option<(Sealer, Opener)>) -> Result<()> {
        hand_on_signals(&self.to_signals, self.resident.start.attached);
        let has_come = AtomicBool::new(false);
        let (home, hears) = home.map(|(sealer, opener)| (Arc::new(Mutex::new(sealer)), opener)).unzip();
        let begin = || -> Result<(Pumps, Pieces, Arriving, Papers)> {
            let lost = |source| NodeError::Lost { peer: "the program's old node".into(), source };
            let writer = self.log.clone();
            if let (Some(home), Some(opener)) = (&home, hears) {
                self.relay_input(home, opener, streams.input, streams.terminal)?;
            }
            let arriving = Arriving::new(&self.resident.directory, &come.transfer)?;
            let papers = Papers::prepare(&self.resident, come)?;
            link.say(&FromDestination::Ready(std::process::id())).map_err(lost)?;
            link.check().map_err(NodeError::Invalid)?;
            let origin = Origin::new(&self.resident, come);
            let pieces = link.receive_log(writer.clone(), origin).map_err(lost)?;
            let to_log = |writer| Sink::Log(writer, self.resident.flow.clone());
            let sink = writer.map(to_log).or_else(|| home.clone().map(Sink::Connection));
            let sink = sink.ok_or_else(|| NodeError::Invalid("nowhere to write to".into()))?;
            Ok((Pumps::start(streams.outputs, &sink)?, pieces, arriving, papers))
        };
        let reason = match begin() {
            Ok((pumps, pieces, arriving, papers)) => {
                let options = self.options();
                let arrival = Arrival { come, arriving, papers, has_come: &has_come };
                let result = arrive::receive_program(&self.resident, link, pieces, arrival, &options);
                match result {
                    Err(error) if !has_come.load(Ordering::SeqCst) => error.to_string(),
                    result => return self.end(result, pumps, home.as_deref()),
                }
            }
            Err(error) => error.to_string(),
        };
        let _ = fs::remove_dir_all(&self.resident.directory);
        link.refuse(reason);
        Ok(())
    }

    /// Says and writes down how the program has ended. Who started it, or the shim that stands in for that, has this connection, if it is attached.
    fn end(
        self,
        result: std::result::Result<Report, RunError>,
        pumps: Pumps,
        connection: Option<&Mutex<Sealer>>,
    ) -> Result<()> {
        let directory = &self.resident.directory;
        let message = result.as_ref().err().map(|error| (error.exit_status(), error.to_string()));
        if let Some((_, message)) = message.as_ref().filter(|_| connection.is_none()) {
            // Nobody else will tell.
            let _ = writeln!(io::stderr(), "maize: error: {message}");
        }
        // This process has standard error, too.
        if let Ok(null) = rustix::fs::open("/dev/null", rustix::fs::OFlags::RDWR, rustix::fs::Mode::empty()) {
            let _ = rustix::stdio::dup2_stderr(&null);
        }
        let is_away = matches!(result, Ok(Report { exit: Exit::Away, .. }));
        let (last, connection) = match connection.filter(|_| is_away) {
            Some(starter) if self.resident.relay.home().is_none() => {
                addresses::forget(directory);
                self.resident.wait_for_answers();
                let last = relay::stand_in(&self.resident.relay, &self.signals, starter, || pumps.end());
                (Some(last), connection)
            }
            Some(home) => {
                relay::give_back(&self.resident.relay, home, || pumps.end());
                (None, None)
            }
            None => {
                pumps.end();
                (None, connection)
            }
        };
        self.resident.wait_for_what_follows();
        let ending = match result.map(|report| report.exit) {
            Ok(Exit::Status(status)) => Ending::Status(status),
            Ok(Exit::Signal(signal)) => Ending::Signal(signal),
            // Where it has gone is known already.
            Ok(Exit::Saved | Exit::Away) => Ending::Status(SAVED),
            Err(error) => Ending::Status(error.exit_status()),
        };
        let Some(sealer) = connection else {
            let _ = fs::remove_dir_all(directory.join("bin"));
            addresses::forget(directory);
            let ended = || self.resident.becomes_at_last(ProgramState::Ended(ending));
            // Who finds the program running can ask it until this is known: that takes a write to disk.
            let is_known = (!is_away).then(&ended);
            let _ = fs::remove_file(link::socket(directory));
            return is_known.unwrap_or_else(|| {
                self.resident.wait_for_answers();
                leave::follow_up(&self.resident, &self.signals);
                ended()
            });
        };
        {
            // Who started it hears all there is to say.
            let last = match (last, message) {
                (Some(last), _) => last,
                (None, Some((status, message))) => FromProgram::CannotStart { status, message },
                (None, None) => FromProgram::Ended(ending),
            };
            let mut sealer = lock(sealer);
            // If it is gone, it has lost the connection and said so.
            let _ = send(&mut *sealer, &last);
        }
        // Threads that still wait for something are done with.
        fs::remove_dir_all(directory).map_err(NodeError::file("remove", directory))
    }

    fn options(&self) -> RunOptions {
        let start = &self.resident.start;
        let isa = |name: &String| Isa::from_name(name).unwrap_or_else(own_isa);
        let hop = start.hop.as_ref().map(|hop| HopPlan {
            isas: hop.isas.iter().map(isa).collect(),
            every: Duration::from_micros(hop.every_us),
            seed: hop.seed,
            limit: hop.limit,
        });
        let first = hop.as_ref().and_then(|hop| hop.isas.first().copied());
        let checkpoint = start.checkpoint.as_ref().map(|periodic| Periodic {
            every: Duration::from_micros(periodic.every_us),
            file: OsString::from(periodic.file.clone()).into(),
        });
        let signals = self.signals.try_clone().ok().map(|pipe| Arc::new(OwnedFd::from(pipe)));
        RunOptions {
            program: self.resident.file.clone(),
            original: Some(OsString::from(start.file.clone()).into()),
            arguments: start.arguments.iter().cloned().map(OsString::from).collect(),
            isa: start.isa.as_ref().map(isa).or(first).unwrap_or_else(own_isa),
            hop,
            movable: start.movable,
            checkpoint,
            events: None,
            patience: PATIENCE,
            kill_destination: Vec::new(),
            memory: Memory::default(),
            signals,
            departures: Some(Arc::clone(&self.resident.departures)),
            address: start.address.clone(),
            machine: self.machine.clone(),
        }
    }

    /// Hears what who started the program has for it. If the connection is lost, the program is told to hang up, as when a terminal is closed.
    fn relay_input(
        &self,
        sealer: &Arc<Mutex<Sealer>>,
        mut opener: Opener,
        input: Option<OwnedFd>,
        terminal: Option<Arc<Terminal>>,
    ) -> Result<()> {
        let input = match (input, &terminal) {
            (_, Some(terminal)) => {
                self.resident.relay.watch_terminal(terminal);
                Some(Input::Terminal(Arc::clone(terminal)))
            }
            (Some(input), None) => {
                self.resident.relay.watch_input(&input).map_err(NodeError::system("finding a pipe"))?;
                Some(Input::Pipe(input.into()))
            }
            (None, None) => None,
        };
        let (pieces, queue) = channel::<Vec<u8>>();
        let answers = Arc::clone(sealer);
        let waiting = Arc::new(AtomicUsize::new(0));
        let fed = Arc::clone(&waiting);
        thread::spawn(move || streams::feed(&queue, input, &answers, &fed));
        let (signals, resident) = (Arc::clone(&self.to_signals), Arc::clone(&self.resident));
        opener.watch();
        thread::spawn(move || {
            // However it ended, nobody is there any more.
            let _ = hear(&mut opener, pieces, &waiting, &signals, &resident.relay);
            // Ends what is being written, too.
            let _ = opener.socket().shutdown(std::net::Shutdown::Both);
            if !resident.relay.cut() {
                let _ = (&*signals).write(&[SIGHUP as u8]);
            }
        });
        Ok(())
    }
}

/// The threads that hand on what the program writes.
struct Pumps {
    threads: Vec<thread::JoinHandle<()>>,
    tell_ended: PipeWriter,
}

impl Pumps {
    fn start(outputs: Vec<(Stream, Source)>, sink: &Sink) -> Result<Pumps> {
        let (ended, tell_ended) = io::pipe().map_err(NodeError::system("making a pipe"))?;
        let ended = Arc::new(ended);
        let start = |(stream, from): (Stream, Source)| {
            let (sink, ended) = (sink.clone(), Arc::clone(&ended));
            if let (Sink::Log(_, flow), Source::Pipe(pipe)) = (&sink, &from) {
                flow.watch(pipe);
            }
            thread::spawn(move || streams::pump(stream, &from, &sink, &*ended))
        };
        Ok(Pumps { threads: outputs.into_iter().map(start).collect(), tell_ended })
    }

    /// Waits until all has been handed on that was written before now.
    fn end(self) {
        drop(self.tell_ended);
        for thread in self.threads {
            let _ = thread.join();
        }
    }
}

fn hear(
    opener: &mut Opener,
    pieces: Sender<Vec<u8>>,
    waiting: &AtomicUsize,
    signals: &PipeWriter,
    relay: &Relay,
) -> io::Result<()> {
    let mut pieces = Some(pieces);
    while let Some(message) = receive::<ToProgram>(opener, LIMIT)? {
        match message {
            ToProgram::Input(bytes) => {
                let before = waiting.fetch_add(bytes.len(), Ordering::Relaxed);
                if before + bytes.len() > WINDOW as usize {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                if let Some(pieces) = &pieces {
                    // The program may have closed its input.
                    let _ = pieces.send(bytes);
                }
            }
            ToProgram::EndOfInput => pieces = None,
            ToProgram::Signal(signal) => (&*signals).write_all(&[signal])?,
            ToProgram::Resize(size) => relay.resize(size)?,
        }
    }
    Ok(())
}

/// What this process is told goes to the program. In a terminal the program hears of keys and hang-ups by itself.
fn hand_on_signals(to_signals: &Arc<PipeWriter>, attached: Attached) {
    let in_terminal = matches!(attached, Attached::Terminal { .. });
    for signal in [SIGCHLD, SIGTERM, SIGUSR1, SIGUSR2, SIGHUP, SIGINT, SIGQUIT] {
        let is_its_own = in_terminal && [SIGHUP, SIGINT, SIGQUIT].contains(&signal);
        let writer = Arc::clone(to_signals);
        let hand_on = move || {
            if !is_its_own {
                // A signal handler has nobody to tell that it failed.
                let _ = (&*writer).write(&[signal as u8]);
            }
        };
        // SAFETY: `write` to a pipe is async-signal-safe, and nothing else is done.
        let _ = unsafe { signal_hook::low_level::register(signal, hand_on) };
    }
}

/// The machine's own ISA.
fn own_isa() -> Isa {
    Isa::from_name(std::env::consts::ARCH).unwrap_or(Isa::X86_64)
}
