//! Programs whose memory goes to another node after them (`maize migrate --memory after`, docs/nodes.md).

use anyhow::{Context as _, Result, bail, ensure};
use maize_tests::{
    Cut, Journey, Point, Proxy, Random, Said, grants_userfaultfd, is_so_within, kill, run, text, thorough, wait_until,
};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

const AFTER: [&str; 2] = ["--memory", "after"];
/// What takes so long does not come.
const PATIENCE: Duration = Duration::from_secs(60);

/// Two nodes of x86-64, where memory can go after programs.
fn journey(test: &str, program: &str) -> Result<Option<Journey>> {
    if !grants_userfaultfd() {
        eprintln!("not tried: the kernel grants this user no userfaultfd");
        return Ok(None);
    }
    Journey::of_one_isa(env!("CARGO_TARGET_TMPDIR"), test, program, 2)
}

/// The same, each reached by way of a proxy.
fn journey_with_proxies(test: &str, program: &str) -> Result<Option<(Journey, [Proxy; 2])>> {
    let Some(mut journey) = journey(test, program)? else { return Ok(None) };
    let mut stand = |node| -> Result<Proxy> {
        journey.cluster.succeed(node, &["node", "stop"])?;
        let proxy = Proxy::new(&journey.cluster, node)?;
        journey.cluster.start_with(node, &[&["--isa", "x86_64"], &Proxy::OPTIONS[..]].concat())?;
        Ok(proxy)
    };
    let proxies = [stand(0)?, stand(1)?];
    for (node, other) in [(0, 1), (1, 0)] {
        journey.cluster.wait_for_state(node, other, "ready")?;
    }
    // So that the executable is there already, which would be taken for a program.
    let name = journey.start(0, &["1", "100000000"])?;
    let there = moved(&journey, &name, 1)?.context("it has ended")?;
    journey.cluster.succeed(0, &["node", "kill", "--signal", "9", &there])?;
    Ok(Some((journey, proxies)))
}

/// Moves it; its name there, or nothing if it has ended.
fn moved(journey: &Journey, name: &str, to: usize) -> Result<Option<String>> {
    const ENDS: [&str; 4] = ["has ended", "executes another program", "no program", "cannot ask"];
    let moving = journey.begin_move_with(name, to, &AFTER)?.wait_with_output()?;
    let reason = text(&moving.stderr);
    match moving.status.success() {
        true => Ok(Some(text(&moving.stdout).trim().to_owned())),
        false if ENDS.iter().any(|end| reason.contains(end)) => Ok(None),
        false => bail!("{reason}"),
    }
}

fn shim(name: &str) -> Result<u32> {
    Ok(name.split_once(':').context("no name of a program")?.1.parse()?)
}

/// The numbers of the programs in a node's directory of them, which are their shims' process ids.
fn programs(directory: &Path) -> Result<BTreeSet<u32>> {
    let names = fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name()));
    let names = names.collect::<Result<Vec<_>>>()?;
    Ok(names.iter().filter_map(|name| name.to_str()?.parse().ok()).collect())
}

/// Moves it to and fro until it ends, and compares. Returns how often it has moved.
fn check(journey: &Journey, arguments: &[&str]) -> Result<usize> {
    let expected = journey.natively(arguments)?;
    let mut name = journey.start(0, arguments)?;
    let mut shims = vec![shim(&name)?];
    for to in [1, 0].into_iter().cycle() {
        let Some(next) = moved(journey, &name, to)? else { break };
        name = next;
        shims.push(shim(&name)?);
    }
    journey.wait_for_end(&name)?.ensure_is(&expected).with_context(|| format!("after {} moves", shims.len() - 1))?;
    require_nothing_left(&shims)?;
    Ok(shims.len() - 1)
}

/// The same with the program with much memory, which has more to do if it has ended before it has moved twice.
fn check_large(journey: &Journey, seed: &str, megabytes: &str, operations: u32, threads: &str) -> Result<()> {
    for times in [1, 4, 16] {
        if check(journey, &[seed, megabytes, &(operations * times).to_string(), threads])? > 1 {
            return Ok(());
        }
    }
    bail!("it has ended before it had moved twice")
}

