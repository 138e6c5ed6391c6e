//! What a machine of AArch64 is made of: Debian's packages for it, which are unpacked and not installed, and Maize's daemon, built for it. apt keeps its lists and its state for that
//! in the cache directory; the machine's own are not touched.

use crate::source::cache_directory;
use crate::toolchain::{run, target_directory, workspace};
use anyhow::{Context as _, Result, bail};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// As rustc calls it; its C library is part of the toolchain, but for headers.
const TARGET: &str = "aarch64-unknown-linux-musl";

/// What of this has to be installed and is not, as one says it to people.
pub fn missing() -> Option<&'static str> {
    let found = |command: &str| {
        let path = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&path).any(|directory| directory.join(command).is_file())
    };
    let has_target = || {
        let asked = Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]).output();
        asked.is_ok_and(|asked| Path::new(String::from_utf8_lossy(&asked.stdout).trim()).is_dir())
    };
    match () {
        () if !found("apt-get") => Some("apt-get"),
        () if !found("cpio") => Some("cpio"),
        () if !found("qemu-system-aarch64") => Some("qemu-system-aarch64"),
        () if !has_target() => Some("Rust's standard library for aarch64-unknown-linux-musl"),
        () => None,
    }
}

/// The files of a package in a directory that stays; a package that stands for the newest one of its kind is that one. What is there is not looked for again.
///
/// # Errors
/// If the machine's archives have no such package, or cannot be reached.
pub fn package(name: &str) -> Result<PathBuf> {
    static APT: Mutex<()> = Mutex::new(());
    let _one_at_a_time = APT.lock().unwrap_or_else(PoisonError::into_inner);
    let cache = cache_directory("arm64")?;
    let unpacked = cache.join(name);
    if !unpacked.is_dir() {
        fs::create_dir_all(&cache)?;
        // What is cut off leaves nothing behind.
        let scratch = tempfile::tempdir_in(&cache)?;
        let apt = Apt::new(&cache.join("apt"))?;
        let files = scratch.path().join("files");
        run(Command::new("dpkg-deb").arg("--extract").arg(apt.fetch(name, scratch.path())?).arg(&files))?;
        fs::rename(files, &unpacked)?;
    }
    Ok(unpacked)
}

/// apt for packages of that architecture, from the archives that the machine itself uses.
struct Apt {
    configuration: PathBuf,
}

impl Apt {
    fn new(directory: &Path) -> Result<Apt> {
        fs::create_dir_all(directory.join("lists/partial"))?;
        fs::create_dir_all(directory.join("cache/archives/partial"))?;
        // Nothing is installed.
        fs::write(directory.join("status"), "")?;
        let configuration = directory.join("apt.conf");
        let place = directory.display();
        fs::write(
            &configuration,
            format!(
                "APT::Architecture \"arm64\";\nAPT::Architectures {{ \"arm64\"; }};\nAPT::Sandbox::User \"root\";\nDir::State \"{place}\";\n\
                 Dir::State::status \"{place}/status\";\nDir::State::lists \"{place}/lists\";\nDir::Cache \"{place}/cache\";\n"
            ),
        )?;
        Ok(Apt { configuration })
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).env("APT_CONFIG", &self.configuration).env("LC_ALL", "C");
        command
    }

    /// Downloads a package, or the one that it stands for: the first that it depends on.
    fn fetch(&self, name: &str, to: &Path) -> Result<PathBuf> {
        run(&mut self.command("apt-get", &["-qq", "update"]))?;
        let depends = run(&mut self.command("apt-cache", &["depends", "--important", name]))?;
        let stands_for = depends.lines().find_map(|line| line.trim().strip_prefix("Depends: "));
        // Kernels alone are fetched by the names of what stands for the newest one.
        let wanted = stands_for.filter(|wanted| wanted.starts_with("linux-image-")).unwrap_or(name);
        run(self.command("apt-get", &["-qq", "download", wanted]).current_dir(to))?;
        let mut entries = to.read_dir()?.filter_map(|entry| Some(entry.ok()?.path()));
        let package = entries.find(|path| path.extension().is_some_and(|extension| extension == "deb"));
        package.with_context(|| format!("apt-get download {wanted} has not delivered a package"))
    }
}

/// `maized` for it, static, built as that for this machine is. C in it (of other crates) is compiled by clang with the headers of Debian's musl.
///
/// # Errors
/// What the build printed.
pub fn daemon() -> Result<PathBuf> {
    let headers = package("musl-dev")?.join("usr/include/aarch64-linux-musl");
    if !headers.is_dir() {
        bail!("no headers in {}", headers.display());
    }
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(workspace()).args(["build", "--release", "--quiet", "--package", "maize-daemon"]);
    command.args(["--target", TARGET]);
    command.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER", "rust-lld");
    command.env("CC_aarch64_unknown_linux_musl", "clang-22").env("AR_aarch64_unknown_linux_musl", "llvm-ar-22");
    command.env("CFLAGS_aarch64_unknown_linux_musl", format!("-nostdlibinc -isystem {}", headers.display()));
    run(&mut command)?;
    Ok(target_directory().join(TARGET).join("release/maized"))
}
