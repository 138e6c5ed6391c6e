//! What being able to move costs a program that does not: `maize cc -O3` against `clang-22 -O3` with the same musl, on
//! x86-64, as ordinary executables.
//!
//! `fastpath [ROUNDS [NAME ...]]`: so many pairs of runs (15) of the programs whose names contain one of these.

use anyhow::{Result, ensure};
use maize_benches::{Size, clang_and_maize, cpu_time, directory, geometric_mean, paired, rounds_and_names, workloads};

fn main() -> Result<()> {
    let (rounds, wanted) = rounds_and_names(15)?;
    let directory = directory("fastpath")?;
    let [mut clang, mut maize] = clang_and_maize()?;
    let mut medians = Vec::new();
    println!("| program | clang, s | maize, s | ratio | quartiles |\n|---|---:|---:|---:|---:|");
    for workload in workloads(&directory, Size::Full, &wanted)? {
        let (clang, maize) = (clang.program(workload.source)?, maize.program(workload.source)?);
        let expected = workload.result(&cpu_time(workload.run(&clang))?.1);
        let measure = |build| {
            let (time, output) = cpu_time(workload.run(build))?;
            ensure!(workload.result(&output) == expected, "{}: the two builds print different things", workload.name);
            Ok(time)
        };
        let ratio = paired(rounds, || measure(&clang), || measure(&maize))?;
        println!(
            "| {} | {:.3} | {:.3} | {:.3} | {:.3}-{:.3} |",
            workload.name, ratio.base, ratio.other, ratio.median, ratio.quartiles.0, ratio.quartiles.1
        );
        medians.push(ratio.median);
    }
    println!("| **geometric mean** | | | **{:.3}** | |", geometric_mean(&medians));
    Ok(())
}
