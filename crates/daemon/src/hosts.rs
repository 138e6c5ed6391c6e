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
        Some(HostProcess { pid, started: stat(pid, 22)? })
    }

    /// Those of a session.
    pub(crate) fn of_session(session: u32) -> Vec<HostProcess> {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let processes = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        processes.filter(|&pid| stat(pid, 6) == Some(session.into())).filter_map(HostProcess::find).collect()
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

/// A field of proc_pid_stat(5) that is a number. The name, which is the second, is in parentheses, and may hold anything.
fn stat(pid: u32, field: usize) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(field - 3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};

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

    #[test]
    fn a_session_has_the_processes_that_were_started_in_it() {
        let mut command = Command::new("setsid");
        command.args(["sh", "-c", "sleep 1000 & echo $!; wait"]).stdout(Stdio::piped());
        let mut shell = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(shell.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mut found = HostProcess::of_session(shell.id());
        found.sort_by_key(|process| process.pid);
        let mut expected = [shell.id(), line.trim().parse().unwrap()];
        expected.sort_unstable();
        assert_eq!(found.iter().map(|process| process.pid).collect::<Vec<_>>(), expected);
        found.into_iter().for_each(HostProcess::end);
        assert!(!shell.wait().unwrap().success());
    }
}
