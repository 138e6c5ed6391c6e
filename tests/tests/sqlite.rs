//! SQLite, configured and built by its own scripts: its speed test, which prints a sum of all results.
//!
//! Compiling takes minutes, as SQLite is one file of 240,000 lines. So all this is for when tests may (`./test --all`).

use anyhow::{Context, Result, ensure};
use maize_tests::{Checked, Compiler, ISAS, Outcome, Package, Placement, Run, fresh_directory};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

struct Built {
    native: PathBuf,
    ours: PathBuf,
}

static BUILT: LazyLock<Result<Built, String>> = LazyLock::new(|| build().map_err(|error| format!("{error:#}")));

fn build() -> Result<Built> {
    let directory = fresh_directory(env!("CARGO_TARGET_TMPDIR"), "sqlite")?;
    let source = Package::Sqlite.source().unpack(&directory)?;
    // Programs of Maize have none that is wider than a double.
    let flags = "CFLAGS=-O2 -DLONGDOUBLE_TYPE=double";
    let with = |compiler: Compiler| -> Result<PathBuf> {
        let directory = directory.join(compiler.name());
        fs::create_dir_all(&directory)?;
        let options = ["--disable-tcl", "--disable-shared", "--disable-readline", "--enable-rtree", flags];
        compiler.configure(&source, &directory, &options)?;
        compiler.make(&directory, &["speedtest1"])?;
        Ok(directory)
    };
    let native = with(Compiler::Clang).context("with clang")?;
    let ours = with(Compiler::Maize).context("with maize cc")?;
    Ok(Built { native, ours })
}

fn built() -> Result<&'static Built> {
    BUILT.as_ref().map_err(|error| anyhow::anyhow!("{error}"))
}

/// Output without the numbers of seconds and milliseconds in it.
fn untimed(outcome: &Outcome) -> String {
    let timed = |word: &str| {
        let number = word.trim_end_matches("ms").trim_end_matches('s').trim_end_matches(',');
        number.len() < word.len() && number.parse::<f64>().is_ok()
    };
    let text = String::from_utf8_lossy(&outcome.stdout).into_owned();
    let lines =
        text.lines().map(|line| line.split_whitespace().filter(|word| !timed(word)).collect::<Vec<_>>().join(" "));
    lines.collect::<Vec<_>>().join("\n")
}

/// Runs the same natively and with `ours`, where `placements` say, and compares output, end, and the file that it wrote.
fn compare(program: &str, file: &str, arguments: &[&str], placements: &[Placement]) -> Result<Vec<Outcome>> {
    let built = built()?;
    let run = |directory: &Path, placement: &Placement| -> Result<(Outcome, Vec<u8>)> {
        let path = directory.join(file);
        let _ = fs::remove_file(&path);
        let run = Run::new(directory.join(program)).arguments(arguments.iter().copied());
        let outcome = run.directory(directory).placed(placement.clone()).run()?.succeeded()?;
        Ok((outcome, fs::read(path).unwrap_or_default()))
    };
    let (expected, written) = run(&built.native, &Placement::Directly)?;
    let mut outcomes = Vec::new();
    for placement in placements {
        let (outcome, found) = run(&built.ours, placement)?;
        ensure!(
            untimed(&outcome) == untimed(&expected),
            "{}\ninstead of\n{}\nto repeat: {}",
            untimed(&outcome),
            untimed(&expected),
            outcome.command
        );
        ensure!(found == written, "{file} differs\nto repeat: {}", outcome.command);
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

fn everywhere() -> Vec<Placement> {
    ISAS.iter().map(|isa| Placement::On(isa)).collect()
}

/// What it prints has a sum of all results of all statements, and one of its tests is the integrity check.
#[test]
#[ignore = "takes minutes; run by ./test --all"]
fn the_speed_test_has_the_same_results_and_leaves_the_same_file() -> Result<()> {
    let arguments = ["--size", "1", "--verify", "speed.db"];
    let moving = [1, 2].map(|seed| Placement::Counted { seed, mean: 300, limit: 40 });
    let placements = [everywhere(), moving.to_vec()].concat();
    for (placement, outcome) in placements.iter().zip(compare("speedtest1", "speed.db", &arguments, &placements)?) {
        ensure!(String::from_utf8_lossy(&outcome.stdout).contains("Verification Hash: "), "{:?}", outcome.stdout);
        if moving.contains(placement) {
            outcome.moved(40)?;
        }
    }
    Ok(())
}

#[test]
#[ignore = "takes minutes; run by ./test --all"]
fn other_speed_tests_have_the_same_results() -> Result<()> {
    for set in ["cte", "fp", "orm", "rtree"] {
        let arguments = ["--size", "1", "--testset", set, "--verify", "speed.db"];
        let moving = Placement::Counted { seed: 3, mean: 300, limit: 20 };
        compare("speedtest1", "speed.db", &arguments, &[everywhere(), vec![moving]].concat())?;
    }
    Ok(())
}
