//! A program on nodes of different ISAs, for tests of moves between nodes: it is started there, asked how it is, and what it does is compared with what it does natively.

use crate::cluster::{Cluster, node_name, text, wait_until};
use crate::machine::Kernel;
use crate::proxy::{Proxy, is_so_within};
use crate::toolchain::{Compiler, fresh_directory};
use anyhow::{Context as _, Result, bail, ensure};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Which ISA each node is restricted to.
const ONLY: [&str; 3] = ["x86_64", "aarch64", "x86_64"];

/// Programs of tests run so long at most, on a machine that has much else to do.
const LONGEST: Duration = Duration::from_secs(300);

/// Nodes, and a program for them.
pub struct Journey {
    /// The nodes.
    pub cluster: Cluster,
    /// The program's file.
    pub program: PathBuf,
    /// For files of the test.
    pub directory: PathBuf,
}

/// What a program writes: to standard output, to standard error, and its exit status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// To standard output.
    pub output: String,
    /// To standard error.
    pub error: String,
    /// At its end.
    pub status: i32,
}

impl Said {
    /// Checks that another run did the same.
    ///
    /// # Errors
    /// If it did not: what both ended with, and the first lines that differ.
    pub fn ensure_is(&self, expected: &Said) -> Result<()> {
        for (stream, found, wanted) in
            [("output", &self.output, &expected.output), ("error", &self.error, &expected.error)]
        {
            let mut lines = wanted.lines();
            let differs = found.lines().enumerate().map(|(index, line)| (index + 1, line, lines.next()));
            if let Some((number, line, wanted)) = differs.into_iter().find(|(_, line, wanted)| Some(*line) != *wanted) {
                let (status, error) = (&self.status, &self.error);
                bail!(
                    "line {number} of standard {stream} is {line:?} instead of {wanted:?}; {status}; it says: {error}"
                );
            }
            ensure!(found == wanted, "standard {stream} ends before {:?}; status {}", lines.next(), self.status);
        }
        ensure!(self.status == expected.status, "status {} instead of {}", self.status, expected.status);
        Ok(())
    }
}

impl Journey {
    /// Up to three nodes, a and c of x86-64 and b of AArch64, and a program of those in `programs/`. `None` where networks cannot be made.
    ///
    /// # Errors
    /// If they cannot be made all the same.
    pub fn new(root: &str, test: &str, program: &str, nodes: usize) -> Result<Option<Journey>> {
        let options: Vec<[&str; 2]> = ONLY.iter().take(nodes).map(|isa| ["--isa", isa]).collect();
        let options: Vec<&[&str]> = options.iter().map(|options| &options[..]).collect();
        Journey::among(root, test, program, || Cluster::with_options(&options))
    }

    /// So many nodes that all offer x86-64, and such a program. `None` where networks cannot be made.
    ///
    /// # Errors
    /// If they cannot be made all the same.
    pub fn of_one_isa(root: &str, test: &str, program: &str, nodes: usize) -> Result<Option<Journey>> {
        let options = ["--isa", ONLY[0]];
        Journey::among(root, test, program, || Cluster::with_options(&vec![&options[..]; nodes]))
    }

    /// A node of x86-64 and a virtual machine of AArch64, and such a program. `None` where networks cannot be made.
    ///
    /// # Errors
    /// If they cannot be made all the same.
    pub fn with_machine(root: &str, test: &str, program: &str, kernel: &Kernel) -> Result<Option<Journey>> {
        Journey::among(root, test, program, || Cluster::with_machine(kernel, &["--isa", ONLY[0]]))
    }

    fn among(
        root: &str,
        test: &str,
        program: &str,
        cluster: impl FnOnce() -> Result<Option<Cluster>>,
    ) -> Result<Option<Journey>> {
        let directory = fresh_directory(root, test)?;
        let program = Compiler::Maize.build_program(program, &directory)?;
        Ok(cluster()?.map(|cluster| Journey { cluster, program, directory }))
    }

    /// The same as [`Journey::new`], and the second node is reached by way of a proxy.
    ///
    /// # Errors
    /// As [`Journey::new`], or if the proxy cannot stand there.
    pub fn with_proxy(root: &str, test: &str, program: &str, nodes: usize) -> Result<Option<(Journey, Proxy)>> {
        let Some(mut journey) = Journey::new(root, test, program, nodes)? else { return Ok(None) };
        journey.cluster.succeed(1, &["node", "stop"])?;
        let proxy = Proxy::new(&journey.cluster, 1)?;
        journey.start_daemon(1, &Proxy::OPTIONS)?;
        journey.cluster.wait_for_state(0, 1, "ready")?;
        Ok(Some((journey, proxy)))
    }

    /// What the program does natively, by itself.
    ///
    /// # Errors
    /// If it cannot be run.
    pub fn natively(&self, arguments: &[&str]) -> Result<Said> {
        let mut command = Command::new(&self.program);
        let output = command.args(arguments).current_dir(&self.directory).stdin(Stdio::null()).output()?;
        let status = output.status.code().context("ended by a signal")?;
        Ok(Said { output: text(&output.stdout), error: text(&output.stderr), status })
    }

