//! The directory of a node: where its keys, its members and its programs are. Only its user gets at it (docs/nodes.md has the list).

use crate::error::{NodeError, Result};
use rustix::fs::FlockOperation;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Paths of sockets are short, and those of programs are some 30 bytes longer than the directory's.
const LONGEST: usize = 70;

/// A directory that holds, or is to hold, a node.
#[derive(Clone, Debug)]
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    /// The directory given, or the usual one.
    ///
    /// # Errors
    /// If it is to be an unusable one.
    pub fn new(given: Option<PathBuf>) -> Result<Directory> {
        let path = given.map_or_else(usual, Ok)?;
        let path = std::path::absolute(&path).map_err(NodeError::file("find", &path))?;
        if path.as_os_str().len() > LONGEST {
            let message = format!(
                "the name is longer than {LONGEST} bytes, and those of sockets in it would be too long for the kernel; choose another with --dir"
            );
            return Err(NodeError::Malformed { path, message });
        }
        Ok(Directory { path })
    }

    /// The directory itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes it, if it is not there, and checks that nobody else gets at it.
    ///
    /// # Errors
    /// If it cannot be made, or others get at it.
    pub fn make(&self) -> Result<()> {
        make_private(&self.path)
    }

    /// Checks that there is a node in it and that nobody else gets at it.
    ///
    /// # Errors
    /// [`NodeError::NotInitialised`], [`NodeError::TooOpen`], [`NodeError::Foreign`].
    pub fn check(&self) -> Result<()> {
        if !self.key().exists() {
            return Err(NodeError::NotInitialised { path: self.path.clone() });
        }
        check_private(&self.path, 0o700)?;
        check_private(&self.key(), 0o600)
    }

    /// The private key.
    pub(crate) fn key(&self) -> PathBuf {
        self.path.join("key")
    }

    /// What the node is called and where it listens.
    pub(crate) fn configuration(&self) -> PathBuf {
        self.path.join("node.toml")
    }

    /// Whom it trusts.
    pub(crate) fn members(&self) -> PathBuf {
        self.path.join("members.toml")
    }

    /// Tokens that have not been used.
    pub(crate) fn tokens(&self) -> PathBuf {
        self.path.join("tokens.json")
    }

    /// Where the daemon is spoken to from the same machine.
    pub(crate) fn control(&self) -> PathBuf {
        self.path.join("control")
    }

    /// Is there while the node does not take programs.
    pub(crate) fn draining(&self) -> PathBuf {
        self.path.join("draining")
    }

    /// One directory for each program.
    pub(crate) fn programs(&self) -> PathBuf {
        self.path.join("programs")
    }

    /// Which programs have come from other nodes, by the names of the attempts.
    pub(crate) fn arrivals(&self) -> PathBuf {
        self.path.join("arrivals")
    }

    /// What has been decided by hand about programs whose new nodes do not answer, until they do.
    pub(crate) fn verdicts(&self) -> PathBuf {
        self.path.join("verdicts")
    }

    /// Executables by their hash.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.path.join("store")
    }

    /// Waits until nobody else changes members or tokens; nobody will until what it returns is dropped.
    pub(crate) fn lock(&self) -> Result<File> {
        let path = self.path.join("lock");
        let file = open_private(&path)?;
        rustix::fs::flock(&file, FlockOperation::LockExclusive).map_err(NodeError::file("lock", &path))?;
        Ok(file)
    }

    /// Held by the daemon while it runs. `None` if one runs.
    pub(crate) fn lock_daemon(&self) -> Result<Option<File>> {
        let path = self.path.join("daemon.lock");
        let file = open_private(&path)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(file)),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(NodeError::file("lock", &path)(error)),
        }
    }
}

fn usual() -> Result<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if rustix::process::geteuid().is_root() {
        return Ok("/var/lib/maize".into());
    }
    variable("XDG_DATA_HOME")
        .or_else(|| variable("HOME").map(|home| home.join(".local/share")))
        .map(|data| data.join("maize"))
        .ok_or_else(|| {
            NodeError::Invalid("neither HOME nor XDG_DATA_HOME is set; name the node's directory with --dir".into())
        })
}

