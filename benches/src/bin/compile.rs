//! How long Lua takes to compile and link for three ISAs, against clang for one.
//!
//! `compile [ROUNDS]`: so many pairs of builds (5), each from a clean tree, one file at a time.

use anyhow::{Context, Result};
use maize_benches::{Builds, paired};
use maize_tests::Compiler;
use std::env;
use std::path::Path;
use std::time::Instant;

fn main() -> Result<()> {
    let rounds = env::args().nth(1).map_or(Ok(5), |rounds| rounds.parse()).context("rounds: a number")?;
    let builds = Builds::new(&env::temp_dir())?;
    let lua = builds.programs.iter().find(|program| program.name == "Lua fib").context("no Lua")?;
    let build = |compiler: Compiler, program: &Path| {
        let directory = program.parent().context("no directory")?;
        compiler.make(directory, &["clean"])?;
        let started = Instant::now();
        compiler.make(directory, &["MYCFLAGS=-O3", "posix"])?;
        Ok(started.elapsed().as_secs_f64())
    };
    let ratio =
        paired(rounds, || build(Compiler::Command(builds.clang), &lua.clang), || build(Compiler::Maize, &lua.maize))?;
    println!("| build of Lua | clang, 1 ISA, s | maize, 3 ISAs, s | ratio | quartiles |\n|---|---:|---:|---:|---:|");
    println!(
        "| make -j1 | {:.2} | {:.2} | {:.2} | {:.2}-{:.2} |",
        ratio.base, ratio.other, ratio.median, ratio.quartiles.0, ratio.quartiles.1
    );
    Ok(())
}
