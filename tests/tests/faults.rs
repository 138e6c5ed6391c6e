//! Something is killed, cut or used up while a program goes to another node (docs/nodes.md): nothing that survives is lost, and there are never two copies. At each message of the move, where it is
//! known what must come of it, and at times that a seed draws.

use anyhow::{Context as _, Result, bail, ensure};
use maize_tests::{Cut, Disk, Journey, Point, Proxy, Said, children, is_so_within, thorough};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// Steps of the program: some seconds.
const STEPS: &str = "400";
/// So long a node is off the network: unnoticed, until it is said to be down, and until connections are given up.
const AWAY: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(6), Duration::from_secs(20)];
/// Everything is known by then, whatever was cut.
const PATIENCE: Duration = Duration::from_secs(90);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    LinkClosed,
    LinkSilent,
    SourceShim,
    DestinationShim,
    SourceDaemon,
    DestinationDaemon,
    /// The disk with the destination's directory has no room left until the move has ended.
    DiskFull,
    /// The destination's shim and its hosts get no more memory than they have.
    MemoryFull,
    /// The destination is off the network for some seconds.
    NetworkCut,
}

use Fault::{
    DestinationDaemon, DestinationShim, DiskFull, LinkClosed, LinkSilent, MemoryFull, NetworkCut, SourceDaemon,
    SourceShim,
};

/// Those that are tried at each message.
const FAULTS: [Fault; 8] =
    [LinkClosed, LinkSilent, SourceShim, DestinationShim, SourceDaemon, DestinationDaemon, DiskFull, MemoryFull];
/// Those that are tried at any time. A silent link takes its time, and is nothing else at another moment.
const FAULTS_BY_TIME: [Fault; 7] =
    [SourceShim, DestinationShim, SourceDaemon, DestinationDaemon, DiskFull, MemoryFull, NetworkCut];
const POINTS: [Point; 5] = [Point::Offer, Point::Piece, Point::Restored, Point::Commit, Point::Taken];
/// Where memory that comes after the program has not come, or not all of it.
const POINTS_AFTER: [Point; 4] = [Point::Commit, Point::Taken, Point::Memory(1), Point::Memory(8 << 20)];

/// When its memory goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Memory {
    Before,
    /// It has more than goes while it is stopped.
    After,
}

impl Memory {
    /// Of the program, after its file and the number of its steps.
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Memory::Before => &[],
            Memory::After => &["memory", "24"],
        }
    }

    /// Of `maize migrate`.
    fn options(self) -> &'static [&'static str] {
        match self {
            Memory::Before => &[],
            Memory::After => &["--memory", "after"],
        }
    }
}

/// Where a program is when all is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Stays,
    Goes,
    /// It has gone with the shim that had it, and its node says so.
    Lost,
}

impl Fault {
    /// What must come of it if it happens just before this message passes (which is lost if the link is cut).
    fn outcome(self, point: Point, memory: Memory) -> Outcome {
        match (self, point) {
            (LinkClosed | LinkSilent | NetworkCut, Point::Taken | Point::Memory(_)) => Outcome::Goes,
            (LinkClosed | LinkSilent | NetworkCut, _) => Outcome::Stays,
            // `Commit` is on its way.
            (SourceShim, Point::Commit | Point::Taken) if memory == Memory::Before => Outcome::Goes,
            (SourceShim, _) => Outcome::Lost,
            (DestinationShim, Point::Taken | Point::Memory(_)) => Outcome::Lost,
            (DestinationShim, _) => Outcome::Stays,
            (DestinationDaemon, Point::Offer) => Outcome::Stays,
            // What is written when it comes is on the disk by then, but for the names.
            (DiskFull, Point::Offer | Point::Piece) => Outcome::Stays,
            (DiskFull, _) => Outcome::Goes,
            (MemoryFull, Point::Offer | Point::Piece) => Outcome::Stays,
            // The program is in place, and the emulator, or its shim, does not get what it needs to run it.
            (MemoryFull, _) => Outcome::Lost,
            (SourceDaemon | DestinationDaemon, _) => Outcome::Goes,
        }
    }

