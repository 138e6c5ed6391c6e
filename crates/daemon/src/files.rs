//! The process that serves this node's files to a program on another node, as long as that wants them.

use crate::error::{NodeError, Result};
use crate::link;
use crate::shim::confine;
use std::path::Path;

/// Takes a connection from standard input, and serves files on it to its end.
///
/// # Errors
/// If there is none, it is lost, or this node's files cannot be served.
pub fn run() -> Result<()> {
    let taken = link::take_over_connection(&mut link::daemon()?);
    let (connection, socket) = taken.map_err(NodeError::system("hearing whom to serve"))?;
    confine::give_up_rights()?;
    let lost = NodeError::system("serving files");
    let (sealer, mut opener) = match connection.resume(socket) {
        Ok(connection) => connection,
        Err(error) => return Err(lost(error)),
    };
    opener.watch();
    maize_files::serve(Path::new("/"), opener, sealer).map_err(lost)
}
