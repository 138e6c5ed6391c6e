//! Snapshots that go on on nodes (`maize restore --node`): what a program did before it was saved, and what it does after that on another node, is together what it does natively.

use anyhow::{Context as _, Result, ensure};
use maize_tests::{Journey, Said, compressible, grants_userfaultfd, kill_with_hosts, maize, text, wait_until};
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

/// As `maize run` of a program that was saved, and of one that cannot be run.
const SAVED: i32 = 85;
const CANNOT_RUN: i32 = 125;
const NOT_A_PROGRAM: i32 = 126;

fn journey(test: &str, program: &str, nodes: usize) -> Result<Option<Journey>> {
    Journey::new(env!("CARGO_TARGET_TMPDIR"), test, program, nodes)
}

/// The number of a program on its node.
fn number(name: &str) -> Result<&str> {
    Ok(name.split_once(':').context("no name of a program")?.1)
}

/// Saves a program, which is ended; returns what it had written.
fn save(journey: &Journey, name: &str, file: &str) -> Result<Said> {
    journey.wait_for_progress(name)?;
    journey.cluster.succeed(0, &["checkpoint", number(name)?, "-o", file])?;
    let mut said = journey.wait_for_end(name)?;
    ensure!(said.status == SAVED && said.error.contains("maize: saved to"), "{said:?}");
    said.error =
        said.error.lines().filter(|line| !line.starts_with("maize: ")).map(|line| format!("{line}\n")).collect();
    Ok(said)
}

/// What a program that was saved and restored did altogether.
fn together(before: Said, after: Said) -> Said {
    Said { output: before.output + &after.output, error: before.error + &after.error, status: after.status }
}

fn path(journey: &Journey, name: &str) -> String {
    journey.directory.join(name).display().to_string()
}

#[test]
fn a_program_that_was_saved_goes_on_on_other_nodes_and_moves_on_from_there() -> Result<()> {
    let Some(journey) = journey("restore-nodes", "wanderer", 3)? else { return Ok(()) };
    let cluster = &journey.cluster;
    let (expected, file, saved) = (path(&journey, "expected"), path(&journey, "file"), path(&journey, "saved"));
    let natively = journey.natively(&["500", "30000", &expected, "child"])?;
    let first = journey.start(0, &["500", "30000", &file, "child"])?;
    let before = save(&journey, &first, &saved)?;
    // The first node keeps it in its store, where the third does not find it.
    fs::rename(&journey.program, journey.directory.join("elsewhere"))?;
    let refused = cluster.maize(2, &["restore", "--node", "b", "--detach", &saved])?;
    let message = text(&refused.stderr);
    ensure!(refused.status.code() == Some(NOT_A_PROGRAM) && message.contains("put that file back"), "{message}");
    wait_until("the shim has gone", || Ok(fs::read_dir(cluster.directory(1).join("programs"))?.next().is_none()))?;
    let second = cluster.succeed(0, &["restore", "--node", "b", "--detach", &saved])?.trim().to_owned();
    let before = together(before, save(&journey, &second, &saved)?);
    // The second has it now.
    let third = cluster.succeed(1, &["restore", "--node", "c", "--detach", &saved])?.trim().to_owned();
    journey.wait_for_progress(&third)?;
    let fourth = cluster.succeed(2, &["migrate", &third, "--to", "b"])?.trim().to_owned();
    let said = together(before, journey.wait_for_end(&fourth)?);
    said.ensure_is(&natively)?;
    ensure!(fs::read(file)? == fs::read(expected)?, "another file");
    Ok(())
}

