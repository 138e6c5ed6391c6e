//! The processes that hold a program, for who has to end them when the program's shim is gone. Process ids come again: with the time of its start one names a process for good.

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use std::fs;

/// A process of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostProcess {
    /// Its process id.
    pub pid: u32,
    /// When it was started, in the kernel's ticks since the machine was.
    pub started: u64,
}

impl HostProcess {
    /// The process with this id; `None` if there is none.
    #[must_use]
    pub fn find(pid: u32) -> Option<HostProcess> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name before it is in parentheses, and may hold anything; field 22 of proc_pid_stat(5), of which that is the second.
        let started = stat.rsplit_once(") ")?.1.split(' ').nth(19)?.parse().ok()?;
        Some(HostProcess { pid, started })
    }

    /// Ends it, if it is there.
    pub(crate) fn end(self) {
        if HostProcess::find(self.pid) != Some(self) {
            return;
        }
        if let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) {
            // It may have ended meanwhile.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn the_process_that_was_meant_is_ended_and_no_other() {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let found = HostProcess::find(child.id()).unwrap();
        HostProcess { started: found.started + 1, ..found }.end();
        assert!(child.try_wait().unwrap().is_none(), "another one was ended");
        found.end();
        assert!(!child.wait().unwrap().success());
        assert_eq!(HostProcess::find(child.id()), None);
    }
}
