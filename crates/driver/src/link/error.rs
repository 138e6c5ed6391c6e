//! What can go wrong in a link.

use maize_image::ImageError;
use maize_image::object_file::ObjectError;
use maize_image::site_table::SiteTableError;
use std::io;
use std::path::PathBuf;

/// Why a program could not be linked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A library was not found.
    #[error(
        "unable to find library -l{name}; looked for lib{name}.a in {}; build it with `maize cc` and name its directory with -L",
        searched(directories)
    )]
    NoLibrary {
        /// Its name, without `lib`.
        name: String,
        /// Where it was looked for.
        directories: Vec<PathBuf>,
    },
    /// An object without code for every ISA.
    #[error("{name}: {source}")]
    Object {
        /// The object, or archive and member.
        name: String,
        /// What is wrong with it.
        source: ObjectError,
    },
    /// An archive that could not be read.
    #[error("{}: damaged archive: {message}; make it again with `maize ar`", path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// A tool could not be started.
    #[error("cannot run {program}: {source}; install lld-22 and llvm-22")]
    Tool {
        /// The tool.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// The linker refused the input; its own messages say why.
    #[error("linker command failed{} (use -v to see invocation)", status.map(|status| format!(" with exit code {status}")).unwrap_or_default())]
    Linker {
        /// Its exit status.
        status: Option<i32>,
    },
    /// What was linked for different ISAs does not correspond: a defect of Maize.
    #[error("internal error: {0}; please report this with the objects")]
    Internal(String),
    /// A site table could not be made.
    #[error(transparent)]
    SiteTable(#[from] SiteTableError),
    /// The program could not be composed.
    #[error(transparent)]
    Image(#[from] ImageError),
}

fn searched(directories: &[PathBuf]) -> String {
    directories.iter().map(|directory| directory.display().to_string()).collect::<Vec<_>>().join(", ")
}
