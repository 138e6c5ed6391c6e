//! The file of a snapshot while it is written: it takes its name when it is whole and on disk. Until then an older one stays as it is. It has no name meanwhile (`O_TMPFILE`), so that nothing
//! is left of it if this process is killed; where the file system has no such files it has one that begins with a dot.

use crate::chain::{Foundation, Link, directory};
use maize_snapshot::{Id, Lineage, Packs, SnapshotError, Writer};
use rustix::fs::{AtFlags, CWD};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes written at a time.
const BUFFER: usize = 1 << 20;

/// A snapshot that has no name yet. If it is dropped before it has one nothing is left of it.
pub(crate) struct Draft {
    writer: Writer<BufWriter<Output>>,
    id: Id,
    path: PathBuf,
    /// The name that it has for a moment before its own, or all the time.
    temporary: PathBuf,
    foundation: Option<Foundation>,
    /// Older snapshots of this name's chain are not needed when it is whole and on disk.
    replaces_chain: bool,
}

/// A file that takes nothing more when nobody wants it any more.
struct Output {
    file: File,
    cancelled: Arc<AtomicBool>,
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.cancelled.load(Ordering::Relaxed) {
            true => Err(io::Error::other("the program has ended")),
            false => self.file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Draft {
    /// Begins a snapshot that is to be at this path, whose pages are those of its foundation, if it has one, where it has none itself. `is_linked` says that it is to be one of several
    /// that build on each other.
    ///
    /// # Errors
    /// If it cannot be written there.
    pub(crate) fn new(path: &Path, foundation: Option<Foundation>, is_linked: bool) -> Result<Draft, SnapshotError> {
        let mut id = Id::default();
        rustix::rand::getrandom(&mut id.0, rustix::rand::GetRandomFlags::empty()).map_err(io::Error::from)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let temporary = directory(path).join(format!(".{name}.{}", std::process::id()));
        // One that was left by a process with this id, which was killed.
        let _ = fs::remove_file(&temporary);
        let nameless = OpenOptions::new().write(true).custom_flags(libc::O_TMPFILE).mode(0o600).open(directory(path));
        let file = match nameless {
            Ok(file) => file,
            Err(_) => OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?,
        };
        let output = BufWriter::with_capacity(BUFFER, Output { file, cancelled: Arc::default() });
        let lineage = Lineage { id, base: foundation.as_ref().map(Foundation::base) };
        let writer = Writer::new(output, &lineage, Packs::WhatShrinks)?;
        let replaces_chain = is_linked && foundation.is_none();
        Ok(Draft { writer, id, path: path.to_owned(), temporary, foundation, replaces_chain })
    }

    /// What it is written to.
    pub(crate) fn writer(&mut self) -> &mut Writer<impl Write> {
        &mut self.writer
    }

    /// Once this is set nothing more can be written.
    pub(crate) fn cancelled(&mut self) -> Arc<AtomicBool> {
        Arc::clone(&self.writer.output().get_ref().cancelled)
    }

    /// What is to be said if it cannot be written.
    pub(crate) fn failed(&self, error: &SnapshotError) -> String {
        format!("cannot write {}: {error}", self.path.display())
    }

    /// Gives it its name. It has been written to its end, and has so many bytes.
    ///
    /// # Errors
    /// If it cannot be brought to disk.
    pub(crate) fn publish(&mut self, bytes: u64) -> Result<Link, SnapshotError> {
        let output = self.writer.output();
        output.flush()?;
        let file = &output.get_ref().file;
        file.sync_all()?;
        let metadata = file.metadata()?;
        let directory = File::open(directory(&self.path))?;
        if self.foundation.is_some() {
            // It builds on nothing that could be gone after a crash.
            directory.sync_all()?;
        }
        if metadata.nlink() == 0 {
            give_name(file, &self.temporary)?;
        }
        fs::rename(&self.temporary, &self.path)?;
        if let Some(foundation) = &mut self.foundation {
            foundation.keep();
        }
        directory.sync_all()?;
        if self.replaces_chain {
            crate::chain::remove_older(&self.path);
        }
        let base = self.foundation.take().map(|foundation| foundation.base().name);
        let identity = [metadata.dev(), metadata.ino()];
        Ok(Link { path: self.path.clone(), id: self.id, identity, bytes, base })
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // It is not there any more if it has its name.
        let _ = fs::remove_file(&self.temporary);
    }
}

/// Gives a file a name that has none, nor had one before.
fn give_name(file: &File, name: &Path) -> io::Result<()> {
    let by_number = format!("/proc/self/fd/{}", file.as_raw_fd());
    rustix::fs::linkat(CWD, by_number, CWD, name, AtFlags::SYMLINK_FOLLOW).map_err(io::Error::from)
}
