//! What the kernel keeps for a process besides memory and plain files goes along, or is made anew, or keeps the program where it is.

use anyhow::{Result, ensure};
use maize_tests::{Checked, ISAS, Placement, Report, Run, build_both, fresh_directory};

/// Runs a part of the program natively, on each ISA alone, and hopping with several seeds; returns the reports of the latter.
fn check(part: &str, argument: &str, is_enough: impl Fn(&[Report]) -> bool) -> Result<()> {
    let (native, program) = build_both("state", env!("CARGO_TARGET_TMPDIR"))?;
    let run = |program, placement| {
        let directory = fresh_directory(env!("CARGO_TARGET_TMPDIR"), &format!("state-{part}"))?;
        Run::new(program).arguments([argument]).directory(directory).placed(placement).run()
    };
    let expected = run(&native, Placement::Directly)?.succeeded()?.stdout;
    ensure!(!String::from_utf8_lossy(&expected).contains("NO"), "not even natively");
    for placement in ISAS.iter().map(|isa| Placement::On(isa)).chain([Placement::Directly]) {
        run(&program, placement)?.printed(&expected)?.succeeded()?;
    }
    // On a busy machine it may be over before it has moved.
    let mut reports = Vec::new();
    let has_moved = |report: &Report| !report.migrations.is_empty();
    while reports.len() < 3 || !reports.iter().any(has_moved) || !is_enough(&reports) {
        ensure!(reports.len() < 12, "it never did so in {reports:?}");
        let seed = reports.len() as u64 + 1;
        reports.push(run(&program, Placement::hopping("20ms", Some(seed)))?.printed(&expected)?.moved(0)?);
    }
    Ok(())
}

#[test]
fn every_kind_of_descriptor_goes_along() -> Result<()> {
    check("descriptors", "descriptors", |_| true)
}

#[test]
fn settings_go_along() -> Result<()> {
    check("settings", "settings", |_| true)
}

#[test]
fn timers_run_on_and_time_used_adds_up() -> Result<()> {
    check("times", "times", |_| true)
}

#[test]
fn locks_are_never_lost() -> Result<()> {
    // It was asked while it had some.
    check("locks", "locks", |reports| {
        reports.iter().flat_map(|report| &report.stays).any(|stay| stay.reason.contains("record locks"))
    })
}

#[test]
fn segments_of_shared_memory_go_along() -> Result<()> {
    check("segments", "segments", |_| true)
}

#[test]
fn signals_that_wait_go_along() -> Result<()> {
    check("signals", "signals", |_| true)
}

#[test]
fn a_program_finds_itself_in_proc() -> Result<()> {
    check("self", "a b", |_| true)
}
