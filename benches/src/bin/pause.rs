//! How long a program pauses in a move, by its memory: copied first, and brought while it runs; and how much it gets done either way; and how long `memcpy` takes for as much, to memory that has not been used. Between two x86-64 processes, run alternately. The program changes
//! pages at random, which is the worst for bringing them.
//!
//! `pause [ROUNDS]`: so many runs (5) of each kind for each size.

use anyhow::{Context, Result};
use maize_benches::{directory, median, percentile};
use maize_tests::{Checked, Compiler, Fetched, Migration, Placement, Run, benchmark_source};
use std::env;
use std::time::Instant;

const SECONDS: &str = "3";

/// Milliseconds that copying so many megabytes to new memory takes.
fn copy(megabytes: &str) -> Result<f64> {
    let from = vec![1u8; megabytes.parse::<usize>()? << 20];
    let begun = Instant::now();
    let to = std::hint::black_box(&from).clone();
    let took = begun.elapsed().as_secs_f64() * 1e3;
    drop(std::hint::black_box(to));
    Ok(took)
}

fn main() -> Result<()> {
    let rounds = env::args().nth(1).map_or(Ok(5), |rounds| rounds.parse::<usize>()).context("rounds: a number")?;
    let program = directory("pause")?.join("memory");
    Compiler::Maize.build(&[benchmark_source("memory.c")], &["-O2"], &program)?;
    println!(
        "| MB | copied: pause, ms | quartiles | brought: pause, ms | quartiles | until all is there, ms | memcpy, ms | waits for a page | moves | work done, ratio |"
    );
    println!("|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    for megabytes in ["1", "16", "64", "200"] {
        let mut moves = [Vec::new(), Vec::new()];
        let (mut ratios, mut copies) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            copies.push(copy(megabytes)?);
            let mut done = [0.0; 2];
            for ((moves, done), how) in moves.iter_mut().zip(&mut done).zip(["copy", "post-copy"]) {
                let placement = Placement::Hopping { isas: vec!["x86_64", "x86_64"], every: "400ms", seed: None };
                let run = Run::new(&program).arguments([megabytes, SECONDS]).placed(placement);
                let outcome = run.option(format!("--memory={how}")).run()?.succeeded()?;
                *done = String::from_utf8(outcome.stdout)?.trim().parse()?;
                moves.extend(outcome.report.context("no report")?.migrations);
            }
            ratios.push(done[1] / done[0]);
        }
        let [copied, brought] = moves;
        let pause = |moves: &[Migration]| {
            let pauses: Vec<f64> = moves.iter().map(|migration| migration.pause_us / 1000.0).collect();
            let [middle, low, high] = [0.5, 0.25, 0.75].map(|part| percentile(&pauses, part));
            format!("{middle:.2} | {low:.2}-{high:.2}")
        };
        let of = |value: fn(&Fetched) -> f64| {
            let values: Vec<f64> =
                brought.iter().filter_map(|migration| migration.fetched.as_ref()).map(value).collect();
            if values.is_empty() { "-".to_owned() } else { format!("{:.0}", median(values.into_iter())) }
        };
        println!(
            "| {megabytes} | {} | {} | {} | {:.1} | {} | {}, {} | {:.2} |",
            pause(&copied),
            pause(&brought),
            of(|fetched| fetched.took_us / 1000.0),
            median(copies.into_iter()),
            of(|fetched| fetched.faults as f64),
            copied.len(),
            brought.len(),
            median(ratios.into_iter())
        );
    }
    Ok(())
}
