//! What else belongs to a process: a deep stack, blocked calls, open files, its end; and moves that fail.

use anyhow::{Context, Result, ensure};
use maize_tests::{
    Checked, Exit, ISAS, Input, Outcome, Placement, Run, Running, build_both, children, fresh_directory,
};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

fn build(name: &'static str) -> Result<(PathBuf, PathBuf)> {
    build_both(name, env!("CARGO_TARGET_TMPDIR"))
}

/// What the native build prints with these arguments.
fn expected(native: &PathBuf, arguments: &[&str]) -> Result<Vec<u8>> {
    Ok(Run::new(native).arguments(arguments).run()?.stdout)
}

#[test]
fn a_stack_10_000_frames_deep_moves() -> Result<()> {
    let (native, program) = build("deep_stack")?;
    let arguments = ["10000", "600000000"];
    let run = Run::new(program).arguments(arguments).placed(Placement::hopping("50ms", None));
    let report = run.moving(&expected(&native, &arguments)?, 3)?;
    let deepest = report.migrations.iter().map(|migration| migration.frames).max().unwrap_or(0);
    ensure!(deepest > 10_000, "no move with 10,000 frames: {:?}", report.migrations);
    Ok(())
}

/// Waits until the program has said that it is ready, and then until it has moved at least once.
fn wait_for_a_move(running: &mut Running) -> Result<BufReader<std::process::ChildStdout>> {
    let mut output = BufReader::new(running.child.stdout.take().context("no output")?);
    let mut line = String::new();
    output.read_line(&mut line)?;
    ensure!(line == "ready\n", "it said {line:?}");
    // The oldest host process holds the program; after a move it is another one.
    let before = children(running.child.id())?.first().copied();
    let deadline = Instant::now() + Duration::from_secs(60);
    while children(running.child.id())?.first().copied() == before {
        ensure!(Instant::now() < deadline, "no move while it was blocked");
        thread::sleep(Duration::from_millis(5));
    }
    Ok(output)
}

#[test]
fn a_blocked_read_moves_and_goes_on() -> Result<()> {
    let (_, program) = build("blocked")?;
    let run = Run::new(&program).arguments(["read"]).input(Input::Pipe);
    let mut running = run.placed(Placement::hopping("20ms", None)).start()?;
    let mut output = wait_for_a_move(&mut running)?;
    let mut line = String::new();
    for number in 1..=3 {
        let mut pipe = running.child.stdin.as_ref().context("no input")?;
        writeln!(pipe, "line of text")?;
        line.clear();
        output.read_line(&mut line)?;
        ensure!(line == format!("{number}: line of text\n"), "it said {line:?}");
    }
    running.child.stdin.take();
    line.clear();
    output.read_line(&mut line)?;
    ensure!(line == "end: 0\n", "it said {line:?}");
    running.finish()?.moved(1).map(drop)
}

#[test]
fn a_blocked_poll_moves_and_goes_on() -> Result<()> {
    let (_, program) = build("blocked")?;
    let run = Run::new(&program).arguments(["poll"]).input(Input::Pipe);
    let mut running = run.placed(Placement::hopping("20ms", None)).start()?;
    let mut output = wait_for_a_move(&mut running)?;
    running.child.stdin.take().context("no input")?.write_all(b"text\n")?;
    let mut line = String::new();
    output.read_line(&mut line)?;
    ensure!(line == "1 1: text\n", "it said {line:?}");
    running.finish()?.moved(1).map(drop)
}

#[test]
fn a_blocked_open_keeps_its_flags() -> Result<()> {
    let (native, program) = build("blocked")?;
    let pipe = fresh_directory(env!("CARGO_TARGET_TMPDIR"), "blocked-open")?.join("pipe");
    ensure!(Command::new("mkfifo").arg(&pipe).status()?.success(), "mkfifo {}", pipe.display());
    let start =
        |program, placement| Run::new(program).arguments(["open".as_ref(), pipe.as_os_str()]).placed(placement).start();
    let second_line = |output: &mut BufReader<std::process::ChildStdout>| -> Result<String> {
        // This waits until the program opens it, too.
        fs::OpenOptions::new().write(true).open(&pipe)?;
        let mut line = String::new();
        output.read_line(&mut line)?;
        Ok(line)
    };
    let mut running = start(&native, Placement::Directly)?;
    let mut output = BufReader::new(running.child.stdout.take().context("no output")?);
    output.read_line(&mut String::new())?;
    let expected = second_line(&mut output)?;
    let status = running.finish()?.status;
    ensure!(expected.starts_with("opened: "), "natively it said {expected:?}");
    for isas in [["aarch64", "x86_64"], ["x86_64", "aarch64"], ["aarch64", "riscv64"]] {
        let mut running = start(&program, Placement::Hopping { isas: isas.to_vec(), every: "300ms", seed: None })?;
        let mut output = wait_for_a_move(&mut running)?;
        let line = second_line(&mut output)?;
        ensure!(line == expected, "{isas:?}: it said {line:?} instead of {expected:?}");
        let outcome = running.finish()?;
        ensure!(outcome.status == status, "{isas:?}: {} instead of {status}", outcome.status);
    }
    Ok(())
}

