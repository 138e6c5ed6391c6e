//! Why a sysroot could not be built.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

/// Why a sysroot could not be built: what was being done, with which file, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SysrootError {
    /// Neither of the variables that say where caches go is set.
    #[error("no place for the sysroot: set MAIZE_SYSROOT, XDG_CACHE_HOME or HOME")]
    NoCacheDirectory,
    /// A file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A program of the host could not be started.
    #[error("cannot run {program}: {source}; install it ({package})")]
    Start {
        /// The program.
        program: String,
        /// Where it comes from.
        package: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// A program of the host failed.
    #[error("{program} failed ({status}):\n{output}")]
    Failed {
        /// The program and its arguments.
        program: String,
        /// Its exit status.
        status: String,
        /// What it printed.
        output: String,
    },
    /// A download is not the pinned file.
    #[error("{} has SHA-256 {found}, expected {expected}; delete it, or put the right file there", path.display())]
    Checksum {
        /// The file.
        path: PathBuf,
        /// Its checksum.
        found: String,
        /// The pinned checksum.
        expected: &'static str,
    },
    /// A pinned source did not arrive.
    #[error("{program} did not deliver {file}; download it by hand into {}", directory.display())]
    NotDelivered {
        /// The program that should have fetched it.
        program: &'static str,
        /// The file.
        file: &'static str,
        /// Where it belongs.
        directory: PathBuf,
    },
    /// A program of the host succeeded but did not write what it should.
    #[error("{program} left no output in {}", directory.display())]
    NotProduced {
        /// The program.
        program: &'static str,
        /// Where the output should be.
        directory: PathBuf,
    },
    /// A unit did not compile.
    #[error("cannot compile {unit}: {source}")]
    Compile {
        /// The unit's name.
        unit: String,
        /// What the compiler says.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A built bitcode file cannot be analysed.
    #[error("cannot analyse {}: {message}", path.display())]
    Analyse {
        /// The file.
        path: PathBuf,
        /// What LLVM says.
        message: String,
    },
}

impl SysrootError {
    /// For `map_err` of an operation that writes `path`.
    pub(super) fn write(path: &Path) -> impl FnOnce(io::Error) -> SysrootError {
        let path = path.to_owned();
        move |source| SysrootError::Write { path, source }
    }

    /// For `map_err` of an operation that reads `path`.
    pub(super) fn read(path: &Path) -> impl FnOnce(io::Error) -> SysrootError {
        let path = path.to_owned();
        move |source| SysrootError::Read { path, source }
    }
}
