//! Every feature of C that a move must carry over, in programs/features: each ISA alone, and hopping.

use anyhow::{Result, ensure};
use maize_tests::{Checked, Compiler, ISAS, Placement, Run, fresh_directory, require_move_between_all};
use std::path::PathBuf;
use std::sync::LazyLock;

struct Built {
    native: PathBuf,
    program: PathBuf,
    /// What the native build prints.
    expected: Vec<u8>,
}

static BUILT: LazyLock<Result<Built, String>> = LazyLock::new(|| build().map_err(|error| format!("{error:#}")));

fn build() -> Result<Built> {
    let directory = fresh_directory(env!("CARGO_TARGET_TMPDIR"), "features")?;
    let native = Compiler::Gcc.build_program("features", &directory)?;
    let expected = Run::new(&native).run()?.succeeded()?.stdout;
    let clang = Compiler::Clang.build_program("features", &directory)?;
    // What compilers disagree about is no test.
    Run::new(clang).run()?.printed(&expected)?;
    Ok(Built { native, program: Compiler::Maize.build_program("features", &directory)?, expected })
}

fn check(placement: Placement) -> Result<maize_tests::Outcome> {
    let built = BUILT.as_ref().map_err(|error| anyhow::anyhow!("{error}"))?;
    Run::new(&built.program).placed(placement).run()?.printed(&built.expected)?.succeeded()
}

#[test]
fn every_feature_works_on_each_isa() -> Result<()> {
    check(Placement::Directly)?;
    ISAS.iter().try_for_each(|isa| check(Placement::On(isa)).map(drop))
}

#[test]
fn every_feature_survives_moves_between_all_isas() -> Result<()> {
    let mut moves = 0;
    for seed in 1..=5 {
        let report = check(Placement::hopping("8ms", Some(seed)))?.moved(10)?;
        moves += report.migrations.len();
        if report.migrations.len() > 60 {
            require_move_between_all(&report)?;
        }
    }
    ensure!(moves > 100, "only {moves} moves in 5 runs");
    Ok(())
}

#[test]
fn features_survive_moves_without_optimisation() -> Result<()> {
    let built = BUILT.as_ref().map_err(|error| anyhow::anyhow!("{error}"))?;
    let directory = fresh_directory(env!("CARGO_TARGET_TMPDIR"), "features-O0")?;
    let program = Compiler::Maize.build_program_at("-O0", "features", &directory)?;
    for seed in 1..=2 {
        let run = Run::new(&program).placed(Placement::hopping("15ms", Some(seed)));
        run.moving(&built.expected, 10)?;
    }
    Ok(())
}

#[test]
fn each_feature_moves_by_itself() -> Result<()> {
    let built = BUILT.as_ref().map_err(|error| anyhow::anyhow!("{error}"))?;
    let text = String::from_utf8(built.expected.clone())?;
    for name in text.lines().filter_map(|line| line.strip_prefix("== ")) {
        let mut moved = false;
        // A feature may be over before the first move; then it runs for longer.
        for seed in 1..=10 {
            let names = vec![name; 4 << seed];
            let expected = Run::new(&built.native).arguments(&names).run()?.succeeded()?.stdout;
            let run = Run::new(&built.program).arguments(&names).placed(Placement::hopping("3ms", Some(seed)));
            let report = run.run()?.printed(&expected)?.moved(0)?;
            moved = !report.migrations.is_empty();
            if moved {
                break;
            }
        }
        ensure!(moved, "{name} never moved");
    }
    Ok(())
}
