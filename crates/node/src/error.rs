//! What can go wrong between a program and its hosts.

use maize_abi::Isa;
use std::path::PathBuf;

/// Why a program could not be run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The file is not a multi-ISA binary, or damaged.
    #[error("{0}")]
    Image(String),
    /// The file has no code for the ISA asked for.
    #[error("{}: no code for {}; compile it again with that ISA", path.display(), isa.name())]
    NoSuchIsa {
        /// The program.
        path: PathBuf,
        /// The ISA.
        isa: Isa,
    },
    /// The emulator of a foreign ISA is missing.
    #[error(
        "{command}: not found; install it (Debian: apt-get install qemu-user-static), or choose another ISA with --isa"
    )]
    NoEmulator {
        /// The command looked for.
        command: String,
    },
    /// A host process could not be started.
    #[error("could not start a host process for {}: {source}", isa.name())]
    Spawn {
        /// The ISA.
        isa: Isa,
        /// Why.
        source: std::io::Error,
    },
    /// A host process ended before it was ready.
    #[error("the host process for {} ended before the program started; run with MAIZE_TRACE=syscalls to see why", isa.name())]
    NotReady {
        /// The ISA.
        isa: Isa,
    },
    /// A snapshot cannot be read.
    #[error("{}: {source}", path.display())]
    Snapshot {
        /// The file.
        path: PathBuf,
        /// Why.
        source: maize_snapshot::SnapshotError,
    },
    /// The file of a saved program is another one now.
    #[error("{}: not the program that was saved, whose SHA-256 is {expected}; put that file back", path.display())]
    OtherProgram {
        /// The file.
        path: PathBuf,
        /// The digest of the one that was saved.
        expected: String,
    },
    /// Files of a saved program are not there as they were.
    #[error("the program cannot be restored:\n  {0}")]
    Files(String),
    /// A process could not be brought into its host.
    #[error("process {process} cannot be restored on {}: {reason}", isa.name())]
    Refused {
        /// The process.
        process: u32,
        /// The ISA.
        isa: Isa,
        /// Why.
        reason: String,
    },
    /// The program cannot have an address of its own here.
    #[error("{0}")]
    Address(String),
    /// It was decided that the program does not come here.
    #[error("{0}")]
    NotCommitted(String),
    /// The kernel refused something the supervisor needs.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
}

impl RunError {
    /// What `maize run` ends with, as podman does: 126 if the program's file cannot be run, 125 if something else was in the way.
    #[must_use]
    pub fn exit_status(&self) -> i32 {
        match self {
            RunError::Image(_) | RunError::NoSuchIsa { .. } | RunError::OtherProgram { .. } => 126,
            _ => 125,
        }
    }

    pub(crate) fn system(what: &'static str) -> impl FnOnce(rustix::io::Errno) -> RunError {
        move |error| RunError::System { what, source: error.into() }
    }
}