/// Its nodes keep nothing of it any more.
fn require_nothing_left(shims: &[u32]) -> Result<()> {
    let is_left = || shims.iter().any(|shim| Path::new(&format!("/proc/{shim}")).exists());
    ensure!(is_so_within(PATIENCE, || Ok(!is_left()))?, "a node keeps something of the program: one of {shims:?}");
    Ok(())
}

#[test]
fn memory_that_comes_after_the_program_is_what_it_was() -> Result<()> {
    let Some(journey) = journey("after", "large")? else { return Ok(()) };
    for (seed, megabytes, threads) in [("31", "100", "1"), ("32", "30", "3"), ("33", "60", "1")] {
        check_large(&journey, seed, megabytes, 40_000, threads).with_context(|| format!("seed {seed}"))?;
    }
    Ok(())
}

#[test]
fn memory_that_changes_faster_than_it_can_be_sent_comes_after() -> Result<()> {
    let Some(journey) = journey("after-overwrites", "overwrites")? else { return Ok(()) };
    let moves = check(&journey, &["150", "150"])?;
    ensure!(moves > 1, "moved {moves} times");
    Ok(())
}

/// At these points a part of its memory has not come.
const ON_THE_WAY: [Point; 3] = [Point::Taken, Point::Memory(1 << 20), Point::Memory(40 << 20)];

#[test]
fn a_source_that_is_killed_ends_a_program_whose_memory_has_not_come_with_the_reason() -> Result<()> {
    let Some((journey, [_, proxy])) = journey_with_proxies("after-killed", "overwrites")? else { return Ok(()) };
    for point in ON_THE_WAY {
        let name = journey.start(0, &["150", "100000"])?;
        journey.wait_for_progress(&name)?;
        let source = shim(&name)?;
        proxy.arm(point, Cut::None, move || kill(source, Signal::KILL).unwrap_or_default());
        // Who is killed cannot tell that the program has gone.
        journey.begin_move_with(&name, 1, &AFTER)?.wait_with_output()?;
        ensure!(proxy.has_sprung(PATIENCE), "{point:?}: not so much has come after it");
        let mut there = String::new();
        let has_ended = is_so_within(PATIENCE, || {
            there = journey.where_it_is(&name)?;
            Ok(there.starts_with("b:") && journey.state(&there)?["ended"].is_object())
        })?;
        ensure!(has_ended, "{point:?}: {there} is {}", journey.state(&there)?);
        let (output, error) = journey.log(&there)?;
        ensure!(journey.state(&there)?["ended"]["signal"] == 9, "{}: {output}{error}", journey.state(&there)?);
        ensure!(!output.contains("another"), "it went on without its memory: {output}");
        ensure!(error.contains("part of its memory was not in place yet"), "it says only: {error}");
        require_nothing_left(&[source, shim(&there)?])?;
    }
    Ok(())
}

/// What it has left hears of it from the other node, and keeps nothing for it any longer.
#[test]
fn a_destination_that_is_killed_takes_the_program_and_what_was_kept_for_it() -> Result<()> {
    const SOON: Duration = Duration::from_secs(30);
    let Some((journey, [_, proxy])) = journey_with_proxies("after-destination", "overwrites")? else { return Ok(()) };
    for point in ON_THE_WAY {
        let name = journey.start(0, &["150", "100000"])?;
        journey.wait_for_progress(&name)?;
        let directory = journey.cluster.directory(1).join("programs");
        let known = programs(&directory)?;
        let deed = move || {
            let there = programs(&directory).unwrap_or_default();
            there.difference(&known).filter_map(|shim| kill(*shim, Signal::KILL).ok()).for_each(drop);
        };
        proxy.arm(point, Cut::None, deed);
        let moving = journey.begin_move_with(&name, 1, &AFTER)?;
        ensure!(proxy.has_sprung(PATIENCE), "{point:?}: not so much has come after it");
        moving.wait_with_output()?;
        let mut there = String::new();
        let is_lost = is_so_within(SOON, || {
            there = journey.where_it_is(&name)?;
            Ok(journey.state(&there)? == "lost")
        })?;
        ensure!(is_lost && there.starts_with("b:"), "{point:?}: {there} is {}", journey.state(&there)?);
        let has_ended = is_so_within(SOON, || Ok(!Path::new(&format!("/proc/{}", shim(&name)?)).exists()))?;
        ensure!(has_ended, "{point:?}: the node that it has left keeps what was for it");
        // Processes that wait for pages would wait for good.
        let session = shim(&there)?.to_string();
        let is_left = || -> Result<bool> {
            let sessions = run(Command::new("ps").args(["-eo", "sess="]))?;
            Ok(sessions.lines().any(|one| one.trim() == session))
        };
        ensure!(is_so_within(SOON, || Ok(!is_left()?))?, "{point:?}: processes of {there} are left");
    }
    Ok(())
}

