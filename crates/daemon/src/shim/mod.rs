//! The process that has a program in its care: it runs it, as `maize run` does, relays its standard streams to who started it, or writes them to a log, and says
//! how it ended. The daemon starts it and hands it the connection; what becomes of the daemon then is nothing to it.

mod arrive;
mod confine;
mod leave;
pub(crate) mod log;
pub(crate) mod record;
mod resident;
mod streams;

use crate::arrivals::Arriving;
use crate::channel::{Opener, Sealer};
use crate::directory::{Directory, make_private};
use crate::error::{NodeError, Result};
use crate::link::{self, Come, QUESTIONS_LIMIT, Question};
use crate::message::{
    Attached, Ending, FromDestination, FromProgram, LIMIT, ProgramState, ProgramStatus, Start, Stream, ToProgram,
    WINDOW, receive, send,
};
use arrive::{Arrival, Link, Pieces};
use maize_abi::Isa;
use maize_node::{Departures, Exit, HopPlan, Report, RunError, RunOptions};
use resident::{Resident, Verdict};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use std::ffi::OsString;
use std::fs;
use std::io::{self, PipeReader, PipeWriter, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use streams::{Flow, Sink, Streams};

/// As podman's, and those of `maize run`.
const CANNOT_RUN: i32 = 125;
const NOT_A_PROGRAM: i32 = 126;
/// As of `maize run`: it has been saved in a snapshot.
const SAVED: i32 = 85;
/// How long a program may take to reach a migration point before a record says so.
const PATIENCE: Duration = Duration::from_secs(2);

/// Takes an order from standard input, and runs the program to its end.
///
/// # Errors
/// If there is no order, or its connection is lost. What is wrong with the program is said there.
pub fn run() -> Result<()> {
    let input = rustix::io::fcntl_dupfd_cloexec(io::stdin(), 3).map_err(NodeError::system("finding the daemon"))?;
    let mut daemon = UnixStream::from(input);
    let (order, socket) = link::take_over(&mut daemon).map_err(NodeError::system("hearing what to run"))?;
    rustix::process::setsid().map_err(NodeError::system("starting a session"))?;
    let lost = |source| NodeError::Lost { peer: order.started_by.clone(), source };
    let (mut sealer, opener) = order.connection.resume(socket).map_err(lost)?;
    let place = Place {
        programs: order.programs,
        executable: order.executable,
        node: order.node,
        started_by: order.started_by.clone(),
    };
    if let Some(come) = order.arrival {
        let link = Link::new(sealer, opener).map_err(lost)?;
        return match Shim::prepare(order.start, &place, Some(&come.status)) {
            Ok((shim, streams)) => shim.receive(&link, streams, &come),
            Err(error) => {
                link.refuse(error.to_string());
                Ok(())
            }
        };
    }
    match Shim::prepare(order.start, &place, None) {
        Ok((shim, streams)) => {
            send(&mut sealer, &FromProgram::Started(std::process::id())).map_err(lost)?;
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
}

struct Shim {
    resident: Arc<Resident>,
    /// Signals for the program, a byte each.
    signals: PipeReader,
    to_signals: Arc<PipeWriter>,
}

impl Shim {
    /// Does all that may fail before the program runs.
    fn prepare(start: Start, place: &Place, before: Option<&ProgramStatus>) -> Result<(Shim, Streams)> {
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
            let (signals, to_signals) = io::pipe().map_err(NodeError::system("making a pipe"))?;
            let command = start.arguments.iter().map(|word| word.as_os_str().to_string_lossy().into_owned()).collect();
            let status = ProgramStatus {
                program,
                command,
                started_by: place.started_by.clone(),
                started: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
                state: ProgramState::Running,
            };
            let status = match before {
                Some(before) => ProgramStatus { program, state: ProgramState::Running, ..before.clone() },
                None => status,
            };
            if before.is_none() {
                record::write(&directory, &status)?;
            }
            let to_signals = Arc::new(to_signals);
            let departures = Departures::new().map_err(NodeError::system("making a pipe"))?;
            let attached = start.attached;
            let resident = Arc::new(Resident {
                start,
                node: Directory::new(parent)?,
                directory: directory.clone(),
                file,
                departures: Arc::new(departures),
                flow: Flow::default(),
                leaves: AtomicBool::new(false),
                verdict: Verdict::default(),
                status: Mutex::new(status),
            });
            // The daemon finds this process by its socket from now on.
            listen(&resident, &to_signals)?;
            let streams = streams::open(attached)?;
            Ok((Shim { resident, signals, to_signals }, streams))
        };
        prepare().inspect_err(|_: &NodeError| {
            let _ = fs::remove_dir_all(&directory);
        })
    }

    /// Runs the program.
    fn run(self, streams: Streams, sealer: Sealer, opener: Opener) -> Result<()> {
        let attached = self.resident.start.attached;
        hand_on_signals(&self.to_signals, attached);
        let is_detached = attached == Attached::No;
        let sealer = Arc::new(Mutex::new(sealer));
        let sink = if is_detached {
            // Who started it has its number, and needs no more.
            let _ = opener.socket().shutdown(std::net::Shutdown::Both);
            Sink::Log(self.create_log()?, self.resident.flow.clone())
        } else {
            self.relay_input(&sealer, opener, streams.input, streams.terminal);
            Sink::Connection(Arc::clone(&sealer))
        };
        let pumps = Pumps::start(streams.outputs, &sink)?;
        let result = maize_node::run(&self.options(), &mut |_| {});
        let connection = (!is_detached).then_some(&*sealer);
        self.end(result, pumps, connection)
    }

    fn create_log(&self) -> Result<Arc<Mutex<log::Writer>>> {
        let directory = &self.resident.directory;
        let writer = log::Writer::create(directory).map_err(NodeError::file("write", directory))?;
        Ok(Arc::new(Mutex::new(writer)))
    }

    /// Receives the program from another node, and runs it if it comes.
    fn receive(self, link: &Link, streams: Streams, come: &Come) -> Result<()> {
        hand_on_signals(&self.to_signals, Attached::No);
        let has_come = AtomicBool::new(false);
        let begin = || -> Result<(Pumps, Pieces, Arriving)> {
            let lost = |source| NodeError::Lost { peer: "the program's old node".into(), source };
            let writer = self.create_log()?;
            let arriving = Arriving::new(&self.resident.directory, &come.transfer)?;
            link.say(&FromDestination::Ready(std::process::id())).map_err(lost)?;
            link.check().map_err(NodeError::Invalid)?;
            let pieces = link.receive_log(&writer).map_err(lost)?;
            let sink = Sink::Log(writer, self.resident.flow.clone());
            Ok((Pumps::start(streams.outputs, &sink)?, pieces, arriving))
        };
        let reason = match begin() {
            Ok((pumps, pieces, arriving)) => {
                let options = self.options();
                let arrival = Arrival { come, arriving, has_come: &has_come };
                let result = arrive::receive_program(&self.resident, link, pieces, arrival, &options);
                match result {
                    Err(error) if !has_come.load(Ordering::SeqCst) => error.to_string(),
                    result => return self.end(result, pumps, None),
                }
            }
            Err(error) => error.to_string(),
        };
        let _ = fs::remove_dir_all(&self.resident.directory);
        link.refuse(reason);
        Ok(())
    }

    /// Says and writes down how the program has ended. Who started it has this connection, if it is attached.
    fn end(
        self,
        result: std::result::Result<Report, RunError>,
        pumps: Pumps,
        connection: Option<&Mutex<Sealer>>,
    ) -> Result<()> {
        let directory = &self.resident.directory;
        let message = result.as_ref().err().map(|error| (status_of(error), error.to_string()));
        if let Some((_, message)) = message.as_ref().filter(|_| connection.is_none()) {
            // Nobody else will tell.
            let _ = writeln!(io::stderr(), "maize: error: {message}");
        }
        // This process has standard error, too.
        if let Ok(null) = rustix::fs::open("/dev/null", rustix::fs::OFlags::RDWR, rustix::fs::Mode::empty()) {
            let _ = rustix::stdio::dup2_stderr(&null);
        }
        pumps.end();
        let is_away = matches!(result, Ok(Report { exit: Exit::Away, .. }));
        let ending = match result.map(|report| report.exit) {
            Ok(Exit::Status(status)) => Ending::Status(status),
            Ok(Exit::Signal(signal)) => Ending::Signal(signal),
            // Where it has gone is known already.
            Ok(Exit::Saved | Exit::Away) => Ending::Status(SAVED),
            Err(error) => Ending::Status(status_of(&error)),
        };
        let Some(sealer) = connection else {
            let _ = fs::remove_dir_all(directory.join("bin"));
            let _ = fs::remove_file(link::socket(directory));
            if is_away {
                leave::follow_up(&self.resident, &self.signals);
            }
            return self.resident.becomes(ProgramState::Ended(ending));
        };
        {
            // Who started it hears all there is to say.
            let last = match message {
                Some((status, message)) => FromProgram::CannotStart { status, message },
                None => FromProgram::Ended(ending),
            };
            let mut sealer = sealer.lock().unwrap_or_else(PoisonError::into_inner);
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
        let signals = self.signals.try_clone().ok().map(|pipe| Arc::new(OwnedFd::from(pipe)));
        RunOptions {
            program: self.resident.file.clone(),
            arguments: start.arguments.iter().cloned().map(OsString::from).collect(),
            isa: start.isa.as_ref().map(isa).or(first).unwrap_or_else(own_isa),
            hop,
            // Who wants it elsewhere may come at any time.
            movable: start.attached == Attached::No,
            checkpoint: None,
            events: None,
            patience: PATIENCE,
            kill_destination: Vec::new(),
            signals,
            departures: Some(Arc::clone(&self.resident.departures)),
        }
    }

    /// Hears what who started the program has for it. If the connection is lost, the program is told to hang up, as when a terminal is closed.
    fn relay_input(
        &self,
        sealer: &Arc<Mutex<Sealer>>,
        mut opener: Opener,
        input: Option<OwnedFd>,
        terminal: Option<Arc<OwnedFd>>,
    ) {
        let (pieces, queue) = channel::<Vec<u8>>();
        let answers = Arc::clone(sealer);
        let waiting = Arc::new(AtomicUsize::new(0));
        let fed = Arc::clone(&waiting);
        thread::spawn(move || feed(&queue, input, &answers, &fed));
        let signals = Arc::clone(&self.to_signals);
        opener.watch();
        thread::spawn(move || {
            // However it ended, nobody is there any more.
            let _ = hear(&mut opener, pieces, &waiting, &signals, terminal.as_deref());
            // Ends what is being written, too.
            let _ = opener.socket().shutdown(std::net::Shutdown::Both);
            let _ = (&*signals).write(&[SIGHUP as u8]);
        });
    }
}

/// The threads that hand on what the program writes.
struct Pumps {
    threads: Vec<thread::JoinHandle<()>>,
    tell_ended: PipeWriter,
}

impl Pumps {
    fn start(outputs: Vec<(Stream, OwnedFd)>, sink: &Sink) -> Result<Pumps> {
        let (ended, tell_ended) = io::pipe().map_err(NodeError::system("making a pipe"))?;
        let ended = Arc::new(ended);
        let start = |(stream, from): (Stream, OwnedFd)| {
            let (from, sink, ended) = (Arc::new(from), sink.clone(), Arc::clone(&ended));
            if let Sink::Log(_, flow) = &sink {
                flow.watch(&from);
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
    terminal: Option<&OwnedFd>,
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
            ToProgram::Resize(size) => {
                if let Some(terminal) = terminal {
                    streams::resize(terminal, size)?;
                }
            }
        }
    }
    Ok(())
}

/// Writes to the program's input what comes, and says how much that was, so that more comes.
fn feed(queue: &Receiver<Vec<u8>>, input: Option<OwnedFd>, sealer: &Mutex<Sealer>, waiting: &AtomicUsize) {
    let mut input = input.map(fs::File::from);
    while let Ok(piece) = queue.recv() {
        if let Some(file) = &mut input
            && file.write_all(&piece).is_err()
        {
            // It does not read any more.
            input = None;
        }
        waiting.fetch_sub(piece.len(), Ordering::Relaxed);
        let mut sealer = sealer.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = FromProgram::Taken(u32::try_from(piece.len()).unwrap_or(u32::MAX));
        if send(&mut *sealer, &taken).is_err() {
            return;
        }
    }
}

fn status_of(error: &RunError) -> i32 {
    match error {
        RunError::Image(_) | RunError::NoSuchIsa { .. } => NOT_A_PROGRAM,
        _ => CANNOT_RUN,
    }
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

/// Listens for the daemon.
fn listen(resident: &Arc<Resident>, to_signals: &Arc<PipeWriter>) -> Result<()> {
    let path = link::socket(&resident.directory);
    let listener = UnixListener::bind(&path).map_err(NodeError::file("listen at", path))?;
    let (resident, to_signals) = (Arc::clone(resident), Arc::clone(to_signals));
    thread::spawn(move || {
        // Closed by the end of this process.
        let mut watchers = Vec::new();
        for mut stream in listener.incoming().flatten() {
            let mut answer = || -> io::Result<bool> {
                stream.set_read_timeout(Some(Duration::from_secs(1)))?;
                let question = receive::<Question>(&mut stream, QUESTIONS_LIMIT)?;
                if let Some(Question::Leave(order)) = question {
                    let connection = link::receive_socket(&stream)?;
                    let (resident, mut stream) = (Arc::clone(&resident), stream.try_clone()?);
                    thread::spawn(move || {
                        // Who asked may have gone.
                        let _ = send(&mut stream, &leave::leave(&resident, *order, connection));
                    });
                    return Ok(false);
                }
                let is_done = match question {
                    Some(Question::Signal(signal)) => resident.hand_on(signal, &mut &*to_signals)?,
                    Some(Question::Resolve { here }) => {
                        let waits = matches!(resident.status().state, ProgramState::Unsettled(_));
                        if waits {
                            resident.verdict.say(here);
                        }
                        waits
                    }
                    _ => true,
                };
                send(&mut stream, &is_done)?;
                Ok(matches!(question, Some(Question::Watch)))
            };
            if answer().is_ok_and(|stays| stays) {
                watchers.push(stream);
            }
        }
    });
    Ok(())
}

/// The machine's own ISA.
fn own_isa() -> Isa {
    Isa::from_name(std::env::consts::ARCH).unwrap_or(Isa::X86_64)
}
