//! What `./demo` shows: a program hops between ISAs; where it ran, what each move cost, and that its output is the
//! native build's.

use anyhow::{Context, Result, ensure};
use maize_tests::{
    Checked, Compiler, ISAS, Migration, Package, Placement, Report, Run, build_lua, fresh_directory, program_source,
};
use std::env;
use std::time::Instant;

/// Rows of the timeline before it is cut short.
const ROWS: usize = 24;

fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let every: &'static str = arguments.next().unwrap_or_else(|| "20ms".into()).leak();
    let seed = arguments.next().map(|seed| seed.parse().context("the seed is a number")).transpose()?;

    // In target/tmp, as those of the tests; this file is target/release/examples/demo.
    let executable = env::current_exe()?;
    let target = executable.ancestors().nth(3).context("no target directory")?;
    let directory = fresh_directory(&target.join("tmp").display().to_string(), "demo")?;
    println!("\nLua, from {}, built by its own make:", Package::Lua.source().archive);
    let native = timed("  make CC=gcc", || build_lua(Compiler::Gcc, &directory))?;
    let ours = timed("  make CC=\"maize cc\"", || build_lua(Compiler::Maize, &directory))?;

    let script = |lua| Run::new(lua).directory(program_source("")).arguments(["workload.lua", "3"]);
    let expected = timed("\nNative run", || script(native).run()?.succeeded())?.stdout;
    let hopping = script(ours).placed(Placement::Hopping { isas: ISAS.to_vec(), every, seed });
    let outcome = timed(&format!("Run that moves every {every}"), || hopping.run()?.succeeded())?;
    println!("  {}\n", outcome.command);
    let same = outcome.stdout == expected;
    let report = outcome.report.context("no report")?;
    timeline(&report);
    summary(&report);
    ensure!(same, "the output differs from that of the native build");
    println!("Output: {} lines, the same as the native build's.", expected.split(|byte| *byte == b'\n').count() - 1);
    Ok(())
}

fn timed<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let started = Instant::now();
    let result = work()?;
    println!("{what}: {:.1} s", started.elapsed().as_secs_f64());
    Ok(result)
}

/// When the program stopped at the source.
fn left(migration: &Migration) -> f64 {
    (migration.at_us + migration.wait_us) as f64 / 1000.0
}

/// A line for each stay on an ISA and the move that ended it.
fn timeline(report: &Report) {
    println!("    at ms  ran on     for ms   then moved:  frames  records   capture    resume     pause    memory");
    let mut arrived = 0.0;
    for (number, migration) in report.migrations.iter().enumerate() {
        let left = left(migration);
        if number < ROWS {
            println!(
                "{arrived:9.1}  {:<9} {:8.1}   to {:<9} {:6}  {:>7}  {:>5.1} us  {:>5.1} us  {:>5.2} ms  {:>8}",
                migration.from,
                left - arrived,
                migration.to,
                migration.frames,
                bytes(migration.record_bytes),
                migration.capture_us,
                migration.resume_us,
                migration.pause_us / 1000.0,
                bytes(migration.bytes_moved)
            );
        } else if number == ROWS {
            println!("      ... {} more moves ...", report.migrations.len() - ROWS);
        }
        arrived = left + migration.pause_us / 1000.0;
    }
    let last = report.migrations.last().map_or(report.started_on.as_str(), |migration| &migration.to);
    println!("{arrived:9.1}  {last:<9} {:8.1}   to its end\n", report.elapsed_us as f64 / 1000.0 - arrived);
    for stay in &report.stays {
        println!("at {:.1} ms it stayed on {}: {}", stay.at_us as f64 / 1000.0, stay.on, stay.reason);
    }
}

fn summary(report: &Report) {
    let median = |value: fn(&Migration) -> f64| {
        let mut values: Vec<f64> = report.migrations.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(0.0)
    };
    println!(
        "{} moves; medians: capture {:.1} us, resume {:.1} us, pause {:.2} ms",
        report.migrations.len(),
        median(|migration| migration.capture_us),
        median(|migration| migration.resume_us),
        median(|migration| migration.pause_us) / 1000.0
    );
}

fn bytes(count: u64) -> String {
    match count {
        0..10_000 => format!("{count} B"),
        10_000..10_000_000 => format!("{} KB", count / 1000),
        _ => format!("{} MB", count / 1_000_000),
    }
}
