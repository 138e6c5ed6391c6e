//! Random programs: each prints the checksum that gcc's build prints, on each ISA and hopping between them.
//!
//! `MAIZE_CSMITH_COUNT` sets how many (200), `MAIZE_CSMITH_SEED` the first seed (1); programs follow one another by
//! seed, so that each can be repeated alone. With `MAIZE_CSMITH_CHAOS=1` each moves at points that seeds draw (`maize chaos`) instead of
//! by time. Otherwise a program repeats its work until it takes long enough to be moved.

use anyhow::{Context, Result, bail, ensure};
use maize_tests::{Checked, Compiler, ISAS, Placement, Run, fresh_directory, maize};
use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long gcc's build may take; about one random program in ten never ends.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a hopping program should run natively.
const HOPPING_TIME: Duration = Duration::from_millis(150);
const MOST_REPEATS: usize = 30_000;
/// After so many failures no further program is tested.
const ENOUGH_FAILURES: usize = 10;
/// Where csmith's headers are, for every compiler: options of the compiler, not of the program.
const OPTIONS: [&str; 4] = ["-w", "-O2", "-Dmain=program", "-I/usr/include/csmith"];

fn setting(name: &str, default: usize) -> Result<usize> {
    match env::var(name) {
        Ok(value) => value.parse().with_context(|| format!("{name}={value}")),
        Err(_) => Ok(default),
    }
}

/// Appends a `main` that runs the program's own (renamed) as often as it is told, from the same initial state each time.
fn repeatable(program: &str) -> String {
    let names: BTreeSet<&str> = program
        .split("/* --- GLOBAL VARIABLES --- */")
        .nth(1)
        .and_then(|rest| rest.split("/* --- FORWARD DECLARATIONS --- */").next())
        .unwrap_or_default()
        .lines()
        .filter_map(mutable_global)
        .collect();
    let mut code = format!("{program}\n#undef main\n#include <stdlib.h>\n#include <string.h>\n");
    for name in &names {
        code.push_str(&format!("static char saved_{name}[sizeof {name}];\n"));
    }
    code.push_str("int main(int argc, char **argv)\n{\n    char *none[] = {argv[0], 0};\n    int repeats = argc > 1 ? atoi(argv[1]) : 1;\n");
    for name in &names {
        code.push_str(&format!("    memcpy(saved_{name}, (void *)&{name}, sizeof {name});\n"));
    }
    code.push_str(
        "    for (int i = 0; i < repeats; i++) {\n        program(1, none);\n        crc32_context = 0xFFFFFFFFUL;\n",
    );
    for name in &names {
        code.push_str(&format!("        memcpy((void *)&{name}, saved_{name}, sizeof {name});\n"));
    }
    code.push_str("    }\n    return 0;\n}\n");
    code
}

/// The name of the variable that a line declares, unless it is constant: `static const int *volatile g_7[3] = ...` gives `g_7`.
fn mutable_global(line: &str) -> Option<&str> {
    let declaration = line.strip_prefix("static ")?.split('=').next()?.trim_end();
    let name = declaration.split(' ').find_map(|word| word.find("g_").map(|at| &word[at..]))?;
    let length = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len());
    let of_object = &declaration[declaration.rfind('*').map_or(0, |at| at + 1)..];
    (!of_object.split(' ').any(|word| word == "const")).then_some(&name[..length])
}

struct Native {
    /// What one run prints.
    once: Vec<u8>,
    repeats: usize,
}

/// Builds with gcc and finds out what is right and how often to repeat it; nothing if the program does not end.
fn natively(source: &Path, directory: &Path) -> Result<Option<Native>> {
    let program = directory.join("gcc");
    Compiler::Gcc.build(&[source.to_owned()], &OPTIONS, &program)?;
    let started = Instant::now();
    let Ok(outcome) = Run::new(&program).timeout(PATIENCE).run() else { return Ok(None) };
    let elapsed = started.elapsed();
    let once = outcome.succeeded()?.stdout;
    // Most of a short run is its start.
    let repeats = if elapsed > HOPPING_TIME { 1 } else { calibrate(&program, elapsed)? };
    Ok(Some(Native { once, repeats }))
}

fn calibrate(program: &Path, once: Duration) -> Result<usize> {
    let sample = (PATIENCE.as_secs_f64() / 2.0 / once.as_secs_f64()).clamp(1.0, 200.0) as usize;
    let started = Instant::now();
    Run::new(program).arguments([sample.to_string()]).run()?.succeeded()?;
    let repeats = HOPPING_TIME.as_secs_f64() / started.elapsed().as_secs_f64() * sample as f64;
    Ok((repeats as usize).clamp(1, MOST_REPEATS))
}

