//! Programs of several threads, in programs/crowd: each thing they do by itself, on each ISA and moving.

use anyhow::{Context as _, Result, ensure};
use maize_tests::{Checked, Compiler, ISAS, Outcome, Placement, Run, fresh_directory};
use std::path::PathBuf;
use std::sync::LazyLock;

const THINGS: [&str; 9] =
    ["cancelling", "coming", "forking", "identity", "leaving", "meeting", "signalling", "timing", "waiting"];

/// The first thread of this one ends before the others, which end the process with this status.
const LEAVING: (&str, i32) = ("leaving", 7);

struct Built {
    native: PathBuf,
    program: PathBuf,
}

static BUILT: LazyLock<Result<Built, String>> = LazyLock::new(|| build().map_err(|error| format!("{error:#}")));

fn build() -> Result<Built> {
    let directory = fresh_directory(env!("CARGO_TARGET_TMPDIR"), "crowd")?;
    let native = Compiler::Clang.build_program("crowd", &directory)?;
    Ok(Built { native, program: Compiler::Maize.build_program("crowd", &directory)? })
}

/// Does a thing natively and as said.
fn check(thing: &str, placement: Placement) -> Result<Outcome> {
    let built = BUILT.as_ref().map_err(|error| anyhow::anyhow!("{error}"))?;
    let native = Run::new(&built.native).arguments([thing]).run()?;
    let status = if thing == LEAVING.0 { LEAVING.1 } else { 0 };
    ensure!(native.status.code() == Some(status), "natively {thing} ended with {}", native.status);
    let outcome = Run::new(&built.program).arguments([thing]).placed(placement).run()?;
    ensure!(outcome.status.code() == Some(status), "{}: {}\n{}", outcome.command, outcome.status, outcome.stderr);
    outcome.printed(&native.stdout)
}

fn moves(outcome: &Outcome) -> Result<usize> {
    let report = outcome.report.as_ref().context("no report")?;
    // On a machine that is busy with something else a thread may not get so far in a second.
    let is_late = |reason: &str| reason.contains("migration point");
    let on_time = report.stays.iter().all(|stay| is_late(&stay.reason));
    ensure!(on_time, "{:?}\nto repeat: {}", report.stays, outcome.command);
    Ok(report.migrations.len())
}

#[test]
fn threads_do_on_each_isa_what_they_do_natively() -> Result<()> {
    for thing in THINGS {
        check(thing, Placement::Directly)?;
        ISAS.iter().try_for_each(|isa| check(thing, Placement::On(isa)).map(drop))?;
    }
    Ok(())
}

#[test]
fn threads_survive_moves_within_an_isa() -> Result<()> {
    for thing in THINGS {
        let mut all = 0;
        for seed in 1..=10 {
            let placement = Placement::Hopping { isas: vec![ISAS[0], ISAS[0]], every: "4ms", seed: Some(seed) };
            all += moves(&check(thing, placement)?)?;
            // It may be over before it has moved.
            if all > 0 {
                break;
            }
        }
        ensure!(all > 0, "{thing} did not move");
    }
    Ok(())
}

#[test]
fn threads_survive_moves_between_all_isas() -> Result<()> {
    let mut all = 0;
    for seed in 1..=9 {
        for thing in THINGS {
            all += moves(&check(thing, Placement::hopping("8ms", Some(seed)))?)?;
        }
        // On a busy machine there are fewer in each run.
        if seed >= 3 && all > 30 {
            break;
        }
    }
    ensure!(all > 30, "only {all} moves");
    Ok(())
}
