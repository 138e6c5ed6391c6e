//! The result, as data (`--json`, `--report`) and for people. New fields do not change the version.

use crate::difference::Difference;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Version of [`Report`] as data.
pub const VERSION: u32 = 1;

/// What was tried with a program, and what came of it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    /// [`VERSION`].
    pub version: u32,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// The ISAs it moved between; runs start on the first.
    pub isas: Vec<String>,
    /// How often a migration point counts in a round; 0 for always.
    pub passes: u8,
    /// Events between moves on average, if they were drawn.
    pub mean: Option<u64>,
    /// At most so many moves in a run, if they were drawn.
    pub limit: Option<u64>,
    /// Migration points in the program.
    pub points: u64,
    /// Runs without moves.
    pub alone: Vec<Alone>,
    /// Runs with moves.
    pub runs: Vec<Run>,
    /// At how many different places of the program it moved.
    pub places: u64,
    /// How often it moved, by `FROM>TO`.
    pub moves: BTreeMap<String, u64>,
    /// The first run that differed, if one did.
    pub failure: Option<Failure>,
}

/// A run on one ISA without moves.
#[derive(Debug, Serialize, Deserialize)]
pub struct Alone {
    /// The ISA.
    pub isa: String,
    /// How many events there were; nothing if they were not counted.
    pub events: Option<u64>,
    /// Wall-clock time, milliseconds.
    pub elapsed_ms: u64,
    /// What it did otherwise than the reference.
    pub difference: Option<Difference>,
}

/// A run with moves.
#[derive(Debug, Serialize, Deserialize)]
pub struct Run {
    /// What decided its moves; nothing if they were given.
    pub seed: Option<u64>,
    /// How often it moved.
    pub moves: u64,
    /// Moves that did not happen, by reason.
    pub stays: BTreeMap<String, u64>,
    /// Wall-clock time, milliseconds.
    pub elapsed_ms: u64,
    /// Median time during which the program ran on neither host, microseconds.
    pub median_pause_us: Option<f64>,
    /// What it did otherwise than the reference.
    pub difference: Option<Difference>,
}

/// A run that differed, and why.
#[derive(Debug, Serialize, Deserialize)]
pub struct Failure {
    /// What decided its moves.
    pub seed: Option<u64>,
    /// What it did otherwise.
    pub difference: Difference,
    /// How many moves it had made.
    pub moves: u64,
    /// Whether the same moves made it differ again. If not, the rest says nothing.
    pub repeatable: bool,
    /// The fewest moves found by which it differs, in order.
    pub steps: Vec<Step>,
    /// Runs that were needed to find them.
    pub trials: u64,
    /// What it does otherwise with these alone.
    pub shrunk_difference: Option<Difference>,
    /// The command that repeats it.
    pub replay: String,
}

/// One move of a failing run.
#[derive(Debug, Serialize, Deserialize)]
pub struct Step {
    /// Number of the event.
    pub event: u64,
    /// ISA of the source.
    pub from: String,
    /// ISA of the destination.
    pub to: String,
    /// The system call about to be made (number on x86-64); none at a migration point.
    pub system_call: Option<u64>,
    /// The activations that moved, the innermost first.
    pub frames: Vec<Frame>,
    /// Why it did not happen, if it did not.
    pub stayed: Option<String>,
}

/// An activation of a function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// The function.
    pub function: Option<String>,
    /// Its source file, if the program was built with `-g`.
    pub file: Option<String>,
    /// The line.
    pub line: Option<u32>,
}

impl Report {
    /// Whether the program did the same in every run.
    pub fn passed(&self) -> bool {
        self.failure.is_none() && self.alone.iter().all(|alone| alone.difference.is_none())
    }

