//! C++ with exceptions, in programs/cxx: each feature on each ISA alone and hopping, against the native build with the same library.
//!
//! `MAIZE_CXX_RUNS` sets how often everything hops, each time with another seed (1).

use anyhow::{Context, Result, ensure};
use maize_tests::{
    Checked, Compiler, ISAS, Outcome, Placement, Run, fresh_directory, program_source, require_move_between_all,
};
use std::env;
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
    let directory = fresh_directory(env!("CARGO_TARGET_TMPDIR"), "cxx")?;
    let native = Compiler::Clang.build_cxx_program("-O2", "cxx", &directory)?;
    let expected = Run::new(&native).run()?.succeeded()?.stdout;
    Ok(Built { native, program: Compiler::Maize.build_cxx_program("-O2", "cxx", &directory)?, expected })
}

fn built() -> Result<&'static Built> {
    BUILT.as_ref().map_err(|error| anyhow::anyhow!("{error}"))
}

/// How often the whole program hops.
fn runs() -> Result<u64> {
    match env::var("MAIZE_CXX_RUNS") {
        Ok(value) => value.parse().with_context(|| format!("MAIZE_CXX_RUNS={value}")),
        Err(_) => Ok(1),
    }
}

fn check(placement: Placement) -> Result<Outcome> {
    let built = built()?;
    Run::new(&built.program).placed(placement).run()?.printed(&built.expected)?.succeeded()
}

#[test]
fn every_feature_of_cxx_works_on_each_isa() -> Result<()> {
    check(Placement::Directly)?;
    ISAS.iter().try_for_each(|isa| check(Placement::On(isa)).map(drop))
}

#[test]
fn every_feature_of_cxx_survives_moves_between_all_isas() -> Result<()> {
    let mut moves = 0;
    for seed in 1..=runs()? {
        let report = check(Placement::hopping("8ms", Some(seed)))?.moved(10)?;
        moves += report.migrations.len();
        if report.migrations.len() > 60 {
            require_move_between_all(&report)?;
        }
    }
    ensure!(moves as u64 > 25 * runs()?, "only {moves} moves in {} runs", runs()?);
    Ok(())
}

#[test]
fn cxx_survives_moves_without_optimisation() -> Result<()> {
    let directory = fresh_directory(env!("CARGO_TARGET_TMPDIR"), "cxx-O0")?;
    let program = Compiler::Maize.build_cxx_program("-O0", "cxx", &directory)?;
    for seed in 1..=runs()? {
        let run = Run::new(&program).placed(Placement::hopping("20ms", Some(seed)));
        run.moving(&built()?.expected, 10)?;
    }
    Ok(())
}

#[test]
fn each_feature_of_cxx_moves_by_itself() -> Result<()> {
    let built = built()?;
    let text = String::from_utf8(built.expected.clone())?;
    for name in text.lines().filter_map(|line| line.strip_prefix("== ")) {
        let mut moved = 0;
        // A feature may be over before the first move; then it runs for longer.
        for seed in 1..=8 {
            let names = vec![name; 1 << seed];
            let expected = Run::new(&built.native).arguments(&names).run()?.succeeded()?.stdout;
            let run = Run::new(&built.program).arguments(&names).placed(Placement::hopping("3ms", Some(seed)));
            moved += run.run()?.printed(&expected)?.moved(0)?.migrations.len() as u64;
            if moved >= 3 * runs()? {
                break;
            }
        }
        ensure!(moved >= 3, "{name} moved {moved} times only");
    }
    Ok(())
}

#[test]
fn threads_of_cxx_work_on_each_isa_and_moving() -> Result<()> {
    let directory = fresh_directory(env!("CARGO_TARGET_TMPDIR"), "cxx-threads")?;
    let native = Compiler::Clang.build_cxx_program("-O2", "cxx_threads", &directory)?;
    let expected = Run::new(&native).run()?.succeeded()?.stdout;
    let program = Compiler::Maize.build_cxx_program("-O2", "cxx_threads", &directory)?;
    for isa in ISAS {
        Run::new(&program).placed(Placement::On(isa)).run()?.printed(&expected)?.succeeded()?;
    }
    let expected = Run::new(&native).arguments(["40"]).run()?.succeeded()?.stdout;
    for seed in 1..=3 {
        let run = Run::new(&program).arguments(["40"]).placed(Placement::hopping("10ms", Some(seed)));
        run.moving(&expected, 5)?;
    }
    Ok(())
}

#[test]
fn a_program_moves_in_another_unit_s_copy_of_an_inline_function() -> Result<()> {
    let directory = fresh_directory(env!("CARGO_TARGET_TMPDIR"), "cxx-inline-copies")?;
    let source = program_source("inline_copies");
    let (object, program) = (directory.join("elsewhere.o"), directory.join("inline_copies"));
    Compiler::Maize.build_cxx(&[source.join("elsewhere.cpp")], &["-O0", "-c"], &object)?;
    Compiler::Maize.build_cxx(&[object, source.join("main.cpp")], &["-O2"], &program)?;
    let run = Run::new(&program).placed(Placement::hopping("20ms", Some(1)));
    run.moving(b"79999999800000000 499500\n", 5).map(drop)
}

/// What the C++ library says before it ends a program.
fn last_words(outcome: &Outcome) -> Vec<&str> {
    outcome.stderr.lines().filter(|line| line.contains("terminat")).collect()
}

#[test]
fn exceptions_end_programs_as_they_do_natively() -> Result<()> {
    let directory = fresh_directory(env!("CARGO_TARGET_TMPDIR"), "cxx-terminate")?;
    let native = Compiler::Clang.build_cxx_program("-O2", "cxx_terminate", &directory)?;
    let program = Compiler::Maize.build_cxx_program("-O2", "cxx_terminate", &directory)?;
    let ways = [
        "uncaught",
        "uncaught number",
        "noexcept",
        "rethrow of nothing",
        "destructor",
        "unwinding",
        "handler",
        "exit in handler",
    ];
    for way in ways {
        let expected = Run::new(&native).arguments([way]).run()?;
        let alone = ISAS.iter().map(|isa| Placement::On(isa));
        for placement in alone.chain([Placement::hopping("5ms", Some(1))]) {
            let run = Run::new(&program).arguments([way]).placed(placement.clone());
            let outcome = run.run()?.printed(&expected.stdout).with_context(|| format!("{way}, {placement:?}"))?;
            ensure!(outcome.status == expected.status, "{way}: {} instead of {}", outcome.status, expected.status);
            ensure!(
                last_words(&outcome) == last_words(&expected),
                "{way}: {} instead of {}",
                outcome.stderr,
                expected.stderr
            );
        }
    }
    Ok(())
}
