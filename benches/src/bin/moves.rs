//! What a move costs, by the number of activations: between two x86-64 processes, so that no emulator is measured.
//!
//! `moves [ROUNDS]`: so many runs (5) for each depth.

use anyhow::{Context, Result};
use maize_benches::median;
use maize_tests::{Checked, Compiler, Migration, Placement, Run, fresh_directory};
use std::env;

fn main() -> Result<()> {
    let rounds = env::args().nth(1).map_or(Ok(5), |rounds| rounds.parse::<usize>()).context("rounds: a number")?;
    let directory = fresh_directory(&env::temp_dir().display().to_string(), "bench-moves")?;
    let program = Compiler::Maize.build_program("deep_stack", &directory)?;
    println!("| frames | record bytes | capture, us | resume, us | both, ns per frame | pause, us | moves |");
    println!("|---:|---:|---:|---:|---:|---:|---:|");
    for depth in ["7", "100", "1000", "10000"] {
        let mut moves = Vec::new();
        for _ in 0..rounds {
            let placement = Placement::Hopping { isas: vec!["x86_64"], every: "10ms", seed: None };
            let run = Run::new(&program).arguments([depth, "300000000"]).placed(placement);
            moves.extend(run.run()?.succeeded()?.report.context("no report")?.migrations);
        }
        let middle = |value: fn(&Migration) -> f64| median(moves.iter().map(value));
        let frames = middle(|migration| migration.frames as f64);
        println!(
            "| {frames} | {} | {:.1} | {:.1} | {:.0} | {:.0} | {} |",
            middle(|migration| migration.record_bytes as f64),
            middle(|migration| migration.capture_us),
            middle(|migration| migration.resume_us),
            middle(|migration| (migration.capture_us + migration.resume_us) * 1000.0 / migration.frames as f64),
            middle(|migration| migration.pause_us),
            moves.len()
        );
    }
    Ok(())
}
