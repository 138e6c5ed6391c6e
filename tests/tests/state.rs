//! What the kernel keeps for a process besides memory and plain files goes along, or is made anew, or keeps the program where it is.

use anyhow::{Result, ensure};
use maize_tests::{Checked, ISAS, Placement, Report, Run, build_both, fresh_directory};

/// Runs a part of the program natively, on each ISA alone, and hopping with several seeds; returns the reports of the latter.
fn check(part: &str, argument: &str) -> Result<Vec<Report>> {
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
    while reports.len() < 3 || reports.iter().all(|report: &Report| report.migrations.is_empty()) {
        ensure!(reports.len() < 8, "it never moved: {reports:?}");
        let seed = reports.len() as u64 + 1;
        reports.push(run(&program, Placement::hopping("20ms", Some(seed)))?.printed(&expected)?.moved(0)?);
    }
    Ok(reports)
}

#[test]
fn every_kind_of_descriptor_goes_along() -> Result<()> {
    check("descriptors", "descriptors").map(drop)
}

#[test]
fn settings_go_along() -> Result<()> {
    check("settings", "settings").map(drop)
}

#[test]
fn timers_run_on_and_time_used_adds_up() -> Result<()> {
    check("times", "times").map(drop)
}

#[test]
fn locks_are_never_lost() -> Result<()> {
    let reports = check("locks", "locks")?;
    let stayed = reports.iter().any(|report| report.stays.iter().any(|stay| stay.reason.contains("record locks")));
    ensure!(stayed, "it moved with record locks: {reports:?}");
    Ok(())
}

#[test]
fn segments_of_shared_memory_go_along() -> Result<()> {
    check("segments", "segments").map(drop)
}

#[test]
fn a_program_finds_itself_in_proc() -> Result<()> {
    check("self", "a b").map(drop)
}
