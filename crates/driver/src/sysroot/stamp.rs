//! What a sysroot has been built from: a text file of one line `NAME KEY` per part, and the lock that
//! lets one process build while others wait.

use super::error::SysrootError;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;

const FILE: &str = ".stamp";
const LOCK: &str = ".lock";

/// The parts that are complete, with the key of what each was built from.
#[derive(Default)]
pub struct Stamp {
    parts: BTreeMap<String, String>,
}

impl Stamp {
    /// Reads a sysroot's stamp. Without one, nothing is complete.
    pub fn read(root: &Path) -> Stamp {
        let text = fs::read_to_string(root.join(FILE)).unwrap_or_default();
        let parts =
            text.lines().filter_map(|line| line.split_once(' ')).map(|(name, key)| (name.to_owned(), key.to_owned()));
        Stamp { parts: parts.collect() }
    }

    /// Whether a part is complete and built from this.
    pub fn holds(&self, name: &str, key: &str) -> bool {
        self.parts.get(name).is_some_and(|built| built == key)
    }

    /// Notes a part as complete.
    pub fn set(&mut self, name: &str, key: &str) {
        self.parts.insert(name.to_owned(), key.to_owned());
    }

    /// Replaces the sysroot's stamp.
    ///
    /// # Errors
    /// [`SysrootError::Write`].
    pub fn write(&self, root: &Path) -> Result<(), SysrootError> {
        let text: String = self.parts.iter().map(|(name, key)| format!("{name} {key}\n")).collect();
        let (new, path) = (root.join(".stamp.new"), root.join(FILE));
        fs::write(&new, text).and_then(|()| fs::rename(&new, &path)).map_err(SysrootError::write(&path))
    }
}

/// Waits until no other process builds in `root`. The lock is held until the file is dropped.
///
/// # Errors
/// [`SysrootError::Write`].
pub fn lock(root: &Path) -> Result<File, SysrootError> {
    let path = root.join(LOCK);
    let file = File::create(&path).map_err(SysrootError::write(&path))?;
    file.lock().map_err(SysrootError::write(&path))?;
    Ok(file)
}

/// A key for a sequence of byte strings.
pub fn key(parts: impl IntoIterator<Item = impl AsRef<[u8]>>) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.as_ref().len() as u64).to_le_bytes());
        hasher.update(part.as_ref());
    }
    hex(&hasher.finalize())
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