    /// Whether that may come of it, too: nobody knows when more memory is needed next, or whether the program writes to its log before it stops.
    fn may_go(self, point: Point, memory: Memory) -> bool {
        match self {
            MemoryFull => self.outcome(point, memory) == Outcome::Lost,
            _ => (self, point) == (DiskFull, Point::Piece),
        }
    }

    /// What happens to the message and its connection.
    fn cut(self) -> Cut {
        match self {
            LinkClosed => Cut::Closed,
            LinkSilent => Cut::Silent,
            _ => Cut::None,
        }
    }

    /// The node whose daemon is killed.
    fn daemon(self) -> Option<usize> {
        match self {
            SourceDaemon => Some(0),
            DestinationDaemon => Some(1),
            _ => None,
        }
    }
}

struct Faults {
    journey: Journey,
    proxy: Proxy,
    memory: Memory,
    natively: Said,
    expected: String,
    tries: u32,
    /// What node b's directory is on: dropped when nobody uses it any more.
    disk: Disk,
}

/// Room for a node with some programs.
const DISK: u64 = 64 << 20;

fn kill(process: u32) {
    if let Some(process) = i32::try_from(process).ok().and_then(Pid::from_raw) {
        let _ = kill_process(process, Signal::KILL);
    }
}

/// The numbers of the programs in a directory.
fn programs(directory: &Path) -> BTreeSet<u32> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The one that is in a directory and was not, as soon as there is one.
fn new_program(directory: &Path, known: &BTreeSet<u32>) -> Option<u32> {
    let begun = Instant::now();
    loop {
        let new = programs(directory).difference(known).copied().next();
        if new.is_some() || begun.elapsed() > Duration::from_secs(5) {
            return new;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// A process and its children get no more memory than they have, and so do those that they start.
fn starve(process: u32) {
    for process in [process].into_iter().chain(children(process).unwrap_or_default()) {
        // It may have ended.
        let Ok(sizes) = fs::read_to_string(format!("/proc/{process}/statm")) else { continue };
        let pages = sizes.split_whitespace().next().and_then(|pages| pages.parse::<u64>().ok());
        let bytes = pages.map(|pages| pages * rustix::param::page_size() as u64);
        let process = i32::try_from(process).ok().and_then(Pid::from_raw);
        let _ = prlimit(process, Resource::As, Rlimit { current: bytes, maximum: bytes });
    }
}

impl Faults {
    fn new(test: &str, memory: Memory) -> Result<Option<Faults>> {
        let root = env!("CARGO_TARGET_TMPDIR");
        let Some((mut journey, proxy)) = Journey::with_proxy(root, test, "diary", 2)? else { return Ok(None) };
        let Some(disk) = Disk::new(DISK)? else { return Ok(None) };
        journey.cluster.succeed(1, &["node", "stop"])?;
        disk.take(&journey.cluster.directory(1))?;
        journey.start_daemon(1, &Proxy::OPTIONS)?;
        journey.cluster.wait_for_state(0, 1, "ready")?;
        let path = |name: &str| journey.directory.join(name).display().to_string();
        let natively = journey.natively(&[&[&*path("expected"), STEPS], memory.arguments()].concat())?;
        let expected = fs::read_to_string(path("expected"))?;
        // So that the executable is there already.
        journey.wait_for_end(&journey.start(1, &[&path("before"), "1"])?)?;
        Ok(Some(Faults { journey, proxy, memory, natively, expected, tries: 0, disk }))
    }

    /// Has a program move, and the fault happen so long after a message; what has come of it.
    fn attempt(&mut self, fault: Fault, point: Point, delay: Duration) -> Result<Outcome> {
        self.tries += 1;
        let file = self.journey.directory.join(format!("file{}", self.tries));
        let path = file.display().to_string();
        let name = self.journey.start(0, &[&[&*path, STEPS], self.memory.arguments()].concat())?;
        self.journey.wait_for_progress(&name)?;
        let there = self.journey.cluster.directory(1).join("programs");
        let known = programs(&there);
        let own: u32 = name.split_once(':').context("no name")?.1.parse()?;
        let daemon = fault.daemon().and_then(|node| self.journey.cluster.daemon(node));
        let room = self.disk.room();
        let deed = move || match fault {
            LinkClosed | LinkSilent | NetworkCut => {}
            SourceShim => kill(own),
            SourceDaemon | DestinationDaemon => daemon.into_iter().for_each(kill),
            DestinationShim => new_program(&there, &known).into_iter().for_each(kill),
            MemoryFull => new_program(&there, &known).into_iter().for_each(starve),
            // What cannot be filled is seen by what comes of it.
            DiskFull => room.fill().unwrap_or_default(),
        };
        // Of a shim that is not there yet nothing passes before the message has.
        let is_later = !delay.is_zero() || (matches!(fault, DestinationShim | MemoryFull) && point == Point::Offer);
        let (tell, told) = channel();
        let deed = move || {
            deed();
            // Who waits for it may have given up.
            let _ = tell.send(());
        };
        self.proxy.arm(point, fault.cut(), move || {
            if is_later {
                std::thread::spawn(move || {
                    std::thread::sleep(delay);
                    deed();
                });
            } else {
                deed();
            }
        });
        let mut moving = self.journey.begin_move_with(&name, 1, self.memory.options())?;
        ensure!(self.proxy.has_sprung(Duration::from_secs(60)), "{fault:?} at {point:?}: the program does not move");
        if let Some(node) = fault.daemon() {
            std::thread::sleep(delay + Duration::from_millis(300));
            self.journey.cluster.kill(node)?;
            let options: &[&str] = if node == 1 { &Proxy::OPTIONS } else { &[] };
            self.journey.start_daemon(node, options)?;
        }
        if fault == NetworkCut {
            std::thread::sleep(delay);
            self.journey.cluster.network.cut(1)?;
            std::thread::sleep(AWAY[delay.as_micros() as usize % AWAY.len()]);
            self.journey.cluster.network.mend(1)?;
        }
        let has_ended = is_so_within(PATIENCE, || Ok(moving.try_wait()?.is_some()))?;
        if !has_ended {
            moving.kill()?;
            moving.wait()?;
            bail!("{fault:?} at {point:?}: maize migrate does not end");
        }
        told.recv_timeout(PATIENCE).with_context(|| format!("{fault:?} at {point:?} does not happen"))?;
        self.disk.room().clear()?;
        let outcome = self.outcome(&name, &file).with_context(|| format!("{fault:?} at {point:?} and {delay:?}"))?;
        self.journey.cluster.wait_for_state(0, 1, "ready")?;
        Ok(outcome)
    }

    /// Waits until it is known where the program is, and sees to it that it does there what it does natively, once.
    fn outcome(&self, name: &str, file: &PathBuf) -> Result<Outcome> {
        let mut at = name.to_owned();
        let mut state = serde_json::Value::Null;
        let is_known = is_so_within(PATIENCE, || {
            at = self.journey.where_it_is(name)?;
            state = self.journey.state(&at)?;
            Ok(state.is_null() || state == "lost" || state["ended"].is_object())
        })?;
        ensure!(is_known, "nobody knows about {name}: {state}");
        let written = || -> Result<String> { Ok(fs::read_to_string(file)?) };
        if state["ended"]["status"].is_number() {
            let said = self.journey.wait_for_end(&at)?;
            ensure!(said == self.natively, "{said:?}\nnatively\n{:?}", self.natively);
            let found = written()?;
            ensure!(found == self.expected, "two copies, or a part of one:\n{found}");
            return Ok(if at == name { Outcome::Stays } else { Outcome::Goes });
        }
        // What is left of it, if anything is, hears of it when it writes next.
        std::thread::sleep(Duration::from_secs(1));
        let found = written()?;
        ensure!(self.expected.starts_with(&found), "two copies:\n{found}");
        std::thread::sleep(Duration::from_millis(500));
        ensure!(written()? == found, "it is said to be lost, and runs");
        Ok(Outcome::Lost)
    }

    /// Decisions are kept no longer than they are needed.
    fn require_nothing_left(&self) -> Result<()> {
        for (node, name) in [(0, "arrivals"), (1, "arrivals"), (0, "verdicts")] {
            let directory = self.journey.cluster.directory(node).join(name);
            let is_empty = || Ok(fs::read_dir(&directory).map_or(0, Iterator::count) == 0);
            ensure!(is_so_within(PATIENCE, is_empty)?, "something is left in {}", directory.display());
        }
        Ok(())
    }
}

/// So often each is tried.
fn tries() -> u32 {
    std::env::var("MAIZE_TRIES").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

fn print(table: &BTreeMap<(Fault, Point), BTreeMap<Outcome, u32>>) {
    for ((fault, point), outcomes) in table {
        let cells: Vec<String> = outcomes.iter().map(|(outcome, count)| format!("{outcome:?} {count}")).collect();
        println!("{fault:?} | {point:?} | {}", cells.join(", "));
    }
}

/// Every fault at each of these messages.
fn at_messages(test: &str, memory: Memory, points: &[Point]) -> Result<()> {
    let Some(mut faults) = Faults::new(test, memory)? else { return Ok(()) };
    let mut table: BTreeMap<(Fault, Point), BTreeMap<Outcome, u32>> = BTreeMap::new();
    let mut wrong = Vec::new();
    for fault in FAULTS {
        for &point in points {
            for _ in 0..tries() {
                let outcome = faults.attempt(fault, point, Duration::ZERO)?;
                *table.entry((fault, point)).or_default().entry(outcome).or_default() += 1;
                let may_go = outcome == Outcome::Goes && fault.may_go(point, memory);
                if outcome != fault.outcome(point, memory) && !may_go {
                    wrong.push((fault, point, outcome));
                }
            }
        }
    }
    print(&table);
    ensure!(wrong.is_empty(), "not what must come of it: {wrong:?}");
    faults.require_nothing_left()
}

/// Takes some minutes.
#[test]
#[ignore = "takes minutes"]
fn what_comes_of_a_fault_depends_on_the_message_at_which_it_happens() -> Result<()> {
    at_messages("faults-messages", Memory::Before, &POINTS)
}

#[test]
#[ignore = "takes minutes"]
fn what_comes_of_a_fault_while_memory_comes_depends_on_the_message_at_which_it_happens() -> Result<()> {
    at_messages("faults-messages-after", Memory::After, &POINTS_AFTER)
}

/// Faults that a seed draws, so that a failure repeats as far as times do.
fn at_any_time(test: &str, memory: Memory, points: &[Point], count: u32) -> Result<()> {
    let seed = std::env::var("MAIZE_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1_u64);
    let Some(mut faults) = Faults::new(&format!("{test}-{seed}"), memory)? else { return Ok(()) };
    let mut state = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(2 * seed + 1);
    let mut random = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) % below
    };
    let count = if thorough() { 30 * tries() } else { count };
    let mut table: BTreeMap<(Fault, Point), BTreeMap<Outcome, u32>> = BTreeMap::new();
    for number in 1..=count {
        let fault = FAULTS_BY_TIME[random(FAULTS_BY_TIME.len() as u64) as usize];
        let point = points[random(points.len() as u64) as usize];
        let delay = Duration::from_micros(1 + random(60_000));
        let outcome = faults.attempt(fault, point, delay).with_context(|| format!("seed {seed}, fault {number}"))?;
        println!("seed {seed}, {number} of {count}: {fault:?} {delay:?} after {point:?}: {outcome:?}");
        *table.entry((fault, point)).or_default().entry(outcome).or_default() += 1;
        let may_be_lost = matches!(fault, SourceShim | DestinationShim | MemoryFull);
        ensure!(outcome != Outcome::Lost || may_be_lost, "seed {seed}: lost by {fault:?} {delay:?} after {point:?}");
    }
    print(&table);
    faults.require_nothing_left()
}

#[test]
fn a_fault_at_any_time_loses_nothing_and_makes_no_copies() -> Result<()> {
    at_any_time("faults-times", Memory::Before, &POINTS, 5)
}

#[test]
fn a_fault_while_memory_comes_loses_nothing_and_makes_no_copies() -> Result<()> {
    at_any_time("faults-times-after", Memory::After, &POINTS_AFTER, 3)
}
