//! jansson, configured and built by its own scripts: each program of its `make check`, and each document of its suites (every third,
//! unless tests may take minutes).

use anyhow::{Context, Result, ensure};
use maize_tests::{Checked, Compiler, ISAS, Input, Outcome, Placement, Run, Source, fresh_directory, run, thorough};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

const SOURCE: Source = Source {
    package: "jansson",
    version: "2.14-2",
    archive: "jansson_2.14.orig.tar.gz",
    sha256: "c739578bf6b764aa0752db9a2fdadcfe921c78f1228c7ec0bb47fa804c55d17b",
    directory: "jansson-2.14",
};
/// Events between moves on average, and moves at most.
const MEAN: u64 = 60;
const LIMIT: u64 = 8;

/// A program of the suites, with what the native build of it does.
struct Case {
    run: Run,
    expected: Outcome,
}

static CASES: LazyLock<Result<Vec<Case>, String>> = LazyLock::new(|| cases().map_err(|error| format!("{error:#}")));

/// Configures, builds, and runs `make check`.
fn build(compiler: Compiler, source: &Path, directory: &Path) -> Result<PathBuf> {
    let directory = directory.join(compiler.name());
    fs::create_dir_all(&directory)?;
    compiler.configure(source, &directory, &["--disable-shared"])?;
    compiler.make(&directory, &["-j2", "check"])?;
    Ok(directory.join("test"))
}

fn cases() -> Result<Vec<Case>> {
    let directory = fresh_directory(env!("CARGO_TARGET_TMPDIR"), "jansson")?;
    let source = SOURCE.unpack(&directory)?;
    run(Command::new("autoreconf").arg("--install").current_dir(&source))?;
    let native = build(Compiler::Clang, &source, &directory).context("with clang")?;
    let ours = build(Compiler::Maize, &source, &directory).context("with maize cc")?;
    let mut cases = Vec::new();
    let mut add = |program: &Path, prepare: &dyn Fn(Run) -> Run| -> Result<()> {
        let expected = prepare(Run::new(native.join(program))).run()?;
        cases.push(Case { run: prepare(Run::new(ours.join(program))), expected });
        Ok(())
    };
    for test in entries(&source.join("test/suites/api"))? {
        if test.extension() == Some(OsStr::new("c")) {
            let name = test.file_stem().unwrap_or_default();
            add(&Path::new("suites/api").join(name), &|run| run)?;
        }
    }
    for (suite, sorted, strips) in [
        ("valid", "1", &["0", "1"][..]),
        ("invalid", "0", &["0", "1"]),
        ("invalid-unicode", "0", &["0"]),
        ("encoding-flags", "0", &["0"]),
    ] {
        let documents = entries(&source.join("test/suites").join(suite))?.into_iter().filter(|path| path.is_dir());
        for document in documents.step_by(if thorough() { 1 } else { 3 }) {
            // A file of the shell's.
            let environment = fs::read_to_string(document.join("env")).unwrap_or_default();
            let settings = environment.split_whitespace().filter_map(|word| word.split_once('='));
            for strip in strips {
                add(Path::new("bin/json_process"), &|run| {
                    let run = run.arguments(["--env"]).input(Input::File(document.join("input")));
                    let run = run.variable("JSON_SORT_KEYS", sorted).variable("STRIP", *strip);
                    settings.clone().fold(run, |run, (name, value)| run.variable(name, value))
                })?;
            }
        }
    }
    Ok(cases)
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = directory.read_dir()?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

/// Runs all cases; returns how many there are and how often they moved.
fn check(placement: impl Fn(usize) -> Placement) -> Result<(usize, usize)> {
    let cases = CASES.as_ref().map_err(|error| anyhow::anyhow!("{error}"))?;
    let mut moves = 0;
    for (number, case) in cases.iter().enumerate() {
        let outcome = case.run.clone().placed(placement(number)).run()?.did_as(&case.expected)?;
        moves += outcome.report.map_or(0, |report| report.migrations.len());
    }
    Ok((cases.len(), moves))
}

#[test]
fn its_suites_pass_on_each_isa_alone() -> Result<()> {
    for isa in ISAS {
        let (cases, _) = check(|_| Placement::On(isa))?;
        ensure!(cases >= if thorough() { 170 } else { 70 }, "only {cases} cases");
    }
    Ok(())
}

#[test]
fn its_suites_pass_on_the_move() -> Result<()> {
    let (cases, moves) = check(|number| Placement::Counted { seed: number as u64, mean: MEAN, limit: LIMIT })?;
    ensure!(moves > 2 * cases, "only {moves} moves in {cases} cases");
    Ok(())
}
