//! A program that goes on from a snapshot (`maize restore --node`): the snapshot is sent here, as the files that it is in, and the program is restored from these.

use super::{CANNOT_RUN, Shim, Streams, hand_on_signals, record};
use crate::channel::{Opener, Sealer};
use crate::directory::make_private;
use crate::error::{NodeError, Result};
use crate::message::{FromProgram, Snapshot, send};
use crate::read::Pieces;
use crate::sync::lock;
use maize_snapshot::LONGEST;
use std::cell::Cell;
use std::fs::{self, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Where snapshots are until programs have been restored from them, in the programs' directories.
const FILES: &str = "snapshot";

impl Shim {
    /// Takes the snapshot, and runs the program from there on. Who started it hears that it runs, or why it does not, when all of it is in place.
    ///
    /// # Errors
    /// If the connection is lost before.
    pub(super) fn restore(
        self,
        snapshot: &Snapshot,
        streams: Streams,
        mut sealer: Sealer,
        mut opener: Opener,
        lowered: Vec<String>,
    ) -> io::Result<()> {
        let directory = self.resident.directory.join(FILES);
        opener.watch();
        let file = match take(&directory, snapshot, &mut sealer, &mut opener) {
            Ok(file) => file,
            Err(error) => {
                let refused = FromProgram::CannotStart { status: CANNOT_RUN, message: error.to_string() };
                let said = send(&mut sealer, &refused);
                let _ = fs::remove_dir_all(&self.resident.directory);
                // Closing with something unread would take back what has been said.
                let _ = io::copy(&mut opener, &mut io::sink());
                return said;
            }
        };
        hand_on_signals(&self.to_signals, self.resident.start.attached);
        let sealer = Arc::new(Mutex::new(sealer));
        let connection = self.log.is_none().then_some(&*sealer);
        let runs = Cell::new(false);
        let commit = || {
            record::write(&self.resident.directory, &self.resident.status()).map_err(|error| error.to_string())?;
            let started = FromProgram::Started { program: std::process::id(), lowered };
            send(&mut *lock(&sealer), &started).map_err(|error| format!("who restores it is gone: {error}"))?;
            self.has_started(&sealer);
            self.resident.belief.begin();
            // What is still needed of them is open.
            let _ = fs::remove_dir_all(&directory);
            runs.set(true);
            Ok(())
        };
        let from = maize_node::Snapshot { file: &file, program: Some(&self.resident.file), changed: snapshot.changed };
        let (status, message) = match self.pump(streams, &sealer, opener) {
            Ok(pumps) => match maize_node::restore(from, &self.options(), &mut |_| {}, commit) {
                Err(error) if !runs.get() => (error.exit_status(), error.to_string()),
                result => return self.end(result, pumps, connection).map_err(io::Error::other),
            },
            Err(error) => (CANNOT_RUN, error.to_string()),
        };
        let _ = fs::remove_dir_all(&self.resident.directory);
        send(&mut *lock(&sealer), &FromProgram::CannotStart { status, message })
    }
}

/// Takes the files of a snapshot into a directory; returns the path of its own.
fn take(directory: &Path, snapshot: &Snapshot, sealer: &mut Sealer, opener: &mut Opener) -> Result<PathBuf> {
    let is_name = |name: &Path| name.file_name() == Some(name.as_os_str());
    let mut names = snapshot.files.iter().map(|(name, _)| Path::new(name.as_os_str()));
    let own = snapshot.files.first().filter(|_| snapshot.files.len() <= LONGEST + 1 && names.all(is_name));
    let (own, _) = own.ok_or_else(|| NodeError::Invalid("not understood: no list of a snapshot's files".into()))?;
    make_private(directory)?;
    send(sealer, &FromProgram::Awaits).map_err(NodeError::system("asking for the snapshot"))?;
    let mut pieces = Pieces::new(opener);
    for (name, size) in &snapshot.files {
        let path = directory.join(name.as_os_str());
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(&path);
        let mut file = file.map_err(NodeError::file("write", &path))?;
        let copied = io::copy(&mut pieces.by_ref().take(*size), &mut file);
        if copied.map_err(NodeError::file("receive", &path))? < *size {
            return Err(NodeError::file("receive", &path)(io::Error::from(io::ErrorKind::UnexpectedEof)));
        }
    }
    // What ends them: what comes next is for the program.
    if pieces.read(&mut [0]).map_err(NodeError::system("receiving the snapshot"))? > 0 {
        return Err(NodeError::Invalid("the snapshot has changed while it was sent; try again".into()));
    }
    Ok(directory.join(own.as_os_str()))
}