#[test]
fn a_sleep_moves_and_lasts_as_long_as_asked() -> Result<()> {
    let (native, program) = build("blocked")?;
    let run = Run::new(program).arguments(["sleep"]).placed(Placement::hopping("50ms", None));
    run.moving(&expected(&native, &["sleep"])?, 1).map(drop)
}

#[test]
fn a_program_without_a_migration_point_for_long_is_reported() -> Result<()> {
    let (_, program) = build("stubborn")?;
    let run = Run::new(program).placed(Placement::hopping("50ms", None));
    let report = run.run()?.printed(b"not found\n")?.moved(0)?;
    let told = report.stays.iter().any(|stay| stay.reason.contains("migration point") && stay.on == "x86_64");
    ensure!(told, "nothing of it among {:?}", report.stays);
    Ok(())
}

#[test]
fn a_dead_destination_leaves_the_program_at_its_source() -> Result<()> {
    let (native, program) = build("deep_stack")?;
    let arguments = ["100", "200000000"];
    let run = Run::new(program).arguments(arguments).placed(Placement::hopping("20ms", None));
    let run = run.option("--kill-destination=1").option("--kill-destination=3");
    let report = run.moving(&expected(&native, &arguments)?, 3)?;
    ensure!(report.stays.len() >= 2, "killed two destinations, but stays: {:?}", report.stays);
    ensure!(report.stays.iter().all(|stay| !stay.reason.is_empty()), "no reason: {:?}", report.stays);
    // The first move is to the second ISA; it stayed on the first, and went from there the next time.
    ensure!(report.stays[0].on == ISAS[0] && report.migrations[0].from == ISAS[0], "{report:?}");
    Ok(())
}

#[test]
fn open_files_and_pipes_carry_on() -> Result<()> {
    let (native, program) = build("files")?;
    let directory = fresh_directory(env!("CARGO_TARGET_TMPDIR"), "files-run")?;
    let expected = Run::new(native).directory(&directory).run()?.succeeded()?.stdout;
    ensure!(!String::from_utf8_lossy(&expected).contains("NO"), "not even natively");
    let mut moves = 0;
    for seed in 1..=12 {
        let directory = fresh_directory(env!("CARGO_TARGET_TMPDIR"), "files-run")?;
        let run = Run::new(&program).directory(&directory).placed(Placement::hopping("10ms", Some(seed)));
        moves += run.run()?.printed(&expected)?.moved(0)?.migrations.len();
        ensure!(fs::read(directory.join("append"))? == b"one\ntwo\n", "what was appended, seed {seed}");
        // On a busy machine it may be over before it has moved.
        if seed >= 3 && moves >= 9 {
            break;
        }
    }
    ensure!(moves >= 9, "only {moves} moves");
    Ok(())
}

#[test]
fn arguments_environment_and_input_are_the_programs() -> Result<()> {
    let (native, program) = build("arguments")?;
    let input: Vec<u8> = (0..200_000_u32).flat_map(|number| number.to_string().into_bytes()).collect();
    let run = |program: &PathBuf| {
        let run =
            Run::new(program).arguments(["--hop", "two words", "", "-x=ü"]).variable("MAIZE_TEST_VARIABLE", "a b");
        run.input(Input::Bytes(input.clone()))
    };
    let expected = run(&native).run()?.succeeded()?.stdout;
    let placements = ISAS.iter().map(|isa| Placement::On(isa));
    for placement in placements.chain([Placement::Directly, Placement::hopping("5ms", Some(1))]) {
        run(&program).placed(placement).run()?.printed(&expected)?.succeeded()?;
    }
    Ok(())
}

#[test]
fn exit_status_and_signals_are_the_programs() -> Result<()> {
    let (native, program) = build("endings")?;
    for arguments in [
        &["exit", "7"][..],
        &["return", "255"],
        &["abort"],
        &["signal", "15"],
        &["signal", "5"],
        &["signal", "9"],
        &["fault"],
    ] {
        let natively = Run::new(&native).arguments(arguments).run()?;
        let end = match (natively.status.code(), natively.status.signal()) {
            (Some(status), _) => Exit::Status(status),
            (None, signal) => Exit::Signal(signal.unwrap_or(0)),
        };
        let run = |placement| -> Result<Outcome> {
            let outcome = Run::new(&program).arguments(arguments).placed(placement).run()?.printed(&natively.stdout)?;
            let found = outcome.status;
            ensure!(found == natively.status, "{found} instead of {}: {}", natively.status, outcome.command);
            Ok(outcome)
        };
        for isa in ISAS {
            run(Placement::On(isa))?;
        }
        // On a busy machine it may be over before it has moved.
        let mut moved = false;
        for seed in 2..=6 {
            let outcome = run(Placement::hopping("10ms", Some(seed)))?;
            let report = outcome.report.context("no report")?;
            ensure!(report.exit == end, "{report:?}\n{}", outcome.command);
            moved |= !report.migrations.is_empty();
            if moved {
                break;
            }
        }
        ensure!(moved, "it never moved: {arguments:?}");
    }
    Ok(())
}
