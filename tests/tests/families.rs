//! Programs of several processes: each moves by itself, and all go on knowing each other.

use anyhow::{Result, ensure};
use maize_tests::{Checked, ISAS, Placement, Run, build_both};
use std::path::PathBuf;

fn build() -> Result<(PathBuf, PathBuf)> {
    build_both("family", env!("CARGO_TARGET_TMPDIR"))
}

#[test]
fn children_move_by_themselves_and_are_waited_for() -> Result<()> {
    let (native, program) = build()?;
    let expected = Run::new(native).run()?.succeeded()?.stdout;
    ensure!(!String::from_utf8_lossy(&expected).contains("NO"), "not even natively");
    for seed in 1..=4 {
        // On a busy machine they are over before they have moved, unless they compute for longer.
        for times in ["1", "4", "16"] {
            let run = Run::new(&program).placed(Placement::hopping("20ms", Some(seed)));
            let report = run.variable("FAMILY_TIMES", times).run()?.printed(&expected)?.moved(0)?;
            let moved = report.children.iter().filter(|child| !child.migrations.is_empty()).count();
            let (moves, children) = (report.migrations.len(), report.children.len());
            if moved >= 3 && moves >= 10 {
                break;
            }
            ensure!(times != "16", "{moves} moves, and {moved} of {children} children moved, seed {seed}");
        }
    }
    Ok(())
}

#[test]
fn families_are_the_same_on_each_isa_alone() -> Result<()> {
    let (native, program) = build()?;
    let expected = Run::new(native).run()?.stdout;
    for placement in ISAS.iter().map(|isa| Placement::On(isa)).chain([Placement::Directly]) {
        Run::new(&program).placed(placement).run()?.printed(&expected)?.succeeded()?;
    }
    Ok(())
}

#[test]
fn an_executed_program_goes_on_and_moves() -> Result<()> {
    let (native, program) = build()?;
    let natively = Run::new(native).arguments(["exec"]).run()?;
    for seed in 1..=4 {
        let run = Run::new(&program).arguments(["exec"]).placed(Placement::hopping("10ms", Some(seed)));
        let outcome = run.run()?.printed(&natively.stdout)?;
        ensure!(outcome.status == natively.status, "{} instead of {}", outcome.status, natively.status);
        ensure!(outcome.report.is_some_and(|report| !report.migrations.is_empty()), "no move, seed {seed}");
    }
    Ok(())
}

#[test]
fn an_executed_program_stays_on_its_isa() -> Result<()> {
    let (_, program) = build()?;
    for isa in ISAS {
        let outcome = Run::new(&program).arguments(["where"]).placed(Placement::On(isa)).run()?.succeeded()?;
        let executed = String::from_utf8_lossy(&outcome.stdout).into_owned();
        let is_emulated = executed.starts_with(&format!("qemu-{isa}"));
        ensure!(is_emulated || isa == std::env::consts::ARCH, "on {isa} the kernel executes {executed}");
    }
    Ok(())
}
