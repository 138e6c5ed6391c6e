//! Programs that are attached to the command which has started them go to other nodes (docs/nodes.md): their input and output go on, nothing of it lost, repeated or in another order, and
//! the command ends as they do.

use anyhow::{Context as _, Result, bail, ensure};
use maize_tests::{
    Compiler, Cut, Journey, KERNELS, Kernel, Point, Proxy, Random, build_bzip2_with, compressible, kill,
    kill_with_hosts, node_name, text, thorough, wait_until,
};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// What should take seconds may take so long on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(120);

fn journey(test: &str, program: &str, nodes: usize) -> Result<Option<Journey>> {
    Journey::new(env!("CARGO_TARGET_TMPDIR"), test, program, nodes)
}

/// A command that waits for a program on node a.
struct Attached<'a> {
    journey: &'a Journey,
    command: Child,
    input: Option<ChildStdin>,
    /// Read by somebody who reads no further ahead than one piece, and not at all while nobody takes that.
    output: Receiver<Vec<u8>>,
    /// Taken and not expected yet.
    rest: Vec<u8>,
    error: JoinHandle<String>,
    /// As it was named first.
    name: String,
}

fn numbers(journey: &Journey, node: usize) -> Result<BTreeSet<u64>> {
    Ok(journey.cluster.programs(node)?.iter().filter_map(|program| program["program"].as_u64()).collect())
}