#[test]
fn a_connection_that_is_lost_while_memory_comes_is_made_again() -> Result<()> {
    let Some((journey, [_, proxy])) = journey_with_proxies("after-cut", "overwrites")? else { return Ok(()) };
    let arguments = ["150", "200"];
    let expected = journey.natively(&arguments)?;
    for point in [Point::Taken, Point::Memory(1), Point::Memory(1 << 20), Point::Memory(40 << 20)] {
        for cut in [Cut::Closed, Cut::Silent] {
            if cut == Cut::Silent && point != Point::Memory(1 << 20) && !thorough() {
                // That takes as long as silence is listened to.
                continue;
            }
            let name = journey.start(0, &arguments)?;
            journey.wait_for_progress(&name)?;
            proxy.arm(point, cut, || {});
            let there = moved(&journey, &name, 1)?.context("it has ended")?;
            ensure!(proxy.has_sprung(PATIENCE), "{point:?}: not so much has come after it");
            journey.wait_for_end(&there)?.ensure_is(&expected).with_context(|| format!("{cut:?} at {point:?}"))?;
            require_nothing_left(&[shim(&name)?, shim(&there)?])?;
        }
    }
    Ok(())
}

/// At times that a seed draws. The connection that is made again is lost, too.
#[test]
fn connections_that_are_lost_again_and_again_take_nothing_from_a_program() -> Result<()> {
    let Some((journey, proxies)) = journey_with_proxies("after-cuts", "overwrites")? else { return Ok(()) };
    let seed = std::env::var("MAIZE_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let proxies = Arc::new(proxies);
    let arguments = ["150", "100"];
    let expected = journey.natively(&arguments)?;
    for seed in seed..seed + if thorough() { 20 } else { 2 } {
        let mut random = Random(seed);
        let mut name = journey.start(0, &arguments)?;
        journey.wait_for_progress(&name)?;
        let (mut shims, mut cuts) = (vec![shim(&name)?], 0);
        for to in [1, 0].into_iter().cycle() {
            let times: Vec<u64> = (0..1 + random.below(4)).map(|_| random.below(120_000)).collect();
            let (cutting, (tell, told)) = (Arc::clone(&proxies), channel());
            proxies[to].arm(Point::Taken, Cut::None, move || {
                std::thread::spawn(move || {
                    let cut = |time| {
                        std::thread::sleep(Duration::from_micros(time));
                        cutting.iter().map(Proxy::cut).sum::<usize>()
                    };
                    // Nobody may wait for it any more.
                    let _ = tell.send(times.into_iter().map(cut).sum::<usize>());
                });
            });
            let Some(next) = moved(&journey, &name, to).with_context(|| format!("seed {seed}"))? else { break };
            name = next;
            shims.push(shim(&name)?);
            // What is cut later would be the next move.
            cuts += told.recv_timeout(PATIENCE).context("nothing was cut")?;
        }
        let ended = journey.wait_for_end(&name).and_then(|said| said.ensure_is(&expected));
        ended.with_context(|| format!("seed {seed}, {} moves, {cuts} cuts", shims.len() - 1))?;
        println!("seed {seed}: {} moves, {cuts} cuts", shims.len() - 1);
        ensure!(cuts > 0, "seed {seed}: nothing was cut");
        require_nothing_left(&shims)?;
    }
    Ok(())
}

/// A command waits for it, and hears all that it writes, wherever it is.
#[test]
fn a_program_that_a_command_waits_for_goes_on_while_its_memory_comes() -> Result<()> {
    let Some(journey) = journey("after-attached", "overwrites")? else { return Ok(()) };
    let arguments = ["150", "150"];
    let expected = journey.natively(&arguments)?;
    let program = journey.program.to_str().context("not text")?;
    let line = [&["run", "--node", "a", "--isa", "x86_64", program], &arguments[..]].concat();
    let command = journey.cluster.command(0, &line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut first = None;
    wait_until("it has a number", || {
        first = journey.cluster.programs(0)?.first().and_then(|program| program["program"].as_u64());
        Ok(first.is_some())
    })?;
    let first = first.context("no number")?;
    let (mut name, mut moves, mut random) = (format!("a:{first}"), 0, Random(7));
    for to in [1, 0].into_iter().cycle() {
        std::thread::sleep(Duration::from_millis(random.below(300)));
        let Some(next) = moved(&journey, &name, to)? else { break };
        (name, moves) = (next, moves + 1);
    }
    let output = command.wait_with_output()?;
    let status = output.status.code().context("ended by a signal")?;
    let said = Said { output: text(&output.stdout), error: text(&output.stderr), status };
    said.ensure_is(&expected).with_context(|| format!("after {moves} moves"))?;
    ensure!(moves > 1, "moved {moves} times");
    Ok(())
}

/// Under an emulator the program itself finds pages that have not come.
#[test]
fn memory_comes_after_the_program_under_an_emulator_too() -> Result<()> {
    let test = "after-emulated";
    let Some(journey) = Journey::new(env!("CARGO_TARGET_TMPDIR"), test, "large", 2)? else { return Ok(()) };
    check_large(&journey, "34", "30", 20_000, "1")?;
    let mut name = journey.start(0, &["35", "100", "100000000", "1"])?;
    // It may go before it has much.
    for to in [1, 0].into_iter().cycle().take(10) {
        name = moved(&journey, &name, to)?.context("it has ended")?;
        let has_come = || Ok(journey.status(&name)?["fetched"]["bytes"].as_u64() > Some(0));
        if to == 1 && is_so_within(PATIENCE / 6, has_come)? {
            return journey.cluster.succeed(0, &["node", "kill", "--signal", "9", &name]).map(drop);
        }
    }
    bail!("nothing came after it: {}", journey.status(&name)?)
}

/// Where who moves it says nothing, the configuration of the node that it leaves decides.
#[test]
fn a_node_can_be_set_to_have_memory_come_after() -> Result<()> {
    let Some((mut journey, [_, proxy])) = journey_with_proxies("after-setting", "overwrites")? else { return Ok(()) };
    journey.cluster.succeed(0, &["node", "stop"])?;
    let path = journey.cluster.directory(0).join("node.toml");
    let configuration = std::fs::read_to_string(&path)?;
    std::fs::write(&path, format!("memory = \"after\"\n{configuration}"))?;
    journey.cluster.start_with(0, &[&["--isa", "x86_64"], &Proxy::OPTIONS[..]].concat())?;
    journey.cluster.wait_for_state(0, 1, "ready")?;
    let arguments = ["150", "200"];
    let expected = journey.natively(&arguments)?;
    let name = journey.start(0, &arguments)?;
    journey.wait_for_progress(&name)?;
    proxy.arm(Point::Memory(1 << 20), Cut::None, || {});
    let there = journey.cluster.succeed(0, &["migrate", &name, "--to", "b", "--timeout", "60s"])?.trim().to_owned();
    ensure!(proxy.has_sprung(PATIENCE), "nothing has come after it");
    journey.wait_for_end(&there)?.ensure_is(&expected)
}
