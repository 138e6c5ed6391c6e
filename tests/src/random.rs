//! Random programs, in batches: each prints what the native build prints, on each ISA and moving between them.
//!
//! Starting processes, of the compiler and of qemu, takes longer than testing what a random program does. So a batch of [`BATCH`] seeds is
//! one executable, each program a translation unit of its own without external names but one. It is run by itself, on each other ISA, and moving at counted
//! events. (Most random programs run for microseconds, too short a time to be moved by time.) Seed `s` is in batch `s / BATCH`, which decides how it is optimised and
//! where it moves; so to test a seed again is to test its batch.

use crate::ISAS;
use crate::check::Checked;
use crate::run::{Placement, Run};
use crate::toolchain::{Compiler, fresh_directory, maize, run};
use anyhow::{Context, Result, bail, ensure};
use std::env;
use std::fmt::Write;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Programs in an executable.
pub const BATCH: u64 = 20;
/// Levels of optimisation, batch by batch.
const LEVELS: [&str; 4] = ["-O2", "-O1", "-O3", "-O0"];
/// Events between moves on average, and moves at most in a batch.
const MEAN: u64 = 10;
const LIMIT: u64 = 300;
/// After so many failures no further batch is tested.
const ENOUGH_FAILURES: usize = 10;
/// About one random program in ten never ends; SIGVTALRM ends these after 0.05 s of processor time.
const PATIENCE: &str = "
#ifndef __maize__
    struct itimerval patience = {{0, 0}, {0, 50000}};
    setitimer(ITIMER_VIRTUAL, &patience, 0);
#endif
";
const VIRTUAL_ALARM: i32 = 26;

/// A kind of random programs.
pub struct Kind {
    /// Its name, which is also that of the test.
    pub name: &'static str,
    /// `c` or `cpp`.
    pub extension: &'static str,
    /// Options of the compilers.
    pub options: &'static [&'static str],
    /// Makes the source of a seed: a file that defines `void program_SEED(void)`, with C linkage, and nothing else that other files see. It may use the directory.
    pub generate: fn(u64, &Path) -> Result<String>,
}

impl Kind {
    /// Tests the seeds that `MAIZE_RANDOM_SEED` (first) and `MAIZE_RANDOM_COUNT` say, or else the first `count`, in whole batches.
    ///
    /// # Errors
    /// What differed, and how to repeat it.
    pub fn test(&self, root: &str, count: u64) -> Result<()> {
        let first = setting("MAIZE_RANDOM_SEED", 0)?;
        let batches = first / BATCH..(first + setting("MAIZE_RANDOM_COUNT", count)?).div_ceil(BATCH);
        let campaign = Campaign {
            kind: self,
            // Parts of a long test may run at the same time.
            root: fresh_directory(root, &format!("{}-{first}", self.name))?,
            next: AtomicU64::new(batches.start),
            end: batches.end,
            passed: AtomicUsize::new(0),
            endless: AtomicUsize::new(0),
            moves: AtomicUsize::new(0),
            failures: Mutex::new(Vec::new()),
        };
        campaign.run(&batches)
    }

    fn build(&self, compiler: Compiler, level: &str, sources: &[PathBuf], output: &Path) -> Result<()> {
        let options = [self.options, &[level, "-w"]].concat();
        if self.extension == "c" {
            compiler.build(sources, &options, output)
        } else {
            compiler.build_cxx(sources, &options, output)
        }
    }
}

fn setting(name: &str, default: u64) -> Result<u64> {
    match env::var(name) {
        Ok(value) => value.parse().with_context(|| format!("{name}={value}")),
        Err(_) => Ok(default),
    }
}

/// A `main` that runs the programs of the seeds that are its arguments.
fn main_of(seeds: &[u64], extension: &str) -> String {
    let linkage = if extension == "c" { "" } else { "extern \"C\" " };
    let mut code = String::from("#include <stdio.h>\n#include <stdlib.h>\n#include <sys/time.h>\n");
    for seed in seeds {
        let _ = writeln!(code, "{linkage}void program_{seed}(void);");
    }
    let _ = write!(code, "int main(int argc, char **argv)\n{{{PATIENCE}");
    code.push_str("    for (int i = 1; i < argc; i++) {\n        printf(\"%s:\\n\", argv[i]);\n        switch (atoi(argv[i])) {\n");
    for seed in seeds {
        let _ = writeln!(code, "        case {seed}: program_{seed}(); break;");
    }
    // What was printed is with the kernel before the next program begins, which may fail; and as system calls begin rounds of events, each program has its own.
    code.push_str("        default: abort();\n        }\n        fflush(stdout);\n    }\n    return 0;\n}\n");
    code
}

/// A program that ends, and what it prints.
struct Program {
    seed: u64,
    source: PathBuf,
    prints: Vec<u8>,
}

/// Takes batches from `next` until all have been tested.
struct Campaign<'a> {
    kind: &'a Kind,
    root: PathBuf,
    next: AtomicU64,
    end: u64,
    passed: AtomicUsize,
    endless: AtomicUsize,
    moves: AtomicUsize,
    failures: Mutex<Vec<String>>,
}

