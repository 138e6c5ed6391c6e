//! The third-party sources of the sysroot: what they are, how they get here, and their pinned checksums.
//!
//! Nothing of them is in the repository. Downloads are kept in the cache directory; a machine without
//! network access needs only the files, put there by hand.

use super::command;
use super::error::SysrootError;
use super::stamp::hex;
use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A pinned source archive.
pub struct Source {
    /// Name of the archive.
    pub file: &'static str,
    /// SHA-256 of the archive, hexadecimal.
    pub sha256: &'static str,
    client: Client,
}

/// The package client that fetches a source.
enum Client {
    /// `apt-get source` of a Debian source package; needs `deb-src` entries.
    AptSource { package: &'static str },
    /// `apt-get download` of a Debian package of headers.
    Apt { package: &'static str },
    /// `pip download` of a wheel, of which only what is below `directories` is unpacked.
    Pip { requirement: &'static str, directories: &'static [&'static str] },
}

/// musl, the libc.
pub const MUSL: Source = Source {
    file: "musl_1.2.3.orig.tar.gz",
    sha256: "7d5b0b6062521e4627e099e4c9dc8248d32a30285e959b7eecaa780cf8cfd4a4",
    client: Client::AptSource { package: "musl=1.2.3-1" },
};

/// The C sources of LLVM's compiler-rt, as packaged for the LiteX hardware projects.
pub const COMPILER_RT: Source = Source {
    file: "pythondata_software_compiler_rt-0.0.post6206-py3-none-any.whl",
    sha256: "dcaa7c6cc09a47271a98e9a9b47834b31384919aaa74034e0f184d3e9068c11e",
    client: Client::Pip { requirement: "pythondata-software-compiler-rt==0.0.post6206", directories: &[""] },
};

/// The sources of LLVM 22.1.8's libc++, libc++abi and libunwind, as packaged with the Zig compiler.
pub const LIBCXX: Source = Source {
    file: "ziglang-0.17.1-py3-none-manylinux_2_12_x86_64.manylinux2010_x86_64.musllinux_1_1_x86_64.whl",
    sha256: "ea6cc5d87b033cf0aedfbc8f9549a908cae6c50ac31f1698188fa48a74524b54",
    client: Client::Pip {
        requirement: "ziglang==0.17.1",
        directories: &["ziglang/lib/libcxx", "ziglang/lib/libcxxabi", "ziglang/lib/libunwind"],
    },
};

/// SIMDe, headers that have x86's and Arm's SIMD intrinsics as portable C.
pub const SIMDE: Source = Source {
    file: "libsimde-dev_0.7.4~rc2-2_all.deb",
    sha256: "471b66fdc79e0a479c4d11dc85c2b6313df1704b737ea2f7266753335c5d062b",
    client: Client::Apt { package: "libsimde-dev=0.7.4~rc2-2" },
};

impl Source {
    /// Unpacks the archive below `destination`, after fetching it if it is not in the cache.
    ///
    /// # Errors
    /// A failed download, a wrong checksum, or a failure to write.
    pub fn unpack(&self, destination: &Path) -> Result<(), SysrootError> {
        let archive = self.fetch()?;
        let file = File::open(&archive).map_err(SysrootError::read(&archive))?;
        let unpacked = match self.client {
            Client::AptSource { .. } => tar::Archive::new(GzDecoder::new(file)).unpack(destination),
            Client::Apt { .. } => {
                let mut command = Command::new("dpkg-deb");
                return command::run(command.arg("-x").args([&archive, destination]), "dpkg").map(drop);
            }
            Client::Pip { directories, .. } => unzip(file, directories, destination),
        };
        unpacked.map_err(SysrootError::write(destination))
    }

    /// The archive's path in the cache, with its checksum verified.
    fn fetch(&self) -> Result<PathBuf, SysrootError> {
        let directory = super::cache_directory()?.join("downloads");
        let archive = directory.join(self.file);
        if !archive.exists() {
            fs::create_dir_all(&directory).map_err(SysrootError::write(&directory))?;
            self.download(&directory)?;
        }
        let mut hasher = Sha256::new();
        File::open(&archive)
            .and_then(|mut file| io::copy(&mut file, &mut hasher))
            .map_err(SysrootError::read(&archive))?;
        let found = hex(&hasher.finalize());
        if found == self.sha256 {
            Ok(archive)
        } else {
            Err(SysrootError::Checksum { path: archive, found, expected: self.sha256 })
        }
    }

    /// Fetches into a scratch directory, so that a broken download leaves nothing behind.
    fn download(&self, directory: &Path) -> Result<(), SysrootError> {
        let scratch = tempfile::tempdir_in(directory).map_err(SysrootError::write(directory))?;
        let (mut command, program, origin) = match self.client {
            Client::AptSource { package } => {
                let mut command = Command::new("apt-get");
                command.args(["-qq", "-o", "APT::Sandbox::User=root", "source", "--download-only", package]);
                (command, "apt-get source", "Debian, with deb-src entries")
            }
            Client::Apt { package } => {
                let mut command = Command::new("apt-get");
                command.args(["-qq", "-o", "APT::Sandbox::User=root", "download", package]);
                (command, "apt-get download", "Debian")
            }
            Client::Pip { requirement, .. } => {
                let mut command = Command::new("python3");
                command.args([
                    "-m",
                    "pip",
                    "--disable-pip-version-check",
                    "download",
                    "--quiet",
                    "--no-deps",
                    "--only-binary=:all:",
                    // Whatever this machine is: only the sources in a wheel are of use.
                    "--platform=manylinux2010_x86_64",
                    requirement,
                ]);
                (command, "pip download", "python3-pip")
            }
        };
        command::run(command.current_dir(scratch.path()), origin)?;
        let (from, to) = (scratch.path().join(self.file), directory.join(self.file));
        if !from.exists() {
            return Err(SysrootError::NotDelivered { program, file: self.file, directory: directory.to_owned() });
        }
        fs::rename(&from, &to).map_err(SysrootError::write(&to))
    }
}

/// Unpacks the files of an archive whose paths begin with one of `directories`.
fn unzip(archive: File, directories: &[&str], destination: &Path) -> io::Result<()> {
    let mut zip = zip::ZipArchive::new(archive).map_err(io::Error::other)?;
    for index in 0..zip.len() {
        let mut entry = zip.by_index(index).map_err(io::Error::other)?;
        // Which refuses paths that lead out of the destination.
        let Some(path) = entry.enclosed_name() else { continue };
        if !entry.is_file() || !directories.iter().any(|directory| path.starts_with(directory)) {
            continue;
        }
        let path = destination.join(path);
        fs::create_dir_all(path.parent().unwrap_or(destination))?;
        io::copy(&mut entry, &mut File::create(&path)?)?;
    }
    Ok(())
}
