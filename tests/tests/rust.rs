//! Rust programs do on every ISA, and hopping, what rustc and cargo's own builds of them do.

use anyhow::{Result, ensure};
use maize_tests::{
    Checked, ISAS, Input, Outcome, Placement, RIPGREP, Run, RustCompiler, compressible, fresh_directory,
    require_move_between_all,
};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

struct Built {
    directory: PathBuf,
    native: PathBuf,
    program: PathBuf,
}

static SURVEY: LazyLock<Result<Built, String>> = LazyLock::new(|| build_survey().map_err(|error| format!("{error:#}")));

fn build_survey() -> Result<Built> {
    let directory = fresh_directory(env!("CARGO_TARGET_TMPDIR"), "rust-survey")?;
    let native = RustCompiler::Native.build_program("survey", &directory)?;
    let program = RustCompiler::Maize.build_program("survey", &directory)?;
    Ok(Built { directory, native, program })
}

fn survey() -> Result<&'static Built> {
    SURVEY.as_ref().map_err(|error| anyhow::anyhow!("{error}"))
}

/// Runs the survey in a directory of its own: it makes files.
fn run(program: &Path, name: &str, arguments: &[&str], placement: &Placement) -> Result<Outcome> {
    let directory = fresh_directory(&survey()?.directory.to_string_lossy(), name)?;
    let run = Run::new(program).arguments([directory]).arguments(arguments.iter().copied()).placed(placement.clone());
    run.variable("SURVEY_VARIABLE", "of the environment").run()
}

#[test]
fn the_standard_library_works_on_each_isa() -> Result<()> {
    let built = survey()?;
    let expected = run(&built.native, "native", &["2"], &Placement::Directly)?.succeeded()?.stdout;
    run(&built.program, "directly", &["2"], &Placement::Directly)?.printed(&expected)?.succeeded()?;
    ISAS.iter().try_for_each(|isa| {
        run(&built.program, isa, &["2"], &Placement::On(isa))?.printed(&expected)?.succeeded().map(drop)
    })
}

#[test]
fn the_standard_library_survives_moves() -> Result<()> {
    let built = survey()?;
    let arguments = ["40", "unwinding"];
    let expected = run(&built.native, "native-40", &arguments, &Placement::Directly)?.succeeded()?.stdout;
    for seed in [1, 2, 3] {
        let placement = Placement::hopping("20ms", Some(seed));
        let outcome = run(&built.program, &format!("hopping-{seed}"), &arguments, &placement)?;
        outcome.printed(&expected)?.moved(3)?;
    }
    Ok(())
}

#[test]
fn panics_are_caught_after_moves() -> Result<()> {
    let built = survey()?;
    let expected = run(&built.native, "native-caught", &["40"], &Placement::Directly)?.succeeded()?.stdout;
    for seed in [1, 2, 3] {
        let placement = Placement::hopping("20ms", Some(seed));
        let outcome = run(&built.program, &format!("caught-{seed}"), &["40"], &placement)?;
        outcome.printed(&expected)?.moved(3)?;
    }
    Ok(())
}

#[test]
fn programs_end_as_they_do_natively() -> Result<()> {
    let built = survey()?;
    for ending in ["panic", "abort", "exit"] {
        let native = Run::new(&built.native).arguments([ending]).run()?;
        for placement in ISAS.map(Placement::On).iter().chain([&Placement::Directly]) {
            let outcome = Run::new(&built.program).arguments([ending]).placed(placement.clone()).run()?;
            ensure!(outcome.status == native.status, "{ending}: {} {}", outcome.status, outcome.command);
            let panics = ending == "panic" && native.stderr.contains("as asked: None");
            ensure!(!panics || outcome.stderr.contains("as asked: None"), "{}", outcome.stderr);
        }
    }
    Ok(())
}

#[test]
#[ignore = "takes minutes; run by ./test --all"]
fn ripgrep_finds_the_same_while_it_hops() -> Result<()> {
    let directory = fresh_directory(env!("CARGO_TARGET_TMPDIR"), "ripgrep")?;
    let native = RustCompiler::Native.build_crate(RIPGREP, &directory)?;
    let program = RustCompiler::Maize.build_crate(RIPGREP, &directory)?;
    let text = directory.join("text");
    fs::write(&text, compressible(40_000_000))?;
    // The file is searched by one thread; the others come and go.
    let search = ["-j3", "--text", "--line-number", "--replace", "$2 $1", r"(\w+)\s(\w+)\s.*[xq]\b"];
    let run = |program: &Path| Run::new(program).arguments(search.iter().copied()).input(Input::File(text.clone()));
    let expected = run(&native).run()?.succeeded()?.stdout;
    ensure!(expected.len() > 1000, "only {} bytes found", expected.len());
    for isa in ISAS {
        run(&program).placed(Placement::On(isa)).run()?.printed(&expected)?.succeeded()?;
    }
    for seed in [1, 2, 3] {
        let placement = Placement::hopping("20ms", Some(seed));
        let report = run(&program).placed(placement).run()?.printed(&expected)?.moved(5)?;
        if report.migrations.len() > 60 {
            require_move_between_all(&report)?;
        }
    }
    Ok(())
}
