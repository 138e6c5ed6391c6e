//! bzip2, built by its own make, does everywhere and on the way what the native build does.

use anyhow::{Context, Result, ensure};
use maize_tests::{
    Checked, Compiler, ISAS, Input, Placement, Run, build_bzip2, compressible, fresh_directory,
    require_move_between_all,
};
use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

const SIZE: usize = 20_000_000;

struct Built {
    program: PathBuf,
    plain: PathBuf,
    /// Compressed by the native build.
    packed: PathBuf,
}

/// Building runs bzip2's `make test` too.
static BUILT: LazyLock<Result<Built, String>> = LazyLock::new(|| build().map_err(|error| format!("{error:#}")));

fn build() -> Result<Built> {
    let directory = fresh_directory(env!("CARGO_TARGET_TMPDIR"), "bzip2")?;
    let native = build_bzip2(Compiler::Gcc, &directory).context("with gcc")?.join("bzip2");
    let program = build_bzip2(Compiler::Maize, &directory).context("with maize cc")?.join("bzip2");
    let (plain, packed) = (directory.join("plain"), directory.join("plain.bz2"));
    fs::write(&plain, compressible(SIZE))?;
    let outcome = Run::new(native).arguments(["-9c"]).input(Input::File(plain.clone())).run()?.succeeded()?;
    fs::write(&packed, outcome.stdout)?;
    Ok(Built { program, plain, packed })
}

/// Compresses and decompresses; returns how often it moved.
fn there_and_back(placement: &Placement) -> Result<usize> {
    let built = BUILT.as_ref().map_err(|error| anyhow::anyhow!("{error}"))?;
    let mut moves = 0;
    for (arguments, from, to) in [("-9c", &built.plain, &built.packed), ("-dc", &built.packed, &built.plain)] {
        let run = Run::new(&built.program).arguments([arguments]).placed(placement.clone());
        let (run, expected) = (run.input(Input::File(from.clone())), fs::read(to)?);
        if matches!(placement, Placement::Hopping { .. }) {
            let report = run.moving(&expected, 1)?;
            moves += report.migrations.len();
            if report.migrations.len() > 60 {
                require_move_between_all(&report)?;
            }
        } else {
            run.run()?.printed(&expected)?.succeeded()?;
        }
    }
    Ok(moves)
}

#[test]
fn runs_as_an_ordinary_executable() -> Result<()> {
    there_and_back(&Placement::Directly).map(drop)
}

#[test]
fn runs_on_each_isa_alone() -> Result<()> {
    ISAS.iter().try_for_each(|isa| there_and_back(&Placement::On(isa)).map(drop))
}

#[test]
fn hops_every_20_ms() -> Result<()> {
    for seed in [1, 2, 3] {
        let moves = there_and_back(&Placement::hopping("20ms", Some(seed)))?;
        ensure!(moves >= 10, "only {moves} moves with seed {seed}");
    }
    Ok(())
}
