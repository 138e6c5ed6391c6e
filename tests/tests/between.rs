//! Programs that move between nodes while they run (docs/nodes.md): what they write and how they end is what it is here, wherever they were; and if a move fails, they run on where
//! they were.

use anyhow::{Context as _, Result, ensure};
use maize_tests::{Cluster, Compiler, fresh_directory, node_name, text, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Which ISA a node is restricted to.
const ONLY: [&str; 2] = ["x86_64", "aarch64"];

struct Journey {
    cluster: Cluster,
    program: PathBuf,
    directory: PathBuf,
}

/// What a program writes: to standard output, to standard error, and its exit status.
#[derive(Debug, PartialEq)]
struct Said {
    output: String,
    error: String,
    status: i32,
}

impl Journey {
    fn new(test: &str) -> Result<Option<Journey>> {
        let directory = fresh_directory(env!("CARGO_TARGET_TMPDIR"), test)?;
        let program = Compiler::Maize.build_program("wanderer", &directory)?;
        let Some(mut cluster) = Cluster::new(2)? else { return Ok(None) };
        for (node, isa) in ONLY.iter().enumerate() {
            cluster.succeed(node, &["node", "stop"])?;
            cluster.start_with(node, &["--isa", isa])?;
        }
        for (node, other) in [(0, 1), (1, 0)] {
            cluster.wait_for_state(node, other, "ready")?;
        }
        Ok(Some(Journey { cluster, program, directory }))
    }

    /// What the program does natively, by itself.
    fn natively(&self, arguments: &[&str]) -> Result<Said> {
        let output = Command::new(&self.program).args(arguments).stdin(Stdio::null()).output()?;
        let status = output.status.code().context("ended by a signal")?;
        Ok(Said { output: text(&output.stdout), error: text(&output.stderr), status })
    }

    /// Starts it on node a; its name.
    fn start(&self, arguments: &[&str]) -> Result<String> {
        let program = self.program.to_str().context("not text")?;
        let line = [&["run", "--node", "a", "--detach", program], arguments].concat();
        Ok(self.cluster.succeed(0, &line)?.trim().to_owned())
    }

    fn log(&self, name: &str) -> Result<(String, String)> {
        let output = self.cluster.maize(0, &["logs", name])?;
        ensure!(output.status.success(), "maize logs {name}: {}", text(&output.stderr));
        Ok((text(&output.stdout), text(&output.stderr)))
    }

    fn state(&self, name: &str) -> Result<serde_json::Value> {
        let (node, number) = name.split_once(':').context("no name of a program")?;
        let node = usize::from(node != node_name(0));
        let programs = self.cluster.programs(node)?;
        let wanted: u64 = number.parse()?;
        let found = programs.into_iter().find(|program| program["program"] == wanted);
        Ok(found.map_or(serde_json::Value::Null, |found| found["state"].clone()))
    }

    /// Waits until it has written more lines than it had.
    fn wait_for_progress(&self, name: &str) -> Result<()> {
        let lines = |journey: &Journey| -> Result<usize> { Ok(journey.log(name)?.0.lines().count()) };
        let before = lines(self)?;
        wait_until("the program goes on", || Ok(lines(self)? > before))
    }

    fn wait_for_end(&self, name: &str) -> Result<Said> {
        wait_until("the program ends", || Ok(self.state(name)?["ended"].is_object()))?;
        let status = self.state(name)?["ended"]["status"].as_i64().context("ended by a signal")?;
        let (output, error) = self.log(name)?;
        Ok(Said { output, error, status: i32::try_from(status)? })
    }
}

#[test]
fn a_program_moves_back_and_forth_between_nodes_of_different_isas() -> Result<()> {
    let Some(journey) = Journey::new("between-moves")? else { return Ok(()) };
    let (expected, file) = (journey.directory.join("expected"), journey.directory.join("file"));
    let with = |file: &PathBuf| ["120".to_owned(), "400000".to_owned(), file.display().to_string(), "child".to_owned()];
    let words = |words: &[String; 4]| -> Vec<String> { words.to_vec() };
    let native = words(&with(&expected));
    let natively = journey.natively(&native.iter().map(String::as_str).collect::<Vec<_>>())?;
    ensure!(natively.status == 7 && natively.output.lines().count() == 121, "{natively:?}");

    let arguments = words(&with(&file));
    let first = journey.start(&arguments.iter().map(String::as_str).collect::<Vec<_>>())?;
    let mut follower = journey
        .cluster
        .command(1, &["logs", "--follow", &first])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut name = first.clone();
    for step in 0..5 {
        journey.wait_for_progress(&name)?;
        let to = node_name((step + 1) % 2);
        // By the name that it had at first, or the one that it has now; asked for on either node.
        let asked = if step % 2 == 0 { &first } else { &name };
        let next = journey.cluster.succeed(step % 2, &["migrate", asked, "--to", &to])?.trim().to_owned();
        ensure!(next.starts_with(&format!("{to}:")), "{next}");
        ensure!(journey.state(&next)? == "running", "{next}: {}", journey.state(&next)?);
        let moved = journey.state(&name)?;
        ensure!(
            format!("{}:{}", moved["moved"]["node"].as_str().unwrap_or(""), moved["moved"]["program"]) == next,
            "{moved}"
        );
        name = next;
    }
    journey.cluster.fail(0, &["migrate", &name, "--to", "b"], "the program is on b")?;
    journey.cluster.fail(0, &["migrate", &name, "--to", "z"], "no node is called z")?;
    journey.cluster.fail(0, &["migrate", &name, "--to", "a", "--isa", "riscv64"], "does not offer riscv64")?;
    ensure!(journey.state(&name)? == "running");
    let said = journey.wait_for_end(&name)?;
    ensure!(said == natively, "{said:?}\nnatively\n{natively:?}");
    ensure!(fs::read(&file)? == fs::read(&expected)?, "another file");
    let mut followed = String::new();
    std::io::Read::read_to_string(&mut follower.stdout.take().context("no output")?, &mut followed)?;
    ensure!(follower.wait()?.success() && followed == natively.output, "followed:\n{followed}");
    ensure!(journey.log(&first)?.0 == natively.output, "by its first name");
    for node in 0..2 {
        let left = fs::read_dir(journey.cluster.directory(node).join("arrivals"))?.count();
        ensure!(left == 0, "{left} decisions are left on {}", node_name(node));
    }
    Ok(())
}

#[test]
fn a_program_that_has_moved_hears_signals_by_its_old_name() -> Result<()> {
    let Some(journey) = Journey::new("between-signals")? else { return Ok(()) };
    let first = journey.start(&["100000", "400000"])?;
    journey.wait_for_progress(&first)?;
    let second = journey.cluster.succeed(0, &["migrate", &first, "--to", "b"])?.trim().to_owned();
    journey.cluster.succeed(0, &["node", "kill", &first])?;
    wait_until("it has ended", || Ok(journey.state(&second)?["ended"]["signal"] == 15))?;
    Ok(())
}

#[test]
fn what_cannot_go_is_named_and_the_program_runs_on() -> Result<()> {
    let Some(journey) = Journey::new("between-refused")? else { return Ok(()) };
    let cluster = &journey.cluster;
    // Attached programs have their streams here.
    let program = journey.program.to_str().context("not text")?;
    let mut attached =
        cluster.command(0, &["run", "--node", "a", program, "100000", "400000"]).stdout(Stdio::null()).spawn()?;
    wait_until("it runs", || Ok(!cluster.programs(0)?.is_empty()))?;
    let number = cluster.programs(0)?[0]["program"].to_string();
    cluster.fail(0, &["migrate", &number, "--to", "b"], "--detach")?;
    ensure!(attached.try_wait()?.is_none(), "it has ended");
    attached.kill()?;
    attached.wait()?;
    // A node that takes none takes none that comes, either.
    let name = journey.start(&["100000", "400000"])?;
    cluster.succeed(0, &["node", "drain", "b"])?;
    journey.wait_for_progress(&name)?;
    cluster.fail(0, &["migrate", &name, "--to", "b"], "draining")?;
    journey.wait_for_progress(&name)?;
    ensure!(journey.state(&name)? == "running");
    ensure!(cluster.programs(1)?.is_empty(), "something is left on b");
    Ok(())
}

/// Shims of node b, by the process ids of its programs' directories.
fn arriving(journey: &Journey) -> Vec<i32> {
    let entries = fs::read_dir(journey.cluster.directory(1).join("programs")).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn begin_move(journey: &Journey, name: &str) -> Result<Child> {
    Ok(journey
        .cluster
        .command(0, &["migrate", name, "--to", "b"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?)
}

#[test]
fn a_destination_that_is_killed_leaves_the_program_at_its_source() -> Result<()> {
    let Some(journey) = Journey::new("between-killed")? else { return Ok(()) };
    let expected = journey.natively(&["150", "400000"])?;
    let name = journey.start(&["150", "400000"])?;
    journey.wait_for_progress(&name)?;
    let mut failed = 0;
    for round in 0..6_u64 {
        let moving = begin_move(&journey, &name)?;
        let begun = Instant::now();
        while arriving(&journey).is_empty() && begun.elapsed() < Duration::from_secs(30) {
            std::thread::sleep(Duration::from_micros(200));
        }
        // At different points of its way.
        std::thread::sleep(Duration::from_millis(round * 7));
        for shim in arriving(&journey) {
            if let Some(shim) = Pid::from_raw(shim) {
                let _ = kill_process(shim, Signal::KILL);
            }
        }
        let output = moving.wait_with_output()?;
        if output.status.success() || journey.state(&name)?["moved"].is_object() {
            // It was too late: the program was there, and died with its node's shim, as on one machine.
            break;
        }
        failed += 1;
        journey.wait_for_progress(&name)?;
        for shim in arriving(&journey) {
            let _ = fs::remove_dir_all(journey.cluster.directory(1).join("programs").join(shim.to_string()));
        }
    }
    ensure!(failed > 0, "no move failed");
    if journey.state(&name)? == "running" {
        ensure!(journey.wait_for_end(&name)? == expected, "another output");
    }
    Ok(())
}

#[test]
fn a_cut_network_leaves_the_program_at_its_source() -> Result<()> {
    let Some(journey) = Journey::new("between-cut")? else { return Ok(()) };
    let expected = journey.natively(&["300", "400000"])?;
    let name = journey.start(&["300", "400000"])?;
    journey.wait_for_progress(&name)?;
    let moving = begin_move(&journey, &name)?;
    let begun = Instant::now();
    while arriving(&journey).is_empty() && begun.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_micros(200));
    }
    journey.cluster.network.cut(1)?;
    std::thread::sleep(Duration::from_secs(20));
    journey.cluster.network.mend(1)?;
    let output = moving.wait_with_output()?;
    let moved = journey.state(&name)?;
    // However it went, there is one, and it says what it says natively.
    let now = match moved["moved"].as_object() {
        Some(to) => {
            ensure!(output.status.success(), "{}", text(&output.stderr));
            format!("b:{}", to["program"])
        }
        None => {
            ensure!(text(&output.stderr).contains("lost"), "{}", text(&output.stderr));
            name
        }
    };
    ensure!(journey.wait_for_end(&now)? == expected, "another output");
    Ok(())
}