/// Makes a directory that only its user gets at, if it is not there.
pub(crate) fn make_private(path: &Path) -> Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(NodeError::file("make", path))?;
    check_private(path, 0o700)
}

fn check_private(path: &Path, wanted: u32) -> Result<()> {
    let metadata = fs::metadata(path).map_err(NodeError::file("look at", path))?;
    let (mode, owner, user) = (metadata.mode() & 0o7777, metadata.uid(), rustix::process::geteuid().as_raw());
    if owner != user {
        return Err(NodeError::Foreign { path: path.to_owned(), owner, user });
    }
    if mode & 0o077 != 0 {
        return Err(NodeError::TooOpen { path: path.to_owned(), mode, wanted });
    }
    Ok(())
}

fn open_private(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true).mode(0o600).open(path).map_err(NodeError::file("open", path))
}

/// A file that only its user reads, all of which is on disk under another name than it is to have. It is removed if it does not get that.
#[derive(Debug)]
pub(crate) struct Draft {
    /// Where it is. Empty when it is not there any more.
    draft: PathBuf,
    /// Where it is to be.
    path: PathBuf,
}

impl Draft {
    /// Writes it to `draft`, which nobody else uses.
    pub(crate) fn new(draft: PathBuf, path: &Path, content: &[u8]) -> Result<Draft> {
        Draft::of(draft.clone(), path, |file| file.write_all(content)).map_err(NodeError::file("write", draft))
    }

    /// The same of what `fill` writes.
    pub(crate) fn of(
        draft: PathBuf,
        path: &Path,
        fill: impl FnOnce(&mut File) -> std::io::Result<()>,
    ) -> std::io::Result<Draft> {
        let _ = fs::remove_file(&draft);
        let mut options = OpenOptions::new();
        let mut file = options.create_new(true).write(true).mode(0o600).open(&draft)?;
        let made = Draft { draft, path: path.to_owned() };
        fill(&mut file)?;
        file.sync_all()?;
        Ok(made)
    }

    /// Gives it its name, in place of what has that.
    pub(crate) fn place(mut self) -> Result<()> {
        fs::rename(&self.draft, &self.path).map_err(NodeError::file("write", &self.path))?;
        self.draft = PathBuf::new();
        Ok(())
    }

    /// Gives it its name if nothing has that yet.
    pub(crate) fn place_first(self) -> Result<()> {
        match fs::hard_link(&self.draft, &self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                Err(NodeError::file("write", &self.path)(error))
            }
            _ => Ok(()),
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.draft.as_os_str().is_empty() {
            let _ = fs::remove_file(&self.draft);
        }
    }
}

/// Writes a file that only its user reads, all of it or nothing.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    Draft::new(name.into(), path, content)?.place()
}

/// Whether something could not be written because there is no room on the disk, or no more of it is granted.
pub(crate) fn has_no_room(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded)
}

/// The content of a file, or nothing if there is no such file.
pub(crate) fn read_if_there(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(NodeError::file("read", path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_directory_or_key_that_others_get_at_is_refused() {
        let temporary = tempfile::tempdir().unwrap();
        let directory = Directory::new(Some(temporary.path().join("node"))).unwrap();
        assert!(matches!(directory.check(), Err(NodeError::NotInitialised { .. })));
        directory.make().unwrap();
        write_private(&directory.key(), b"secret").unwrap();
        directory.check().unwrap();
        let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        for mode in [0o750, 0o701, 0o777, 0o710] {
            set(directory.path(), mode);
            assert!(matches!(directory.check(), Err(NodeError::TooOpen { wanted: 0o700, .. })), "{mode:o}");
            assert!(matches!(directory.make(), Err(NodeError::TooOpen { .. })), "{mode:o}");
        }
        set(directory.path(), 0o700);
        for mode in [0o640, 0o604, 0o644] {
            set(&directory.key(), mode);
            let message = directory.check().unwrap_err().to_string();
            assert!(message.contains("chmod 600"), "{message}");
        }
    }
}
