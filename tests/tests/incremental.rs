//! Snapshots that hold only what has changed since the one before: a program that was restored from any of them, on any ISA, does what it does natively. So it does after it and its node
//! were killed at random times. What is missing, damaged or another one is named.

use anyhow::{Context as _, Result, bail, ensure};
use maize_tests::{Checked as _, ISAS, Random, Run, build_both, fresh_directory, grants_userfaultfd, maize};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A program may take so long.
const LONGEST: Duration = Duration::from_secs(300);
/// So often a program is saved.
const LINKS: usize = 4;
/// A byte of a snapshot that is among the first pages in it.
const EARLY: usize = 1000;
/// Of the ISAs, this machine's.
const NATIVE: &str = std::env::consts::ARCH;

static BUILT: LazyLock<Result<(PathBuf, PathBuf), String>> =
    LazyLock::new(|| build_both("large", env!("CARGO_TARGET_TMPDIR")).map_err(|error| format!("{error:#}")));

/// Whether the kernel tells which pages a program changes.
fn is_granted() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit()).map(|digits| digits.parse().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let is_granted = version >= (6, 7) && grants_userfaultfd();
    if !is_granted {
        eprintln!("all of them are whole: the kernel does not tell this user what a program changes");
    }
    is_granted
}

/// The program with much memory, and what it prints natively.
struct Subject {
    program: PathBuf,
    arguments: Vec<String>,
    directory: PathBuf,
    expected: Vec<u8>,
}

impl Subject {
    fn new(name: &str, seed: u64, megabytes: u64, operations: u64, threads: u64) -> Result<Subject> {
        let (native, program) = BUILT.as_ref().map_err(|error| anyhow::anyhow!("{error}"))?;
        let arguments = [seed, megabytes, operations, threads].map(|number| number.to_string()).to_vec();
        let expected = Run::new(native).arguments(&arguments).run()?.succeeded()?.stdout;
        let directory = fresh_directory(env!("CARGO_TARGET_TMPDIR"), &format!("incremental-{name}"))?;
        Ok(Subject { program: program.clone(), arguments, directory, expected })
    }

    /// Starts it, in a process group of its own; its output goes to the file `output`.
    fn start(&self, options: &[&str]) -> Result<Child> {
        let mut command = Command::new(maize());
        command.arg("run").args(options).arg(&self.program).args(&self.arguments);
        self.spawn(&mut command)
    }

    fn spawn(&self, command: &mut Command) -> Result<Child> {
        let output = File::create(self.directory.join("output"))?;
        command.current_dir(&self.directory).stdin(Stdio::null()).stdout(output).process_group(0);
        command.spawn().with_context(|| format!("{command:?}"))
    }

    /// Saves it and lets it run on; returns the size, and the name of what the snapshot builds on. Nothing if it has just begun or ended.
    fn save(&self, child: &Child, name: &str) -> Result<Option<(u64, Option<String>)>> {
        let mut command = Command::new(maize());
        command.args(["checkpoint", "--leave-running", "--incremental", "--json"]).arg(child.id().to_string());
        let output = command.arg("-o").arg(self.directory.join(name)).output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            ensure!(said.contains("no running program") || said.contains("has ended"), "{said}");
            return Ok(None);
        }
        let answer: Value = serde_json::from_slice(&output.stdout)?;
        let base = answer["base"].as_str().map(str::to_owned);
        Ok(Some((answer["bytes"].as_u64().context("no size")?, base)))
    }

    fn restored(&self, isa: &str, name: &str) -> Result<Output> {
        let mut command = Command::new(maize());
        command.args(["restore", "--isa", isa, name]).current_dir(&self.directory).stdin(Stdio::null());
        Ok(command.output()?)
    }

    /// Restored on this ISA, it prints what it should.
    fn is_restored(&self, isa: &str, name: &str) -> Result<()> {
        let outcome = self.restored(isa, name)?;
        let (said, printed) = (String::from_utf8_lossy(&outcome.stderr), String::from_utf8_lossy(&outcome.stdout));
        let is_same = outcome.status.success() && outcome.stdout == self.expected;
        ensure!(is_same, "{name} on {isa}: {}, {said}\n{printed}", outcome.status);
        Ok(())
    }

    /// Restoring is refused, and this is said.
    fn is_refused(&self, name: &str, words: &[&str]) -> Result<()> {
        let outcome = self.restored(NATIVE, name)?;
        let said = String::from_utf8_lossy(&outcome.stderr);
        let is_said = words.iter().all(|word| said.contains(word));
        ensure!(
            outcome.status.code() == Some(125) && is_said && outcome.stdout.is_empty(),
            "{}: {said}",
            outcome.status
        );
        Ok(())
    }
}

