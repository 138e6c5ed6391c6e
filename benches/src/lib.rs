//! Benchmarks of what Maize costs, each a program in `src/bin/` that prints a Markdown table. Every figure is a ratio of
//! two builds measured in the same run, in alternation, so that what else the machine does falls on both.

mod baseline;
mod builds;
mod counts;
mod measure;
mod redis;
mod suite;
mod timeline;

pub use baseline::clang_with_musl;
pub use builds::{Builds, builds_directory};
pub use counts::{Count, Counter};
pub use measure::{Ratio, cpu_time, geometric_mean, median, paired, percentile};
pub use suite::{Size, Source, Workload, workloads};
pub use timeline::{Move, plot};

use anyhow::{Context, Result, ensure};
use maize_abi::Isa;
use maize_tests::{Compiler, fresh_directory};
use std::env;
use std::path::PathBuf;

/// An empty directory for a benchmark of this name.
///
/// # Errors
/// If it cannot be emptied or created.
pub fn directory(name: &str) -> Result<PathBuf> {
    fresh_directory(&env::temp_dir().display().to_string(), &format!("bench-{name}"))
}

/// The builds by clang for x86-64 and by Maize.
///
/// # Errors
/// If the libraries of one cannot be built.
pub fn clang_and_maize() -> Result<[Builds; 2]> {
    Ok([Builds::new(clang_with_musl(Isa::X86_64)?)?, Builds::new(Compiler::Maize)?])
}

/// The command line of most benchmarks: the number of rounds, and parts of names of workloads.
///
/// # Errors
/// If the first is no number, or 0.
pub fn rounds_and_names(rounds: usize) -> Result<(usize, Vec<String>)> {
    let mut arguments = env::args().skip(1);
    let rounds = arguments.next().map_or(Ok(rounds), |rounds| rounds.parse()).context("rounds: a number")?;
    ensure!(rounds > 0, "no rounds");
    Ok((rounds, arguments.collect()))
}
