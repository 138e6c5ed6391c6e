//! GCC's torture suite, its programs for execution (`gcc.c-torture/execute`): each must end well with clang's build for this machine,
//! and so on each ISA alone and moving between them.
//!
//! `MAIZE_TORTURE_EVERY` sets that only each N-th program is tested (40; 1 is all, as `./test --all` does).
//! What cannot pass is in torture_exclusions.txt, with the reason.

use anyhow::{Context, Result, bail, ensure};
use maize_tests::{Checked, Compiler, ISAS, Placement, Run, Source, fresh_directory, maize};
use std::collections::BTreeMap;
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

const SOURCE: Source = Source {
    package: "gcc-12",
    version: "12.2.0-14+deb12u1",
    archive: "gcc-12_12.2.0.orig.tar.gz",
    sha256: "b8298be16aeeb96a889c6afed0a8e2241b47452e89cc81fe65ea849d5c740fcb",
    directory: "gcc-12-12.2.0",
};
const SUITE: &str = "gcc-12.2.0/gcc/testsuite/gcc.c-torture/execute";

/// How long one run may take; under emulation, with both processors busy.
const PATIENCE: Duration = Duration::from_secs(60);
/// Events between moves on average, and moves at most.
const MEAN: u64 = 4;
const LIMIT: u64 = 8;

/// Names of programs, and why they cannot pass.
fn exclusions() -> Result<BTreeMap<&'static str, &'static str>> {
    let lines =
        include_str!("torture_exclusions.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_once(": ").with_context(|| format!("no reason in {line:?}"))).collect()
}

/// The programs, by name.
fn suite(root: &Path) -> Result<Vec<PathBuf>> {
    let directory = SOURCE.unpack(root)?;
    // An archive within the archive.
    let inner = directory.join("gcc-12.2.0-dfsg.tar.xz");
    let status = Command::new("tar").arg("-xf").arg(&inner).arg("-C").arg(root).arg(SUITE).status();
    ensure!(status.context("running tar")?.success(), "{}: tar cannot unpack {SUITE}", inner.display());
    fs::remove_dir_all(directory)?;
    let mut programs = Vec::new();
    for directory in [root.join(SUITE), root.join(SUITE).join("ieee")] {
        for entry in directory.read_dir()? {
            let path = entry?.path();
            if path.extension() == Some(OsStr::new("c")) {
                programs.push(path);
            }
        }
    }
    programs.sort();
    Ok(programs)
}

fn name(program: &Path) -> String {
    program.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// The options that a program asks for, in the suite's own notation.
fn options(source: &str) -> Vec<String> {
    let asked = source.lines().filter(|line| line.contains("dg-options") || line.contains("dg-additional-options"));
    let asked = asked.filter(|line| !line.contains("target")).filter_map(|line| line.split('"').nth(1));
    let mut options: Vec<String> = asked.flat_map(str::split_whitespace).map(String::from).collect();
    if !options.iter().any(|option| option.starts_with("-std")) {
        options.push(String::from("-std=gnu89"));
    }
    options.extend(["-w", "-O2"].map(String::from));
    options
}

/// What became of a program.
enum Verdict {
    /// clang does not compile it, or its build fails as well: GNU extensions that it lacks, and assumptions about optimisation.
    NotForClang,
    Passed {
        moves: usize,
    },
}

fn test(program: &Path, number: usize, root: &Path) -> Result<Verdict> {
    let directory = root.join(name(program));
    fs::create_dir_all(&directory)?;
    let options = options(&String::from_utf8_lossy(&fs::read(program)?));
    let sources = [program.to_owned()];
    let native = directory.join("clang");
    let run = |path: &Path, placement| Run::new(path).placed(placement).timeout(PATIENCE).run();
    let builds = Compiler::Clang.build(&sources, &options, &native).is_ok();
    if !builds || run(&native, Placement::Directly)?.succeeded().is_err() {
        fs::remove_dir_all(&directory)?;
        return Ok(Verdict::NotForClang);
    }
    let multi = directory.join("maize");
    Compiler::Maize.build(&sources, &options, &multi)?;
    for isa in ISAS {
        run(&multi, Placement::On(isa))?.succeeded()?;
    }
    let moving = Placement::Counted { seed: number as u64, mean: MEAN, limit: LIMIT };
    let moves = run(&multi, moving)?.moved(0)?.migrations.len();
    fs::remove_dir_all(&directory)?;
    Ok(Verdict::Passed { moves })
}

#[test]
fn programs_of_the_torture_suite_end_well() -> Result<()> {
    let every = match env::var("MAIZE_TORTURE_EVERY") {
        Ok(value) => value.parse().with_context(|| format!("MAIZE_TORTURE_EVERY={value}"))?,
        Err(_) => 40,
    };
    let root = fresh_directory(env!("CARGO_TARGET_TMPDIR"), "torture")?;
    let exclusions = exclusions()?;
    let all = suite(&root)?;
    ensure!(all.len() > 1600, "only {} programs in the suite", all.len());
    let programs: Vec<(usize, &PathBuf)> = all.iter().enumerate().step_by(every).collect();
    maize();
    let next = AtomicUsize::new(0);
    let (passed, moves, foreign) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(&(number, program)) = programs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let name = name(program);
                    let outcome = test(program, number, &root);
                    let failure = match (outcome, exclusions.get(name.as_str())) {
                        (Ok(Verdict::NotForClang), None) => {
                            foreign.fetch_add(1, Ordering::Relaxed);
                            continue;
                        }
                        (Ok(Verdict::Passed { moves: count }), None) => {
                            passed.fetch_add(1, Ordering::Relaxed);
                            moves.fetch_add(count, Ordering::Relaxed);
                            continue;
                        }
                        (Err(_), Some(_)) => continue,
                        (Ok(_), Some(reason)) => format!("{name} is excluded ({reason}), but need not be"),
                        (Err(error), None) => format!("{name}: {error:#}"),
                    };
                    eprintln!("{failure}");
                    failures.lock().unwrap_or_else(PoisonError::into_inner).push(failure);
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    let (passed, moves, foreign) = (passed.into_inner(), moves.into_inner(), foreign.into_inner());
    println!("{passed} programs passed with {moves} moves, {foreign} are not for clang, {} failed", failures.len());
    if !failures.is_empty() {
        bail!("{} of {} programs failed:\n{}", failures.len(), programs.len(), failures.join("\n"));
    }
    ensure!(passed * 10 > programs.len() * 8 && moves > passed, "{passed} programs passed with {moves} moves");
    Ok(())
}