fn wait(child: &mut Child) -> Result<()> {
    let begin = Instant::now();
    loop {
        match child.try_wait()? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => bail!("{status}"),
            None if begin.elapsed() > LONGEST => {
                kill(child)?;
                bail!("not ended after {} s", LONGEST.as_secs());
            }
            None => sleep(Duration::from_millis(5)),
        }
    }
}

/// Kills it with all its processes, as if the node had lost its power.
fn kill(child: &mut Child) -> Result<()> {
    kill_process_group(Pid::from_child(child), Signal::KILL)?;
    child.wait()?;
    Ok(())
}

fn pause(random: &mut Random, longest: u64) {
    sleep(Duration::from_millis(5 + random.below(longest)));
}

/// A snapshot's name, and the name of what it builds on.
type Link = (String, Option<String>);

/// The program, saved at random times while it runs with these options, is restored from each snapshot on this machine's ISA and on one of `others`, by turns. At least so many of
/// them build on others.
fn each_is_restored(
    name: &str,
    [seed, threads]: [u64; 2],
    options: &[&str],
    others: &[&str],
    least: usize,
) -> Result<()> {
    let (mut operations, mut tries) = (30_000, 0);
    let (subject, links) = loop {
        let subject = Subject::new(&format!("{name}-{seed}"), seed, 40, operations, threads)?;
        let links = saved(&subject, seed, options)?;
        if links.len() >= 2 && links.iter().filter(|(_, base)| base.is_some()).count() >= least {
            break (subject, links);
        }
        // It has ended too early for that: it gets more to do.
        (operations, tries) = (operations * 2, tries + 1);
        ensure!(tries < 5, "not enough after {tries} tries, the last with {links:?}");
    };
    for (index, (link, base)) in links.iter().enumerate() {
        let before = index.checked_sub(1).map(|before| &links[before].0);
        ensure!(base.is_none() || base.as_ref() == before, "{link} builds on {base:?}");
        subject.is_restored(NATIVE, link)?;
        if !others.is_empty() {
            subject.is_restored(others[index % others.len()], link)?;
        }
    }
    Ok(())
}

/// Runs it with these options, saved [`LINKS`] times at random times, or less often if it ends before.
fn saved(subject: &Subject, seed: u64, options: &[&str]) -> Result<Vec<Link>> {
    let mut random = Random(seed);
    let mut child = subject.start(options)?;
    let mut links = Vec::new();
    while links.len() < LINKS && child.try_wait()?.is_none() {
        pause(&mut random, 60);
        let link = format!("link-{}", links.len());
        if let Some((_, base)) = subject.save(&child, &link)? {
            links.push((link, base));
        }
    }
    wait(&mut child)?;
    ensure!(fs::read(subject.directory.join("output"))? == subject.expected, "it prints something else");
    Ok(links)
}

#[test]
fn each_of_a_chain_is_restored_on_every_isa() -> Result<()> {
    for (seed, threads) in [(1, 1), (2, 2), (3, 3)] {
        let others: Vec<&str> = ISAS.into_iter().filter(|isa| *isa != NATIVE).collect();
        let outcome = each_is_restored("chain", [seed, threads], &["--movable"], &others, usize::from(is_granted()));
        outcome.with_context(|| format!("seed {seed}"))?;
    }
    Ok(())
}

