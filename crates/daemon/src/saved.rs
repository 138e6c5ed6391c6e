//! A snapshot here that is to go on elsewhere: all of it is read before anything of it is sent.

use crate::error::{NodeError, Result};
use crate::message::Text;
use data_encoding::HEXLOWER;
use maize_snapshot::{Executable, Metadata, Reader, SnapshotError};
use std::cell::RefCell;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufReader, Seek as _};
use std::path::Path;

/// Bytes read at a time.
const BUFFER: usize = 256 << 10;

/// A snapshot that has been found whole.
pub(crate) struct Saved {
    pub(crate) metadata: Metadata,
    /// Its own file, and those that it builds on.
    files: Vec<(Text, File)>,
}

impl Saved {
    /// Reads all of a snapshot.
    pub(crate) fn read(path: &Path) -> Result<Saved> {
        let wrong = |source: SnapshotError| NodeError::Invalid(format!("{}: {source}", path.display()));
        // Behind symbolic links.
        let place = path.canonicalize().map_err(NodeError::file("read", path))?;
        let files = RefCell::new(Vec::new());
        let open = |name: &OsStr| -> io::Result<BufReader<File>> {
            let file = File::open(place.with_file_name(name))?;
            files.borrow_mut().push((Text::from(name.to_owned()), file.try_clone()?));
            Ok(BufReader::with_capacity(BUFFER, file))
        };
        let own = open(place.file_name().unwrap_or_default()).map_err(NodeError::file("read", path))?;
        let mut reader = Reader::new(own, |name| open(name.as_os_str()), |_, _| Ok(())).map_err(wrong)?;
        while reader.next_piece().map_err(wrong)?.is_some() {}
        let metadata = reader.metadata().clone();
        drop(reader);
        Ok(Saved { metadata, files: files.into_inner() })
    }

    /// What its first process executes, and the hash of that.
    pub(crate) fn executable(&self) -> Result<(&Executable, [u8; 32])> {
        let main = self.metadata.processes.iter().find(|process| process.id == self.metadata.main);
        let process = main.or(self.metadata.processes.first());
        let executable = process.and_then(|process| self.metadata.executables.get(process.executable));
        let found = executable.and_then(|executable| {
            let hash = HEXLOWER.decode(executable.sha256.as_bytes()).ok()?;
            Some((executable, hash.try_into().ok()?))
        });
        found.ok_or_else(|| NodeError::Invalid("the snapshot does not say what the program executes".into()))
    }

    /// The names of its files, and how large they are.
    pub(crate) fn list(&self) -> io::Result<Vec<(Text, u64)>> {
        self.files.iter().map(|(name, file)| Ok((name.clone(), file.metadata()?.len()))).collect()
    }

    /// Its files, each from its beginning.
    pub(crate) fn into_files(mut self) -> io::Result<Vec<(Text, File)>> {
        self.files.iter_mut().try_for_each(|(_, file)| file.rewind())?;
        Ok(self.files)
    }
}
