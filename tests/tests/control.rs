//! What is done with running programs from outside: `maize ps`, `maize migrate`, `maize events`.

use anyhow::{Context, Result, ensure};
use maize_tests::{Input, Run, Running, build_both, maize, wait_until};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{ChildStdout, Command, Output};

/// A directory for control sockets of one test's own.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Result<Place> {
        Ok(Place(tempfile::tempdir()?))
    }

    fn maize(&self, line: &str) -> Result<Output> {
        Ok(Command::new(maize()).args(line.split(' ')).env("XDG_RUNTIME_DIR", self.0.path()).output()?)
    }

    /// What `maize ps` says of the only program.
    fn program(&self) -> Result<Value> {
        let output = self.maize("ps --json")?;
        let found: Value = serde_json::from_slice(&output.stdout)?;
        ensure!(found["version"] == 1, "{found}");
        let programs = found["programs"].as_array().cloned().unwrap_or_default();
        ensure!(programs.len() == 1, "{programs:?}");
        Ok(programs[0].clone())
    }

    /// Starts the program that reads lines, and waits until it does.
    fn reader(&self, options: &[&str]) -> Result<(Running, BufReader<ChildStdout>)> {
        let (_, program) = build_both("blocked", env!("CARGO_TARGET_TMPDIR"))?;
        let runtime = self.0.path().to_str().context("a strange path")?;
        let mut arguments: Vec<PathBuf> = ["run"].iter().chain(options).map(PathBuf::from).collect();
        arguments.extend([program, "read".into()]);
        let run = Run::new(maize()).arguments(arguments).input(Input::Pipe).variable("XDG_RUNTIME_DIR", runtime);
        let mut running = run.start()?;
        let mut output = BufReader::new(running.child.stdout.take().context("no output")?);
        let mut line = String::new();
        output.read_line(&mut line)?;
        ensure!(line == "ready\n", "it said {line:?}");
        Ok((running, output))
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn a_program_without_a_plan_moves_when_it_is_told_to() -> Result<()> {
    let place = Place::new()?;
    let (mut running, mut output) = place.reader(&[])?;
    let pid = running.child.id();
    let program = place.program()?;
    ensure!(program["pid"] == pid && program["processes"][0]["isa"] == "x86_64", "{program}");
    let directory = place.0.path().join("maize/programs");
    ensure!(directory.metadata()?.permissions().mode() & 0o777 == 0o700, "others can come in");

    let events = Command::new(maize())
        .args(["events", &pid.to_string()])
        .env("XDG_RUNTIME_DIR", place.0.path())
        .stdout(std::process::Stdio::piped())
        .spawn()?;
    let dry = place.maize(&format!("migrate {pid} --to aarch64 --dry-run"))?;
    ensure!(dry.status.success() && said(&dry).contains("would move from x86_64 to aarch64"), "{}", said(&dry));
    ensure!(place.program()?["processes"][0]["moves"] == 0, "it has moved");
    for (to, moves) in [("aarch64", 1), ("riscv64", 2), ("x86_64", 3), ("x86_64", 3)] {
        let outcome = place.maize(&format!("migrate {pid} --to {to} --json"))?;
        let answer: Value = serde_json::from_slice(&outcome.stdout).with_context(|| said(&outcome))?;
        ensure!(outcome.status.success() && answer["processes"][0]["on"] == to, "{answer}");
        let program = place.program()?;
        ensure!(program["processes"][0]["isa"] == to && program["processes"][0]["moves"] == moves, "{program}");
        // It was waiting for input and still is.
        writeln!(running.child.stdin.as_ref().context("no input")?, "text")?;
        let mut line = String::new();
        output.read_line(&mut line)?;
        ensure!(line.ends_with(": text\n"), "it said {line:?}");
    }
    running.child.stdin.take();
    let ended = running.finish()?;
    ensure!(ended.status.success(), "{}", ended.status);
    let events = events.wait_with_output()?;
    let moved = said(&events).lines().filter(|line| line.contains(r#""event":"moved""#)).count();
    ensure!(moved <= 3 && said(&events).contains(r#""event":"ended""#), "{}", said(&events));
    ensure!(std::fs::read_dir(directory)?.count() == 0, "its socket is left behind");
    Ok(())
}

#[test]
fn what_cannot_be_asked_is_told() -> Result<()> {
    let place = Place::new()?;
    for line in ["migrate 999999 --to aarch64", "checkpoint 999999 -o /dev/null", "events 999999"] {
        let outcome = place.maize(line)?;
        ensure!(
            outcome.status.code() == Some(3) && said(&outcome).contains("`maize ps`"),
            "{line}: {}",
            said(&outcome)
        );
    }
    let (mut running, _output) = place.reader(&[])?;
    let pid = running.child.id();
    let outcome = place.maize(&format!("migrate {pid} --to aarch64 --process 1"))?;
    ensure!(outcome.status.code() == Some(1) && said(&outcome).contains("no process 1"), "{}", said(&outcome));
    // Stopped by a signal, it reaches no migration point.
    let host = place.program()?["processes"][0]["host"].to_string();
    ensure!(Command::new("kill").args(["-STOP", &host]).status()?.success(), "kill");
    let outcome = place.maize(&format!("migrate {pid} --to aarch64 --timeout 300ms"))?;
    ensure!(outcome.status.code() == Some(1) && said(&outcome).contains("stays on x86_64"), "{}", said(&outcome));
    ensure!(Command::new("kill").args(["-CONT", &host]).status()?.success(), "kill");
    running.child.stdin.take();
    running.finish().map(drop)
}

#[test]
fn a_socket_of_a_program_that_was_killed_is_taken_away() -> Result<()> {
    let place = Place::new()?;
    let (mut running, _output) = place.reader(&[])?;
    place.program()?;
    running.child.kill()?;
    running.child.wait()?;
    let outcome = place.maize("ps")?;
    ensure!(outcome.status.success() && said(&outcome).lines().count() == 1, "{}", said(&outcome));
    ensure!(std::fs::read_dir(place.0.path().join("maize/programs"))?.count() == 0, "its socket is left behind");
    Ok(())
}

#[test]
fn top_shows_what_runs_on_a_machine_without_a_node() -> Result<()> {
    let place = Place::new()?;
    let nowhere = place.0.path().join("node");
    let top = |words: &str| place.maize(&format!("top --dir {} --interval 20ms{words}", nowhere.display()));
    let (mut running, _output) = place.reader(&[])?;
    let pid = running.child.id();
    let process = place.program()?["processes"][0].clone();
    ensure!(process["threads"].as_u64() > Some(0) && process["resident_bytes"].as_u64() > Some(0), "{process}");

    let mut table = Value::Null;
    wait_until("the program says what it uses", || {
        let printed = top(" --json")?;
        table = serde_json::from_slice(&printed.stdout).with_context(|| said(&printed))?;
        Ok(table["programs"][0]["cpu_percent"].is_number())
    })?;
    let row = &table["programs"][0];
    ensure!(table["version"] == 1 && table["nodes"] == serde_json::json!([]), "{table}");
    ensure!(row["node"].is_null() && row["pid"] == pid && row["isas"] == serde_json::json!(["x86_64"]), "{table}");
    ensure!(row["resident_bytes"].as_u64() > Some(0), "{table}");
    let tables = said(&top(" --count 2")?);
    let begins = |line: &&str| line.split_whitespace().take(3).eq(["-", &pid.to_string(), "x86_64"]);
    ensure!(tables.lines().filter(begins).count() == 2, "{tables}");
    let named = top(" b")?;
    ensure!(named.status.code() == Some(1) && said(&named).contains("no node here"), "{}", said(&named));

    // In a terminal it keeps to its size, and is shown in the place of the one before.
    let words =
        format!("stty rows 5 cols 40; {} top --dir {} --interval 20ms --count 2", maize().display(), nowhere.display());
    let mut command = Command::new("script");
    command.args(["--quiet", "--return", "--command", &words, "/dev/null"]).stdin(std::process::Stdio::null());
    let screen = said(&command.env("XDG_RUNTIME_DIR", place.0.path()).env("TERM", "xterm").output()?);
    ensure!(screen.matches("\x1b[H\x1b[KNODE ").count() == 2, "{screen:?}");
    let longest = screen.lines().map(|line| line.rsplit("\x1b[K").next().unwrap_or(line).trim_end().len()).max();
    ensure!(longest == Some(40), "{longest:?}: {screen:?}");

    // One that cannot answer is left out.
    ensure!(Command::new("kill").args(["-STOP", &pid.to_string()]).status()?.success(), "kill");
    let silent = top(" --json");
    ensure!(Command::new("kill").args(["-CONT", &pid.to_string()]).status()?.success(), "kill");
    let silent: Value = serde_json::from_slice(&silent?.stdout)?;
    ensure!(silent["programs"] == serde_json::json!([]), "{silent}");
    running.child.stdin.take();
    running.finish().map(drop)
}