/// Which pages it changes is known of its emulator (docs/why.md).
#[test]
fn each_of_a_chain_is_restored_of_a_program_under_an_emulator() -> Result<()> {
    let foreign = ISAS.into_iter().filter(|isa| *isa != NATIVE);
    for (isa, seed) in foreign.zip(21..) {
        let least = usize::from(NATIVE == "x86_64" && is_granted());
        let outcome = each_is_restored("emulated", [seed, 2], &["--movable", "--isa", isa], &[], least);
        outcome.with_context(|| format!("seed {seed}"))?;
    }
    Ok(())
}

#[test]
fn each_of_a_chain_is_restored_of_a_program_that_moves_meanwhile() -> Result<()> {
    for (seed, hop) in [(4, "x86_64,x86_64"), (5, "x86_64,aarch64"), (6, "x86_64,x86_64,riscv64")] {
        let options = ["--hop", hop, "--every", "100ms", "--seed", "1"];
        let outcome = each_is_restored("moving", [seed, 2], &options, &[], 0);
        outcome.with_context(|| format!("seed {seed}"))?;
    }
    Ok(())
}

#[test]
fn a_program_that_is_killed_between_periodic_snapshots_goes_on_from_the_last() -> Result<()> {
    let mut chains = 0;
    for seed in 7..=10 {
        let subject = Subject::new(&format!("killed-{seed}"), seed, 40, 60_000, 1)?;
        let mut random = Random(seed);
        let periodic = ["--checkpoint-every", "100ms", "--checkpoint", "job.snapshot"];
        let mut child = subject.start(&periodic)?;
        let file = subject.directory.join("job.snapshot");
        let mut kills = 0;
        loop {
            let begin = Instant::now();
            let life = Duration::from_millis(200 + random.below(500));
            while begin.elapsed() < life || !file.exists() {
                sleep(Duration::from_millis(2));
                ensure!(begin.elapsed() < LONGEST, "seed {seed}: no snapshot");
                if child.try_wait()?.is_some() {
                    break;
                }
            }
            // In the end it is left alone.
            if child.try_wait()?.is_some() || kills == 6 {
                break;
            }
            kill(&mut child)?;
            kills += 1;
            chains += usize::from(subject.directory.join("job.snapshot.base-0").exists());
            let mut command = Command::new(maize());
            command.args(["restore", "--isa", NATIVE]).args(periodic).arg("job.snapshot");
            child = subject.spawn(&mut command)?;
        }
        wait(&mut child).with_context(|| format!("seed {seed}, killed {kills} times"))?;
        let printed = fs::read(subject.directory.join("output"))?;
        ensure!(kills >= 1, "seed {seed}: it has ended before it was killed");
        let printed_text = String::from_utf8_lossy(&printed);
        ensure!(printed == subject.expected, "seed {seed}, killed {kills} times, prints\n{printed_text}");
        let left = names(&subject.directory)?;
        let is_right = |name: &String| name.starts_with("job.snapshot.base-");
        ensure!(left.iter().all(is_right), "seed {seed}, killed {kills} times: {left:?} are left");
    }
    ensure!(!is_granted() || chains >= 1, "all snapshots were whole");
    Ok(())
}

/// The program, running, when it has been saved by these names, and the names of what these snapshots build on.
fn running(
    name: &str,
    seed: u64,
    mut operations: u64,
    links: &[&str],
) -> Result<(Subject, Child, Vec<Option<String>>)> {
    for _ in 0..5 {
        let subject = Subject::new(name, seed, 40, operations, 1)?;
        let mut child = subject.start(&["--movable"])?;
        let mut saved = Vec::new();
        while saved.len() < links.len() && child.try_wait()?.is_none() {
            saved.extend(subject.save(&child, links[saved.len()])?.map(|(_, base)| base));
        }
        if saved.len() == links.len() {
            return Ok((subject, child, saved));
        }
        // It has ended too early for that: it gets more to do.
        operations *= 2;
    }
    bail!("not saved {} times", links.len())
}

