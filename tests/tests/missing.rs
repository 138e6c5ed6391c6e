//! Programs that come to where no kernel asks for missing pages (docs/protocol.md): under an emulator, and where userfaultfd is refused. Their system calls, faults and signals find pages missing
//! wherever they look.

use anyhow::{Context as _, Result, ensure};
use maize_tests::{Checked as _, ISAS, Placement, Run, build_both, maize, text};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

/// Who may do nothing in particular.
const NOBODY: u32 = 65534;

static BUILT: LazyLock<Result<(PathBuf, PathBuf), String>> =
    LazyLock::new(|| build_both("missing", env!("CARGO_TARGET_TMPDIR")).map_err(|error| format!("{error:#}")));

fn built() -> Result<&'static (PathBuf, PathBuf)> {
    BUILT.as_ref().map_err(|error| anyhow::anyhow!("{error}"))
}

fn arguments(seed: u64, rounds: u64) -> Vec<String> {
    [seed, 30, rounds].map(|number| number.to_string()).to_vec()
}

#[test]
fn what_a_program_does_with_missing_pages_under_an_emulator_is_what_it_does_natively() -> Result<()> {
    let (native, program) = built()?;
    let mut waits = 0;
    for seed in 1..=4 {
        let arguments = arguments(seed, 1500);
        let expected = Run::new(native).arguments(&arguments).run()?.succeeded()?.stdout;
        let placement = Placement::Hopping { isas: ISAS.to_vec(), every: "40ms", seed: Some(seed) };
        let run = Run::new(program).arguments(&arguments).placed(placement);
        let report = run.moving(&expected, 3).with_context(|| format!("seed {seed}"))?;
        let to_emulator = report.migrations.iter().filter(|migration| migration.to != "x86_64");
        let fetched: Vec<_> = to_emulator.map(|migration| migration.fetched.as_ref()).collect();
        ensure!(fetched.iter().any(Option::is_some), "seed {seed}: nothing followed to an emulator");
        waits += fetched.into_iter().flatten().map(|fetched| fetched.faults).sum::<u64>();
    }
    ensure!(waits > 0, "no page was found missing");
    Ok(())
}

#[test]
fn what_a_program_does_with_missing_pages_where_userfaultfd_is_refused_is_what_it_does_natively() -> Result<()> {
    let (native, program) = built()?;
    for seed in 11..=14 {
        let arguments = arguments(seed, 3000);
        let expected = Run::new(native).arguments(&arguments).run()?.succeeded()?.stdout;
        let mut command = Command::new(maize());
        command.args(["run", "--hop", "x86_64,x86_64", "--every", "15ms", "--seed", &seed.to_string()]);
        command.arg(program).args(&arguments);
        if rustix::process::geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        let output = command.output()?;
        let printed = text(&output.stdout);
        ensure!(output.stdout == expected, "seed {seed}: {}: {printed}{}", output.status, text(&output.stderr));
    }
    Ok(())
}
