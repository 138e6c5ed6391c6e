//! What keeps a program from being examined.

use std::io;
use std::path::PathBuf;

/// Why nothing can be said about a program.
#[derive(Debug, thiserror::Error)]
pub enum ChaosError {
    /// `maize run` could not run it.
    #[error("{message}")]
    Run {
        /// Its exit status.
        status: i32,
        /// What it said.
        message: String,
    },
    /// A process could not be started or watched.
    #[error("{what}: {source}")]
    Process {
        /// What was tried.
        what: String,
        /// Why.
        source: io::Error,
    },
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The program is no multi-ISA program.
    #[error("{0}")]
    Image(#[from] maize_image::ImageError),
    /// It is not the same program each time, moves or not.
    #[error(
        "two runs of {program} without moves differ: {difference}; make it independent of time, process ids and random numbers, or \
         name what it should print with --expect"
    )]
    NotRepeatable {
        /// The program.
        program: String,
        /// What differs.
        difference: String,
    },
    /// A reference that takes longer than a run may take.
    #[error("without moves {program} did not end within {seconds} s; give it more with --timeout")]
    TooSlow {
        /// The program.
        program: String,
        /// The limit.
        seconds: u64,
    },
}

impl ChaosError {
    /// For `map_err` of something that concerns processes.
    pub(crate) fn process<E: Into<io::Error>>(what: impl Into<String>) -> impl FnOnce(E) -> ChaosError {
        let what = what.into();
        move |source| ChaosError::Process { what, source: source.into() }
    }
}