impl Campaign<'_> {
    fn run(self, batches: &Range<u64>) -> Result<()> {
        maize();
        thread::scope(|scope| {
            for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
                scope.spawn(|| self.work());
            }
        });
        let (passed, moves) = (self.passed.into_inner(), self.moves.into_inner());
        let failures = self.failures.into_inner().unwrap_or_else(PoisonError::into_inner);
        println!(
            "{}, seeds {} to {}: {passed} programs passed with {moves} moves, {} do not end natively, {} batches failed",
            self.kind.name,
            batches.start * BATCH,
            batches.end * BATCH - 1,
            self.endless.into_inner(),
            failures.len()
        );
        if !failures.is_empty() {
            bail!("{} batches failed:\n{}", failures.len(), failures.join("\n"));
        }
        ensure!(moves > 2 * passed, "only {moves} moves in {passed} programs");
        Ok(())
    }

    fn work(&self) {
        while self.failures.lock().is_ok_and(|failures| failures.len() < ENOUGH_FAILURES) {
            let batch = self.next.fetch_add(1, Ordering::Relaxed);
            if batch >= self.end {
                break;
            }
            let directory = self.root.join(format!("batch-{batch}"));
            if let Err(error) = self.test_batch(batch, &directory) {
                let Kind { name, .. } = self.kind;
                let failure = format!(
                    "{name}, batch {batch}: {error:#}\nthe whole test of this batch: MAIZE_RANDOM_SEED={} MAIZE_RANDOM_COUNT={BATCH} cargo test --release -p maize-tests {name}\n",
                    batch * BATCH
                );
                eprintln!("{failure}");
                self.failures.lock().unwrap_or_else(PoisonError::into_inner).push(failure);
            }
        }
    }

    fn test_batch(&self, batch: u64, directory: &Path) -> Result<()> {
        fs::create_dir_all(directory)?;
        let programs = self.native(batch, directory)?;
        let seeds: Vec<u64> = programs.iter().map(|program| program.seed).collect();
        let mut sources: Vec<PathBuf> = programs.iter().map(|program| program.source.clone()).collect();
        sources.push(directory.join(format!("main.{}", self.kind.extension)));
        fs::write(&sources[programs.len()], main_of(&seeds, self.kind.extension))?;
        let executable = directory.join("maize");
        self.kind.build(Compiler::Maize, LEVELS[batch as usize % LEVELS.len()], &sources, &executable)?;

        let mut placements = vec![Placement::Directly];
        placements.extend(ISAS[1..].iter().map(|isa| Placement::On(isa)));
        placements.push(Placement::Counted { seed: batch, mean: MEAN, limit: LIMIT });
        for placement in placements {
            let moves = run_batch(&executable, &programs, placement)?;
            self.moves.fetch_add(moves, Ordering::Relaxed);
        }
        self.passed.fetch_add(programs.len(), Ordering::Relaxed);
        fs::remove_dir_all(directory)?;
        Ok(())
    }

    /// Makes the programs of a batch, builds them natively and finds out what each prints; those that do not end are left out.
    fn native(&self, batch: u64, directory: &Path) -> Result<Vec<Program>> {
        let seeds: Vec<u64> = (batch * BATCH..(batch + 1) * BATCH).collect();
        let path = |name: String| directory.join(name).with_extension(self.kind.extension);
        let mut sources = Vec::new();
        for &seed in &seeds {
            sources.push(path(format!("program-{seed}")));
            let text = (self.kind.generate)(seed, directory).with_context(|| format!("making program {seed}"))?;
            fs::write(&sources[sources.len() - 1], text)?;
        }
        sources.push(path("native-main".into()));
        fs::write(&sources[seeds.len()], main_of(&seeds, self.kind.extension))?;
        let executable = directory.join("native");
        self.kind.build(Compiler::Gcc, "-O1", &sources, &executable)?;
        let mut programs = Vec::new();
        for (seed, source) in seeds.into_iter().zip(sources) {
            let output = Command::new(&executable).arg(seed.to_string()).output()?;
            if ends(output.status) {
                ensure!(output.status.success(), "natively program {seed} ends with {}", output.status);
                programs.push(Program { seed, source, prints: output.stdout });
            } else {
                self.endless.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(programs)
    }
}

fn ends(status: ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt;
    status.signal() != Some(VIRTUAL_ALARM)
}

/// Returns how often it moved.
fn run_batch(executable: &Path, programs: &[Program], placement: Placement) -> Result<usize> {
    let seeds = programs.iter().map(|program| program.seed.to_string());
    let outcome = Run::new(executable).arguments(seeds).placed(placement).run()?;
    let expected: Vec<u8> = programs.iter().flat_map(|program| program.prints.iter().copied()).collect();
    if let Some(seed) = first_different(&outcome.stdout, programs) {
        outcome.printed(&expected).with_context(|| format!("program {seed} differs"))?;
        bail!("program {seed} differs");
    }
    let outcome = outcome.printed(&expected)?.succeeded()?;
    if outcome.report.is_some() { Ok(outcome.moved(0)?.migrations.len()) } else { Ok(0) }
}

/// The seed of the first program that did not print what it should.
fn first_different(mut found: &[u8], programs: &[Program]) -> Option<u64> {
    for program in programs {
        match found.strip_prefix(program.prints.as_slice()) {
            Some(rest) => found = rest,
            None => return Some(program.seed),
        }
    }
    None
}

/// Runs a generator in a directory, as it leaves files about, and returns what it prints.
///
/// # Errors
/// What it said.
pub fn generated(program: &str, arguments: &[&str], directory: &Path) -> Result<String> {
    run(Command::new(program).current_dir(directory).args(arguments))
}
