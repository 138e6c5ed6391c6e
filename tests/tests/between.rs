//! Programs that move between nodes while they run (docs/nodes.md): what they write and how they end is what it is here, wherever they were; and if a move fails, they run on where
//! they were.

use anyhow::{Context as _, Result, ensure};
use maize_tests::{Cut, Journey, Point, node_name, text, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

fn journey(test: &str) -> Result<Option<Journey>> {
    Journey::new(env!("CARGO_TARGET_TMPDIR"), test, "wanderer", 2)
}

#[test]
fn a_program_moves_back_and_forth_between_nodes_of_different_isas() -> Result<()> {
    let Some(journey) = journey("between-moves")? else { return Ok(()) };
    let (expected, file) = (journey.directory.join("expected"), journey.directory.join("file"));
    let with = |file: &PathBuf| ["120".to_owned(), "400000".to_owned(), file.display().to_string(), "child".to_owned()];
    let words = |words: &[String; 4]| -> Vec<String> { words.to_vec() };
    let native = words(&with(&expected));
    let natively = journey.natively(&native.iter().map(String::as_str).collect::<Vec<_>>())?;
    ensure!(natively.status == 7 && natively.output.lines().count() == 121, "{natively:?}");

    let arguments = words(&with(&file));
    let first = journey.start(0, &arguments.iter().map(String::as_str).collect::<Vec<_>>())?;
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
    let Some(journey) = journey("between-signals")? else { return Ok(()) };
    let first = journey.start(0, &["100000", "400000"])?;
    journey.wait_for_progress(&first)?;
    let second = journey.cluster.succeed(0, &["migrate", &first, "--to", "b"])?.trim().to_owned();
    journey.cluster.succeed(0, &["node", "kill", &first])?;
    wait_until("it has ended", || Ok(journey.state(&second)?["ended"]["signal"] == 15))?;
    Ok(())
}

/// One signal for each move, at a moment of it that a seed draws.
#[test]
fn no_signal_that_comes_during_a_move_is_lost() -> Result<()> {
    const MOVES: usize = 8;
    let Some(journey) = Journey::new(env!("CARGO_TARGET_TMPDIR"), "between-held", "diary", 2)? else { return Ok(()) };
    let file = journey.directory.join("file").display().to_string();
    let first = journey.start(0, &[&file, "1000"])?;
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for step in 0..MOVES {
        let name = journey.where_it_is(&first)?;
        // What has been sent before has been delivered then: signals of one kind are not counted while they wait.
        journey.wait_for_progress(&name)?;
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let delay = Duration::from_micros((random >> 33) % 400_000);
        let moving = journey.begin_move(&name, (step + 1) % 2)?;
        std::thread::sleep(delay);
        journey.cluster.succeed(0, &["node", "kill", "--signal", "10", &first])?;
        let output = moving.wait_with_output()?;
        ensure!(output.status.success(), "{}", text(&output.stderr));
    }
    let said = journey.wait_for_end(&journey.where_it_is(&first)?)?;
    ensure!(said.output.ends_with(&format!("signals {MOVES}\n")), "{}", said.output.lines().last().unwrap_or(""));
    Ok(())
}

#[test]
fn what_cannot_go_is_named_and_the_program_runs_on() -> Result<()> {
    let Some(journey) = journey("between-refused")? else { return Ok(()) };
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
    let name = journey.start(0, &["100000", "400000"])?;
    cluster.succeed(0, &["node", "drain", "b"])?;
    journey.wait_for_progress(&name)?;
    cluster.fail(0, &["migrate", &name, "--to", "b"], "draining")?;
    journey.wait_for_progress(&name)?;
    ensure!(journey.state(&name)? == "running");
    ensure!(cluster.programs(1)?.is_empty(), "something is left on b");
    Ok(())
}

#[test]
fn a_file_that_is_missing_there_is_named_before_the_program_stops() -> Result<()> {
    let root = env!("CARGO_TARGET_TMPDIR");
    let Some((journey, proxy)) = Journey::with_proxy(root, "between-missing", "diary")? else { return Ok(()) };
    let [own, read] = ["own", "read"].map(|name| journey.directory.join(name).display().to_string());
    fs::write(&read, "text")?;
    let name = journey.start(0, &[&own, "3000", "file", &read])?;
    journey.wait_for_progress(&name)?;
    // Both nodes have the same files here: it is there when the one looks, and missing when the other does.
    let missing = read.clone();
    proxy.arm(Point::Offer, Cut::None, move || {
        let _ = fs::remove_file(missing);
    });
    journey.cluster.fail(0, &["migrate", &name, "--to", "b"], "put it there")?;
    journey.wait_for_progress(&name)?;
    journey.cluster.succeed(0, &["node", "kill", &name])?;
    Ok(())
}

#[test]
fn what_takes_too_long_to_stop_runs_on() -> Result<()> {
    let Some(journey) = journey("between-late")? else { return Ok(()) };
    let name = journey.start(0, &["100000", "400000"])?;
    journey.wait_for_progress(&name)?;
    journey.cluster.fail(0, &["migrate", &name, "--to", "b", "--timeout", "0ms"], "with a longer --timeout")?;
    journey.wait_for_progress(&name)?;
    ensure!(journey.state(&name)? == "running");
    journey.cluster.succeed(0, &["node", "kill", &name])?;
    Ok(())
}

/// Shims of node b, by the process ids of its programs' directories.
fn arriving(journey: &Journey) -> Vec<i32> {
    let entries = fs::read_dir(journey.cluster.directory(1).join("programs")).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

#[test]
fn a_destination_that_is_killed_leaves_the_program_at_its_source() -> Result<()> {
    let Some(journey) = journey("between-killed")? else { return Ok(()) };
    let expected = journey.natively(&["500", "400000"])?;
    let name = journey.start(0, &["500", "400000"])?;
    journey.wait_for_progress(&name)?;
    let mut failed = 0;
    for round in 0..6_u64 {
        let moving = journey.begin_move(&name, 1)?;
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
        if journey.state(&name)? != "running" {
            // On a slow machine it has ended meanwhile.
            break;
        }
        wait_until("what is left of it there is removed", || Ok(arriving(&journey).is_empty()))?;
    }
    ensure!(failed > 0, "no move failed");
    if !journey.state(&name)?["moved"].is_object() {
        ensure!(journey.wait_for_end(&name)? == expected, "another output");
    }
    Ok(())
}

#[test]
fn a_cut_network_leaves_the_program_at_its_source() -> Result<()> {
    let Some(journey) = journey("between-cut")? else { return Ok(()) };
    let expected = journey.natively(&["300", "400000"])?;
    let name = journey.start(0, &["300", "400000"])?;
    journey.wait_for_progress(&name)?;
    let moving = journey.begin_move(&name, 1)?;
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
            let said = text(&output.stderr);
            ensure!(said.contains("lost") || said.contains("has ended meanwhile"), "{said}");
            name
        }
    };
    ensure!(journey.wait_for_end(&now)? == expected, "another output");
    Ok(())
}
