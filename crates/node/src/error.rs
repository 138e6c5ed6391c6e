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
    pub(crate) fn system(what: &'static str) -> impl FnOnce(rustix::io::Errno) -> RunError {
        move |error| RunError::System { what, source: error.into() }
    }
}
