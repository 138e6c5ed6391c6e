//! Small networks for tests: each node in a network namespace of its own, joined by veth pairs to a bridge in another one. The machine's own network is
//! not touched. They can be cut and mended, and are gone when the value is dropped.

use anyhow::{Context, Result, bail};
use rustix::fs::{Mode, OFlags};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::ffi::OsStr;
use std::os::fd::AsFd as _;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

/// A network of so many nodes.
pub struct Network {
    name: String,
    count: usize,
}

fn ip(line: &str) -> Result<()> {
    let output = Command::new("ip").args(line.split(' ')).output().context("cannot run ip; install iproute2")?;
    if !output.status.success() {
        bail!("ip {line}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

impl Network {
    /// Makes a network. `None`, with a message, where making namespaces is not permitted.
    ///
    /// # Errors
    /// If it is permitted and fails all the same.
    pub fn new(count: usize) -> Result<Option<Network>> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let name = format!("maize{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: making network namespaces takes root");
            return Ok(None);
        }
        if let Err(error) = ip(&format!("netns add {name}")) {
            eprintln!("skipped: network namespaces cannot be made here: {error:#}");
            return Ok(None);
        }
        let network = Network { name, count };
        let hub = &network.name;
        ip(&format!("-n {hub} link add hub type bridge"))?;
        ip(&format!("-n {hub} link set hub up"))?;
        for node in 0..count {
            let (own, address) = (network.namespace(node), network.address(node));
            ip(&format!("netns add {own}"))?;
            ip(&format!("-n {hub} link add port{node} type veth peer name eth0 netns {own}"))?;
            ip(&format!("-n {hub} link set port{node} master hub up"))?;
            ip(&format!("-n {own} address add {address}/24 dev eth0"))?;
            ip(&format!("-n {own} link set eth0 up"))?;
            ip(&format!("-n {own} link set lo up"))?;
        }
        Ok(Some(network))
    }

    fn namespace(&self, node: usize) -> String {
        format!("{}-{node}", self.name)
    }

    /// The address of a node.
    pub fn address(&self, node: usize) -> String {
        format!("10.77.0.{}", node + 1)
    }

    /// Takes a node's place away from its namespace, for a virtual machine: the tap device in the hub's namespace that this is to have.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn give_to_machine(&self, node: usize) -> Result<String> {
        let (hub, port) = (&self.name, format!("port{node}"));
        ip(&format!("-n {hub} link delete {port}"))?;
        ip(&format!("-n {hub} tuntap add {port} mode tap"))?;
        ip(&format!("-n {hub} link set {port} master hub up"))?;
        Ok(port)
    }

    /// A command that runs where the nodes' ports are.
    pub fn at_hub(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", self.name)).arg("--").arg(program);
        command
    }

    /// A command that runs on a node.
    pub fn command(&self, node: usize, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", self.namespace(node))).arg("--").arg(program);
        command
    }

    /// Does something as if on a node, with sockets of that node.
    ///
    /// # Errors
    /// If its namespace cannot be entered, or what `body` returns.
    pub fn within<T: Send>(&self, node: usize, body: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let path = format!("/run/netns/{}", self.namespace(node));
        thread::scope(|scope| {
            let entered = scope.spawn(move || {
                let namespace = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
                body()
            });
            entered.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Cuts a node off: what is sent to or by it is lost without a word.
    ///
    /// # Errors
    /// If that fails.
    pub fn cut(&self, node: usize) -> Result<()> {
        ip(&format!("-n {} link set port{node} down", self.name))
    }

    /// Joins a node that was cut off.
    ///
    /// # Errors
    /// If that fails.
    pub fn mend(&self, node: usize) -> Result<()> {
        ip(&format!("-n {} link set port{node} up", self.name))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for node in 0..self.count {
            // The hub goes last; what is missing was not made.
            let _ = ip(&format!("netns del {}", self.namespace(node)));
        }
        let _ = ip(&format!("netns del {}", self.name));
    }
}
