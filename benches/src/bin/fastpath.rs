//! What being able to move costs a program that does not: `maize cc -O3` against `clang-22 -O3` with the same musl, on
//! x86-64, as ordinary executables.
//!
//! `fastpath [ROUNDS [NAME ...]]`: so many pairs of runs (15) of the programs whose names contain one of these.

use anyhow::{Context, Result, ensure};
use maize_benches::{Builds, cpu_time, geometric_mean, paired};
use std::env;

fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let rounds = arguments.next().map_or(Ok(15), |rounds| rounds.parse()).context("rounds: a number")?;
    ensure!(rounds > 0, "no rounds");
    let wanted: Vec<String> = arguments.collect();
    let builds = Builds::new(&env::temp_dir())?;
    let mut medians = Vec::new();
    println!("| program | clang, s | maize, s | ratio | quartiles |\n|---|---:|---:|---:|---:|");
    for program in builds.programs {
        if !wanted.is_empty() && !wanted.iter().any(|name| program.name.contains(name.as_str())) {
            continue;
        }
        let expected = cpu_time(program.run(&program.clang))?.1;
        let measure = |build| {
            let (time, output) = cpu_time(program.run(build))?;
            ensure!(output == expected, "{}: the two builds print different things", program.name);
            Ok(time)
        };
        let ratio = paired(rounds, || measure(&program.clang), || measure(&program.maize))?;
        println!(
            "| {} | {:.3} | {:.3} | {:.3} | {:.3}-{:.3} |",
            program.name, ratio.base, ratio.other, ratio.median, ratio.quartiles.0, ratio.quartiles.1
        );
        medians.push(ratio.median);
    }
    println!("| **geometric mean** | | | **{:.3}** | |", geometric_mean(&medians));
    Ok(())
}
