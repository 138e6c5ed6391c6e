//! The runs: a reference, one without moves on each ISA, then one with moves for each seed, and those that shrink a failure.

use crate::difference::{Difference, Reference};
use crate::error::ChaosError;
use crate::place::Places;
use crate::program::{Bounds, Moves, Outcome, Program, run_shell};
use crate::report::{self, Alone, Failure, Report, Run, Step};
use crate::shrink::shrink;
use maize_abi::Isa;
use maize_node::{Activation, Draw, EventMoves, EventPlan, Exit, Move, MoveList, Place};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

/// Moves in a run on average, if nothing else is said.
const MOVES_PER_RUN: u64 = 40;
/// The mean if it is not known how many events there are.
const UNKNOWN_MEAN: u64 = 100;
/// Time that a run has beyond a multiple of the reference's, for its start and for its moves.
const LEAST_TIME: Duration = Duration::from_secs(60);
const TIME_PER_MOVE: Duration = Duration::from_millis(200);
const SLOWDOWN: u32 = 100;

/// What the program should do.
#[derive(Clone, Debug)]
pub enum Expected {
    /// What it does on this machine's ISA without moves.
    Itself,
    /// It prints what is in this file and ends with status 0.
    File(PathBuf),
    /// It does what this shell command does.
    Command(OsString),
}

/// How to examine a program.
#[derive(Clone, Debug)]
pub struct Options {
    /// What to run.
    pub program: Program,
    /// Between which ISAs to move; runs start on the first.
    pub isas: Vec<Isa>,
    /// What it should do.
    pub expected: Expected,
    /// Whether standard error is compared, too.
    pub stderr: bool,
    /// These moves and no others.
    pub moves: Option<MoveList>,
    /// The first seed.
    pub seed: u64,
    /// How many seeds.
    pub runs: u64,
    /// Events between moves on average; if not given, so many that a run moves some 40 times.
    pub mean: Option<u64>,
    /// At most so many moves in a run.
    pub limit: u64,
    /// How often a migration point counts in a round; 0 for always.
    pub passes: u8,
    /// How long one run may take; if not given, a generous multiple of what the reference takes.
    pub timeout: Option<Duration>,
    /// At most so many runs to shrink a failure; 0 not to.
    pub trials: usize,
}

/// What an observer may want to show.
#[derive(Clone, Debug)]
pub enum Progress {
    /// The run without moves that says what is right.
    Reference,
    /// A run without moves on this ISA.
    Alone(Isa),
    /// The run of this seed; so many moves so far.
    Seed(u64, u64),
    /// A failure is shrunk: the number of this trial, and how many moves it makes.
    Shrink(u64, usize),
}

/// Runs the program without and with moves, and compares. Ends at the first seed that makes a difference.
///
/// # Errors
/// [`ChaosError`], if nothing can be said.
pub fn examine(options: &Options, observe: &mut dyn FnMut(Progress)) -> Result<Report, ChaosError> {
    let places = Places::of(&options.program.path)?;
    observe(Progress::Reference);
    let (reference, bounds) = reference(options)?;
    let mut report = Report {
        version: report::VERSION,
        program: options.program.path.clone(),
        arguments: options.program.arguments.iter().map(|argument| argument.to_string_lossy().into_owned()).collect(),
        isas: options.isas.iter().map(|isa| isa.name().to_owned()).collect(),
        passes: options.passes,
        mean: None,
        limit: None,
        points: places.points,
        alone: Vec::new(),
        runs: Vec::new(),
        places: 0,
        moves: BTreeMap::new(),
        failure: None,
    };
    let mut examination = Examination { options, reference, bounds, places, seen: BTreeSet::new() };
    if let Some(list) = &options.moves {
        examination.run_listed(list, &mut report, observe)?;
        return Ok(report);
    }
    for &isa in &options.isas {
        observe(Progress::Alone(isa));
        report.alone.push(examination.run_alone(isa)?);
    }
    if !report.passed() {
        return Ok(report);
    }
    let events = report.alone.first().and_then(|alone| alone.events);
    let mean = options.mean.unwrap_or_else(|| events.map_or(UNKNOWN_MEAN, |events| (events / MOVES_PER_RUN).max(1)));
    (report.mean, report.limit) = (Some(mean), Some(options.limit));
    for seed in (0..options.runs).map(|index| options.seed.wrapping_add(index)) {
        observe(Progress::Seed(seed, report.moves.values().sum()));
        if examination.run_seed(seed, mean, &mut report, observe)? {
            break;
        }
    }
    report.places = examination.seen.len() as u64;
    Ok(report)
}

