//! All programs of a node go to others (`maize migrate --all`, `maize node drain --move`): what they do is what they do natively, and what cannot go is named before anything moves.

use anyhow::{Context as _, Result, ensure};
use maize_tests::{Journey, node_name, text, wait_until};
use std::fs;
use std::process::{Output, Stdio};

fn journey(test: &str, program: &str, nodes: usize) -> Result<Option<Journey>> {
    Journey::new(env!("CARGO_TARGET_TMPDIR"), test, program, nodes)
}

/// The programs of a table in JSON.
fn fates(output: &Output) -> Result<Vec<serde_json::Value>> {
    let table: serde_json::Value = serde_json::from_slice(&output.stdout).with_context(|| text(&output.stderr))?;
    ensure!(table["version"] == 1, "{table}");
    table["programs"].as_array().cloned().context("no list of programs")
}

#[test]
fn all_programs_of_a_node_go_to_and_fro_and_do_what_they_do_natively() -> Result<()> {
    let Some(journey) = journey("drain-all", "wanderer", 3)? else { return Ok(()) };
    let cluster = &journey.cluster;
    let arguments = |program: usize, file: &str| {
        let file = journey.directory.join(format!("{file}{program}")).display().to_string();
        let mut words = vec![(400 + 20 * program).to_string(), "200000".to_owned(), file];
        words.extend((program % 2 == 1).then(|| "child".to_owned()));
        words
    };
    let words = |list: &[String]| -> Vec<&'static str> {
        list.iter().map(|word| &*Box::leak(word.clone().into_boxed_str())).collect()
    };
    let natively = (0..4).map(|program| journey.natively(&words(&arguments(program, "expected"))));
    let natively = natively.collect::<Result<Vec<_>>>()?;
    let started = (0..4).map(|program| journey.start(program % 2, &words(&arguments(program, "file"))));
    let started = started.collect::<Result<Vec<_>>>()?;
    // From where, where to if that is said, and where they are to be then.
    let steps: [(usize, Option<usize>, &str); 5] =
        [(0, None, "c"), (1, Some(0), "a"), (2, Some(1), "b"), (0, Some(2), "c"), (1, Some(0), "a")];
    for (from, to, there) in steps {
        let (from_name, to_name) = (node_name(from), to.map(node_name));
        // One that has not answered for two seconds is not chosen.
        (0..3).filter(|other| *other != from).try_for_each(|other| cluster.wait_for_state(0, other, "ready"))?;
        let before = cluster.programs(from)?.iter().filter(|program| program["state"] == "running").count();
        let mut command = vec!["node", "drain", &from_name, "--move", "--json", "--timeout", "60s"];
        if from == 2 {
            command = vec!["migrate", "--all", "--from", &from_name, "--json", "--timeout", "60s"];
        }
        if let Some(to) = &to_name {
            command.extend(["--to", to]);
        }
        let output = cluster.maize(0, &command)?;
        let said = text(&output.stderr);
        ensure!(output.status.success(), "{command:?}: {said}");
        let fates = fates(&output)?;
        ensure!(fates.len() <= before, "{fates:?}");
        for fate in &fates {
            let is_there = fate["outcome"] == "moved" && fate["to"]["node"] == there;
            ensure!(is_there || fate["outcome"] == "ended", "{fate} of {command:?}");
            // One that has ended may have done so before its turn.
            ensure!(!is_there || said.contains(&format!("{} goes to {there}", fate["program"])), "{fate}: {said}");
        }
        let left = cluster.programs(from)?.iter().filter(|program| program["state"] == "running").count();
        ensure!(left == 0, "{left} programs are left on {from_name}");
        if from != 2 {
            wait_until("it takes no programs", || Ok(cluster.state(0, from)? == "draining"))?;
            cluster.succeed(0, &["node", "undrain", &from_name])?;
            wait_until("it takes programs again", || Ok(cluster.state(0, from)? == "ready"))?;
        }
    }
    for (program, (name, natively)) in started.iter().zip(&natively).enumerate() {
        let said = journey.wait_for_end(&journey.where_it_is(name)?)?;
        ensure!(said == *natively, "{name}: {said:?}\nnatively\n{natively:?}");
        let read = |file: &str| fs::read(journey.directory.join(format!("{file}{program}")));
        ensure!(read("file")? == read("expected")?, "{name}: another file");
    }
    let moved = started.iter().map(|name| journey.where_it_is(name)).collect::<Result<Vec<_>>>()?;
    ensure!(moved.iter().zip(&started).any(|(now, first)| now != first), "{started:?} are {moved:?}");
    Ok(())
}