impl<'a> Attached<'a> {
    /// Starts a program on node a by a command on another node.
    fn start(journey: &'a Journey, from: usize, program: &Path, arguments: &[&str]) -> Result<Attached<'a>> {
        let before = numbers(journey, 0)?;
        let line = [&["run", "--node", "a", program.to_str().context("not text")?], arguments].concat();
        let mut command = journey.cluster.command(from, &line);
        command.env(Proxy::PADDING.0, "x".repeat(Proxy::PADDING.1));
        let mut command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let (mut stdout, mut stderr) =
            (command.stdout.take().context("no output")?, command.stderr.take().context("no errors")?);
        let (give, output) = sync_channel(0);
        std::thread::spawn(move || {
            let mut buffer = vec![0; 30_000];
            while let Ok(length @ 1..) = stdout.read(&mut buffer) {
                if give.send(buffer[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        let error = std::thread::spawn(move || {
            let mut said = Vec::new();
            let _ = stderr.read_to_end(&mut said);
            text(&said)
        });
        let mut number = None;
        wait_until("it has a number", || {
            number = numbers(journey, 0)?.difference(&before).next().copied();
            Ok(number.is_some())
        })?;
        let name = format!("a:{}", number.context("no number")?);
        let input = command.stdin.take();
        Ok(Attached { journey, command, input, output, rest: Vec::new(), error, name })
    }

    /// Moves it to another node, by its first name.
    fn go(&self, to: usize) -> Result<()> {
        self.go_with(to, &[])
    }

    /// The same with options of `maize migrate`.
    fn go_with(&self, to: usize, options: &[&str]) -> Result<()> {
        let to = node_name(to);
        let line = [&["migrate", &self.name, "--to", &to, "--timeout", "60s"], options].concat();
        let said = self.journey.cluster.succeed(0, &line)?;
        ensure!(said.starts_with(&format!("{to}:")), "{said}");
        Ok(())
    }

    /// The process id of its shim where it is now.
    fn shim(&self) -> Result<u32> {
        let name = self.journey.where_it_is(&self.name)?;
        Ok(name.split_once(':').context("no name")?.1.parse()?)
    }

    fn feed(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.input.as_mut().context("no input")?.write_all(bytes)?)
    }

    /// Feeds it all of this, and the end, as fast as it takes it.
    fn feed_all(&mut self, bytes: Vec<u8>) -> Result<JoinHandle<std::io::Result<()>>> {
        let mut input = self.input.take().context("no input")?;
        Ok(std::thread::spawn(move || input.write_all(&bytes)))
    }

    /// Takes so many bytes of its output.
    fn take(&mut self, length: usize) -> Result<Vec<u8>> {
        while self.rest.len() < length {
            let Ok(piece) = self.output.recv_timeout(PATIENCE) else {
                bail!("only {} bytes of {length}", self.rest.len())
            };
            self.rest.extend(piece);
        }
        Ok(self.rest.drain(..length).collect())
    }

    /// Requires that it writes this next.
    fn expect(&mut self, bytes: &[u8]) -> Result<()> {
        let taken = self.take(bytes.len())?;
        ensure!(taken == bytes, "another output: {:?}", text(&taken[..taken.len().min(100)]));
        Ok(())
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        kill(self.command.id(), signal)
    }

    /// What comes to the end of its output, how it ends, and what it has written to standard error.
    fn end(mut self) -> Result<(Vec<u8>, ExitStatus, String)> {
        drop(self.input.take());
        let mut output = std::mem::take(&mut self.rest);
        loop {
            match self.output.recv_timeout(PATIENCE) {
                Ok(piece) => output.extend(piece),
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
                Err(error) => {
                    self.command.kill()?;
                    bail!("its output does not end: {error}")
                }
            }
        }
        let status = self.command.wait()?;
        let error = self.error.join().map_err(|_| anyhow::anyhow!("no errors"))?;
        Ok((output, status, error))
    }

    /// Requires that nothing more comes, and that it ends as it does natively.
    fn ends(self, error: &str) -> Result<()> {
        let (output, status, said) = self.end()?;
        ensure!(output.is_empty(), "too much: {:?}", text(&output[..output.len().min(100)]));
        ensure!(status.code() == Some(5) && said == error, "{status}: {said}\nnatively\n{error}");
        Ok(())
    }
}

/// Nodes of which b is behind a proxy and has the executable, so that moves there are all alike.
fn with_proxy(test: &str) -> Result<Option<(Journey, Proxy)>> {
    let Some((journey, proxy)) = Journey::with_proxy(env!("CARGO_TARGET_TMPDIR"), test, "attached", 3)? else {
        return Ok(None);
    };
    journey.wait_for_end(&journey.start(1, &["there"])?)?;
    Ok(Some((journey, proxy)))
}

/// What `copy` says to standard error.
fn summary(bytes: &[u8]) -> String {
    let sum = bytes.iter().fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
    format!("{} bytes, {sum:x}\n", bytes.len())
}

/// A command on a node has bzip2 compress so many bytes, and decompress them, while it makes these moves. Input arrives faster than it is taken, and output is taken only between the moves.
fn pack_and_unpack_on_the_move(
    journey: &Journey,
    from: usize,
    size: usize,
    steps: &[usize],
    options: &[&str],
) -> Result<()> {
    let program = build_bzip2_with(Compiler::Maize, &journey.directory, &[])?.join("bzip2");
    let plain = compressible(size);
    let natively = |arguments: &str, input: &[u8]| -> Result<Vec<u8>> {
        let (from, to) = (journey.directory.join("from"), journey.directory.join("to"));
        std::fs::write(&from, input)?;
        let mut command = Command::new(&program);
        let command = command.arg(arguments).stdin(std::fs::File::open(from)?).stdout(std::fs::File::create(&to)?);
        ensure!(command.status()?.success());
        Ok(std::fs::read(to)?)
    };
    let packed = natively("-9c", &plain)?;
    for (arguments, input, expected) in [("-9c", &plain, &packed), ("-dc", &packed, &plain)] {
        let mut attached = Attached::start(journey, from, &program, &[arguments])?;
        let feeder = attached.feed_all(input.clone())?;
        let mut taken = Vec::new();
        for to in steps {
            taken.extend(attached.take(expected.len() / (steps.len() + 2))?);
            attached.go_with(*to, options)?;
        }
        let (rest, status, error) = attached.end()?;
        taken.extend(rest);
        ensure!(status.success() && error.is_empty(), "{status}: {error}");
        ensure!(
            taken == *expected,
            "{arguments}: another output, of {} bytes instead of {}",
            taken.len(),
            expected.len()
        );
        feeder.join().map_err(|_| anyhow::anyhow!("not fed"))??;
    }
    Ok(())
}

#[test]
fn a_pipeline_goes_on_while_its_middle_moves() -> Result<()> {
    let Some(journey) = journey("attached-pipeline", "attached", 3)? else { return Ok(()) };
    pack_and_unpack_on_the_move(&journey, 2, 24_000_000, &[1, 2, 1, 0, 1, 0], &[])?;
    // The shim that stays goes with the program, and so do those that it has come to.
    for (node, left) in [(0, 2), (1, 6), (2, 2)] {
        wait_until("shims have ended", || {
            let programs = journey.cluster.programs(node)?;
            Ok(programs.len() == left && programs.iter().all(|program| program["state"]["moved"].is_object()))
        })?;
    }
    Ok(())
}

/// The moves are drawn by a seed.
#[test]
fn a_pipeline_goes_on_while_the_memory_of_its_middle_comes_after_it() -> Result<()> {
    const STEPS: usize = 8;
    let root = env!("CARGO_TARGET_TMPDIR");
    let Some(journey) = Journey::of_one_isa(root, "attached-after", "attached", 3)? else { return Ok(()) };
    let seed = std::env::var("MAIZE_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    for seed in seed..seed + if thorough() { 20 } else { 1 } {
        let (mut node, mut random) = (0, Random(seed));
        let steps = std::iter::repeat_with(|| {
            node = (node + 1 + usize::from(random.below(2) == 1)) % 3;
            node
        });
        let steps: Vec<usize> = steps.take(STEPS).collect();
        pack_and_unpack_on_the_move(&journey, 2, 24_000_000, &steps, &["--memory", "after"])
            .with_context(|| format!("seed {seed}"))?;
    }
    Ok(())
}

#[test]
#[ignore = "boots virtual machines, which takes minutes; run by ./test --all"]
fn a_pipeline_goes_on_while_its_middle_moves_to_a_kernel_of_another_isa() -> Result<()> {
    for package in KERNELS {
        let Some(kernel) = Kernel::find(package)? else { continue };
        let test = format!("attached-{package}");
        let Some(journey) = Journey::with_machine(env!("CARGO_TARGET_TMPDIR"), &test, "attached", &kernel)? else {
            return Ok(());
        };
        pack_and_unpack_on_the_move(&journey, 0, 24_000_000, &[1, 0, 1, 0], &[]).context(package)?;
    }
    Ok(())
}

/// The program waits for input when it moves, or for a signal, with its input at its end.
#[test]
fn what_is_written_after_a_move_comes_where_the_program_is() -> Result<()> {
    let Some(journey) = journey("attached-input", "attached", 3)? else { return Ok(()) };
    let arguments = ["copy", "read", "wait", "try", "wait", "try"];
    let mut attached = Attached::start(&journey, 0, &journey.program, &arguments)?;
    let input = compressible(800_000);
    let pieces = input.chunks(100_000).zip([1, 0, 1, 2, 1, 2, 0, 1]);
    for (piece, to) in pieces {
        attached.feed(piece)?;
        attached.expect(piece)?;
        attached.go(to)?;
    }
    drop(attached.input.take());
    attached.expect(b"read\n")?;
    for to in [0, 1] {
        attached.go(to)?;
        attached.signal(Signal::USR1)?;
        attached.expect(b"the end\n")?;
    }
    attached.ends(&summary(&input))
}

/// More than fits into the pipe to it, and less, with and without its end.
#[test]
fn input_that_has_not_been_read_goes_along() -> Result<()> {
    let Some(journey) = journey("attached-unread", "attached", 3)? else { return Ok(()) };
    for (length, ends_before) in [(3_000_000, true), (3_000_000, false), (50_000, true), (50_000, false), (0, true)] {
        let input = compressible(length);
        let mut attached = Attached::start(&journey, 1, &journey.program, &["ready", "wait", "copy", "wait"])?;
        attached.expect(b"ready\n")?;
        let mut feeder = None;
        if ends_before {
            feeder = Some(attached.feed_all(input.clone())?);
        } else if length < 65536 {
            attached.feed(&input)?;
        }
        for to in [1, 2, 1, 0] {
            attached.go(to)?;
        }
        if feeder.is_none() && length >= 65536 {
            feeder = Some(attached.feed_all(input.clone())?);
        }
        attached.signal(Signal::USR1)?;
        attached.go(1)?;
        drop(attached.input.take());
        attached.expect(&input).with_context(|| format!("{length} bytes, {ends_before}"))?;
        attached.signal(Signal::USR1)?;
        attached.ends(&summary(&input))?;
        if let Some(feeder) = feeder {
            feeder.join().map_err(|_| anyhow::anyhow!("not fed"))??;
        }
    }
    Ok(())
}

/// It is blocked by its output when it moves.
#[test]
fn output_that_has_not_been_read_comes_first() -> Result<()> {
    let Some(journey) = journey("attached-output", "attached", 2)? else { return Ok(()) };
    let output = Command::new(&journey.program).arg("flood").output()?;
    let mut attached = Attached::start(&journey, 1, &journey.program, &["flood"])?;
    // What is left in the end is more than the kernels between the program and this keep for it.
    let part = output.stdout.len() / 20;
    for (step, piece) in output.stdout.chunks(part).enumerate() {
        attached.expect(piece).with_context(|| format!("part {step}"))?;
        if step < 6 {
            attached.go((step + 1) % 2)?;
        }
    }
    attached.ends(&text(&output.stderr))
}

#[test]
fn a_program_that_does_not_wait_for_input_does_not_wait_there() -> Result<()> {
    let Some(journey) = journey("attached-impatient", "attached", 2)? else { return Ok(()) };
    let arguments = ["impatient", "try", "wait", "try", "wait", "poll", "try", "try", "close", "wait", "closed"];
    let mut attached = Attached::start(&journey, 0, &journey.program, &arguments)?;
    attached.expect(b"nothing yet\n")?;
    attached.go(1)?;
    attached.signal(Signal::USR1)?;
    attached.expect(b"nothing yet\n")?;
    attached.feed(b"1")?;
    attached.go(0)?;
    attached.signal(Signal::USR1)?;
    attached.expect(b"a byte\nnothing yet\n")?;
    attached.feed(b"2")?;
    attached.go(1)?;
    attached.signal(Signal::USR1)?;
    attached.expect(b"closed\n")?;
    attached.ends("")
}

/// One signal for each move, at a moment of it that a seed draws.
#[test]
fn signals_of_the_command_reach_the_program_wherever_it_is() -> Result<()> {
    const MOVES: usize = 8;
    let Some(journey) = journey("attached-signals", "attached", 2)? else { return Ok(()) };
    let mut arguments = vec!["ready"];
    // It is there to the end of the last move, even if it hears of its signal before that.
    (0..=MOVES).for_each(|_| arguments.extend(["wait", "heard"]));
    let mut attached = Attached::start(&journey, 0, &journey.program, &arguments)?;
    attached.expect(b"ready\n")?;
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for step in 0..MOVES {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let delay = Duration::from_micros((random >> 33) % 400_000);
        let moving = journey.begin_move(&journey.where_it_is(&attached.name)?, (step + 1) % 2)?;
        std::thread::sleep(delay);
        attached.signal(Signal::USR1)?;
        let output = moving.wait_with_output()?;
        ensure!(output.status.success(), "{}", text(&output.stderr));
        attached.expect(b"heard\n").with_context(|| format!("signal {step}, {delay:?} after the start of a move"))?;
    }
    attached.signal(Signal::USR1)?;
    attached.expect(b"heard\n")?;
    attached.ends("")?;
    let mut attached = Attached::start(&journey, 0, &journey.program, &["ready", "wait"])?;
    attached.expect(b"ready\n")?;
    attached.go(1)?;
    attached.signal(Signal::TERM)?;
    let (_, status, error) = attached.end()?;
    ensure!(status.signal() == Some(15) || status.code() == Some(128 + 15), "{status}: {error}");
    Ok(())
}

/// Who is killed once the program has moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Starter,
    Relay,
    Shim,
}

#[test]
fn a_program_whose_command_or_relay_is_gone_hangs_up() -> Result<()> {
    let Some(journey) = journey("attached-gone", "elsewhere", 3)? else { return Ok(()) };
    for victim in [Victim::Starter, Victim::Relay, Victim::Shim] {
        for steps in [&[1][..], &[1, 2]] {
            let mark = journey.directory.join(format!("{victim:?}{}", steps.len()));
            let arguments = ["wait", mark.to_str().context("not text")?];
            let mut attached = Attached::start(&journey, 2, &journey.program, &arguments)?;
            attached.expect(b"ready\n")?;
            steps.iter().try_for_each(|&to| attached.go(to))?;
            let first: u32 = attached.name.split_once(':').context("no name")?.1.parse()?;
            let now = journey.where_it_is(&attached.name)?;
            match victim {
                Victim::Starter => attached.command.kill()?,
                Victim::Relay => kill(first, Signal::KILL)?,
                Victim::Shim => kill_with_hosts(attached.shim()?)?,
            }
            if victim != Victim::Shim {
                wait_until("it has heard of that", || Ok(mark.exists()))?;
            }
            let (_, status, error) = attached.end()?;
            match victim {
                Victim::Starter => ensure!(status.signal() == Some(9), "{status}"),
                Victim::Relay => ensure!(!status.success() && error.contains("lost"), "{status}: {error}"),
                Victim::Shim => {
                    let node = node_name(steps[steps.len() - 1]);
                    ensure!(status.code() == Some(125), "{status}: {error}");
                    ensure!(error.contains(&format!("the connection to {node} was lost")), "{status}: {error}");
                }
            }
            wait_until("all have ended", || {
                let is_there = |name: &str| Ok::<_, anyhow::Error>(journey.state(name)? == "running");
                Ok(!is_there(&now)? && !std::path::Path::new(&format!("/proc/{first}")).exists())
            })?;
        }
    }
    Ok(())
}

/// Without the command there is nobody to whom streams could be handed on.
#[test]
fn a_program_whose_command_is_gone_stays() -> Result<()> {
    let Some(journey) = journey("attached-orphan", "attached", 2)? else { return Ok(()) };
    for moves in [false, true] {
        // It does not mind hanging up.
        let mut attached = Attached::start(&journey, 1, &journey.program, &["deaf", "ready", "wait"])?;
        attached.expect(b"ready\n")?;
        if moves {
            attached.go(1)?;
        }
        let now = journey.where_it_is(&attached.name)?;
        attached.command.kill()?;
        attached.command.wait()?;
        let to = node_name(usize::from(!moves));
        let mut said = String::new();
        wait_until("its shim knows that nobody is there", || {
            said = text(&journey.cluster.maize(0, &["migrate", &now, "--to", &to, "--dry-run"])?.stderr);
            Ok(said.contains("the command that has started the program is gone"))
        })
        .with_context(|| said.clone())?;
        ensure!(journey.state(&now)? == "running");
        journey.cluster.succeed(0, &["node", "kill", &now])?;
    }
    Ok(())
}

/// The shim that has what the program has not read is killed when the program has gone: nobody goes on as if that had not been.
#[test]
fn what_is_lost_with_a_shim_is_not_passed_over() -> Result<()> {
    let Some((journey, proxy)) = with_proxy("attached-lost")? else { return Ok(()) };
    let mut attached = Attached::start(&journey, 2, &journey.program, &["ready", "wait", "copy"])?;
    attached.expect(b"ready\n")?;
    attached.go(2)?;
    attached.feed(b"text")?;
    let (shim, name) = (attached.shim()?, journey.where_it_is(&attached.name)?);
    proxy.arm(Point::Taken, Cut::None, move || {
        let _ = kill(shim, Signal::KILL);
    });
    let moving = journey.begin_move(&attached.name, 1)?;
    ensure!(proxy.has_sprung(PATIENCE), "it has not gone");
    moving.wait_with_output()?;
    let (output, status, error) = attached.end()?;
    ensure!(output.is_empty() && status.code() == Some(125) && error.contains("to c was lost"), "{status}: {error}");
    // There it is told to hang up, and nobody handles that.
    wait_until("it has ended", || {
        Ok(journey.cluster.programs(1)?.iter().all(|program| program["state"] != "running"))
    })?;
    wait_until("what it left is ended", || Ok(journey.state(&name)?["moved"].is_object()))?;
    Ok(())
}

/// The link to node b is cut while the program goes there.
#[test]
fn streams_go_on_whatever_becomes_of_a_move() -> Result<()> {
    const POINTS: [Point; 5] = [Point::Offer, Point::Piece, Point::Restored, Point::Commit, Point::Taken];
    let Some((journey, proxy)) = with_proxy("attached-cut")? else { return Ok(()) };
    let faults = POINTS.iter().map(|&point| (point, Cut::Closed));
    let silent: &[Point] = if thorough() { &POINTS } else { &[Point::Commit] };
    let faults = faults.chain(silent.iter().map(|&point| (point, Cut::Silent)));
    let input = compressible(600_000);
    for (point, cut) in faults {
        // From the first shim, and from one that has to give back what it has.
        for before in [None, Some(2)] {
            let what = || format!("{cut:?} at {point:?}, from {before:?}");
            let mut attached = Attached::start(&journey, 2, &journey.program, &["copy", "wait"])?;
            let feeder = attached.feed_all(input.clone())?;
            attached.expect(&input[..100_000])?;
            before.map_or(Ok(()), |to| attached.go(to))?;
            proxy.arm(point, cut, || {});
            let moving = journey.begin_move(&attached.name, 1)?;
            ensure!(proxy.has_sprung(PATIENCE), "no {point:?} has passed");
            attached.expect(&input[100_000..300_000]).with_context(what)?;
            let output = moving.wait_with_output()?;
            let has_moved = journey.where_it_is(&attached.name)?.starts_with("b:");
            ensure!(has_moved == (point == Point::Taken), "{}: {}", what(), text(&output.stderr));
            ensure!(output.status.success() == has_moved, "{}: {}", what(), text(&output.stderr));
            attached.expect(&input[300_000..]).with_context(what)?;
            attached.signal(Signal::USR1)?;
            attached.ends(&summary(&input)).with_context(what)?;
            feeder.join().map_err(|_| anyhow::anyhow!("not fed"))??;
        }
    }
    Ok(())
}
