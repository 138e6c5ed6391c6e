//! Programs that move between nodes while they run (docs/nodes.md): what they write and how they end is what it is here, wherever they were; and if a move fails, they run on where
//! they were.

use anyhow::{Context as _, Result, ensure};
use maize_tests::{Cut, Journey, Point, clock_tolerance, node_name, text, wait_until};
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
    let with = |file: &PathBuf| ["500".to_owned(), "400000".to_owned(), file.display().to_string(), "child".to_owned()];
    let words = |words: &[String; 4]| -> Vec<String> { words.to_vec() };
    let native = words(&with(&expected));
    let natively = journey.natively(&native.iter().map(String::as_str).collect::<Vec<_>>())?;
    ensure!(natively.status == 7 && natively.output.lines().count() == 501, "{natively:?}");

    let arguments = words(&with(&file));
    let first = journey.start(0, &arguments.iter().map(String::as_str).collect::<Vec<_>>())?;
    let mut follower = journey
        .cluster
        .command(1, &["logs", "--follow", &first])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut name = first.clone();
    for step in 0..6 {
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
    journey.cluster.fail(0, &["migrate", &name, "--to", "a"], "the program is on a")?;
    journey.cluster.fail(0, &["migrate", &name, "--to", "z"], "no node is called z")?;
    journey.cluster.fail(0, &["migrate", &name, "--to", "b", "--isa", "riscv64"], "does not offer riscv64")?;
    ensure!(journey.state(&name)? == "running");
    let said = journey.wait_for_end(&name)?;
    ensure!(said == natively, "{said:?}\nnatively\n{natively:?}");
    ensure!(fs::read(&file)? == fs::read(&expected)?, "another file");
    let mut followed = String::new();
    std::io::Read::read_to_string(&mut follower.stdout.take().context("no output")?, &mut followed)?;
    ensure!(follower.wait()?.success() && followed == natively.output, "followed:\n{followed}");
    ensure!(journey.log(&first)?.0 == natively.output, "by its first name");
    for node in 0..2 {
        let decisions = journey.cluster.directory(node).join("arrivals");
        let what = format!("no decision is left on {}", node_name(node));
        wait_until(&what, || Ok(fs::read_dir(&decisions)?.count() == 0))?;
    }
    Ok(())
}

#[test]
fn what_a_program_waits_with_moves() -> Result<()> {
    moves_as_it_is("waiting", &[&clock_tolerance()?])
}

#[test]
fn sockets_move_with_what_waits_in_them() -> Result<()> {
    moves_as_it_is("sockets", &[])
}

fn moves_as_it_is(program: &str, more: &[&str]) -> Result<()> {
    let test = format!("between-{program}");
    let Some(journey) = Journey::new(env!("CARGO_TARGET_TMPDIR"), &test, program, 2)? else { return Ok(()) };
    let expected = journey.natively(&[&["700", "100"], more].concat())?;
    let mut name = journey.start(0, &[&["700", "30000"], more].concat())?;
    for step in 0..4 {
        journey.wait_for_progress(&name)?;
        name = journey.cluster.succeed(0, &["migrate", &name, "--to", &node_name((step + 1) % 2)])?.trim().to_owned();
    }
    journey.wait_for_end(&name)?.ensure_is(&expected)?;
    Ok(())
}

