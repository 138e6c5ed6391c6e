//! Terminals that a program has made itself move with it: what is typed into one side and said on the other, settings and names are what they are natively, wherever both sides are.

use anyhow::{Context as _, Result, ensure};
use maize_tests::{Checked, Cut, ISAS, Journey, Placement, Point, Random, Run, build_both, node_name, text};
use rustix::pty::{OpenptFlags, openpt};
use std::os::fd::OwnedFd;
use std::time::Duration;

/// What should take seconds may take so long on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn both_sides_go_on_when_each_of_their_processes_moves() -> Result<()> {
    let (native, program) = build_both("ptys", env!("CARGO_TARGET_TMPDIR"))?;
    let expected = Run::new(native).arguments(["300", "100"]).run()?.succeeded()?.stdout;
    ensure!(!String::from_utf8_lossy(&expected).contains("NO"), "not even natively");
    for seed in 1..=4 {
        let run = Run::new(&program).arguments(["300", "4000"]).placed(Placement::hopping("10ms", Some(seed)));
        let report = run.moving(&expected, 5)?;
        ensure!(report.children.iter().any(|child| !child.migrations.is_empty()), "no child moved, seed {seed}");
    }
    for placement in ISAS.iter().map(|isa| Placement::On(isa)).chain([Placement::Directly]) {
        Run::new(&program).arguments(["300", "100"]).placed(placement).run()?.printed(&expected)?.succeeded()?;
    }
    Ok(())
}

/// Takes so many numbers. Those that the program's terminals have are taken, too: the nodes of a test have one kernel.
fn take_numbers(count: u64) -> Result<Vec<OwnedFd>> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    Ok((0..count).map(|_| openpt(flags)).collect::<Result<_, _>>()?)
}

#[test]
fn they_go_to_other_nodes_with_what_is_in_them() -> Result<()> {
    let Some(journey) = Journey::new(env!("CARGO_TARGET_TMPDIR"), "ptys-nodes", "ptys", 2)? else { return Ok(()) };
    let expected = journey.natively(&["300", "100"])?;
    ensure!(expected.status == 0 && !expected.output.contains("NO"), "{expected:?}");
    for seed in 1..=3 {
        let mut random = Random(seed);
        let mut name = journey.start(0, &["300", "30000"])?;
        for step in 0..4 {
            journey.wait_for_progress(&name)?;
            let _taken = take_numbers(random.below(4))?;
            std::thread::sleep(Duration::from_micros(random.below(50_000)));
            let to = node_name((step + 1) % 2);
            name = journey.cluster.succeed(0, &["migrate", &name, "--to", &to])?.trim().to_owned();
        }
        journey.wait_for_end(&name)?.ensure_is(&expected).with_context(|| format!("seed {seed}"))?;
    }
    Ok(())
}

#[test]
fn a_move_that_fails_leaves_them_as_they_were() -> Result<()> {
    let root = env!("CARGO_TARGET_TMPDIR");
    let Some((journey, proxy)) = Journey::with_proxy(root, "ptys-fails", "ptys", 2)? else { return Ok(()) };
    let expected = journey.natively(&["300", "100"])?;
    let name = journey.start(0, &["300", "30000"])?;
    journey.wait_for_progress(&name)?;
    journey.cluster.succeed(0, &["migrate", &name, "--to", "b", "--dry-run"])?;
    for point in [Point::Restored, Point::Commit, Point::Restored] {
        journey.wait_for_progress(&name)?;
        proxy.arm(point, Cut::Closed, || {});
        let output = journey.cluster.maize(0, &["migrate", &name, "--to", "b", "--timeout", "60s"])?;
        ensure!(!output.status.success() && proxy.has_sprung(PATIENCE), "{point:?}: {}", text(&output.stderr));
    }
    journey.wait_for_end(&name)?.ensure_is(&expected)
}

#[test]
fn one_that_is_a_sessions_own_is_named_and_the_program_runs_on() -> Result<()> {
    let Some(journey) = Journey::new(env!("CARGO_TARGET_TMPDIR"), "ptys-session", "ptys", 2)? else { return Ok(()) };
    let expected = journey.natively(&["300", "100", "session"])?;
    ensure!(expected.status == 0 && !expected.output.contains("NO"), "{expected:?}");
    let name = journey.start(0, &["300", "30000", "session"])?;
    journey.wait_for_progress(&name)?;
    journey.cluster.fail(0, &["migrate", &name, "--to", "b"], "a terminal that is a session's own")?;
    journey.wait_for_progress(&name)?;
    journey.wait_for_end(&name)?.ensure_is(&expected)
}
