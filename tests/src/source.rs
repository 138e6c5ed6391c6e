//! Source packages of Debian, pinned by checksum. They are fetched by `apt-get source`, which needs `deb-src`
//! entries (`scripts/setup` adds them), and kept in the cache directory.

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, io};

/// The upstream archive of a Debian source package.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// Name of the package.
    pub package: &'static str,
    /// Its version when it was pinned. A later security revision has the same upstream archive.
    pub version: &'static str,
    /// Name of the upstream archive.
    pub archive: &'static str,
    /// Its SHA-256, hexadecimal.
    pub sha256: &'static str,
    /// The directory that it unpacks to.
    pub directory: &'static str,
}

impl Source {
    /// Unpacks the archive, without any patch, below `destination` and returns the source directory.
    ///
    /// # Errors
    /// A failed download, or a wrong checksum.
    pub fn unpack(&self, destination: &Path) -> Result<PathBuf> {
        let archive = self.fetch()?;
        let status = Command::new("tar").arg("-xf").arg(&archive).arg("-C").arg(destination).status();
        if !status.context("running tar")?.success() {
            bail!("{}: tar cannot unpack it", archive.display());
        }
        Ok(destination.join(self.directory))
    }

    fn fetch(&self) -> Result<PathBuf> {
        let directory = cache_directory("sources")?;
        let archive = directory.join(self.archive);
        if !archive.exists() {
            fs::create_dir_all(&directory)?;
            // A download that is cut off leaves nothing behind.
            let scratch = tempfile::tempdir_in(&directory)?;
            let pinned = format!("{}={}", self.package, self.version);
            if let Err(error) = self.download(&pinned, scratch.path()) {
                self.download(self.package, scratch.path())
                    .with_context(|| format!("{error:#}\nand without the version"))?;
            }
            fs::rename(scratch.path().join(self.archive), &archive)?;
        }
        let found = checksum(&archive)?;
        if found != self.sha256 {
            bail!(
                "{}: SHA-256 is {found}, expected {}; delete the file to fetch it again",
                archive.display(),
                self.sha256
            );
        }
        Ok(archive)
    }

    fn download(&self, package: &str, directory: &Path) -> Result<()> {
        let mut command = Command::new("apt-get");
        command.args(["-qq", "-o", "APT::Sandbox::User=root", "source", "--download-only", package]);
        let output = command.current_dir(directory).output().context("running apt-get")?;
        if !output.status.success() || !directory.join(self.archive).exists() {
            bail!(
                "apt-get source {package} did not deliver {}; run scripts/setup\n{}",
                self.archive,
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(())
    }
}

/// Where downloads of a kind are kept.
pub(crate) fn cache_directory(kind: &str) -> Result<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    Ok(cache.context("set HOME or XDG_CACHE_HOME")?.join("maize").join(kind))
}

fn checksum(path: &Path) -> Result<String> {
    let mut hasher = Sha256::new();
    io::copy(&mut File::open(path)?, &mut hasher)?;
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
