//! How long Lua takes to compile and link for three ISAs, against clang for one.
//!
//! `compile [ROUNDS]`: so many pairs of builds (5), each from a clean tree, one file at a time.

use anyhow::{Context, Result};
use maize_abi::Isa;
use maize_benches::{clang_with_musl, directory, paired, rounds_and_names};
use maize_tests::{Compiler, build_lua_with};
use std::time::Instant;

fn main() -> Result<()> {
    let (rounds, _) = rounds_and_names(5)?;
    let directory = directory("compile")?;
    let mut trees = Vec::new();
    for compiler in [clang_with_musl(Isa::X86_64)?, Compiler::Maize] {
        let program = build_lua_with(compiler, &directory, &["MYCFLAGS=-O3"])?;
        trees.push((compiler, program.parent().context("no directory")?.to_owned()));
    }
    let build = |index: usize| {
        let (compiler, directory) = &trees[index];
        compiler.make(directory, &["clean"])?;
        let started = Instant::now();
        compiler.make(directory, &["MYCFLAGS=-O3", "posix"])?;
        Ok(started.elapsed().as_secs_f64())
    };
    let ratio = paired(rounds, || build(0), || build(1))?;
    println!("| build of Lua | clang, 1 ISA, s | maize, 3 ISAs, s | ratio | quartiles |\n|---|---:|---:|---:|---:|");
    println!(
        "| make -j1 | {:.2} | {:.2} | {:.2} | {:.2}-{:.2} |",
        ratio.base, ratio.other, ratio.median, ratio.quartiles.0, ratio.quartiles.1
    );
    Ok(())
}
