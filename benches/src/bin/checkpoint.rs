//! What it takes to save a program and to restore it, by how much it has in memory, on x86-64, and how large a snapshot is.
//!
//! `checkpoint [ROUNDS]`: so many snapshots (11) of each. *Saved* is from the command to its end, with the snapshot on disk; *pause* is how long the
//! program does not run if it runs on; *restored* is from the start of reading until it runs. The disk decides much of the first: `TMPDIR`
//! says where.

use anyhow::{Context, Result, ensure};
use maize_benches::{directory, median};
use maize_tests::{Compiler, benchmark_source, maize};
use serde_json::Value;
use std::env;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

fn main() -> Result<()> {
    let rounds = env::args().nth(1).map_or(Ok(11), |rounds| rounds.parse::<usize>()).context("rounds: a number")?;
    ensure!(rounds > 0, "no rounds");
    let directory = directory("checkpoint")?;
    let program = directory.join("state");
    Compiler::Maize.build(&[benchmark_source("state.c")], &["-O2"], &program)?;
    println!("| memory, KB | snapshot, KB | saved, ms | pause, ms | restored, ms | snapshots |");
    println!("|---:|---:|---:|---:|---:|---:|");
    for kilobytes in ["0", "1024", "70000"] {
        let row = measure(&directory, &program, kilobytes, rounds)?;
        let middle = |index: usize| median(row.iter().map(|values| values[index]));
        println!(
            "| {kilobytes} | {:.0} | {:.2} | {:.2} | {:.2} | {rounds} |",
            middle(0),
            middle(1),
            middle(2),
            middle(3)
        );
    }
    Ok(())
}

/// Size in KB, and times in ms: saved, pause, restored.
fn measure(directory: &Path, program: &Path, kilobytes: &str, rounds: usize) -> Result<Vec<[f64; 4]>> {
    let (file, stop) = (directory.join("state.snapshot"), directory.join("stop"));
    let _ = fs::remove_file(&stop);
    let mut command = Command::new(maize());
    command.arg("run").arg(program).arg(kilobytes).current_dir(directory).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut run = command.spawn()?;
    BufReader::new(run.stdout.take().context("no output")?).read_line(&mut String::new())?;
    let mut rows = Vec::new();
    for _ in 0..rounds {
        let begin = Instant::now();
        let mut command = Command::new(maize());
        command.args(["checkpoint", &run.id().to_string(), "--leave-running", "--json", "-o"]).arg(&file);
        let output = command.output()?;
        let saved = begin.elapsed().as_secs_f64() * 1000.0;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let answer: Value = serde_json::from_slice(&output.stdout)?;
        let pause = answer["pause_us"].as_f64().context("no pause")? / 1000.0;
        rows.push([answer["bytes"].as_f64().context("no size")? / 1024.0, saved, pause, 0.0]);
    }
    // From here on it ends as soon as it runs.
    fs::write(&stop, "")?;
    run.wait()?;
    for row in &mut rows {
        let report = directory.join("report.json");
        let mut command = Command::new(maize());
        command.arg("restore").arg("--report").arg(&report).arg(&file).current_dir(directory);
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status()?;
        ensure!(status.success(), "{status} of a restored program");
        let report: Value = serde_json::from_slice(&fs::read(&report)?)?;
        row[3] = report["restored_us"].as_f64().context("no time")? / 1000.0;
    }
    Ok(rows)
}
