//! Nodes for tests: each has a directory and a network namespace, and a daemon that can be started, stopped, killed and cut off.

use crate::machine::{Kernel, Machine};
use crate::network::Network;
use crate::toolchain::maize;
use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Things that should take seconds may take so long on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often they are looked at.
const GLANCE: Duration = Duration::from_millis(100);

/// Nodes called a, b, c, ...
pub struct Cluster {
    /// Their network.
    pub network: Network,
    directory: TempDir,
    daemons: Vec<Option<Child>>,
    /// Directories of the machine that nodes do not have.
    hidden: BTreeMap<usize, PathBuf>,
    /// What nodes call their machines, if not as this one is called.
    renamed: BTreeMap<usize, String>,
    /// The last node, if that is one.
    machine: Option<Machine>,
}

/// What a node is called.
pub fn node_name(node: usize) -> String {
    char::from(b'a' + u8::try_from(node).unwrap_or(0)).to_string()
}

/// What a command printed, as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Waits until something is so.
///
/// # Errors
/// If it is not after a minute.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let begun = Instant::now();
    while !is_so()? {
        ensure!(begun.elapsed() < PATIENCE, "waited for {PATIENCE:?} in vain: {what}");
        std::thread::sleep(GLANCE);
    }
    Ok(())
}

impl Cluster {
    /// Nodes with keys of their own that know nothing of each other. `None` where networks cannot be made.
    ///
    /// # Errors
    /// If they cannot be made all the same.
    pub fn strangers(count: usize) -> Result<Option<Cluster>> {
        Cluster::strangers_among(count, 0)
    }

    /// The same, in a network that has so many places more, which are no nodes.
    fn strangers_among(count: usize, others: usize) -> Result<Option<Cluster>> {
        let Some(network) = Network::new(count + others)? else { return Ok(None) };
        let (directory, daemons) = (tempfile::tempdir()?, Vec::new());
        let (hidden, renamed) = (BTreeMap::new(), BTreeMap::new());
        let mut cluster = Cluster { network, directory, daemons, hidden, renamed, machine: None };
        for node in 0..count {
            cluster.succeed(node, &["node", "init", "--name", &node_name(node)])?;
        }
        cluster.daemons.resize_with(count, || None);
        Ok(Some(cluster))
    }

    /// Nodes that run and see each other.
    ///
    /// # Errors
    /// If they do not.
    pub fn new(count: usize) -> Result<Option<Cluster>> {
        Cluster::with_options(&vec![&[][..]; count])
    }

    /// Nodes that run, each with such options, and see each other.
    ///
    /// # Errors
    /// If they do not.
    pub fn with_options(options: &[&[&str]]) -> Result<Option<Cluster>> {
        let count = options.len();
        let Some(mut cluster) = Cluster::strangers(count)? else { return Ok(None) };
        cluster.start_with(0, options[0])?;
        for (node, options) in options.iter().enumerate().skip(1) {
            let token = cluster.succeed(0, &["node", "token"])?;
            cluster.succeed(node, &["node", "join", token.trim(), &cluster.network.address(0)])?;
            cluster.start_with(node, options)?;
        }
        for node in 0..count {
            for other in 0..count {
                cluster.wait_for_state(node, other, "ready")?;
            }
        }
        Ok(Some(cluster))
    }

    /// Two nodes that see each other, of which the second is a virtual machine of AArch64 with that kernel. The first is started with such options. Clients can be
    /// in the network's third place.
    ///
    /// # Errors
    /// If they do not.
    pub fn with_machine(kernel: &Kernel, options: &[&str]) -> Result<Option<Cluster>> {
        let Some(mut cluster) = Cluster::strangers_among(2, 1)? else { return Ok(None) };
        cluster.start_with(0, options)?;
        let token = cluster.succeed(0, &["node", "token"])?;
        cluster.succeed(1, &["node", "join", token.trim(), &cluster.network.address(0)])?;
        // Programs run there where they were started.
        let directories = [&*std::env::current_dir()?];
        let (node, scratch) = (cluster.directory(1), cluster.scratch());
        cluster.machine = Some(Machine::boot(kernel, &cluster.network, 1, &node, &directories, scratch)?);
        cluster.wait_for_state(0, 1, "ready").with_context(|| cluster.said_by_machine())?;
        Ok(Some(cluster))
    }

    fn is_machine(&self, node: usize) -> bool {
        self.machine.is_some() && node + 1 == self.daemons.len()
    }

    /// What the kernel and the daemon of the virtual machine have said.
    pub fn said_by_machine(&self) -> String {
        self.machine.as_ref().map(Machine::said).unwrap_or_default()
    }

    /// A node's directory.
    pub fn directory(&self, node: usize) -> PathBuf {
        self.directory.path().join(node_name(node))
    }

    /// A place for files of the test.
    pub fn scratch(&self) -> &Path {
        self.directory.path()
    }

    /// A command of Maize's on a node.
    pub fn command<A: AsRef<OsStr>>(&self, node: usize, arguments: &[A]) -> Command {
        let mut command = self.network.command(node, maize());
        command.args(arguments).env("MAIZE_NODE_DIR", self.directory(node)).stdin(Stdio::null());
        command
    }

    /// Runs a command of Maize's on a node to its end.
    ///
    /// # Errors
    /// If it cannot be run.
    pub fn maize<A: AsRef<OsStr>>(&self, node: usize, arguments: &[A]) -> Result<Output> {
        self.command(node, arguments).output().context("running maize")
    }

    /// What such a command prints.
    ///
    /// # Errors
    /// If it fails.
    pub fn succeed(&self, node: usize, arguments: &[&str]) -> Result<String> {
        let output = self.maize(node, arguments)?;
        ensure!(output.status.success(), "maize {}: {}", arguments.join(" "), text(&output.stderr));
        Ok(text(&output.stdout))
    }