#[test]
fn what_is_missing_damaged_or_another_one_is_named() -> Result<()> {
    if !is_granted() {
        return Ok(());
    }
    let (subject, mut child, saved) = running("named", 11, 40_000, &["first", "second", "second", "third"])?;
    // What takes the name of its base gives that another one.
    let expected = [None, Some("first"), Some("second.base-1"), Some("second")];
    let expected = expected.map(|base| base.map(str::to_owned));
    // A whole one comes in between if more has changed than the first holds.
    ensure!(saved == expected || saved.iter().skip(1).any(Option::is_none), "{saved:?}");
    if saved == expected {
        let at = |name: &str| subject.directory.join(name);
        let base = fs::read(at("second.base-1"))?;
        // In what had changed before the program was stopped: the rest is in those that build on it again, and not read.
        let mut damaged = base.clone();
        damaged[EARLY] ^= 4;
        fs::write(at("second.base-1"), &damaged)?;
        subject.is_refused("third", &["second.base-1", "damaged", "take another one"])?;
        fs::write(at("second.base-1"), &base[..EARLY])?;
        subject.is_refused("third", &["second.base-1", "cut off"])?;
        fs::copy(at("first"), at("second.base-1"))?;
        subject.is_refused("third", &["second.base-1", "another snapshot"])?;
        fs::remove_file(at("second.base-1"))?;
        subject.is_refused("third", &["second.base-1", "not beside it"])?;
        fs::write(at("second.base-1"), &base)?;
    }
    for link in ["first", "second", "third"] {
        subject.is_restored(NATIVE, link)?;
    }
    wait(&mut child)?;
    Ok(())
}

/// Its pages may still be in them: it goes on with what they held when they were checked, or not at all.
#[test]
fn a_program_that_is_restored_does_not_see_its_files_change() -> Result<()> {
    let (subject, mut child, _) = running("written", 13, 20_000, &["first", "second"])?;
    kill(&mut child)?;
    let at = |name: &str| subject.directory.join(name);
    let kept = [("first", fs::read(at("first"))?), ("second", fs::read(at("second"))?)];
    let mut restored = 0;
    for seed in 0..40 {
        let mut random = Random(seed);
        // Names that other processes do not have open.
        for (name, content) in &kept {
            fs::remove_file(at(name))?;
            fs::write(at(name), content)?;
        }
        let isa = ISAS[random.below(ISAS.len() as u64) as usize];
        let mut child = subject.spawn(Command::new(maize()).args(["restore", "--isa", isa, "second"]))?;
        // On a busy machine all the first ones come too late.
        sleep(Duration::from_micros(random.below(60_000 << (seed / 12))));
        for (name, _) in &kept {
            let mut file = File::options().write(true).open(at(name))?;
            file.write_all(&vec![0xff; usize::try_from(file.metadata()?.len())?])?;
        }
        let status = child.wait()?;
        let printed = fs::read(subject.directory.join("output"))?;
        let is_refused = status.code() == Some(125) && printed.is_empty();
        ensure!(is_refused || (status.success() && printed == subject.expected), "seed {seed} on {isa}: {status}");
        restored += usize::from(!is_refused);
        if seed >= 11 && restored > 0 {
            break;
        }
    }
    ensure!(restored > 0, "nothing was restored in time");
    Ok(())
}

/// The names of what belongs to snapshots at job.snapshot, besides that.
fn names(directory: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(directory)?.collect::<Result<Vec<_>, _>>()?;
    let mut names: Vec<String> = entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| name.contains("job.snapshot") && name != "job.snapshot");
    Ok(names)
}

#[test]
fn a_whole_one_takes_the_place_of_a_chain() -> Result<()> {
    if !is_granted() {
        return Ok(());
    }
    let subject = Subject::new("place", 12, 10, 400_000, 1)?;
    let mut child = subject.start(&["--movable"])?;
    let (mut longest, mut wholes) = (0, 0);
    while child.try_wait()?.is_none() && (longest == 0 || wholes < 2) {
        let Some((_, base)) = subject.save(&child, "job.snapshot")? else { continue };
        let found = names(&subject.directory)?;
        match base {
            None => {
                wholes += 1;
                ensure!(found.is_empty(), "{found:?} beside one that is whole");
            }
            Some(base) => {
                longest = longest.max(found.len());
                ensure!(found.contains(&base), "no {base} among {found:?}");
            }
        }
    }
    ensure!(longest > 0 && wholes >= 2, "{wholes} that are whole, {longest} others at most");
    kill(&mut child)?;
    subject.is_restored(NATIVE, "job.snapshot")
}
