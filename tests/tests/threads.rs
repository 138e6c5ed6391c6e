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
    ensure!(report.stays.is_empty(), "{:?}\nto repeat: {}", report.stays, outcome.command);
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
        let isas = vec![ISAS[0], ISAS[0]];
        let placement = Placement::Hopping { isas, every: "4ms", seed: Some(1) };
        ensure!(moves(&check(thing, placement)?)? > 0, "{thing} did not move");
    }
    Ok(())
}

#[test]
fn threads_survive_moves_between_all_isas() -> Result<()> {
    let mut all = 0;
    for thing in THINGS {
        for seed in 1..=3 {
            all += moves(&check(thing, Placement::hopping("8ms", Some(seed)))?)?;
        }
    }
    ensure!(all > 30, "only {all} moves");
    Ok(())
}
