//! dash, the shell, built by its own configure and make, runs a script of pipes, subshells, background jobs and traps, while the
//! shell and all its children hop.

use anyhow::{Context, Result, ensure};
use maize_tests::{Checked, Compiler, ISAS, Outcome, Placement, Run, build_dash, fresh_directory, program_source};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// How long the script's loops run.
const STEPS: &str = "20000";
/// The script's own exit status.
const STATUS: i32 = 8;

struct Built {
    program: PathBuf,
    /// What the native build prints.
    expected: Vec<u8>,
}

static BUILT: LazyLock<Result<Built, String>> = LazyLock::new(|| build().map_err(|error| format!("{error:#}")));

fn build() -> Result<Built> {
    let directory = fresh_directory(env!("CARGO_TARGET_TMPDIR"), "dash")?;
    let native = build_dash(Compiler::Gcc, &directory).context("with gcc")?;
    let program = build_dash(Compiler::Maize, &directory).context("with maize cc")?;
    let expected = script(&native).run()?.stdout;
    Ok(Built { program, expected })
}

fn script(dash: &Path) -> Run {
    Run::new(dash).arguments([program_source("shell.sh").as_path(), dash, Path::new(STEPS)])
}

fn check(placement: &Placement) -> Result<Outcome> {
    let built = BUILT.as_ref().map_err(|error| anyhow::anyhow!("{error}"))?;
    let outcome = script(&built.program).placed(placement.clone()).run()?.printed(&built.expected)?;
    ensure!(outcome.status.code() == Some(STATUS), "{}: {}\n{}", outcome.status, outcome.command, outcome.stderr);
    Ok(outcome)
}

#[test]
fn a_script_prints_the_same_on_each_isa_alone() -> Result<()> {
    let placements = ISAS.iter().map(|isa| Placement::On(isa));
    placements.chain([Placement::Directly]).try_for_each(|placement| check(&placement).map(drop))
}

#[test]
fn a_script_prints_the_same_while_all_its_processes_hop() -> Result<()> {
    for seed in 1..=3 {
        let outcome = check(&Placement::hopping("20ms", Some(seed)))?;
        let report = outcome.report.context("no report")?;
        let moves: usize = report.children.iter().map(|child| child.migrations.len()).sum();
        ensure!(report.migrations.len() > 10 && moves > 20, "{} and {moves} moves", report.migrations.len());
    }
    Ok(())
}
