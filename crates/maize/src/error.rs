//! What can go wrong in the command itself.

use maize_daemon::NodeError;
use maize_image::ImageError;
use maize_node::ControlError;
use std::io;
use std::path::PathBuf;

/// Why a subcommand failed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// A file is not a multi-ISA program, or damaged.
    #[error("{}{}", .0, cause(.0))]
    Image(#[from] ImageError),
    /// A running program could not be asked.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// A file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Standard output could not be written to.
    #[error("cannot write to standard output: {0}")]
    Print(io::Error),
    /// Nodes.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// A program that belongs to this one is not there, or does not run.
    #[error("cannot run {}: {source}; it is installed beside maize", path.display())]
    NotBeside {
        /// What was tried.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A report could not be turned into JSON.
    #[error("cannot write the report as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// What the system said, which messages about files leave to their source.
fn cause(error: &ImageError) -> String {
    std::error::Error::source(error).map(|source| format!(" ({source})")).unwrap_or_default()
}

impl CommandError {
    /// For `map_err` of an operation that writes `path`.
    pub fn write(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> CommandError {
        let path = path.into();
        move |source| CommandError::Write { path, source }
    }
}

/// Prints to standard output. A reader that has seen enough, such as `head`, is no error.
///
/// # Errors
/// [`CommandError::Print`].
pub fn print(text: &str) -> Result<(), CommandError> {
    use io::Write as _;
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(CommandError::Print(error)),
        _ => Ok(()),
    }
}
