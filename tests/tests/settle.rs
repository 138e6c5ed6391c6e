//! The connection is lost at the very moment at which a program changes nodes (docs/nodes.md): it is never on both, and while nobody knows where it is, commands say so and what to do.

use anyhow::{Context as _, Result, ensure};
use maize_tests::{Cut, Journey, Point, Proxy, Said, is_so_within, text, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// Steps of the program: some seconds.
const STEPS: &str = "500";

/// What to do about a program.
fn advice(name: &str) -> Result<String> {
    Ok(format!("maize node settle {} --here", name.split_once(':').context("no name")?.1))
}

struct Passage {
    journey: Journey,
    proxy: Proxy,
    natively: Said,
    /// What the program writes to, natively.
    expected: PathBuf,
    file: PathBuf,
}

impl Passage {
    fn new(test: &str) -> Result<Option<Passage>> {
        let root = env!("CARGO_TARGET_TMPDIR");
        let Some((journey, proxy)) = Journey::with_proxy(root, test, "diary", 2)? else { return Ok(None) };
        let [expected, file] = ["expected", "file"].map(|name| journey.directory.join(name));
        let natively = journey.natively(&[&expected.display().to_string(), STEPS])?;
        // So that the executable is there already.
        let before = journey.directory.join("before").display().to_string();
        journey.wait_for_end(&journey.start(1, &[&before, "1"])?)?;
        Ok(Some(Passage { journey, proxy, natively, expected, file }))
    }

    fn start(&self) -> Result<String> {
        let name = self.journey.start(0, &[&self.file.display().to_string(), STEPS])?;
        self.journey.wait_for_progress(&name)?;
        Ok(name)
    }

    /// Has it move, and the message lost at which b's daemon is killed, so that nobody can tell.
    fn lose(&mut self, name: &str, point: Point) -> Result<std::process::Child> {
        let daemon =
            self.journey.cluster.daemon(1).and_then(|id| Pid::from_raw(id.cast_signed())).context("no daemon")?;
        self.proxy.arm(point, Cut::Closed, move || {
            let _ = kill_process(daemon, Signal::KILL);
        });
        let moving = self.journey.begin_move(name, 1)?;
        ensure!(self.proxy.has_sprung(Duration::from_secs(60)), "the program does not move");
        self.journey.cluster.kill(1)?;
        wait_until("its node does not know where it is", || Ok(self.journey.state(name)?["unsettled"].is_object()))?;
        Ok(moving)
    }

    /// What commands say is asked for until b's daemon runs again.
    fn mend(&mut self) -> Result<()> {
        self.journey.start_daemon(1, &Proxy::OPTIONS)
    }

    /// What it has written is what it writes natively, once.
    fn require_as_natively(&self, name: &str, signals: u32) -> Result<()> {
        let said = self.journey.wait_for_end(&self.journey.where_it_is(name)?)?;
        let output = self.natively.output.replace("signals 0", &format!("signals {signals}"));
        ensure!(said == Said { output, ..self.natively.clone() }, "{said:?}\nnatively\n{:?}", self.natively);
        self.require_file()
    }

    fn require_file(&self) -> Result<()> {
        let (found, expected) = (fs::read_to_string(&self.file)?, fs::read_to_string(&self.expected)?);
        ensure!(found == expected, "two copies, or none:\n{found}");
        Ok(())
    }

    /// `maize ps` and `maize node programs` say where it is and what to do.
    fn require_advice(&self, name: &str) -> Result<()> {
        let said = self.journey.cluster.succeed(0, &["ps"])?;
        ensure!(said.contains(&advice(name)?), "{said}");
        self.require_waits(name)
    }

    /// `maize node programs` says so.
    fn require_waits(&self, name: &str) -> Result<()> {
        let said = self.journey.cluster.succeed(0, &["node", "programs"])?;
        ensure!(said.contains(&advice(name)?) && said.contains("has not said whether it has it"), "{said}");
        Ok(())
    }

    /// Decisions are kept no longer than they are needed.
    fn require_nothing_left(&self) -> Result<()> {
        for (node, name) in [(0, "arrivals"), (1, "arrivals"), (0, "verdicts")] {
            let directory = self.journey.cluster.directory(node).join(name);
            let is_empty = || Ok(fs::read_dir(&directory).map_or(0, Iterator::count) == 0);
            ensure!(is_so_within(Duration::from_secs(20), is_empty)?, "something is left in {}", directory.display());
        }
        Ok(())
    }
}

#[test]
fn a_program_whose_taking_was_not_heard_of_goes_on_where_it_went_with_its_signals() -> Result<()> {
    let Some(mut passage) = Passage::new("settle-taken")? else { return Ok(()) };
    let name = passage.start()?;
    let moving = passage.lose(&name, Point::Taken)?;
    wait_until("there is a reason", || Ok(passage.journey.state(&name)?["unsettled"]["reason"].is_string()))?;
    passage.require_advice(&name)?;
    // It is kept for whoever has the program.
    passage.journey.cluster.succeed(0, &["node", "kill", "--signal", "10", &name])?;
    passage.mend()?;
    let output = moving.wait_with_output()?;
    ensure!(output.status.success(), "{}", text(&output.stderr));
    passage.require_as_natively(&name, 1)?;
    ensure!(passage.journey.where_it_is(&name)? == text(&output.stdout).trim());
    passage.require_nothing_left()
}

#[test]
fn a_program_whose_commit_was_lost_goes_on_where_it_was_with_its_signals() -> Result<()> {
    let Some(mut passage) = Passage::new("settle-commit")? else { return Ok(()) };
    let name = passage.start()?;
    let moving = passage.lose(&name, Point::Commit)?;
    passage.journey.cluster.succeed(0, &["node", "kill", "--signal", "10", &name])?;
    passage.mend()?;
    let output = moving.wait_with_output()?;
    ensure!(!output.status.success() && text(&output.stderr).contains("runs on here"), "{}", text(&output.stderr));
    passage.require_as_natively(&name, 1)?;
    ensure!(passage.journey.where_it_is(&name)? == name);
    passage.require_nothing_left()
}

#[test]
fn a_program_runs_on_here_if_that_is_decided_and_its_other_copy_is_ended() -> Result<()> {
    let Some(mut passage) = Passage::new("settle-here")? else { return Ok(()) };
    let name = passage.start()?;
    passage.journey.cluster.fail(0, &["node", "settle", &name, "--here"], "nothing is to be decided")?;
    // The worst case: it has come, and whoever decides is wrong.
    let moving = passage.lose(&name, Point::Taken)?;
    let copy = passage.journey.state(&name)?["unsettled"]["to"]["program"].to_string();
    passage.journey.cluster.succeed(0, &["node", "settle", &name, "--here"])?;
    let output = moving.wait_with_output()?;
    ensure!(!output.status.success() && text(&output.stderr).contains("decided by hand"), "{}", text(&output.stderr));
    passage.mend()?;
    wait_until("the copy is ended", || Ok(passage.journey.state(&format!("b:{copy}"))?["ended"]["signal"] == 9))?;
    let said = passage.journey.wait_for_end(&name)?;
    ensure!(said == passage.natively, "{said:?}");
    passage.require_nothing_left()
}

#[test]
fn a_program_is_taken_to_be_there_if_that_is_decided() -> Result<()> {
    let Some(mut passage) = Passage::new("settle-gone")? else { return Ok(()) };
    let name = passage.start()?;
    let moving = passage.lose(&name, Point::Taken)?;
    passage.journey.cluster.succeed(1, &["node", "programs"]).err().context("b answers")?;
    passage.journey.cluster.succeed(0, &["node", "settle", &name, "--gone"])?;
    let output = moving.wait_with_output()?;
    ensure!(output.status.success(), "{}", text(&output.stderr));
    passage.mend()?;
    passage.require_as_natively(&name, 0)?;
    ensure!(passage.journey.where_it_is(&name)? == text(&output.stdout).trim());
    passage.require_nothing_left()
}

#[test]
fn what_is_left_of_a_program_whose_shim_was_killed_stays_stopped_and_is_ended() -> Result<()> {
    let Some(mut passage) = Passage::new("settle-left")? else { return Ok(()) };
    let name = passage.start()?;
    let mut moving = passage.lose(&name, Point::Commit)?;
    let hosts = passage.journey.state(&name)?["unsettled"]["hosts"].as_array().cloned().unwrap_or_default();
    let hosts: Vec<u64> = hosts.iter().filter_map(|host| host["pid"].as_u64()).collect();
    ensure!(!hosts.is_empty(), "no hosts");
    let state = |host: u64| -> Option<String> {
        let stat = fs::read_to_string(format!("/proc/{host}/stat")).ok()?;
        Some(stat.rsplit_once(") ")?.1.split(' ').next()?.to_owned())
    };
    let shim = name.split_once(':').and_then(|(_, number)| Pid::from_raw(number.parse().ok()?)).context("no name")?;
    kill_process(shim, Signal::KILL)?;
    moving.wait()?;
    wait_until("its daemon looks after it", || {
        let output = passage.journey.cluster.maize(0, &["node", "settle", &name, "--here"])?;
        Ok(text(&output.stderr).contains("was killed"))
    })?;
    passage.require_waits(&name)?;
    for host in &hosts {
        ensure!(state(*host).as_deref() == Some("T"), "{host} is {:?}", state(*host));
    }
    passage.mend()?;
    wait_until("it is known to be lost", || Ok(passage.journey.state(&name)? == "lost"))?;
    wait_until("nothing is left of it", || Ok(hosts.iter().all(|host| state(*host).is_none_or(|state| state == "Z"))))?;
    let found = fs::read_to_string(&passage.file)?;
    ensure!(fs::read_to_string(&passage.expected)?.starts_with(&found), "{found}");
    passage.require_nothing_left()
}

#[test]
fn a_program_whose_old_shim_was_killed_is_known_to_be_where_it_went() -> Result<()> {
    let Some(passage) = Passage::new("settle-killed")? else { return Ok(()) };
    let name = passage.start()?;
    let shim = name.split_once(':').and_then(|(_, number)| Pid::from_raw(number.parse().ok()?)).context("no name")?;
    passage.proxy.arm(Point::Taken, Cut::None, move || {
        let _ = kill_process(shim, Signal::KILL);
    });
    let moving = passage.journey.begin_move(&name, 1)?;
    moving.wait_with_output()?;
    wait_until("its node knows where it is", || Ok(passage.journey.state(&name)?["moved"].is_object()))?;
    passage.require_as_natively(&name, 0)?;
    passage.require_nothing_left()
}