#[test]
fn a_program_whose_node_is_lost_goes_on_elsewhere_from_its_last_snapshot() -> Result<()> {
    if !Path::new("/dev/fuse").exists() {
        eprintln!("skipped: there is no /dev/fuse");
        return Ok(());
    }
    let Some(mut journey) = journey("restore-lost", "diary", 3)? else { return Ok(()) };
    // Snapshots are files of the home's, too: nothing of the node that is lost is needed.
    let hidden = journey.directory.join("hidden");
    fs::create_dir(&hidden)?;
    for node in [1, 2] {
        journey.cluster.succeed(node, &["node", "stop"])?;
        journey.cluster.hide(node, &hidden);
        journey.start_daemon(node, &[])?;
        journey.cluster.wait_for_state(0, node, "ready")?;
        journey.cluster.wait_for_state(node, 0, "ready")?;
    }
    let cluster = &journey.cluster;
    let (expected, file, saved) = (path(&journey, "expected"), hidden.join("file"), hidden.join("saved"));
    let natively = journey.natively(&[&expected, "300"])?;
    let (file, saved) = (file.display().to_string(), saved.display().to_string());
    let options = ["--home-files", "--checkpoint-every", "300ms", "--checkpoint", &saved];
    let program = journey.program.display().to_string();
    let line = [&["run", "--node", "b", "--isa", "aarch64", "--detach"], &options[..], &[&program, &file, "300"]];
    let first = cluster.succeed(0, &line.concat())?.trim().to_owned();
    wait_until("there is a snapshot", || Ok(Path::new(&saved).exists()))?;
    journey.wait_for_progress(&first)?;
    kill_with_hosts(number(&first)?.parse()?)?;
    let written = fs::read_to_string(&file)?;
    ensure!(written.lines().count() < 300, "it has ended already");
    // It goes on to be saved where it goes on.
    let line = [&["restore", "--node", "c", "--changed-files=roll-back", "--detach"], &options[..], &[&saved]];
    let second = cluster.succeed(0, &line.concat())?.trim().to_owned();
    journey.wait_for_progress(&second)?;
    let taken = fs::metadata(&saved)?.modified()?;
    wait_until("there is another snapshot", || Ok(fs::metadata(&saved)?.modified()? > taken))?;
    let said = journey.wait_for_end(&second)?;
    ensure!(natively.output.ends_with(&said.output) && said.status == natively.status, "{said:?}");
    ensure!(fs::read_to_string(&file)? == fs::read_to_string(&expected)?, "another file");
    Ok(())
}

#[test]
fn a_program_on_a_node_is_asked_and_saved_from_another() -> Result<()> {
    let Some(journey) = journey("restore-asked", "wanderer", 3)? else { return Ok(()) };
    let cluster = &journey.cluster;
    let saved = path(&journey, "saved");
    let natively = journey.natively(&["400", "30000"])?;
    let first = journey.start(0, &["400", "30000"])?;
    journey.wait_for_progress(&first)?;
    let mut events = cluster.command(2, &["events", &first]);
    let events = events.stdout(Stdio::piped()).spawn()?;
    let moved = || cluster.succeed(1, &["migrate", &first, "--to", "aarch64", "--timeout", "60s"]);
    ensure!(moved()?.contains("has moved from x86_64 to aarch64"));
    let second = cluster.succeed(2, &["migrate", &first, "--to", "b"])?.trim().to_owned();
    // It is asked where it is. If the snapshot has no place, it runs on.
    let nowhere = path(&journey, "nowhere/saved");
    cluster.fail(2, &["checkpoint", &first, "-o", &nowhere], "cannot write")?;
    journey.wait_for_progress(&second)?;
    cluster.succeed(2, &["checkpoint", &first, "--leave-running", "-o", &saved])?;
    journey.wait_for_progress(&second)?;
    let left = cluster.directory(1).join("programs").join(number(&second)?);
    let names = fs::read_dir(left)?.map(|entry| Ok(entry?.file_name())).collect::<Result<Vec<_>>>()?;
    ensure!(!names.iter().any(|name| name.to_string_lossy().starts_with("saved")), "{names:?}");
    cluster.succeed(2, &["checkpoint", &second, "-o", &saved])?;
    let before = journey.wait_for_end(&second)?;
    ensure!(before.status == SAVED, "{before:?}");
    let third = cluster.succeed(0, &["restore", "--node", "c", "--detach", &saved])?.trim().to_owned();
    together(before, journey.wait_for_end(&third)?).ensure_is(&natively)?;
    let events = text(&events.wait_with_output()?.stdout);
    ensure!(events.contains("\"to\":\"aarch64\""), "{events:?}");
    let missing = cluster.maize(0, &["checkpoint", "b:1", "-o", &saved])?;
    ensure!(missing.status.code() == Some(3), "{}", text(&missing.stderr));
    Ok(())
}

