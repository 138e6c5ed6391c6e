//! What it takes to save a program and to restore it, by how much it has in memory and how fast it changes that, on x86-64, and how large a snapshot is: whole ones, and those that hold
//! only what has changed since the one before.
//!
//! `checkpoint [ROUNDS]`: so many snapshots (11) of each kind, in turns. *Saved* is from the question on the control socket to the answer, with the snapshot on disk; *pause* is how long the
//! program does not run if it runs on; *restored* is from the start of reading, with what the snapshot builds on, until it runs. The disk decides much of the first: `TMPDIR` says where.

use anyhow::{Context, Result, bail, ensure};
use maize_benches::{Ratio, directory, median};
use maize_node::{Action, Answer, Controlled};
use maize_tests::{Compiler, benchmark_source, maize};
use serde_json::Value;
use std::env;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a run may take to be found.
const LONGEST: Duration = Duration::from_secs(10);

/// Of one snapshot: KB, and ms.
#[derive(Clone, Copy, Default)]
struct Figures {
    size: f64,
    saved: f64,
    pause: f64,
    restored: f64,
}

/// A snapshot that has been taken.
struct Taken {
    file: PathBuf,
    figures: Figures,
}

fn main() -> Result<()> {
    let rounds = env::args().nth(1).map_or(Ok(11), |rounds| rounds.parse::<usize>()).context("rounds: a number")?;
    ensure!(rounds > 0, "no rounds");
    let directory = directory("checkpoint")?;
    let program = directory.join("state");
    Compiler::Maize.build(&[benchmark_source("state.c")], &["-O2"], &program)?;
    println!(
        "| memory, KB | pages changed each ms | snapshot | KB | saved, ms | pause, ms | restored, ms | saved, to whole (quartiles) |"
    );
    println!("|---:|---:|---|---:|---:|---:|---:|---:|");
    for [kilobytes, changes] in
        [["0", "0"], ["130", "0"], ["1024", "0"], ["70000", "0"], ["70000", "1"], ["70000", "16"]]
    {
        let (wholes, others) = measure(&directory, &program, [kilobytes, changes], rounds)?;
        let pairs: Vec<_> = wholes.iter().zip(&others).map(|(whole, other)| (whole.saved, other.saved)).collect();
        let ratio = Ratio::of(&pairs);
        let to_whole = format!("{:.2} ({:.2}-{:.2})", ratio.median, ratio.quartiles.0, ratio.quartiles.1);
        for (kind, rows, to_whole) in [("whole", wholes, String::new()), ("incremental", others, to_whole)] {
            let middle = |of: fn(&Figures) -> f64| median(rows.iter().map(of));
            println!(
                "| {kilobytes} | {changes} | {kind} | {:.0} | {:.2} | {:.2} | {:.2} | {to_whole} |",
                middle(|row| row.size),
                middle(|row| row.saved),
                middle(|row| row.pause),
                middle(|row| row.restored)
            );
        }
    }
    Ok(())
}

/// Whole snapshots, and as many that could build on others.
fn measure(
    directory: &Path,
    program: &Path,
    arguments: [&str; 2],
    rounds: usize,
) -> Result<(Vec<Figures>, Vec<Figures>)> {
    let stop = directory.join("stop");
    let _ = fs::remove_file(&stop);
    let mut command = Command::new(maize());
    command.arg("run").arg(program).args(arguments).current_dir(directory).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut run = command.spawn()?;
    BufReader::new(run.stdout.take().context("no output")?).read_line(&mut String::new())?;
    let begin = Instant::now();
    // The program may be faster than its supervisor.
    while Controlled::find(run.id()).is_err() && begin.elapsed() < LONGEST {
        sleep(Duration::from_millis(1));
    }
    let mut taken = Vec::new();
    for round in 0..rounds {
        let whole = save(run.id(), &directory.join(format!("whole-{round}")), false)?;
        // It does not build on that one: the first of a chain.
        save(run.id(), &directory.join(format!("base-{round}")), true)?;
        taken.push((whole, save(run.id(), &directory.join(format!("incremental-{round}")), true)?));
    }
    // From here on it ends as soon as it runs.
    fs::write(&stop, "")?;
    run.wait()?;
    let mut figures = (Vec::new(), Vec::new());
    for (whole, other) in taken {
        figures.0.push(restore(directory, &whole)?);
        figures.1.push(restore(directory, &other)?);
    }
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path != program {
            fs::remove_file(path)?;
        }
    }
    Ok(figures)
}

fn save(pid: u32, file: &Path, incremental: bool) -> Result<Taken> {
    let mut running = Controlled::find(pid)?;
    let action =
        Action::Checkpoint { file: file.to_owned(), leave_running: true, incremental, hold: false, timeout_ms: 10_000 };
    let begin = Instant::now();
    let Answer::Saved(answer) = running.ask(action)? else { bail!("another answer") };
    let saved = begin.elapsed().as_secs_f64() * 1000.0;
    let size = fs::metadata(file)?.len() as f64 / 1024.0;
    Ok(Taken {
        file: file.to_owned(),
        figures: Figures { size, saved, pause: answer.pause_us / 1000.0, restored: 0.0 },
    })
}

fn restore(directory: &Path, taken: &Taken) -> Result<Figures> {
    let report = directory.join("report.json");
    let mut command = Command::new(maize());
    command.arg("restore").arg("--report").arg(&report).arg(&taken.file).current_dir(directory);
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status()?;
    ensure!(status.success(), "{status} of a restored program");
    let report: Value = serde_json::from_slice(&fs::read(&report)?)?;
    let restored = report["restored_us"].as_f64().context("no time")? / 1000.0;
    Ok(Figures { restored, ..taken.figures })
}
