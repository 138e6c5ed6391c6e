//! Something is killed or cut while a program goes to another node (docs/nodes.md): nothing that survives is lost, and there are never two copies. At each message of the move, where it is
//! known what must come of it, and at times that a seed draws.

use anyhow::{Context as _, Result, bail, ensure};
use maize_tests::{Cut, Journey, Point, Proxy, Said, is_so_within, thorough};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Steps of the program: some seconds.
const STEPS: &str = "200";
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
}

use Fault::{DestinationDaemon, DestinationShim, LinkClosed, LinkSilent, SourceDaemon, SourceShim};

const FAULTS: [Fault; 6] = [LinkClosed, LinkSilent, SourceShim, DestinationShim, SourceDaemon, DestinationDaemon];
const POINTS: [Point; 5] = [Point::Offer, Point::Piece, Point::Restored, Point::Commit, Point::Taken];

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
    fn outcome(self, point: Point) -> Outcome {
        match (self, point) {
            (LinkClosed | LinkSilent, Point::Taken) => Outcome::Goes,
            (LinkClosed | LinkSilent, _) => Outcome::Stays,
            // `Commit` is on its way.
            (SourceShim, Point::Commit | Point::Taken) => Outcome::Goes,
            (SourceShim, _) => Outcome::Lost,
            (DestinationShim, Point::Taken) => Outcome::Lost,
            (DestinationShim, _) => Outcome::Stays,
            (DestinationDaemon, Point::Offer) => Outcome::Stays,
            (SourceDaemon | DestinationDaemon, _) => Outcome::Goes,
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
    natively: Said,
    expected: String,
    tries: u32,
}

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

impl Faults {
    fn new(test: &str) -> Result<Option<Faults>> {
        let root = env!("CARGO_TARGET_TMPDIR");
        let Some((journey, proxy)) = Journey::with_proxy(root, test, "diary")? else { return Ok(None) };
        let path = |name: &str| journey.directory.join(name).display().to_string();
        let natively = journey.natively(&[&path("expected"), STEPS])?;
        let expected = fs::read_to_string(path("expected"))?;
        // So that the executable is there already.
        journey.wait_for_end(&journey.start(1, &[&path("before"), "1"])?)?;
        Ok(Some(Faults { journey, proxy, natively, expected, tries: 0 }))
    }

    /// Has a program move, and the fault happen so long after a message; what has come of it.
    fn attempt(&mut self, fault: Fault, point: Point, delay: Duration) -> Result<Outcome> {
        self.tries += 1;
        let file = self.journey.directory.join(format!("file{}", self.tries));
        let name = self.journey.start(0, &[&file.display().to_string(), STEPS])?;
        self.journey.wait_for_progress(&name)?;
        let there = self.journey.cluster.directory(1).join("programs");
        let known = programs(&there);
        let own: u32 = name.split_once(':').context("no name")?.1.parse()?;
        let daemon = fault.daemon().and_then(|node| self.journey.cluster.daemon(node));
        let deed = move || match fault {
            LinkClosed | LinkSilent => {}
            SourceShim => kill(own),
            SourceDaemon | DestinationDaemon => daemon.into_iter().for_each(kill),
            DestinationShim => {
                let begun = Instant::now();
                let new = || programs(&there).difference(&known).copied().next();
                while new().is_none() && begun.elapsed() < Duration::from_secs(5) {
                    std::thread::sleep(Duration::from_micros(200));
                }
                new().into_iter().for_each(kill);
            }
        };
        // Of a shim that is not there yet nothing passes before the message has.
        let is_later = !delay.is_zero() || (fault, point) == (DestinationShim, Point::Offer);
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
        let mut moving = self.journey.begin_move(&name, 1)?;
        ensure!(self.proxy.has_sprung(Duration::from_secs(60)), "{fault:?} at {point:?}: the program does not move");
        if let Some(node) = fault.daemon() {
            std::thread::sleep(delay + Duration::from_millis(300));
            self.journey.cluster.kill(node)?;
            let options: &[&str] = if node == 1 { &Proxy::OPTIONS } else { &[] };
            self.journey.start_daemon(node, options)?;
        }
        let has_ended = is_so_within(PATIENCE, || Ok(moving.try_wait()?.is_some()))?;
        if !has_ended {
            moving.kill()?;
            moving.wait()?;
            bail!("{fault:?} at {point:?}: maize migrate does not end");
        }
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
        if state["ended"].is_object() {
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

/// Takes some minutes: every fault at every message.
#[test]
#[ignore = "takes minutes"]
fn what_comes_of_a_fault_depends_on_the_message_at_which_it_happens() -> Result<()> {
    let Some(mut faults) = Faults::new("faults-messages")? else { return Ok(()) };
    let mut table: BTreeMap<(Fault, Point), BTreeMap<Outcome, u32>> = BTreeMap::new();
    let mut wrong = Vec::new();
    for fault in FAULTS {
        for point in POINTS {
            for _ in 0..tries() {
                let outcome = faults.attempt(fault, point, Duration::ZERO)?;
                *table.entry((fault, point)).or_default().entry(outcome).or_default() += 1;
                if outcome != fault.outcome(point) {
                    wrong.push((fault, point, outcome));
                }
            }
        }
    }
    print(&table);
    ensure!(wrong.is_empty(), "not what must come of it: {wrong:?}");
    faults.require_nothing_left()
}

/// With a seed, so that a failure repeats as far as times do.
#[test]
fn a_fault_at_any_time_loses_nothing_and_makes_no_copies() -> Result<()> {
    let Some(mut faults) = Faults::new("faults-times")? else { return Ok(()) };
    let seed = std::env::var("MAIZE_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1_u64);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed | 1);
    let mut random = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) % below
    };
    let count = if thorough() { 30 * tries() } else { 4 };
    let mut table: BTreeMap<(Fault, Point), BTreeMap<Outcome, u32>> = BTreeMap::new();
    // A silent link takes its time, and is nothing else at another moment.
    let faults_by_time = [SourceShim, DestinationShim, SourceDaemon, DestinationDaemon];
    for _ in 0..count {
        let fault = faults_by_time[random(4) as usize];
        let point = POINTS[random(5) as usize];
        let delay = Duration::from_micros(1 + random(60_000));
        let outcome = faults.attempt(fault, point, delay).with_context(|| format!("seed {seed}"))?;
        *table.entry((fault, point)).or_default().entry(outcome).or_default() += 1;
        let may_be_lost = matches!(fault, SourceShim | DestinationShim);
        ensure!(outcome != Outcome::Lost || may_be_lost, "seed {seed}: lost by {fault:?} {delay:?} after {point:?}");
    }
    print(&table);
    faults.require_nothing_left()
}
