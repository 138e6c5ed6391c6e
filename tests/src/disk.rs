//! A disk that can be full: a file system in memory of a given size.

use anyhow::{Context as _, Result, bail};
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// What takes up the room that is left.
const FILLER: &str = "filler";

/// A small file system. It is gone when the value is dropped.
pub struct Disk {
    place: TempDir,
}

impl Disk {
    /// Makes one of so many bytes. `None`, with a message, where nothing can be mounted.
    ///
    /// # Errors
    /// If there is no place for it.
    pub fn new(bytes: u64) -> Result<Option<Disk>> {
        let place = tempfile::tempdir()?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={bytes},mode=0700"), "maize"]).arg(place.path());
        let output = mount.output().context("running mount")?;
        if !output.status.success() {
            eprintln!("skipped: no file system can be mounted here: {}", String::from_utf8_lossy(&output.stderr));
            return Ok(None);
        }
        Ok(Some(Disk { place }))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.place.path()
    }

    /// Brings a directory onto it, which keeps its name elsewhere. Nobody uses it meanwhile.
    ///
    /// # Errors
    /// If that fails.
    pub fn take(&self, directory: &Path) -> Result<()> {
        let here = self.path().join(directory.file_name().context("a directory without a name")?);
        let status = Command::new("cp").arg("-a").arg(directory).arg(&here).status().context("running cp")?;
        if !status.success() {
            bail!("cp -a {}: {status}", directory.display());
        }
        fs::remove_dir_all(directory)?;
        Ok(std::os::unix::fs::symlink(here, directory)?)
    }

    /// The room on it.
    pub fn room(&self) -> Room {
        Room(self.path().join(FILLER))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // What still uses it keeps it until it ends.
        let _ = Command::new("umount").arg("--lazy").arg(self.place.path()).status();
    }
}

/// The room on a disk.
#[derive(Clone, Debug)]
pub struct Room(PathBuf);

impl Room {
    /// Leaves none.
    ///
    /// # Errors
    /// If anything else is in the way of that.
    pub fn fill(&self) -> Result<()> {
        let mut file = File::create(&self.0)?;
        let mut size = 1 << 20;
        while size > 0 {
            match file.write(&vec![1; size]) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => size /= 2,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Leaves as much as before.
    ///
    /// # Errors
    /// If that fails.
    pub fn clear(&self) -> Result<()> {
        match fs::remove_file(&self.0) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_takes_nothing_until_there_is_room() {
        let Some(disk) = Disk::new(1 << 20).unwrap() else { return };
        let room = disk.room();
        room.fill().unwrap();
        let file = disk.path().join("file");
        assert_eq!(fs::write(&file, "more").unwrap_err().kind(), ErrorKind::StorageFull);
        room.clear().unwrap();
        room.clear().unwrap();
        fs::write(&file, "more").unwrap();
    }
}
