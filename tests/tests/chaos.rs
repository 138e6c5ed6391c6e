//! `maize chaos`: programs do the same when they move at points that a seed draws; the same seed moves at the same points; and a
//! program that a broken pass has made is found, with the place where it breaks.

use anyhow::{Context, Result, ensure};
use maize_abi::Isa;
use maize_image::{Image, object_file};
use maize_passes::{CompileOptions, Fault, FaultKind, compile_module};
use maize_tests::{
    Compiler, Input, Outcome, Placement, Run, build_bzip2, build_lua, compressible, fresh_directory, maize,
    program_source,
};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn directory(name: &str) -> Result<PathBuf> {
    fresh_directory(env!("CARGO_TARGET_TMPDIR"), &format!("chaos-{name}"))
}

fn chaos(program: impl Into<PathBuf>, options: &[&str]) -> Run {
    let run = Run::new(program).placed(Placement::Examined);
    options.iter().fold(run, |run, &option| run.option(option))
}

/// The report of a run that found something out.
fn report(outcome: &Outcome, status: i32) -> Result<Value> {
    let text = String::from_utf8_lossy(&outcome.stdout);
    let found = outcome.status.code();
    ensure!(found == Some(status), "{found:?}\nto repeat: {}\n{}\n{text}", outcome.command, outcome.stderr);
    let report: Value = serde_json::from_slice(&outcome.stdout).with_context(|| outcome.command.clone())?;
    ensure!(report["version"] == 1, "version {}", report["version"]);
    Ok(report)
}

/// The report of a program that does the same in all runs, with so many moves at least.
fn same(run: Run, moves: u64) -> Result<Value> {
    let report = report(&run.run()?, 0)?;
    ensure!(report["failure"].is_null(), "{}", report["failure"]);
    let found: u64 = list(&report["runs"]).iter().filter_map(|run| run["moves"].as_u64()).sum();
    ensure!(found >= moves, "{found} moves instead of {moves}: {}", report["runs"]);
    Ok(report)
}

