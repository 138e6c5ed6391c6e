//! What a move costs, by the number of activations: between two x86-64 processes, so that no emulator is measured. Beside it, what libgcc's
//! unwinder takes for as many frames, and `memcpy` for as many bytes (`programs/unwind.c`).
//!
//! `moves [ROUNDS]`: so many runs (5) for each depth.

use anyhow::{Context, Result, bail};
use maize_benches::median;
use maize_tests::{Checked, Compiler, Migration, Placement, Run, benchmark_source, fresh_directory};
use std::env;

fn main() -> Result<()> {
    let rounds = env::args().nth(1).map_or(Ok(5), |rounds| rounds.parse::<usize>()).context("rounds: a number")?;
    let directory = fresh_directory(&env::temp_dir().display().to_string(), "bench-moves")?;
    let program = Compiler::Maize.build_program("deep_stack", &directory)?;
    let others = directory.join("unwind");
    Compiler::Gcc.build(&[benchmark_source("unwind.c")], &["-O2", "-D_GNU_SOURCE"], &others)?;
    println!(
        "| frames | record bytes | capture, us | resume, us | both, ns per frame | pause, us | moves \
         | libgcc's unwinder, first, us | again, us | memcpy, us |"
    );
    println!("|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    for depth in ["7", "100", "1000", "10000"] {
        let mut moves = Vec::new();
        for _ in 0..rounds {
            let placement = Placement::Hopping { isas: vec!["x86_64"], every: "10ms", seed: None };
            let run = Run::new(&program).arguments([depth, "300000000"]).placed(placement);
            moves.extend(run.run()?.succeeded()?.report.context("no report")?.migrations);
        }
        let middle = |value: fn(&Migration) -> f64| median(moves.iter().map(value));
        let frames = middle(|migration| migration.frames as f64);
        let bytes = middle(|migration| migration.record_bytes as f64);
        let output = Run::new(&others).arguments([frames.to_string(), bytes.to_string()]).run()?.succeeded()?.stdout;
        let output = String::from_utf8(output)?;
        let compared = output.split_whitespace().map(|time| time.parse::<f64>().map(|time| time / 1000.0));
        let compared: Vec<f64> = compared.collect::<Result<_, _>>()?;
        let [first, again, copy] = compared[..] else { bail!("unwind: prints {output:?}") };
        println!(
            "| {frames} | {bytes} | {:.1} | {:.1} | {:.0} | {:.0} | {} | {first:.1} | {again:.1} | {copy:.2} |",
            middle(|migration| migration.capture_us),
            middle(|migration| migration.resume_us),
            middle(|migration| (migration.capture_us + migration.resume_us) * 1000.0 / migration.frames as f64),
            middle(|migration| migration.pause_us),
            moves.len()
        );
    }
    Ok(())
}