#[test]
fn what_cannot_go_is_named_before_anything_moves() -> Result<()> {
    let Some(journey) = journey("drain-stays", "diary", 2)? else { return Ok(()) };
    let cluster = &journey.cluster;
    let path = |name: &str| journey.directory.join(name).display().to_string();
    fs::write(path("read"), "text")?;
    fs::hard_link(path("read"), path("kept"))?;
    let free = journey.start(0, &[&path("free"), "100000"])?;
    let locked = journey.start(0, &[&path("locked"), "100000", "lock"])?;
    let connected = journey.start(0, &[&path("connected"), "100000", "connection"])?;
    let reader = journey.start(0, &[&path("reader"), "100000", "file", &path("read")])?;
    for name in [&free, &locked, &connected, &reader] {
        journey.wait_for_progress(name)?;
    }
    // The file is there, and its name is not.
    fs::remove_file(path("read"))?;
    let program = journey.program.to_str().context("not text")?;
    let mut attached = cluster
        .command(0, &["run", "--node", "a", program, &path("attached"), "100000"])
        .stdout(Stdio::null())
        .spawn()?;
    wait_until("the attached one runs", || Ok(cluster.programs(0)?.len() == 5))?;
    // One at a time, on a dry run and not: it runs on meanwhile.
    for options in [&["--dry-run"][..], &[]] {
        let lock = if options.is_empty() { "holds record locks" } else { "holds a lock" };
        for (name, reason) in [(&locked, lock), (&connected, "is a connection")] {
            let line = [&["migrate", name, "--to", "b"], options].concat();
            cluster.fail(0, &line, reason)?;
            ensure!(journey.state(name)? == "running");
        }
    }
    ensure!(cluster.succeed(0, &["migrate", &free, "--to", "b", "--dry-run"])?.contains("can go to b"));
    ensure!(journey.state(&free)? == "running");
    let dry = cluster.maize(0, &["migrate", "--all", "--dry-run", "--json"])?;
    ensure!(dry.status.code() == Some(1), "{}", text(&dry.stderr));
    let would = fates(&dry)?;
    ensure!(would.iter().filter(|fate| fate["outcome"] == "can_move").count() == 2 && would.len() == 5, "{would:?}");
    ensure!(cluster.programs(1)?.is_empty(), "a dry run has moved something");
    let output = cluster.maize(0, &["node", "drain", "--move"])?;
    let (said, table) = (text(&output.stderr), text(&output.stdout));
    ensure!(output.status.code() == Some(1), "status {:?}: {said}{table}", output.status);
    let (named, goes) = said.split_once(" goes to b (1 of 2)").context(said.clone())?;
    for reason in ["holds a lock", "is a connection", "does not name any more"] {
        ensure!(named.contains(reason) && !goes.contains(reason), "no {reason:?} before a move in {said}");
    }
    ensure!(table.matches("moved to b:").count() == 2 && table.matches("  stays  ").count() == 3, "{table}");
    for name in [&locked, &connected, &reader] {
        journey.wait_for_progress(name)?;
    }
    ensure!(attached.try_wait()?.is_none(), "the attached one has ended");
    attached.kill()?;
    attached.wait()?;
    let there = journey.where_it_is(&free)?;
    ensure!(there.starts_with("b:"), "{there}");
    // What is missing there is found before the program stops, too.
    cluster.fail(0, &["migrate", "--all", "--to", "z"], "no node is called z")?;
    cluster.fail(0, &["migrate", "--all", "--to", "a"], "are on a")?;
    for name in [&there, &locked, &connected, &reader] {
        cluster.succeed(0, &["node", "kill", name])?;
    }
    Ok(())
}