    /// Starts it on a node, detached; its name.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start(&self, node: usize, arguments: &[&str]) -> Result<String> {
        self.start_with(node, &[], arguments)
    }

    /// The same with options of `maize run`.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start_with(&self, node: usize, options: &[&str], arguments: &[&str]) -> Result<String> {
        let program = self.program.to_str().context("not text")?;
        let to = node_name(node);
        let isa = ONLY.get(node).context("no such node")?;
        let line = [&["run", "--node", &to, "--isa", isa, "--detach"], options, &[program], arguments].concat();
        let mut command = self.cluster.command(node, &line);
        let output = command.env(Proxy::PADDING.0, "x".repeat(Proxy::PADDING.1)).output()?;
        ensure!(output.status.success(), "maize {}: {}", line.join(" "), text(&output.stderr));
        Ok(text(&output.stdout).trim().to_owned())
    }

    /// Starts a daemon with the node's own options, and others.
    ///
    /// # Errors
    /// If it does not say that it is ready.
    pub fn start_daemon(&mut self, node: usize, options: &[&str]) -> Result<()> {
        let isa = ONLY.get(node).context("no such node")?;
        self.cluster.start_with(node, &[&["--isa", isa], options].concat())
    }

    /// Starts to move it to another node.
    ///
    /// # Errors
    /// If the command cannot be run.
    pub fn begin_move(&self, name: &str, to: usize) -> Result<Child> {
        self.begin_move_with(name, to, &[])
    }

    /// The same with options of `maize migrate`.
    ///
    /// # Errors
    /// If the command cannot be run.
    pub fn begin_move_with(&self, name: &str, to: usize, options: &[&str]) -> Result<Child> {
        let to = node_name(to);
        let line = [&["migrate", name, "--to", &to, "--timeout", "60s"], options].concat();
        let mut command = self.cluster.command(0, &line);
        Ok(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?)
    }

    /// What it has written so far, to standard output and to standard error.
    ///
    /// # Errors
    /// If it cannot be asked.
    pub fn log(&self, name: &str) -> Result<(String, String)> {
        let output = self.cluster.maize(0, &["logs", name])?;
        ensure!(output.status.success(), "maize logs {name}: {}", text(&output.stderr));
        Ok((text(&output.stdout), text(&output.stderr)))
    }

    /// Its state, as `maize node programs --json` has it; null if there is no such program.
    ///
    /// # Errors
    /// If its node cannot be asked.
    pub fn state(&self, name: &str) -> Result<serde_json::Value> {
        Ok(self.status(name)?["state"].clone())
    }

    /// What is known of it, as `maize node programs --json` has it; null if there is no such program.
    ///
    /// # Errors
    /// If its node cannot be asked.
    pub fn status(&self, name: &str) -> Result<serde_json::Value> {
        let (node, number) = name.split_once(':').context("no name of a program")?;
        let node = usize::from(node.bytes().next().context("no name of a node")? - b'a');
        let programs = self.cluster.programs(node)?;
        let wanted: u64 = number.parse()?;
        let found = programs.into_iter().find(|program| program["program"] == wanted);
        Ok(found.unwrap_or_default())
    }

    /// The name of a program where it is now.
    ///
    /// # Errors
    /// If its nodes cannot be asked.
    pub fn where_it_is(&self, name: &str) -> Result<String> {
        let mut name = name.to_owned();
        loop {
            let state = self.state(&name)?;
            let Some(to) = state["moved"].as_object() else { return Ok(name) };
            name = format!("{}:{}", to["node"].as_str().unwrap_or(""), to["program"]);
        }
    }

    /// Waits until it has written more lines than it had.
    ///
    /// # Errors
    /// If it does not.
    pub fn wait_for_progress(&self, name: &str) -> Result<()> {
        let lines = |journey: &Journey| -> Result<usize> { Ok(journey.log(name)?.0.lines().count()) };
        let before = lines(self)?;
        wait_until("the program goes on", || Ok(lines(self)? > before))
    }

    /// Waits until it has ended, and tells what it has done.
    ///
    /// # Errors
    /// If it does not end, or is ended by a signal.
    pub fn wait_for_end(&self, name: &str) -> Result<Said> {
        let has_ended = is_so_within(LONGEST, || Ok(self.state(name)?["ended"].is_object()))?;
        ensure!(has_ended, "{name} has not ended after {LONGEST:?}: {}", self.state(name)?);
        let (ending, (output, error)) = (self.state(name)?, self.log(name)?);
        let last = output.lines().last().unwrap_or_default();
        let status = ending["ended"]["status"].as_i64();
        let status = status.with_context(|| format!("{name} has not ended by itself: {ending}, {last:?}, {error}"))?;
        Ok(Said { output, error, status: i32::try_from(status)? })
    }
}