/// What the program should do, and what a run may take.
fn reference(options: &Options) -> Result<(Reference, Bounds), ChaosError> {
    let patience = options.timeout.unwrap_or(Duration::from_secs(24 * 3600));
    let bounds = Bounds { time: patience, output: u64::MAX };
    let native = Isa::from_name(std::env::consts::ARCH).unwrap_or(Isa::X86_64);
    let program = &options.program;
    let run = || program.run(&Program::options(native, &Moves::None, 0), bounds);
    let complete = |outcome: Outcome| match outcome.exit {
        Some(exit) => Ok((outcome, exit)),
        None => Err(ChaosError::TooSlow { program: program.path.display().to_string(), seconds: patience.as_secs() }),
    };
    let (outcome, exit) = match &options.expected {
        Expected::Itself => {
            let (first, exit) = complete(run()?)?;
            let (second, _) = complete(run()?)?;
            let stderr = options.stderr.then(|| first.stderr.clone());
            let once = Reference { stdout: first.stdout.clone(), stderr, exit };
            if let Some(difference) = once.difference(&second) {
                let (program, difference) = (program.path.display().to_string(), difference.to_string());
                return Err(ChaosError::NotRepeatable { program, difference });
            }
            (first, exit)
        }
        Expected::File(path) => {
            let stdout = std::fs::read(path).map_err(|source| ChaosError::Read { path: path.clone(), source })?;
            let (outcome, _) = complete(run()?)?;
            (Outcome { stdout, ..outcome }, Exit::Status(0))
        }
        Expected::Command(line) => complete(run_shell(line, program.input.as_ref(), bounds)?)?,
    };
    let moves = options.moves.as_ref().map_or(options.limit, |list| list.moves().len() as u64);
    let for_moves = TIME_PER_MOVE * u32::try_from(moves).unwrap_or(u32::MAX).min(100_000);
    let time = options.timeout.unwrap_or(LEAST_TIME + for_moves + outcome.elapsed * SLOWDOWN);
    let bounds = Bounds::for_output(time, outcome.stdout.len().max(outcome.stderr.len()));
    let stderr = options.stderr.then_some(outcome.stderr);
    Ok((Reference { stdout: outcome.stdout, stderr, exit }, bounds))
}

struct Examination<'a> {
    options: &'a Options,
    reference: Reference,
    bounds: Bounds,
    places: Places,
    /// Where the program has moved.
    seen: BTreeSet<(Option<u64>, Option<Activation>)>,
}

