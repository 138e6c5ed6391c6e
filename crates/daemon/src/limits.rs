//! The resource limits of who starts a program, which are the program's wherever it is. Those that say what one process may use are carried; those that are rights, or count all that a user has
//! on a machine, are the node's.

use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};
use std::io;

/// What is carried, and what it is called.
const CARRIED: [(Resource, &str); 8] = [
    (Resource::Cpu, "processor time (RLIMIT_CPU)"),
    (Resource::Fsize, "the size of files (RLIMIT_FSIZE)"),
    (Resource::Data, "data (RLIMIT_DATA)"),
    (Resource::Stack, "the stack (RLIMIT_STACK)"),
    (Resource::Core, "core files (RLIMIT_CORE)"),
    (Resource::Rss, "resident memory (RLIMIT_RSS)"),
    (Resource::Nofile, "open files (RLIMIT_NOFILE)"),
    (Resource::As, "address space (RLIMIT_AS)"),
];

/// A limit, in the kernel's unit; unlimited if `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Limit {
    soft: Option<u64>,
    hard: Option<u64>,
}

/// The limits that a program is started with, in a fixed order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits([Limit; CARRIED.len()]);

impl Limits {
    /// Those of this process.
    #[must_use]
    pub fn own() -> Limits {
        Limits(CARRIED.map(|(resource, _)| {
            let Rlimit { current, maximum } = getrlimit(resource);
            Limit { soft: current, hard: maximum }
        }))
    }

    /// Raises this process's hard limits so far that those that it starts can have these. Where it may not, these are lowered; returns which.
    pub(crate) fn make_room(&mut self) -> Vec<String> {
        let mut lowered = Vec::new();
        for (limit, (resource, name)) in self.0.iter_mut().zip(CARRIED) {
            let own = getrlimit(resource);
            let raised = Rlimit { maximum: limit.hard, ..own };
            if lower(limit.hard, own.maximum) == limit.hard || setrlimit(resource, raised).is_ok() {
                continue;
            }
            let (wanted, most) = (shown(limit.hard), shown(own.maximum));
            lowered
                .push(format!("{name}: {most} at most, instead of {wanted}; the limits of maized there can be raised"));
            *limit = Limit { soft: lower(limit.soft, own.maximum), hard: own.maximum };
        }
        lowered
    }

    /// Makes them this process's. Async-signal-safe.
    ///
    /// # Errors
    /// If its own hard limits are lower.
    pub(crate) fn impose(&self) -> io::Result<()> {
        for (limit, (resource, _)) in self.0.iter().zip(CARRIED) {
            setrlimit(resource, Rlimit { current: limit.soft, maximum: limit.hard })?;
        }
        Ok(())
    }
}

/// Lets this process, which has no threads yet, have as many files open as it may, and makes room for many at once. A program's files are opened once more when it is described, and with
/// threads each doubling of the kernel's table takes a grace period of RCU, 4 to 10 ms, for which the program would wait.
pub(crate) fn make_room_for_files() -> io::Result<()> {
    const MANY: u64 = 4096;
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?;
    let last = limit.maximum.unwrap_or(MANY).min(MANY).saturating_sub(1);
    let (any, _) = io::pipe()?;
    fcntl_dupfd_cloexec(any, i32::try_from(last).unwrap_or(0)).map(drop).map_err(io::Error::from)
}

fn lower(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

fn shown(limit: Option<u64>) -> String {
    limit.map_or_else(|| "no limit".into(), |limit| limit.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_has_already_needs_no_room() {
        let mut limits = Limits::own();
        assert!(limits.make_room().is_empty());
        assert_eq!(limits, Limits::own());
    }

    #[test]
    fn no_limit_is_higher_than_any() {
        assert_eq!(lower(None, Some(3)), Some(3));
        assert_eq!(lower(Some(u64::MAX - 1), None), Some(u64::MAX - 1));
        assert_eq!(lower(Some(4), Some(3)), Some(3));
        assert_eq!(lower(None, None), None);
    }

    #[test]
    fn what_cannot_be_raised_is_lowered_and_named() {
        let mut limits = Limits::own();
        // More open files than the kernel lets any process have (`fs.nr_open`).
        limits.0[6] = Limit { soft: Some(20), hard: None };
        let before = getrlimit(Resource::Nofile);
        let lowered = limits.make_room();
        assert_eq!(limits.0[6], Limit { soft: Some(20), hard: before.maximum });
        assert!(lowered.len() == 1 && lowered[0].contains("RLIMIT_NOFILE"), "{lowered:?}");
    }
}
