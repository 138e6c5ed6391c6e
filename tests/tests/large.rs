//! Programs with much memory, whose pages follow them when they move (docs/protocol.md).

use anyhow::{Context as _, Result, ensure};
use maize_tests::{
    Checked, Exit, Journey, Outcome, Placement, Report, Run, Running, build_both, children, grants_userfaultfd, kill,
    text,
};
use rustix::process::{Pid, Signal, kill_process_group};
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// What runs may take that take milliseconds.
const PATIENCE: Duration = Duration::from_secs(60);

static BUILT: LazyLock<Result<(PathBuf, PathBuf), String>> =
    LazyLock::new(|| build_both("large", env!("CARGO_TARGET_TMPDIR")).map_err(|error| format!("{error:#}")));

fn built() -> Result<&'static (PathBuf, PathBuf)> {
    BUILT.as_ref().map_err(|error| anyhow::anyhow!("{error}"))
}

/// Whether the kernel lets pages be brought later.
fn is_granted() -> Result<bool> {
    let granted = grants_userfaultfd();
    if !granted {
        eprintln!("not tried: the kernel grants this user no userfaultfd");
    }
    Ok(granted)
}

fn hopping(isas: &[&'static str], every: &'static str, seed: u64) -> Placement {
    Placement::Hopping { isas: isas.to_vec(), every, seed: Some(seed) }
}

/// Runs it natively and moving, and compares.
fn check(arguments: &[String], placement: Placement, options: &[&str]) -> Result<Report> {
    let (native, program) = built()?;
    let expected = Run::new(native).arguments(arguments).run()?.succeeded()?.stdout;
    let run = Run::new(program).arguments(arguments).placed(placement);
    let run = options.iter().fold(run, |run, option| run.option(*option));
    run.moving(&expected, 2)
}

fn arguments(seed: u64, megabytes: u64, operations: u64, threads: u64) -> Vec<String> {
    [seed, megabytes, operations, threads].map(|number| number.to_string()).to_vec()
}

fn fetches(report: &Report) -> usize {
    report.migrations.iter().filter(|migration| migration.fetched.is_some()).count()
}

#[test]
fn large_memory_follows() -> Result<()> {
    for seed in 1..=6 {
        let report = check(&arguments(seed, 100, 20_000, 1), hopping(&["x86_64", "x86_64"], "30ms", seed), &[])?;
        ensure!(!is_granted()? || fetches(&report) >= 2, "seed {seed}: {:?}", report.migrations);
    }
    Ok(())
}

#[test]
fn large_memory_of_threads_follows() -> Result<()> {
    for seed in 1..=3 {
        let report = check(&arguments(seed, 40, 10_000, 3), hopping(&["x86_64", "x86_64"], "20ms", seed), &[])?;
        ensure!(!is_granted()? || fetches(&report) >= 2, "seed {seed}: {:?}", report.migrations);
    }
    Ok(())
}

#[test]
fn large_memory_follows_from_an_emulator_and_to_one() -> Result<()> {
    for seed in 1..=2 {
        let isas = ["x86_64", "aarch64"];
        let report = check(&arguments(seed, 30, 10_000, 1), hopping(&isas, "40ms", seed), &[])?;
        let to_emulator = report.migrations.iter().filter(|migration| migration.to == "aarch64");
        ensure!(to_emulator.clone().any(|migration| migration.fetched.is_some()), "{:?}", report.migrations);
        ensure!(!is_granted()? || fetches(&report) >= 1, "seed {seed}: {:?}", report.migrations);
    }
    Ok(())
}

#[test]
fn large_memory_is_copied_if_so_asked() -> Result<()> {
    let report = check(&arguments(7, 60, 10_000, 1), hopping(&["x86_64", "x86_64"], "30ms", 7), &["--memory", "copy"])?;
    ensure!(fetches(&report) == 0, "{:?}", report.migrations);
    Ok(())
}

#[test]
fn a_destination_that_dies_leaves_large_memory_at_its_source() -> Result<()> {
    let options = ["--kill-destination=1", "--kill-destination=3"];
    let report = check(&arguments(8, 60, 20_000, 1), hopping(&["x86_64", "x86_64"], "30ms", 8), &options)?;
    ensure!(report.stays.len() >= 2, "killed two destinations, but stays: {:?}", report.stays);
    Ok(())
}

/// Most of it goes ahead, by what the kernel tells of changes, and from the emulator by hashes.
#[test]
fn large_memory_goes_ahead_between_nodes() -> Result<()> {
    const WAYS: [[usize; 3]; 3] = [[2, 0, 1], [1, 0, 2], [1, 2, 0]];
    // What is said of a program that has ended, or is about to.
    const ENDS: [&str; 4] = ["has ended", "executes another program", "no program", "cannot ask"];
    for ((seed, threads), way) in [(21, 1), (22, 3), (23, 1)].into_iter().zip(WAYS) {
        let test = format!("large-nodes-{seed}");
        let Some(journey) = Journey::new(env!("CARGO_TARGET_TMPDIR"), &test, "large", 3)? else { return Ok(()) };
        let arguments = arguments(seed, 100 / threads, 60_000, threads);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let expected = journey.natively(&arguments)?;
        let mut name = journey.start(0, &arguments)?;
        let mut moves = 0;
        // Of the first two, if they are to x86-64.
        let mut brought = Vec::new();
        for node in way.iter().cycle() {
            let moving = journey.begin_move(&name, *node)?.wait_with_output()?;
            if !moving.status.success() {
                let reason = text(&moving.stderr);
                ensure!(ENDS.iter().any(|end| reason.contains(end)), "seed {seed}, move {moves}: {reason}");
                break;
            }
            if (1..3).contains(&moves) && way[moves - 1] != 1 {
                brought.push(journey.status(&name)?["fetched"]["bytes"].as_u64());
            }
            name = text(&moving.stdout).trim().to_owned();
            moves += 1;
        }
        let said = journey.wait_for_end(&name)?;
        ensure!(said == expected, "seed {seed} after {moves} moves: {said:?}\nnatively\n{expected:?}");
        ensure!(moves >= 2, "seed {seed}: {moves} moves");
        let is_told = brought.iter().all(|bytes| *bytes > Some(0));
        ensure!(!is_granted()? || is_told, "seed {seed}: {brought:?} bytes were brought while it ran");
    }
    Ok(())
}

/// What a process is doing, as proc_pid_stat(5) has it.
fn state(process: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Runs the program until it has moved and not all of its memory has followed, and stops the node there. Returns the source and the destination, or
/// nothing if all had followed before the node was stopped.
fn stopped_in_parts(isas: &[&'static str], arguments: &[String]) -> Result<(Running, Option<(u32, u32)>)> {
    let (_, program) = built()?;
    let run = Run::new(program).arguments(arguments).placed(hopping(isas, "300ms", 1));
    let running = run.option("--limit=1").start()?;
    let node = running.child.id();
    let begun = Instant::now();
    let source = loop {
        // Its destination is started some milliseconds later.
        if let Some(&source) = children(running.child.id())?.first() {
            break source;
        }
        ensure!(begun.elapsed() < PATIENCE, "no host");
    };
    // The source gives up the program's files as soon as that has left. If that was before it was seen, this is the destination.
    while fs::read_link(format!("/proc/{source}/fd/1")).is_ok() || children(running.child.id())?.len() < 2 {
        if state(source).is_none() || state(node) == Some('Z') || begun.elapsed() > PATIENCE {
            return Ok((running, None));
        }
    }
    kill(node, Signal::STOP)?;
    while state(node) != Some('T') {
        ensure!(begun.elapsed() < PATIENCE, "the node does not stop");
    }
    let destination = children(running.child.id())?.into_iter().find(|&host| host != source);
    let is_there = state(source).is_some_and(|state| state != 'Z');
    Ok((running, destination.filter(|_| is_there).map(|destination| (source, destination))))
}

/// On the way to a host whose kernel tells of missing pages, and to one that finds them itself.
fn try_in_parts(what: impl Fn(Running, u32, u32) -> Result<bool>) -> Result<()> {
    if is_granted()? {
        try_on_the_way(&["x86_64", "x86_64"], &what)?;
    }
    try_on_the_way(&["x86_64", "aarch64"], &what)
}

fn try_on_the_way(isas: &[&'static str], what: &impl Fn(Running, u32, u32) -> Result<bool>) -> Result<()> {
    // On a busy machine all may have followed before this has run again.
    for _ in 0..20 {
        let (mut running, found) = stopped_in_parts(isas, &arguments(9, 200, 100_000, 1))?;
        let Some((source, destination)) = found else {
            let _ = kill_process_group(Pid::from_child(&running.child), Signal::KILL);
            running.child.wait()?;
            continue;
        };
        if what(running, source, destination)? {
            return Ok(());
        }
    }
    anyhow::bail!("in none of the tries was something left behind")
}

#[test]
fn a_process_whose_memory_is_lost_is_ended_with_the_reason() -> Result<()> {
    try_in_parts(|running, source, _| {
        kill(source, Signal::KILL)?;
        kill(running.child.id(), Signal::CONT)?;
        let outcome: Outcome = running.finish()?;
        if outcome.status.success() {
            // All had come, and the node was about to say so.
            return Ok(false);
        }
        ensure!(outcome.status.signal() == Some(9), "{}: {}", outcome.status, outcome.stderr);
        ensure!(outcome.stderr.contains("part of its memory was still in process"), "{}", outcome.stderr);
        let report = outcome.report.context("no report")?;
        ensure!(report.exit == Exit::Signal(9), "{report:?}");
        Ok(true)
    })
}

#[test]
fn a_process_whose_node_is_killed_does_not_run_on_without_its_memory() -> Result<()> {
    try_in_parts(|mut running, source, destination| {
        running.child.kill()?;
        running.child.wait()?;
        let begun = Instant::now();
        for host in [source, destination] {
            while state(host).is_some_and(|state| state != 'Z') {
                ensure!(begun.elapsed() < PATIENCE, "process {host} goes on");
            }
        }
        Ok(true)
    })
}