/// Tests the program of one seed; whether it was one that can be tested, and how often it moved.
fn test_seed(seed: usize, root: &Path) -> Result<Option<usize>> {
    let directory = root.join(format!("seed-{seed}"));
    fs::create_dir_all(&directory)?;
    let source = directory.join("program.c");
    // It leaves a file about the platform where it runs.
    let mut csmith = Command::new("csmith");
    let generated = csmith.current_dir(&directory).args(["--seed", &seed.to_string()]).output();
    let generated = generated.context("running csmith")?;
    ensure!(generated.status.success(), "csmith: {}", generated.status);
    fs::write(&source, repeatable(&String::from_utf8(generated.stdout)?))?;
    let Some(native) = natively(&source, &directory)? else {
        fs::remove_dir_all(&directory)?;
        return Ok(None);
    };
    let program = directory.join("maize");
    Compiler::Maize.build(&[source], &OPTIONS, &program)?;
    for isa in ISAS {
        Run::new(&program).placed(Placement::On(isa)).run()?.printed(&native.once)?.succeeded()?;
    }
    if setting("MAIZE_CSMITH_CHAOS", 0)? != 0 {
        let moves = examine(&program, &directory.join("gcc"), seed)?;
        fs::remove_dir_all(&directory)?;
        return Ok(Some(moves));
    }
    let hopping = Run::new(&program).arguments([native.repeats.to_string()]);
    let outcome = hopping.placed(Placement::hopping("8ms", Some(seed as u64))).run()?;
    let report = outcome.printed(&native.once.repeat(native.repeats))?.moved(0)?;
    fs::remove_dir_all(&directory)?;
    Ok(Some(report.migrations.len()))
}

/// Moves the program at points that seeds draw; returns how often.
fn examine(program: &Path, native: &Path, seed: usize) -> Result<usize> {
    let run = Run::new(program)
        .placed(Placement::Examined)
        .option("--runs")
        .option("2")
        .option("--seed")
        .option(seed.to_string());
    let outcome = run.option("--expect-command").option(native.to_string_lossy()).run()?;
    let text = String::from_utf8_lossy(&outcome.stdout);
    ensure!(outcome.status.success(), "{}\nto repeat: {}\n{}{text}", outcome.status, outcome.command, outcome.stderr);
    let report: serde_json::Value = serde_json::from_str(&text)?;
    let moves = report["moves"].as_object().context("no moves in the report")?.values();
    Ok(moves.filter_map(serde_json::Value::as_u64).sum::<u64>() as usize)
}

/// Takes seeds from `next` until enough programs have been tested.
struct Campaign {
    root: PathBuf,
    next: AtomicUsize,
    wanted: usize,
    tested: AtomicUsize,
    skipped: AtomicUsize,
    moves: AtomicUsize,
    failures: Mutex<Vec<String>>,
}

impl Campaign {
    fn work(&self) {
        while self.failures.lock().is_ok_and(|failures| failures.len() < ENOUGH_FAILURES)
            && self.tested.fetch_add(1, Ordering::Relaxed) < self.wanted
        {
            let seed = self.next.fetch_add(1, Ordering::Relaxed);
            match test_seed(seed, &self.root) {
                Ok(Some(moves)) => {
                    self.moves.fetch_add(moves, Ordering::Relaxed);
                }
                Ok(None) => {
                    self.skipped.fetch_add(1, Ordering::Relaxed);
                    self.tested.fetch_sub(1, Ordering::Relaxed);
                }
                Err(error) => {
                    let repeat = format!(
                        "MAIZE_CSMITH_SEED={seed} MAIZE_CSMITH_COUNT=1 cargo test --release -p maize-tests --test csmith"
                    );
                    let failure = format!("seed {seed}: {error:#}\nthe whole test of this seed: {repeat}\n");
                    eprintln!("{failure}");
                    self.failures.lock().unwrap_or_else(PoisonError::into_inner).push(failure);
                }
            }
        }
    }
}

#[test]
fn random_programs_print_the_checksums_of_the_native_build() -> Result<()> {
    let wanted = setting("MAIZE_CSMITH_COUNT", 200)?;
    let campaign = Campaign {
        root: fresh_directory(env!("CARGO_TARGET_TMPDIR"), "csmith")?,
        next: AtomicUsize::new(setting("MAIZE_CSMITH_SEED", 1)?),
        wanted,
        tested: AtomicUsize::new(0),
        skipped: AtomicUsize::new(0),
        moves: AtomicUsize::new(0),
        failures: Mutex::new(Vec::new()),
    };
    maize();
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| campaign.work());
        }
    });
    let moves = campaign.moves.into_inner();
    let skipped = campaign.skipped.into_inner();
    let failures = campaign.failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!("{wanted} programs, {moves} moves, {skipped} seeds skipped, {} failures", failures.len());
    if !failures.is_empty() {
        bail!("{} of {wanted} programs failed:\n{}", failures.len(), failures.join("\n"));
    }
    ensure!(wanted < 10 || moves > wanted, "only {moves} moves in {wanted} programs");
    Ok(())
}

#[test]
fn constants_are_told_from_variables() {
    assert_eq!(mutable_global("static int32_t g_2 = 7L;"), Some("g_2"));
    assert_eq!(mutable_global("static const int32_t g_3 = 7L;"), None);
    assert_eq!(mutable_global("static const volatile int32_t *g_4[3][2] = {&g_2};"), Some("g_4"));
    assert_eq!(mutable_global("static int32_t *const *const volatile g_5 = &g_6;"), None);
    assert_eq!(mutable_global("static volatile struct S0 g_21[4] = {{1}};/* VOLATILE GLOBAL g_21 */"), Some("g_21"));
    assert_eq!(mutable_global("struct S0 {"), None);
}
