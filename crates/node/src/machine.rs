//! What a run finds on its machine by the environment of whoever starts it. A program on a node has the environment of another machine, and its shim keeps the node's own.

use crate::control::directory;
use maize_abi::Isa;
use std::fmt::Debug;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// What a machine takes away from the programs that it hosts.
pub trait Confinement: Debug + Send + Sync {
    /// Takes it away from the calling process, which is one that has been forked to become a host: only what is async-signal-safe may be done.
    ///
    /// # Errors
    /// If it cannot; then the host is not started.
    fn confine(&self) -> io::Result<()>;
}

/// Where this machine has what a run needs, besides the program, and on what terms it hosts that.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Where emulators are looked for, in this order.
    pub emulators: Vec<PathBuf>,
    /// Where the sockets of programs are by which `maize ps` and the like find them.
    pub control: PathBuf,
    /// Where executables are by the SHA-256 of their content, in hexadecimal digits: those of programs that are restored and whose files are not where they were.
    pub store: Option<PathBuf>,
    /// Taken away from each host process before it executes anything.
    pub confinement: Option<Arc<dyn Confinement>>,
}

impl Machine {
    /// By this process's environment.
    #[must_use]
    pub fn here() -> Machine {
        let path = std::env::var_os("PATH").unwrap_or_default();
        Machine {
            emulators: std::env::split_paths(&path).collect(),
            control: directory::path(),
            store: None,
            confinement: None,
        }
    }

    /// Makes the directory of sockets, if it is not there.
    ///
    /// # Errors
    /// If it cannot be made, or is somebody else's.
    pub fn make_control(&self) -> io::Result<()> {
        directory::create(&self.control)
    }

    /// The emulator for an ISA that is not the machine's own.
    #[must_use]
    pub fn emulator(&self, isa: Isa) -> Option<PathBuf> {
        let names = emulators(isa);
        let candidates = self.emulators.iter().flat_map(|directory| names.iter().map(move |name| directory.join(name)));
        candidates.into_iter().find(|candidate| candidate.is_file())
    }
}

/// What they are called; the first is that of Debian's package.
pub(crate) fn emulators(isa: Isa) -> [String; 2] {
    [format!("qemu-{}-static", isa.name()), format!("qemu-{}", isa.name())]
}