#[test]
fn input_and_output_that_are_files_go_on_where_they_were() -> Result<()> {
    let Some(journey) = journey("restore-input", "attached", 2)? else { return Ok(()) };
    let (input, saved) = (journey.directory.join("input"), path(&journey, "saved"));
    fs::write(&input, compressible(500_000))?;
    let natively = Command::new(&journey.program).arg("copy").stdin(File::open(&input)?).output()?;
    // It waits in the middle: nobody reads what it writes.
    let mut run = Command::new(maize());
    run.arg("run").arg(&journey.program).arg("copy").stdin(File::open(&input)?);
    let run = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let id = run.id().to_string();
    wait_until("it waits", || {
        let checkpoint = journey.cluster.maize(0, &["checkpoint", &id, "-o", &saved])?;
        let snapshot = checkpoint.status.success().then(|| fs::read(&saved)).transpose()?;
        Ok(snapshot.is_some())
    })?;
    let before = run.wait_with_output()?;
    ensure!(before.status.code() == Some(SAVED) && before.stdout.len() < natively.stdout.len(), "it was not saved");
    let mut restore = journey.cluster.command(0, &["restore", "--node", "b", &saved]);
    let after = restore.stdin(File::open(&input)?).output()?;
    let (output, error) = ([before.stdout, after.stdout].concat(), text(&after.stderr));
    ensure!(output == natively.stdout, "{} bytes instead of {}: {error}", output.len(), natively.stdout.len());
    ensure!(error == text(&natively.stderr) && after.status.code() == natively.status.code(), "{error}");
    Ok(())
}

#[test]
fn what_is_lost_on_its_way_leaves_the_snapshot_and_nothing_else() -> Result<()> {
    let Some(journey) = journey("restore-cut", "diary", 2)? else { return Ok(()) };
    let cluster = &journey.cluster;
    let (expected, file, saved) = (path(&journey, "expected"), path(&journey, "file"), path(&journey, "saved"));
    let arguments = |file| [file, "100", "memory", "8"];
    let natively = journey.natively(&arguments(&expected))?;
    let before = save(&journey, &journey.start(0, &arguments(&file))?, &saved)?;
    // It takes some seconds so.
    let link = |action: &[&str]| -> Result<()> {
        let output = cluster.network.at_hub("tc").args(["qdisc"]).args(action).output()?;
        ensure!(output.status.success(), "tc: {}", text(&output.stderr));
        Ok(())
    };
    link(&["add", "dev", "port1", "root", "tbf", "rate", "20mbit", "burst", "64kb", "latency", "50ms"])?;
    let programs = cluster.directory(1).join("programs");
    let arriving = || -> Result<Option<u32>> {
        let Some(entry) = fs::read_dir(&programs)?.next() else { return Ok(None) };
        let entry = entry?;
        let part = fs::metadata(entry.path().join("snapshot/saved")).map_or(0, |part| part.len());
        Ok((part > 500_000).then(|| entry.file_name().to_string_lossy().parse()).transpose()?)
    };
    for victim in ["command", "shim"] {
        let mut command = cluster.command(0, &["restore", "--node", "b", "--detach", &saved]);
        let mut command = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let mut shim = None;
        wait_until("a part of it is there", || {
            shim = arriving()?;
            Ok(shim.is_some())
        })?;
        match shim {
            Some(shim) if victim == "shim" => kill_with_hosts(shim)?,
            _ => command.kill()?,
        }
        let outcome = command.wait_with_output()?;
        let message = text(&outcome.stderr);
        ensure!(!outcome.status.success() && outcome.stdout.is_empty(), "{message}");
        ensure!(victim == "command" || message.contains("was lost"), "{message}");
        wait_until("nothing is left behind", || Ok(fs::read_dir(&programs)?.next().is_none()))?;
    }
    link(&["del", "dev", "port1", "root"])?;
    let name = cluster.succeed(0, &["restore", "--node", "b", "--detach", &saved])?.trim().to_owned();
    together(before, journey.wait_for_end(&name)?).ensure_is(&natively)?;
    ensure!(fs::read(file)? == fs::read(expected)?, "another file");
    Ok(())
}

