//! How long a program that is asked to move takes until it is suspended: from the node's request to the capture. Between x86-64 processes, so that
//! no emulator is measured. Two times: by the clock, in which other processes on the machine have their share, and of the processor.
//!
//! `latency [MOVES [NAME ...]]`: so many moves at least (200) of each of the programs whose names contain one of these. After the table
//! come the places that were waited for longer than the goal.

use anyhow::{Context, Result, ensure};
use maize_benches::{Builds, Size, Workload, directory, percentile, rounds_and_names, workloads};
use maize_chaos::Places;
use maize_node::Activation;
use maize_tests::{Checked, Compiler, Placement};
use std::collections::BTreeMap;
use std::path::Path;

/// What 99 of 100 waits are to stay below, microseconds.
const GOAL: f64 = 1000.0;
/// Runs of a program that is over before it has moved often enough.
const MOST_RUNS: u64 = 50;

#[derive(Default)]
struct Waits {
    clock: Vec<f64>,
    processor: Vec<f64>,
    /// By the processor's time, where the program was when it was suspended late.
    late: Vec<(f64, Activation)>,
}

fn main() -> Result<()> {
    let (moves, wanted) = rounds_and_names(200)?;
    let directory = directory("latency")?;
    let mut maize = Builds::new(Compiler::Maize)?.with_lines();
    let mut late = BTreeMap::new();
    let (mut clock, mut processor) = (Vec::new(), Vec::new());
    println!("| program | moves | clock, us: p50 | p99 | max | processor, us: p50 | p99 | max |");
    println!("|---|---:|---:|---:|---:|---:|---:|---:|");
    for workload in workloads(&directory, Size::Full, &wanted)? {
        let program = maize.program(workload.source)?;
        let waits = measure(&workload, &program, moves)?;
        println!("{}", row(&workload.name, &waits.clock, &waits.processor));
        clock.extend(&waits.clock);
        processor.extend(&waits.processor);
        let places = Places::of(&program)?;
        for (wait, activation) in waits.late {
            let entry: &mut (usize, f64) = late.entry((workload.name.clone(), place(&places, activation))).or_default();
            *entry = (entry.0 + 1, entry.1.max(wait));
        }
    }
    println!("{}", row("**all**", &clock, &processor));
    for ((program, place), (count, longest)) in late {
        println!("\n{program}: {count} times, {longest:.0} us at most, until {place}");
    }
    Ok(())
}

/// Moves a program at random times, in as many runs as it takes.
fn measure(workload: &Workload, program: &Path, moves: usize) -> Result<Waits> {
    let expected = workload.result(&workload.run(program).run()?.succeeded()?.stdout);
    let mut waits = Waits::default();
    for seed in 1..=MOST_RUNS {
        let placement = Placement::Hopping { isas: vec!["x86_64"], every: "5ms", seed: Some(seed) };
        let outcome = workload.run(program).placed(placement).run()?.succeeded()?;
        ensure!(workload.result(&outcome.stdout) == expected, "{}: prints something else", workload.name);
        for migration in outcome.report.context("no report")?.migrations {
            let used = migration.wait_cpu_us.context("a move without a time")?;
            waits.clock.push(migration.wait_us as f64);
            waits.processor.push(used);
            if let Some(innermost) = migration.innermost.filter(|_| used > GOAL) {
                waits.late.push((used, Activation { resume: innermost.resume, site: innermost.site }));
            }
        }
        if waits.clock.len() >= moves {
            break;
        }
    }
    Ok(waits)
}

fn row(name: &str, clock: &[f64], processor: &[f64]) -> String {
    let cells = |values: &[f64]| {
        let cells = [0.5, 0.99, 1.0].map(|part| format!("{:.0}", percentile(values, part)));
        cells.join(" | ")
    };
    format!("| {name} | {} | {} | {} |", clock.len(), cells(clock), cells(processor))
}

/// Function and line of a place.
fn place(places: &Places, activation: Activation) -> String {
    let frames = places.frames(&[activation]);
    let Some(frame) = frames.first() else { return "a place without a name".into() };
    let function = frame.function.as_deref().unwrap_or("a function without a name");
    match (&frame.file, frame.line) {
        (Some(file), Some(line)) => format!("{function}, {file}:{line}"),
        _ => function.to_owned(),
    }
}
