//! Lua, built by its own make, runs a script of closures, coroutines, errors and garbage while it hops.

use anyhow::{Context, Result};
use maize_tests::{
    Checked, Compiler, ISAS, Placement, Run, build_lua, fresh_directory, program_source, require_move_between_all,
};
use std::path::PathBuf;
use std::sync::LazyLock;

const ROUNDS: &str = "5";

struct Built {
    program: PathBuf,
    /// What the native build prints.
    expected: Vec<u8>,
}

static BUILT: LazyLock<Result<Built, String>> = LazyLock::new(|| build().map_err(|error| format!("{error:#}")));

fn build() -> Result<Built> {
    let directory = fresh_directory(env!("CARGO_TARGET_TMPDIR"), "lua")?;
    let native = build_lua(Compiler::Gcc, &directory).context("with gcc")?;
    let program = build_lua(Compiler::Maize, &directory).context("with maize cc")?;
    let expected = workload(native).run()?.succeeded()?.stdout;
    Ok(Built { program, expected })
}

fn workload(lua: PathBuf) -> Run {
    // By a relative path, as error messages name the script.
    Run::new(lua).directory(program_source("")).arguments(["workload.lua", ROUNDS])
}

fn check(placement: &Placement) -> Result<maize_tests::Outcome> {
    let built = BUILT.as_ref().map_err(|error| anyhow::anyhow!("{error}"))?;
    workload(built.program.clone()).placed(placement.clone()).run()?.printed(&built.expected)?.succeeded()
}

#[test]
fn prints_the_same_on_each_isa_alone() -> Result<()> {
    ISAS.iter().try_for_each(|isa| check(&Placement::On(isa)).map(drop))
}

#[test]
fn prints_the_same_hopping_every_10_ms() -> Result<()> {
    check(&Placement::hopping("10ms", None))?.moved(10)?;
    for seed in [1, 2, 3] {
        let report = check(&Placement::hopping("10ms", Some(seed)))?.moved(10)?;
        if report.migrations.len() > 60 {
            require_move_between_all(&report)?;
        }
    }
    Ok(())
}
