//! Executables that other nodes have sent, by their hash. The least recently used ones go when there are too many; programs that run have links of their own
//! to theirs.

use crate::directory::make_private;
use crate::error::{NodeError, Result};
use data_encoding::HEXLOWER;
use ring::digest::{Context, SHA256};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

/// Files that are being received end in this.
const PARTIAL: &str = "part";

/// The executables of a node.
pub(crate) struct Store {
    path: PathBuf,
    /// In bytes.
    limit: u64,
    received: AtomicU64,
}

impl Store {
    /// The store in a directory, which is made if it is not there.
    pub(crate) fn new(path: PathBuf, limit: u64) -> Result<Store> {
        make_private(&path)?;
        for (file, ..) in files(&path) {
            if file.extension().is_some_and(|extension| extension == PARTIAL) {
                let _ = fs::remove_file(file);
            }
        }
        Ok(Store { path, limit, received: AtomicU64::new(0) })
    }

    /// The executable with this hash, if it is here.
    pub(crate) fn find(&self, hash: &[u8; 32]) -> Option<PathBuf> {
        let path = self.path.join(HEXLOWER.encode(hash));
        let file = File::open(&path).ok()?;
        // The time of its last use. One that cannot be set makes it go earlier.
        let _ = file.set_modified(SystemTime::now());
        Some(path)
    }

    /// Receives an executable of `size` bytes with this hash.
    pub(crate) fn receive(&self, hash: &[u8; 32], size: u64, pieces: &mut impl Read) -> Result<PathBuf> {
        if size > self.limit {
            return Err(NodeError::Invalid(format!(
                "the executable has {size} bytes, and the store takes {}; start maized with a larger --store",
                self.limit
            )));
        }
        self.make_room(size);
        let number = self.received.fetch_add(1, Ordering::Relaxed);
        let partial = self.path.join(format!("{number}.{PARTIAL}"));
        let result = self.fill(&partial, hash, size, pieces);
        if result.is_err() {
            let _ = fs::remove_file(&partial);
        }
        result
    }

    fn fill(&self, partial: &Path, hash: &[u8; 32], size: u64, pieces: &mut impl Read) -> Result<PathBuf> {
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o500)
            .open(partial)
            .map_err(NodeError::file("write", partial))?;
        let mut context = Context::new(&SHA256);
        let mut buffer = vec![0; 1 << 16];
        let mut left = size;
        while left > 0 {
            let part = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let length = pieces.read(&mut buffer[..part]).map_err(NodeError::file("receive", partial))?;
            if length == 0 {
                return Err(NodeError::file("receive", partial)(io::Error::from(io::ErrorKind::UnexpectedEof)));
            }
            context.update(&buffer[..length]);
            file.write_all(&buffer[..length]).map_err(NodeError::file("write", partial))?;
            left -= length as u64;
        }
        if context.finish().as_ref() != hash {
            return Err(NodeError::Invalid(
                "the executable does not have the hash that was said; it was changed while it was sent".into(),
            ));
        }
        file.sync_all().map_err(NodeError::file("write", partial))?;
        // A file that is open for writing cannot be executed.
        drop(file);
        let path = self.path.join(HEXLOWER.encode(hash));
        fs::rename(partial, &path).map_err(NodeError::file("write", &path))?;
        Ok(path)
    }

    /// Removes what has not been used for longest until there is room for so many bytes.
    fn make_room(&self, size: u64) {
        let mut files = files(&self.path);
        files.sort_by_key(|&(_, used, _)| std::cmp::Reverse(used));
        let mut total: u64 = files.iter().map(|(_, _, size)| size).sum();
        while total + size > self.limit {
            let Some((path, _, size)) = files.pop() else { return };
            let _ = fs::remove_file(path);
            total -= size;
        }
    }
}

/// Each file's name, time of last use, and size.
fn files(path: &Path) -> Vec<(PathBuf, SystemTime, u64)> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let describe = |entry: fs::DirEntry| {
        let metadata = entry.metadata().ok()?;
        Some((entry.path(), metadata.modified().ok()?, metadata.len()))
    };
    entries.filter_map(describe).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn hash(bytes: &[u8]) -> [u8; 32] {
        ring::digest::digest(&SHA256, bytes).as_ref().try_into().unwrap()
    }

    #[test]
    fn what_does_not_have_its_hash_or_is_cut_is_not_kept() {
        let temporary = tempfile::tempdir().unwrap();
        let store = Store::new(temporary.path().join("store"), 1000).unwrap();
        let good = b"an executable";
        assert!(store.find(&hash(good)).is_none());
        assert!(store.receive(&hash(good), 12, &mut &b"an executabl"[..]).is_err());
        assert!(store.receive(&hash(good), 13, &mut &b"an Executable"[..]).is_err());
        assert!(store.receive(&hash(good), 14, &mut &good[..]).is_err());
        assert_eq!(files(&store.path).len(), 0, "nothing is left behind");
        let path = store.receive(&hash(good), 13, &mut &good[..]).unwrap();
        assert_eq!(store.find(&hash(good)), Some(path.clone()));
        assert_eq!(fs::read(path).unwrap(), good);
    }

    #[test]
    fn the_least_recently_used_goes_first_and_the_limit_is_kept() {
        let temporary = tempfile::tempdir().unwrap();
        let store = Store::new(temporary.path().join("store"), 100).unwrap();
        let contents: Vec<Vec<u8>> = (0..4).map(|number| vec![number; 40]).collect();
        for (age, content) in [(30, &contents[0]), (20, &contents[1])] {
            let path = store.receive(&hash(content), 40, &mut &content[..]).unwrap();
            let then = SystemTime::now() - Duration::from_secs(age);
            File::open(path).unwrap().set_modified(then).unwrap();
        }
        // Used again: the other is the older one now.
        assert!(store.find(&hash(&contents[0])).is_some());
        store.receive(&hash(&contents[2]), 40, &mut &contents[2][..]).unwrap();
        assert!(store.find(&hash(&contents[0])).is_some());
        assert!(store.find(&hash(&contents[1])).is_none());
        assert!(store.receive(&hash(&contents[3]), 101, &mut &contents[3][..]).is_err());
        assert!(store.find(&hash(&contents[2])).is_some(), "one that is too large removes nothing");
    }
}