    /// Requires that such a command fails with a message that says `what`.
    ///
    /// # Errors
    /// If it does not.
    pub fn fail(&self, node: usize, arguments: &[&str], what: &str) -> Result<()> {
        let output = self.maize(node, arguments)?;
        let message = text(&output.stderr);
        ensure!(!output.status.success(), "maize {} succeeds", arguments.join(" "));
        ensure!(message.contains(what), "maize {}: no word of {what:?} in {message:?}", arguments.join(" "));
        Ok(())
    }

    /// Starts a node's daemon, and waits until it says that it is ready.
    ///
    /// # Errors
    /// If it does not.
    pub fn start(&mut self, node: usize) -> Result<()> {
        self.start_with(node, &[])
    }

    /// Starts it with options.
    ///
    /// # Errors
    /// If it does not say that it is ready.
    pub fn start_with(&mut self, node: usize, options: &[&str]) -> Result<()> {
        let path = self.directory.path().join(format!("{}.ready", node_name(node)));
        let _ = std::fs::remove_file(&path);
        let socket = UnixDatagram::bind(&path)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let log = std::fs::File::options().create(true).append(true).open(self.log(node))?;
        let line = [&["node", "start"], options].concat();
        let surroundings = match (self.hidden.get(&node), self.renamed.get(&node)) {
            (None, None) => None,
            (Some(directory), _) => Some(("--mount", "mount -t tmpfs maize \"$0\"", directory.as_os_str())),
            (None, Some(name)) => Some(("--uts", "hostname \"$0\"", OsStr::new(name))),
        };
        let mut command = match surroundings {
            None => self.command(node, &line),
            Some((namespace, change, argument)) => {
                let mut command = self.network.command(node, "unshare");
                command.args([namespace, "sh", "-c", &format!("{change} && exec \"$@\"")]).arg(argument);
                command.arg(maize()).args(line).env("MAIZE_NODE_DIR", self.directory(node)).stdin(Stdio::null());
                command
            }
        };
        let child = command.env("NOTIFY_SOCKET", &path).stdout(Stdio::null()).stderr(log).spawn()?;
        self.daemons[node] = Some(child);
        let mut word = [0; 32];
        match socket.recv(&mut word) {
            Ok(length) if &word[..length] == b"READY=1" => Ok(()),
            result => bail!("maized of {}: {result:?}\n{}", node_name(node), self.logged(node)),
        }
    }

    /// From its next start on a node has an empty directory instead of one of the machine's.
    pub fn hide(&mut self, node: usize, directory: &Path) {
        self.hidden.insert(node, directory.to_owned());
    }

    /// From its next start on a node calls its machine so.
    pub fn rename_machine(&mut self, node: usize, name: &str) {
        self.renamed.insert(node, name.to_owned());
    }

    fn log(&self, node: usize) -> PathBuf {
        self.directory.path().join(format!("{}.log", node_name(node)))
    }

    /// What a node's daemon has said.
    pub fn logged(&self, node: usize) -> String {
        std::fs::read_to_string(self.log(node)).unwrap_or_default()
    }

    /// The process id of a node's daemon.
    pub fn daemon(&self, node: usize) -> Option<u32> {
        self.daemons[node].as_ref().map(Child::id)
    }

    /// Kills a node's daemon, which cannot do anything about it.
    ///
    /// # Errors
    /// If it does not run.
    pub fn kill(&mut self, node: usize) -> Result<()> {
        let mut child = self.daemons[node].take().context("the daemon does not run")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// How `node` sees `other`.
    ///
    /// # Errors
    /// If its daemon does not answer.
    pub fn state(&self, node: usize, other: usize) -> Result<String> {
        let list: serde_json::Value = serde_json::from_str(&self.succeed(node, &["nodes", "--json"])?)?;
        let nodes = list["nodes"].as_array().context("no list of nodes")?;
        let found = nodes.iter().find(|found| found["name"] == node_name(other).as_str());
        Ok(found.and_then(|found| found["state"].as_str()).unwrap_or("unknown").to_owned())
    }

    /// Waits until `node` sees `other` in a state.
    ///
    /// # Errors
    /// If it does not.
    pub fn wait_for_state(&self, node: usize, other: usize, state: &str) -> Result<()> {
        let what = format!("{} sees {} {state}", node_name(node), node_name(other));
        wait_until(&what, || Ok(self.state(node, other)? == state))
    }

    /// The programs on a node, as `maize node programs --json` lists them.
    ///
    /// # Errors
    /// If its daemon does not answer.
    pub fn programs(&self, node: usize) -> Result<Vec<serde_json::Value>> {
        let name = node_name(node);
        // No command reaches the daemon in a machine from there.
        let (at, of) = if self.is_machine(node) { (0, &[&*name][..]) } else { (node, &[][..]) };
        let listed = self.succeed(at, &[&["node", "programs", "--json"], of].concat())?;
        let list: serde_json::Value = serde_json::from_str(&listed)?;
        list["programs"].as_array().cloned().context("no list of programs")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // What runs in a machine ends with that.
        let machines = usize::from(self.machine.is_some());
        for node in 0..self.daemons.len() - machines {
            // Programs outlive daemons, but not tests.
            for program in self.programs(node).unwrap_or_default() {
                let running = program["state"] == "running";
                let pid = program["program"].as_i64().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
                if let Some(pid) = pid.filter(|_| running) {
                    let _ = kill_process(pid, Signal::TERM);
                }
            }
            if self.daemons[node].is_some() {
                let _ = self.kill(node);
            }
        }
    }
}