impl Examination<'_> {
    fn start(&self) -> Isa {
        self.options.isas.first().copied().unwrap_or(Isa::X86_64)
    }

    fn run(&self, moves: &Moves) -> Result<(Outcome, Option<Difference>), ChaosError> {
        let options = Program::options(self.start(), moves, self.options.passes);
        let outcome = self.options.program.run(&options, self.bounds)?;
        let difference = self.reference.difference(&outcome);
        Ok((outcome, difference))
    }

    fn run_alone(&self, isa: Isa) -> Result<Alone, ChaosError> {
        // To count every pass of every point may take hours.
        let moves = match self.options.passes {
            0 => Moves::None,
            _ => Moves::Drawn { isas: vec![isa], seed: 0, mean: 1, limit: 0 },
        };
        let options = Program::options(isa, &moves, self.options.passes);
        let outcome = self.options.program.run(&options, self.bounds)?;
        let difference = self.reference.difference(&outcome);
        let events = outcome.report.as_ref().and_then(|report| report.events);
        Ok(Alone { isa: isa.name().to_owned(), events, elapsed_ms: milliseconds(outcome.elapsed), difference })
    }

    /// Whether it differed.
    fn run_seed(
        &mut self,
        seed: u64,
        mean: u64,
        report: &mut Report,
        observe: &mut dyn FnMut(Progress),
    ) -> Result<bool, ChaosError> {
        let (isas, limit) = (self.options.isas.clone(), self.options.limit);
        let (outcome, difference) = self.run(&Moves::Drawn { isas: isas.clone(), seed, mean, limit })?;
        self.note(Some(seed), &outcome, difference.clone(), report);
        let Some(difference) = difference else { return Ok(false) };
        let plan =
            EventPlan { moves: EventMoves::Drawn(Draw { isas, seed, mean, limit }), passes: self.options.passes };
        // The last may have been under way.
        let made = outcome.report.as_ref().map_or(0, |report| report.migrations.len() + report.stays.len() + 1);
        let moves: Vec<Move> = plan.schedule(self.start()).take(made).collect();
        report.failure = Some(self.explain(Some(seed), difference, &moves, observe)?);
        Ok(true)
    }

    fn run_listed(
        &mut self,
        list: &MoveList,
        report: &mut Report,
        observe: &mut dyn FnMut(Progress),
    ) -> Result<(), ChaosError> {
        let (outcome, difference) = self.run(&Moves::Listed(list.clone()))?;
        self.note(None, &outcome, difference.clone(), report);
        if let Some(difference) = difference {
            report.failure = Some(self.explain(None, difference, list.moves(), observe)?);
        }
        report.places = self.seen.len() as u64;
        Ok(())
    }

    fn note(&mut self, seed: Option<u64>, outcome: &Outcome, difference: Option<Difference>, report: &mut Report) {
        let mut run = Run {
            seed,
            moves: 0,
            stays: BTreeMap::new(),
            elapsed_ms: milliseconds(outcome.elapsed),
            median_pause_us: None,
            difference,
        };
        if let Some(made) = &outcome.report {
            run.moves = made.migrations.len() as u64;
            let mut pauses: Vec<f64> = made.migrations.iter().map(|migration| migration.pause_us).collect();
            pauses.sort_by(f64::total_cmp);
            run.median_pause_us = pauses.get(pauses.len() / 2).copied();
            for stay in &made.stays {
                *run.stays.entry(stay.reason.clone()).or_default() += 1;
            }
            for migration in &made.migrations {
                *report.moves.entry(format!("{}>{}", migration.from, migration.to)).or_default() += 1;
                let innermost = |place: &Place| (place.system_call, place.activations.first().copied());
                self.seen.extend(migration.place.as_ref().map(innermost));
            }
        }
        report.runs.push(run);
    }

    /// Finds out which of the moves make the difference.
    fn explain(
        &self,
        seed: Option<u64>,
        difference: Difference,
        moves: &[Move],
        observe: &mut dyn FnMut(Progress),
    ) -> Result<Failure, ChaosError> {
        let mut trials = 0;
        let mut fails = |list: &[Move]| -> Result<bool, ChaosError> {
            trials += 1;
            observe(Progress::Shrink(trials, list.len()));
            Ok(self.run(&listed(list))?.1.is_some())
        };
        let budget = self.options.trials;
        let repeatable = budget == 0 || fails(moves)?;
        let shrunk = if repeatable { shrink(moves, budget, &mut fails)? } else { moves.to_vec() };
        let (outcome, shrunk_difference) = self.run(&listed(&shrunk))?;
        let steps = if repeatable { self.steps(&shrunk, &outcome) } else { Vec::new() };
        let list = MoveList::new(shrunk).unwrap_or_default();
        let replay = self.replay(&list);
        Ok(Failure {
            seed,
            difference,
            moves: moves.len() as u64,
            repeatable: repeatable && shrunk_difference.is_some(),
            steps,
            trials,
            shrunk_difference,
            replay,
        })
    }

    fn steps(&self, moves: &[Move], outcome: &Outcome) -> Vec<Step> {
        let Some(report) = &outcome.report else { return Vec::new() };
        let moved = report.migrations.iter().map(|migration| (&migration.place, &migration.from, None));
        let stayed = report.stays.iter().map(|stay| (&stay.place, &stay.on, Some(stay.reason.clone())));
        let mut made: Vec<_> =
            moved.chain(stayed).filter_map(|(place, from, why)| Some((place.as_ref()?, from, why))).collect();
        made.sort_by_key(|(place, ..)| place.event);
        let steps = made.into_iter().zip(moves).map(|((place, from, stayed), planned)| Step {
            event: place.event,
            from: from.clone(),
            to: planned.to.name().to_owned(),
            system_call: place.system_call,
            frames: self.places.frames(&place.activations),
            stayed,
        });
        steps.collect()
    }

    /// The command that repeats a run with these moves.
    fn replay(&self, list: &MoveList) -> String {
        let Options { program, isas, expected, stderr, passes, .. } = self.options;
        let names: Vec<&str> = isas.iter().map(|isa| isa.name()).collect();
        let mut words: Vec<OsString> = vec![program.maize.clone().into(), "chaos".into()];
        words.extend(["--isa".into(), names.join(",").into(), "--passes".into(), passes.to_string().into()]);
        words.extend(["--moves".into(), list.to_string().into()]);
        match expected {
            Expected::Itself => {}
            Expected::File(path) => words.extend(["--expect".into(), path.into()]),
            Expected::Command(line) => words.extend(["--expect-command".into(), line.clone()]),
        }
        words.extend(stderr.then(|| "--stderr".into()));
        if let Some(input) = &program.input {
            words.extend(["--input".into(), input.into()]);
        }
        words.extend(["--".into(), program.path.clone().into()]);
        words.extend(program.arguments.iter().cloned());
        words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
    }
}

fn listed(moves: &[Move]) -> Moves {
    Moves::Listed(MoveList::new(moves.to_vec()).unwrap_or_default())
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A word as a shell takes it.
fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./,=+:@%".contains(c));
    if plain { word.into_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_reach_the_program_through_a_shell() {
        assert_eq!(quoted("--mean=3".as_ref()), "--mean=3");
        assert_eq!(quoted("it's".as_ref()), "'it'\\''s'");
        assert_eq!(quoted("".as_ref()), "''");
    }
}
