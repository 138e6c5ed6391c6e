//! What can go wrong between nodes, and on one.

use std::io;
use std::path::PathBuf;

/// Why something about nodes failed.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// A file or directory of the node could not be used.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// A verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others can get at what only the node's user may.
    #[error("{}: mode {mode:04o} lets others in, and private keys are kept there; run: chmod {wanted:o} {}", path.display(), path.display())]
    TooOpen {
        /// The file or directory.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// The mode it should have.
        wanted: u32,
    },
    /// A file or directory of the node belongs to somebody else.
    #[error("{}: belongs to user {owner}, not to user {user} who runs this; choose another directory with --dir", path.display())]
    Foreign {
        /// The file or directory.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who runs this.
        user: u32,
    },
    /// There is no node in the directory.
    #[error("{}: no node here; make one with `maize node init`, or name its directory with --dir", path.display())]
    NotInitialised {
        /// The directory.
        path: PathBuf,
    },
    /// There is a node in the directory already.
    #[error("{}: there is a node here already; its keys are left as they are", path.display())]
    Initialised {
        /// The directory.
        path: PathBuf,
    },
    /// A file does not say what it should.
    #[error("{}: {message}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// Something that was typed is not what it should be.
    #[error("{0}")]
    Invalid(String),
    /// A node cannot be reached.
    #[error("{address}: {source}; is maized running there, and is the address right?")]
    Unreachable {
        /// Where.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The connection broke, or fell silent.
    #[error("the connection to {peer} was lost: {}", how(source))]
    Lost {
        /// Who was at its other end.
        peer: String,
        /// Why.
        source: io::Error,
    },
    /// What is there does not speak Maize's protocol, or not rightly.
    #[error("{peer}: not understood: {message}")]
    Protocol {
        /// Who.
        peer: String,
        /// What is wrong.
        message: String,
    },
    /// The other side speaks another version.
    #[error(
        "{peer} speaks version {theirs} of the protocol, and this is version {ours}; install the same release of Maize on both"
    )]
    Version {
        /// Who.
        peer: String,
        /// Its version.
        theirs: u16,
        /// Ours.
        ours: u16,
    },
    /// Somebody else answers at an address.
    #[error(
        "{peer}: the node that answers has another key than the one expected ({expected}); something else is at this address, or its keys were made anew"
    )]
    WrongKey {
        /// The address.
        peer: String,
        /// The key expected.
        expected: String,
    },
    /// The other side will not do it.
    #[error("{peer}: {reason}")]
    Refused {
        /// Who.
        peer: String,
        /// Why not.
        reason: String,
    },
    /// There is no such program on a node.
    #[error("no program {program} runs on {node}; `maize node programs {node}` lists those that do")]
    NoSuchProgram {
        /// Its number.
        program: u32,
        /// The node.
        node: String,
    },
    /// No member has this name.
    #[error("no node is called {name}; known: {known}")]
    UnknownNode {
        /// The name.
        name: String,
        /// Names there are.
        known: String,
    },
    /// The daemon of this node does not run.
    #[error("maized does not run here ({}); start it with `maize node start`", directory.display())]
    NotRunning {
        /// The node's directory.
        directory: PathBuf,
    },
    /// The daemon of this node runs already.
    #[error("{}: maized runs already for this node", directory.display())]
    Running {
        /// The node's directory.
        directory: PathBuf,
    },
    /// A program could not be started.
    #[error("{message}")]
    CannotStart {
        /// The status that `maize run` ends with.
        status: i32,
        /// Why.
        message: String,
    },
    /// The kernel refused something.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

impl NodeError {
    /// For `map_err` of an operation on a file.
    pub(crate) fn file<E: Into<io::Error>>(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(E) -> NodeError {
        let path = path.into();
        move |error| NodeError::File { action, path, source: error.into() }
    }

    /// For `map_err` of a system call.
    pub(crate) fn system<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> NodeError {
        move |error| NodeError::System { what, source: error.into() }
    }
}

/// How a connection was lost, for people.
fn how(source: &io::Error) -> String {
    match source.kind() {
        // What sockets say when the time to wait is over.
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => "it has not answered in time".into(),
        _ => source.to_string(),
    }
}

/// What most of this crate returns.
pub type Result<T> = std::result::Result<T, NodeError>;