    /// The report for people.
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        writeln!(
            text,
            "{:>8}  {:>9}  {:>6}  {:>6}  {:>8}  {:>8}  result",
            "run", "events", "moves", "stays", "seconds", "pause"
        )?;
        for alone in &self.alone {
            let events = alone.events.map_or_else(|| "-".into(), |events| events.to_string());
            let result = result(alone.difference.as_ref());
            let seconds = seconds(alone.elapsed_ms);
            writeln!(
                text,
                "{:>8}  {events:>9}  {:>6}  {:>6}  {seconds:>8}  {:>8}  {result}",
                alone.isa, "-", "-", "-"
            )?;
        }
        for run in &self.runs {
            let name = run.seed.map_or_else(|| "moves".into(), |seed| format!("seed {seed}"));
            let stays: u64 = run.stays.values().sum();
            let pause = run.median_pause_us.map_or_else(|| "-".into(), |pause| format!("{:.1} ms", pause / 1000.0));
            let (seconds, result) = (seconds(run.elapsed_ms), result(run.difference.as_ref()));
            writeln!(text, "{name:>8}  {:>9}  {:>6}  {stays:>6}  {seconds:>8}  {pause:>8}  {result}", "", run.moves)?;
        }
        let events: Vec<u64> = self.alone.iter().filter_map(|alone| alone.events).collect();
        if events.windows(2).any(|pair| pair[0] != pair[1]) {
            writeln!(
                text,
                "note: it does not pass the same points in every run, so that a seed may not repeat exactly"
            )?;
        }
        for (reason, count) in self.stays() {
            writeln!(text, "note: it stayed {count} times because {reason}")?;
        }
        let total: u64 = self.moves.values().sum();
        match &self.failure {
            Some(failure) => failure.write(text),
            None if !self.passed() => writeln!(text, "it differs without any move: that is not the migration's doing"),
            None => writeln!(text, "the same in {} runs with {total} moves at {} places", self.runs.len(), self.places),
        }
    }

    fn stays(&self) -> BTreeMap<&str, u64> {
        let mut all = BTreeMap::new();
        for (reason, count) in self.runs.iter().flat_map(|run| &run.stays) {
            *all.entry(reason.as_str()).or_default() += count;
        }
        all
    }
}

fn seconds(milliseconds: u64) -> String {
    format!("{:.1}", milliseconds as f64 / 1000.0)
}

fn result(difference: Option<&Difference>) -> &'static str {
    if difference.is_some() { "DIFFERENT" } else { "same" }
}

impl Failure {
    fn write(&self, text: &mut String) -> std::fmt::Result {
        writeln!(text)?;
        if let Some(seed) = self.seed {
            write!(text, "seed {seed}: ")?;
        }
        writeln!(text, "{}", self.difference)?;
        if !self.repeatable {
            return writeln!(
                text,
                "the same {} moves did not make it differ again: it depends on more than its moves",
                self.moves
            );
        }
        writeln!(text, "of {} moves these make it differ ({} runs to find out):", self.moves, self.trials)?;
        for step in &self.steps {
            step.write(text)?;
        }
        if let Some(difference) = self.shrunk_difference.as_ref().filter(|&difference| *difference != self.difference) {
            writeln!(text, "with these alone {difference}")?;
        }
        writeln!(text, "to repeat: {}", self.replay)
    }
}

impl Step {
    fn write(&self, text: &mut String) -> std::fmt::Result {
        let place =
            self.system_call.map_or_else(|| "at a migration point".into(), |call| format!("before system call {call}"));
        writeln!(text, "  event {}, {} to {}, {place}", self.event, self.from, self.to)?;
        if let Some(reason) = &self.stayed {
            writeln!(text, "    which did not happen: {reason}")?;
        }
        for frame in &self.frames {
            let function = frame.function.as_deref().unwrap_or("(unknown)");
            match (&frame.file, frame.line) {
                (Some(file), Some(line)) => writeln!(text, "    {function}  {file}:{line}")?,
                (Some(file), None) => writeln!(text, "    {function}  {file}")?,
                _ => writeln!(text, "    {function}")?,
            }
        }
        Ok(())
    }
}
