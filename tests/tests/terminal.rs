//! Programs with a terminal go to other nodes (docs/nodes.md): what is on the terminal of who has started them is the same as if they ran there by themselves, also what has been typed ahead,
//! edited across a move, or belongs to a program that reads keys.

use anyhow::{Context as _, Result, bail, ensure};
use maize_tests::{Cut, Journey, Point, Proxy, maize, node_name, text, wait_until};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// What should take seconds may take so long on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(120);

/// What somebody does who sits there.
enum Step {
    Type(&'static [u8]),
    /// Waits until this has been printed since the last time.
    See(&'static str),
    /// Gives the window another size.
    Resize(u16, u16),
}
use Step::{Resize, See, Type};

const STEPS: [Step; 36] = [
    See("ready 1 1 1 own\r\n"),
    Type(b"hello\n"),
    See("1: hello\r\n"),
    // A line that is edited.
    Type(b"par"),
    See("par"),
    Type(b"\x7f\x7fick\n"),
    See("2: pick\r\n"),
    Type(b"\x04"),
    See("end of input\r\n"),
    // What is typed ahead.
    Type(b"wait\n"),
    See("waiting\r\n"),
    Type(b"ahead\n\x04more\nle\x16\x03f"),
    See("^Cf"),
    Resize(30, 100),
    See("resized 30 100\r\n3: ahead\r\nend of input\r\n4: more\r\n"),
    Type(b"t\n"),
    See("t\r\n5: le\x03ft\r\n"),
    // Keys.
    Type(b"keys\n"),
    See("keys now\r\n"),
    Type(b"a\r\x03\x04"),
    See("key 61\r\nkey 0d\r\nkey 03\r\nkey 04\r\n"),
    Type(b"w"),
    See("waiting\r\n"),
    Type(b"xy\n"),
    Resize(40, 120),
    See("resized 40 120\r\nkey 78\r\nkey 79\r\nkey 0a\r\n"),
    Type(b"q"),
    See("lines again\r\n"),
    Type(b"half"),
    See("half"),
    Type(b"\x03"),
    See("interrupted"),
    See("\r\n"),
    Type(b"whole\n"),
    See("6: whole\r\n"),
    Type(b"quit\n"),
];

/// A window, and the program that was started in it.
struct Window {
    keyboard: File,
    screen: Receiver<Vec<u8>>,
    child: Child,
    /// All that it has shown.
    shown: String,
    /// So much of it has been seen.
    seen: usize,
}

impl Window {
    fn open(command: &mut Command) -> Result<Window> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let ours = openpt(flags)?;
        grantpt(&ours)?;
        unlockpt(&ours)?;
        let theirs: OwnedFd = ioctl_tiocgptpeer(&ours, flags)?;
        let mut keyboard = File::from(ours);
        resize(&mut keyboard, 25, 80)?;
        let child = command.stdin(theirs.try_clone()?).stdout(theirs.try_clone()?).stderr(theirs).spawn()?;
        // They keep the program's side open.
        command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null());
        command.stderr(std::process::Stdio::null());
        let (show, screen) = channel();
        let mut reader = keyboard.try_clone()?;
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = reader.read(&mut buffer) {
                if show.send(buffer[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        Ok(Window { keyboard, screen, child, shown: String::new(), seen: 0 })
    }

    fn act(&mut self, step: &Step) -> Result<()> {
        match step {
            Type(keys) => self.keyboard.write_all(keys)?,
            Resize(rows, columns) => resize(&mut self.keyboard, *rows, *columns)?,
            See(expected) => loop {
                if let Some(found) = self.shown[self.seen..].find(expected) {
                    self.seen += found + expected.len();
                    break;
                }
                let Ok(piece) = self.screen.recv_timeout(PATIENCE) else {
                    bail!("{expected:?} has not come; it shows {:?}", self.shown)
                };
                self.shown += &text(&piece);
            },
        }
        Ok(())
    }

    /// All that it has shown, and the status with which it has ended. The kernel sends the signal for Ctrl-C before it echoes the key, which may come after what the handler writes.
    fn end(mut self) -> Result<(String, Option<i32>)> {
        let status = self.child.wait()?;
        while let Ok(piece) = self.screen.recv_timeout(PATIENCE) {
            self.shown += &text(&piece);
        }
        Ok((self.shown.replace("^C", ""), status.code()))
    }
}

fn resize(window: &mut File, rows: u16, columns: u16) -> Result<()> {
    Ok(tcsetwinsize(window, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 })?)
}

/// A command whose terminal is that of its window.
fn in_window(command: &Command) -> Command {
    let mut wrapped = Command::new("setsid");
    wrapped.args(["--ctty", "--wait"]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            wrapped.env(name, value);
        }
    }
    wrapped
}

/// What the program shows by itself, and its status.
fn alone(journey: &Journey) -> Result<(String, Option<i32>)> {
    let mut window = Window::open(&mut in_window(&Command::new(&journey.program)))?;
    STEPS.iter().try_for_each(|step| window.act(step))?;
    window.end()
}

fn numbers(journey: &Journey) -> Result<BTreeSet<u64>> {
    Ok(journey.cluster.programs(0)?.iter().filter_map(|program| program["program"].as_u64()).collect())
}

/// Starts it on node a by a command on another one.
fn start(journey: &Journey, from: usize) -> Result<(Window, String)> {
    let program = journey.program.to_str().context("not text")?;
    let mut command = journey.cluster.network.command(from, maize());
    command.args(["run", "--node", "a", program]).env("MAIZE_NODE_DIR", journey.cluster.directory(from));
    command.env(Proxy::PADDING.0, "x".repeat(Proxy::PADDING.1));
    let before = numbers(journey)?;
    let window = Window::open(&mut in_window(&command))?;
    let mut number = None;
    wait_until("it has a number", || {
        number = numbers(journey)?.difference(&before).next().copied();
        Ok(number.is_some())
    })?;
    Ok((window, format!("a:{}", number.context("no number")?)))
}

#[test]
fn a_program_with_a_terminal_moves_between_nodes() -> Result<()> {
    let root = env!("CARGO_TARGET_TMPDIR");
    let Some(journey) = Journey::new(root, "terminal-moves", "typist", 3)? else { return Ok(()) };
    let expected = alone(&journey)?;
    ensure!(expected.1 == Some(7), "natively: {expected:?}");
    for seed in [1_u64, 2] {
        let (mut window, name) = start(&journey, 2)?;
        let (mut random, mut moves, mut at) = (seed, 0, 0);
        for step in &STEPS {
            window.act(step).with_context(|| format!("seed {seed}, after {moves} moves"))?;
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // What is not read, or waits to be, moves; at the end it may have ended.
            if random >> 63 == 1 && !matches!(step, Type(b"quit\n")) {
                at = (at + 1 + (random >> 62 & 1) as usize) % 3;
                journey.cluster.succeed(0, &["migrate", &name, "--to", &node_name(at), "--timeout", "60s"])?;
                moves += 1;
            }
        }
        let found = window.end()?;
        ensure!(found == expected, "seed {seed}, {moves} moves: {found:?} instead of {expected:?}");
        ensure!(moves > 10, "only {moves} moves");
    }
    Ok(())
}

/// What was typed before a move that fails is there afterwards, once.
#[test]
fn a_move_that_fails_leaves_the_terminal_as_it_was() -> Result<()> {
    let root = env!("CARGO_TARGET_TMPDIR");
    let Some((journey, proxy)) = Journey::with_proxy(root, "terminal-fails", "typist", 3)? else { return Ok(()) };
    let expected = alone(&journey)?;
    let (mut window, name) = start(&journey, 2)?;
    // The executable is there then, and does not look like a program on its way.
    journey.cluster.succeed(0, &["migrate", &name, "--to", "b", "--dry-run"])?;
    // What follows `Restored` is the terminal's.
    let points = [Point::Restored, Point::Commit];
    let mut points = points.iter().cycle();
    for step in &STEPS {
        window.act(step)?;
        if matches!(step, Type(b"ahead\n\x04more\nle\x16\x03f" | b"xy\n") | See("par" | "^Cf" | "half")) {
            let point = *points.next().context("no point")?;
            proxy.arm(point, Cut::Closed, || {});
            let output = journey.cluster.maize(0, &["migrate", &name, "--to", "b", "--timeout", "60s"])?;
            ensure!(!output.status.success() && proxy.has_sprung(PATIENCE), "{point:?}: {}", text(&output.stderr));
        }
    }
    let found = window.end()?;
    ensure!(found == expected, "{found:?} instead of {expected:?}");
    Ok(())
}