/// It passed as many points and made as many system calls on each ISA.
fn has_the_same_events_everywhere(report: &Value) -> Result<()> {
    let events: BTreeSet<_> = list(&report["alone"]).iter().map(|alone| alone["events"].as_u64()).collect();
    ensure!(events.len() == 1, "different numbers of events: {events:?}");
    ensure!(events.iter().all(|events| events.is_some_and(|events| events > 100)), "{events:?} events");
    Ok(())
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[test]
fn a_small_program_can_move_at_every_point() -> Result<()> {
    let program = Compiler::Maize.build_program("tree", &directory("every-point")?)?;
    let run = chaos(program, &["--every-point", "--runs", "1", "--limit", "1500"]).arguments(["40"]);
    let report = same(run, 1000)?;
    // Every pair of ISAs, in both directions.
    ensure!(report["moves"].as_object().is_some_and(|pairs| pairs.len() == 6), "{}", report["moves"]);
    Ok(())
}

#[test]
fn every_feature_moves_at_points_that_seeds_draw() -> Result<()> {
    let directory = directory("features")?;
    let native = Compiler::Gcc.build_program("features", &directory)?;
    let program = Compiler::Maize.build_program("features", &directory)?;
    let native = native.to_string_lossy().into_owned();
    let report = same(chaos(program, &["--runs", "3", "--expect-command", &native]), 60)?;
    has_the_same_events_everywhere(&report)
}

#[test]
fn bzip2_and_lua_move_at_points_that_seeds_draw() -> Result<()> {
    let directory = directory("programs")?;
    let plain = directory.join("plain");
    fs::write(&plain, compressible(60_000))?;
    let bzip2 = build_bzip2(Compiler::Maize, &directory)?.join("bzip2");
    let input = plain.to_string_lossy().into_owned();
    let report = same(chaos(bzip2, &["--runs", "3", "--input", &input]).arguments(["-9c"]), 60)?;
    has_the_same_events_everywhere(&report)?;
    // Lua hashes strings with a seed made of the time, so its events differ from run to run.
    let lua = build_lua(Compiler::Maize, &directory)?;
    same(chaos(lua, &["--runs", "3"]).directory(program_source("")).arguments(["workload.lua", "1"]), 60).map(drop)
}

#[test]
fn a_program_moves_at_points_that_seeds_draw_while_it_waits_for_others() -> Result<()> {
    let directory = directory("workers")?;
    let native = Compiler::Gcc.build_program("workers", &directory)?;
    let program = Compiler::Maize.build_program("workers", &directory)?;
    let native = native.to_string_lossy().into_owned();
    let report = same(chaos(program, &["--runs", "3", "--expect-command", &native]), 60)?;
    has_the_same_events_everywhere(&report)
}

/// Where a program moved: event, source and destination.
fn places(report: &maize_tests::Report) -> Vec<(Option<u64>, String, String)> {
    let place =
        |one: &maize_tests::Migration| (one.place.as_ref().map(|place| place.event), one.from.clone(), one.to.clone());
    report.migrations.iter().map(place).collect()
}

#[test]
fn the_same_seed_moves_at_the_same_points() -> Result<()> {
    let program = Compiler::Maize.build_program("tree", &directory("seeds")?)?;
    let run = |seed, mean| {
        let placement = Placement::Counted { seed, mean, limit: 60 };
        let outcome = Run::new(&program).placed(placement).arguments(["70"]).run()?;
        let report = outcome.report.context("no report")?;
        ensure!(report.migrations.len() >= 10, "only {} moves", report.migrations.len());
        Ok(places(&report))
    };
    let first = run(1, 20)?;
    ensure!(first == run(1, 20)?, "two runs of one seed differ");
    ensure!(first != run(2, 20)?, "two seeds are the same");
    // Moves can be left out without changing the numbers of the events.
    let listed: Vec<String> =
        first.iter().skip(1).step_by(3).map(|(event, _, to)| format!("{}:{to}", event.unwrap_or(0))).collect();
    let run = Run::new(&program).placed(Placement::On("x86_64")).option("--moves").option(listed.join(","));
    let some = run.option("--json").arguments(["70"]).run()?;
    let json = some.stderr.find('{').map_or("", |at| &some.stderr[at..]);
    let report: maize_tests::Report = serde_json::from_str(json)?;
    let events = |places: &[(Option<u64>, String, String)]| places.iter().map(|place| place.0).collect::<Vec<_>>();
    let expected: Vec<_> = events(&first).into_iter().skip(1).step_by(3).collect();
    ensure!(events(&places(&report)) == expected, "{:?} instead of {expected:?}", places(&report));
    Ok(())
}

#[test]
fn points_are_the_same_on_every_isa() -> Result<()> {
    let program = Compiler::Maize.build_program("features", &directory("points")?)?;
    let image = Image::open(program)?;
    let points = |isa| -> Result<BTreeSet<(u32, u32)>> {
        let sites = image.sites(isa)?;
        let points = image.points(isa)?;
        // As the runtime finds them.
        let site = |target| sites.get(sites.partition_point(|site| site.return_address <= target));
        points
            .iter()
            .map(|point| site(point.target).map(|site| (site.resume, site.number)).context("no site"))
            .collect()
    };
    let native = points(Isa::X86_64)?;
    ensure!(native.len() > 300, "only {} points", native.len());
    for isa in [Isa::Aarch64, Isa::Riscv64] {
        let foreign = points(isa)?;
        let differing: Vec<_> = native.symmetric_difference(&foreign).collect();
        ensure!(differing.is_empty(), "{}: {differing:x?}", isa.name());
    }
    Ok(())
}

/// Compiles a program with a deliberate defect in one function.
fn build_with_fault(name: &str, directory: &Path, fault: Fault) -> Result<PathBuf> {
    let source = program_source(name).with_extension("c");
    let (bitcode, object, program) =
        (directory.join("program.bc"), directory.join("program.o"), directory.join("program"));
    let mut clang = Command::new(maize());
    clang.args(["cc", "-g", "-O2", "-std=gnu11", "-D_GNU_SOURCE", "-c", "-emit-llvm", "-o"]).arg(&bitcode).arg(&source);
    ensure!(clang.status()?.success(), "{clang:?}");
    let options = CompileOptions {
        optimization_level: 2,
        unit_name: name.into(),
        isas: Isa::ALL.to_vec(),
        instrument: true,
        non_migrating: maize_driver::sysroot::non_migrating_functions().map(String::from).collect(),
        fault: Some(fault),
    };
    fs::write(&object, object_file::bundle(&compile_module(&fs::read(bitcode)?, &options)?)?)?;
    Compiler::Maize.build(&[object], &["-g"], &program)?;
    Ok(program)
}

/// A program with this defect is found to be different, by a single move while `function` is suspended.
fn is_found(function: &str, kind: FaultKind) -> Result<()> {
    let directory = directory(&format!("{function}-{kind:?}"))?;
    let program = build_with_fault("tree", &directory, Fault { function: function.into(), kind })?;
    // Without moves nothing is wrong.
    let native = Compiler::Gcc.build_program("tree", &directory)?;
    let expected = Run::new(native).run()?;
    let alone = Run::new(&program).run()?;
    ensure!(alone.stdout == expected.stdout && alone.status == expected.status, "it differs without moves");
    let report = report(&chaos(&program, &["--runs", "5", "--mean", "10"]).run()?, 1)?;
    let failure = &report["failure"];
    ensure!(failure["repeatable"] == true, "{failure}");
    let steps = list(&failure["steps"]);
    let [step] = steps else { anyhow::bail!("{} moves are left: {failure}", steps.len()) };
    let frame = list(&step["frames"]).iter().find(|frame| frame["function"] == function);
    let frame = frame.with_context(|| format!("not in {function}: {step}"))?;
    ensure!(frame["file"].as_str().is_some_and(|file| file.ends_with("tree.c")), "{frame}");
    let text = fs::read_to_string(program_source("tree").with_extension("c"))?;
    let line = frame["line"].as_u64().context("no line")? as usize;
    let start = text.lines().position(|text| text.contains(&format!("{function}("))).context("no such function")? + 1;
    let end = start + text.lines().skip(start).position(|text| text == "}").context("no end")? + 1;
    ensure!((start..=end).contains(&line), "line {line} is not in {start} to {end}");
    // What the report says to repeat it does.
    let replay = failure["replay"].as_str().context("no command")?;
    let repeated = Command::new("/bin/sh").args(["-c", replay]).output()?;
    ensure!(repeated.status.code() == Some(1), "{replay}: {}", repeated.status);
    ensure!(String::from_utf8_lossy(&repeated.stdout).contains("DIFFERENT"), "{replay}");
    Ok(())
}

#[test]
fn values_in_each_others_place_are_found() -> Result<()> {
    is_found("mix", FaultKind::Swap)
}

#[test]
fn a_value_that_is_lost_is_found() -> Result<()> {
    is_found("weigh", FaultKind::Drop)
}

#[test]
fn what_cannot_be_compared_is_refused() -> Result<()> {
    let directory = directory("refused")?;
    let source = directory.join("clock.c");
    fs::write(
        &source,
        "#include <stdio.h>\n#include <time.h>\nint main(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); printf(\"%ld\\n\", t.tv_nsec); return 0; }\n",
    )?;
    let program = directory.join("clock");
    Compiler::Maize.build(&[source], &["-O2"], &program)?;
    let outcome = chaos(&program, &[]).run()?;
    ensure!(outcome.status.code() == Some(125) && outcome.stderr.contains("--expect"), "{}", outcome.stderr);
    let outcome = chaos(program_source("tree.c"), &[]).run()?;
    ensure!(outcome.status.code() == Some(126), "{}: {}", outcome.status, outcome.stderr);
    Ok(())
}

#[test]
fn a_difference_without_moves_is_told_apart() -> Result<()> {
    let directory = directory("expected")?;
    let program = Compiler::Maize.build_program("arguments", &directory)?;
    let expected = directory.join("expected");
    fs::write(&expected, "something else\n")?;
    let path = expected.to_string_lossy().into_owned();
    let report = report(&chaos(program, &["--expect", &path]).input(Input::Nothing).run()?, 1)?;
    ensure!(report["failure"].is_null() && list(&report["runs"]).is_empty(), "{report}");
    ensure!(list(&report["alone"]).iter().all(|alone| alone["difference"]["kind"] == "output"), "{report}");
    Ok(())
}