#[test]
fn a_program_knows_its_machine_by_one_name() -> Result<()> {
    let Some(mut journey) = Journey::new(env!("CARGO_TARGET_TMPDIR"), "between-names", "hostname", 2)? else {
        return Ok(());
    };
    for (node, name) in [(0, "first"), (1, "second")] {
        journey.cluster.succeed(node, &["node", "stop"])?;
        journey.cluster.rename_machine(node, name);
        journey.start_daemon(node, &[])?;
    }
    journey.cluster.wait_for_state(0, 1, "ready")?;
    journey.cluster.wait_for_state(1, 0, "ready")?;
    for (node, name) in [(0, "first"), (1, "second")] {
        let program = journey.program.display().to_string();
        let mut now = journey.start(node, &["150", &program])?;
        for to in [1 - node, node, 1 - node] {
            journey.wait_for_progress(&now)?;
            now = journey.cluster.succeed(0, &["migrate", &now, "--to", &node_name(to)])?.trim().to_owned();
        }
        let said = journey.wait_for_end(&now)?;
        let names: Vec<&str> = said.output.lines().filter(|line| !line.starts_with("step")).collect();
        let expected = [format!("{name} {name}"), format!("child: {name} {name}")];
        ensure!(names == expected && said.status == 0, "{names:?} instead of {expected:?}: {said:?}");
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
    let first = journey.start(0, &[&file, "100000", "signals", &(MOVES + 1).to_string()])?;
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for step in 0..MOVES {
        let name = journey.where_it_is(&first)?;
        journey.wait_for_progress(&name)?;
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let delay = Duration::from_micros((random >> 33) % 400_000);
        let moving = journey.begin_move(&name, (step + 1) % 2)?;
        std::thread::sleep(delay);
        journey.cluster.succeed(0, &["node", "kill", "--signal", "10", &first])?;
        let output = moving.wait_with_output()?;
        ensure!(output.status.success(), "{}", text(&output.stderr));
        // Signals of one kind are not counted while they wait: the next one is sent when this one has been delivered.
        let heard = format!("signal {}\n", step + 1);
        wait_until(&heard, || Ok(journey.log(&journey.where_it_is(&first)?)?.0.contains(&heard)))?;
    }
    // With the last one it ends.
    journey.cluster.succeed(0, &["node", "kill", "--signal", "10", &first])?;
    let said = journey.wait_for_end(&journey.where_it_is(&first)?)?;
    ensure!(said.output.ends_with(&format!("signals {}\n", MOVES + 1)), "{}", said.output.lines().last().unwrap_or(""));
    Ok(())
}

#[test]
fn what_cannot_go_is_named_and_the_program_runs_on() -> Result<()> {
    let Some(journey) = journey("between-refused")? else { return Ok(()) };
    let cluster = &journey.cluster;
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

/// Nearly whenever it is looked at it holds a record lock, which stays where it is: for a short time, and for longer than one waits for it before one asks again.
#[test]
fn a_program_moves_at_one_of_the_moments_in_which_it_holds_no_lock() -> Result<()> {
    let Some(journey) = Journey::new(env!("CARGO_TARGET_TMPDIR"), "between-locks", "diary", 2)? else { return Ok(()) };
    let [expected, file] = ["expected", "file"].map(|name| journey.directory.join(name).display().to_string());
    for (steps, milliseconds) in [("600", "20"), ("40", "400")] {
        let natively = journey.natively(&[&expected, steps, "locks", milliseconds])?;
        let mut name = journey.start(0, &[&file, steps, "locks", milliseconds])?;
        for step in 0..5 {
            journey.wait_for_progress(&name)?;
            let to = node_name((step + 1) % 2);
            name = journey.cluster.succeed(step % 2, &["migrate", &name, "--to", &to])?.trim().to_owned();
        }
        let said = journey.wait_for_end(&name)?;
        said.ensure_is(&natively).with_context(|| format!("{milliseconds} ms a step"))?;
        ensure!(fs::read(&file)? == fs::read(&expected)?, "another file");
        [&file, &expected].into_iter().try_for_each(fs::remove_file)?;
    }
    Ok(())
}

#[test]
fn a_file_that_is_missing_there_is_named_before_the_program_stops() -> Result<()> {
    let Some(mut journey) = Journey::new(env!("CARGO_TARGET_TMPDIR"), "between-missing", "diary", 2)? else {
        return Ok(());
    };
    let here = journey.directory.join("here");
    fs::create_dir(&here)?;
    journey.cluster.succeed(1, &["node", "stop"])?;
    journey.cluster.hide(1, &here);
    journey.start_daemon(1, &[])?;
    journey.cluster.wait_for_state(0, 1, "ready")?;
    let [own, read] = [journey.directory.join("own"), here.join("read")].map(|path| path.display().to_string());
    fs::write(&read, "text")?;
    let name = journey.start(0, &[&own, "3000", "file", &read])?;
    journey.wait_for_progress(&name)?;
    journey.cluster.fail(0, &["migrate", &name, "--to", "b"], "put it there")?;
    journey.wait_for_progress(&name)?;
    journey.cluster.succeed(0, &["node", "kill", &name])?;
    Ok(())
}

/// The program is looked at while it runs: what it had open then need not be what it has open when the other node looks for that.
#[test]
fn a_file_that_has_lost_its_name_meanwhile_is_not_missed() -> Result<()> {
    let root = env!("CARGO_TARGET_TMPDIR");
    let Some((journey, proxy)) = Journey::with_proxy(root, "between-lost", "diary", 2)? else { return Ok(()) };
    let [own, read] = ["own", "read"].map(|name| journey.directory.join(name).display().to_string());
    fs::write(&read, "text")?;
    let name = journey.start(0, &[&own, "3000", "file", &read])?;
    journey.wait_for_progress(&name)?;
    // Both nodes have the same files here: it is there when the one looks, and missing when the other does.
    let lost = read.clone();
    proxy.arm(Point::Offer, Cut::None, move || {
        let _ = fs::remove_file(lost);
    });
    let name = journey.cluster.succeed(0, &["migrate", &name, "--to", "b"])?.trim().to_owned();
    ensure!(!PathBuf::from(&read).exists(), "it was not removed");
    journey.wait_for_progress(&name)?;
    journey.cluster.succeed(1, &["node", "kill", &name])?;
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
    const MOST_TRIES: u32 = 10;
    let Some(journey) = journey("between-killed")? else { return Ok(()) };
    let expected = journey.natively(&["500", "400000"])?;
    // On a slow machine a program may have come, or have ended, before anything is killed.
    for _ in 0..MOST_TRIES {
        let name = journey.start(0, &["500", "400000"])?;
        journey.wait_for_progress(&name)?;
        let failed = kill_destinations(&journey, &name)?;
        if !journey.state(&name)?["moved"].is_object() {
            journey.wait_for_end(&name)?.ensure_is(&expected)?;
        }
        if failed > 0 {
            return Ok(());
        }
    }
    anyhow::bail!("no move failed")
}

/// Kills the other node's shim at different points of a program's way there, until that is too late; how often it was not.
fn kill_destinations(journey: &Journey, name: &str) -> Result<u32> {
    let mut failed = 0;
    // Such as have come, and ended.
    let before = arriving(journey);
    let coming = || arriving(journey).into_iter().filter(|shim| !before.contains(shim)).collect::<Vec<_>>();
    for round in 0..6_u64 {
        let moving = journey.begin_move(name, 1)?;
        let begun = Instant::now();
        while coming().is_empty() && begun.elapsed() < Duration::from_secs(30) {
            std::thread::sleep(Duration::from_micros(200));
        }
        std::thread::sleep(Duration::from_millis(round * 7));
        for shim in coming() {
            if let Some(shim) = Pid::from_raw(shim) {
                let _ = kill_process(shim, Signal::KILL);
            }
        }
        let output = moving.wait_with_output()?;
        if output.status.success() || journey.state(name)?["moved"].is_object() {
            // The program was there, and died with its node's shim, as on one machine.
            break;
        }
        failed += 1;
        if journey.state(name)? != "running" {
            break;
        }
        wait_until("what is left of it there is removed", || Ok(coming().is_empty()))?;
    }
    Ok(failed)
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
            ensure!(["lost", "has ended", "no program"].iter().any(|reason| said.contains(reason)), "{said}");
            name
        }
    };
    journey.wait_for_end(&now)?.ensure_is(&expected)?;
    Ok(())
}
