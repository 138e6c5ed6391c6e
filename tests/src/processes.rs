//! Processes that tests find, kill, and whose kernel they ask what it grants.

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, geteuid, kill_process};
use std::fs;

/// The children of a process, the oldest first.
///
/// # Errors
/// If there is no such process.
pub fn children(process: u32) -> Result<Vec<u32>> {
    let mut children = Vec::new();
    for task in fs::read_dir(format!("/proc/{process}/task"))? {
        // A thread may end meanwhile.
        let list = fs::read_to_string(task?.path().join("children")).unwrap_or_default();
        children.extend(list.split_whitespace().filter_map(|word| word.parse::<u32>().ok()));
    }
    children.sort_unstable();
    Ok(children)
}

/// Sends a process a signal.
///
/// # Errors
/// The kernel's.
pub fn kill(process: u32, signal: Signal) -> Result<()> {
    let process = i32::try_from(process).ok().and_then(Pid::from_raw).context("no process")?;
    Ok(kill_process(process, signal)?)
}

/// Kills a shim, and the hosts of its program, which may outlive it, but not the test.
///
/// # Errors
/// If there is no such process.
pub fn kill_with_hosts(shim: u32) -> Result<()> {
    let hosts = children(shim)?;
    kill(shim, Signal::KILL)?;
    for host in hosts {
        // The daemon may have done that meanwhile.
        let _ = kill(host, Signal::KILL);
    }
    Ok(())
}

/// Whether the kernel grants this user userfaultfd(2) for pages that it finds missing itself.
pub fn grants_userfaultfd() -> bool {
    let by_all = fs::read_to_string("/proc/sys/vm/unprivileged_userfaultfd").unwrap_or_default();
    geteuid().is_root() || by_all.trim() == "1"
}