#[test]
fn a_chain_is_sent_whole_and_what_cannot_be_restored_leaves_nothing_behind() -> Result<()> {
    let Some(journey) = journey("restore-chain", "diary", 2)? else { return Ok(()) };
    let cluster = &journey.cluster;
    let (expected, file) = (path(&journey, "expected"), path(&journey, "file"));
    let arguments = |file| [file, "300", "memory", "8"];
    let natively = journey.natively(&arguments(&expected))?;
    let first = journey.start(0, &arguments(&file))?;
    let names = ["monday", "tuesday"].map(|name| path(&journey, name));
    let mut bases = Vec::new();
    for name in &names {
        journey.wait_for_progress(&first)?;
        let line = ["checkpoint", number(&first)?, "--leave-running", "--incremental", "--json", "-o", name];
        let answer: serde_json::Value = serde_json::from_str(&cluster.succeed(0, &line)?)?;
        bases.push(answer["base"].as_str().map(str::to_owned));
    }
    ensure!(!grants_userfaultfd() || bases[1].is_some(), "{bases:?}");
    journey.wait_for_progress(&first)?;
    kill_with_hosts(number(&first)?.parse()?)?;
    let last = &names[1];
    let refused = |options: &[&str], status: i32, word: &str| -> Result<()> {
        let line = [&["restore", "--node", "b"], options, &[last]].concat();
        let output = cluster.maize(0, &line)?;
        let message = text(&output.stderr);
        ensure!(output.status.code() == Some(status) && message.contains(word), "{:?}: {message}", output.status);
        ensure!(output.stdout.is_empty() && cluster.programs(1)?.is_empty(), "something has run");
        let directory = cluster.directory(1).join("programs");
        wait_until("nothing is left behind", || Ok(fs::read_dir(&directory)?.next().is_none()))
    };
    // Before anything is sent.
    let whole = fs::read(last)?;
    fs::write(last, &whole[..whole.len() - 1])?;
    refused(&[], CANNOT_RUN, "cut off")?;
    fs::write(last, &whole)?;
    if bases[1].is_some() {
        fs::rename(&names[0], path(&journey, "sunday"))?;
        refused(&[], CANNOT_RUN, "monday")?;
        fs::rename(path(&journey, "sunday"), &names[0])?;
    }
    // At the node.
    refused(&["--isa", "riscv64"], CANNOT_RUN, "does not offer riscv64")?;
    refused(&["--detach"], CANNOT_RUN, "--changed-files=roll-back")?;
    refused(&[], CANNOT_RUN, "--changed-files=roll-back")?;
    let output = cluster.maize(0, &["restore", "--node", "b", "--changed-files=roll-back", last])?;
    let (said, status) = (text(&output.stdout), output.status.code());
    ensure!(natively.output.ends_with(&said) && status == Some(natively.status), "{status:?}: {said}");
    ensure!(fs::read(file)? == fs::read(expected)?, "another file");
    Ok(())
}
