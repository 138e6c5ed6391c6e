//! What is left of a move when it is over: programs that move away and back in the first tenth of their time, against the same that
//! never move. Both moves are between x86-64 processes, so that no emulator is measured. Compared is the
//! program's processor time, without what the moves themselves took.
//!
//! `steady [ROUNDS [NAME ...]]`: so many pairs of runs (9) of the programs whose names contain one of these.

use anyhow::{Context, Result, ensure};
use maize_benches::{Builds, Size, Workload, cpu_time, directory, geometric_mean, paired, rounds_and_names, workloads};
use maize_tests::{Checked, Compiler, Outcome, Placement};
use std::path::Path;

fn main() -> Result<()> {
    let (rounds, wanted) = rounds_and_names(9)?;
    let directory = directory("steady")?;
    let mut maize = Builds::new(Compiler::Maize)?;
    let mut medians = Vec::new();
    println!("| program | never moved, s | moved, s | ratio | quartiles |\n|---|---:|---:|---:|---:|");
    for workload in workloads(&directory, Size::Full, &wanted)? {
        let program = maize.program(workload.source)?;
        let (total, output) = cpu_time(workload.run(&program))?;
        let expected = workload.result(&output);
        let interval = format!("{}us", (total * 1e6 / 30.0).max(1000.0) as u64);
        let measure = |placement: Placement| rest(&workload, &program, &expected, placement);
        let ratio = paired(
            rounds,
            || measure(Placement::On("x86_64")),
            || measure(Placement::Hopping { isas: vec!["x86_64"], every: String::leak(interval.clone()), seed: None }),
        )?;
        println!(
            "| {} | {:.3} | {:.3} | {:.3} | {:.3}-{:.3} |",
            workload.name, ratio.base, ratio.other, ratio.median, ratio.quartiles.0, ratio.quartiles.1
        );
        medians.push(ratio.median);
    }
    println!("| **geometric mean** | | | **{:.3}** | |", geometric_mean(&medians));
    Ok(())
}

/// The program's processor time, seconds; the report leaves out what the moves took.
fn rest(workload: &Workload, program: &Path, expected: &str, placement: Placement) -> Result<f64> {
    let moves = if matches!(placement, Placement::Hopping { .. }) { 2 } else { 0 };
    let mut run = workload.run(program);
    if moves > 0 {
        run = run.option("--limit").option("2");
    }
    let Outcome { stdout, report, .. } = run.placed(placement).run()?.succeeded()?;
    ensure!(workload.result(&stdout) == expected, "{}: prints something else", workload.name);
    let report = report.context("no report")?;
    let found = report.migrations.len();
    ensure!(found == moves, "{}: {found} moves instead of {moves}", workload.name);
    Ok(report.processor_us / 1e6)
}
