//! The baseline that benchmarks compare with: the same musl, built for x86-64 by its own configure and make
//! with plain `clang -O3`, its x86-64 assembly included.

use super::error::SysrootError;
use super::stamp::{self, Stamp};
use super::{Progress, ProgressFn, Tools, cache_directory, command, musl, source};
use std::env;
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An installed ordinary musl.
#[derive(Clone, Debug)]
pub struct Baseline {
    root: PathBuf,
}

impl Baseline {
    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Options that make clang compile against it.
    pub fn compile_options(&self) -> Vec<String> {
        let include = self.root.join("include");
        vec!["--target=x86_64-linux-musl".into(), "-nostdinc".into(), format!("-isystem{}", include.display())]
    }

    /// Options that make clang link a static program with it, in addition to those for compiling.
    pub fn link_options(&self) -> Vec<String> {
        let mut options: Vec<String> = ["-static", "-nostdlib", "-fuse-ld=lld"].map(String::from).to_vec();
        for file in ["crt1.o", "crti.o", "crtn.o", "libc.a"] {
            options.push(self.root.join("lib").join(file).display().to_string());
        }
        options
    }
}

/// Builds it into `baseline-musl` in the cache directory, if it is not there already.
///
/// # Errors
/// A download, configure or make that fails.
pub fn build_baseline(tools: &Tools, jobs: NonZeroUsize, progress: &ProgressFn<'_>) -> Result<Baseline, SysrootError> {
    let root = cache_directory()?.join("baseline-musl");
    let key = stamp::key([source::MUSL.sha256, include_str!("baseline.rs")]);
    fs::create_dir_all(&root).map_err(SysrootError::write(&root))?;
    let _lock = stamp::lock(&root)?;
    let mut built = Stamp::read(&root);
    if !built.holds("baseline", &key) {
        progress(Progress::Step("musl 1.2.3 for x86-64, the baseline of benchmarks"));
        make(&root, tools, jobs)?;
        built.set("baseline", &key);
        built.write(&root)?;
    }
    Ok(Baseline { root })
}

fn make(root: &Path, tools: &Tools, jobs: NonZeroUsize) -> Result<(), SysrootError> {
    let work = tempfile::Builder::new().prefix(".build-").tempdir_in(root).map_err(SysrootError::write(root))?;
    source::MUSL.unpack(work.path())?;
    let directory = work.path().join(musl::DIRECTORY);
    // A clang of that name would cross-compile; musl's configure asks the compiler for its target.
    let compiler = format!("{} --target=x86_64-linux-musl", tools.clang.display());
    let mut configure = Command::new("./configure");
    configure.current_dir(&directory).arg(format!("--prefix={}", root.display()));
    configure.args(["--target=x86_64-linux-musl", "--disable-shared", "--disable-wrapper"]);
    configure.env("CC", compiler).env("CFLAGS", "-O3").env("AR", &tools.archiver).env("RANLIB", "true");
    command::run(&mut configure, "musl")?;
    let mut make = Command::new("make");
    make.current_dir(&directory).arg(format!("-j{jobs}")).arg("install");
    for name in ["MAKEFLAGS", "MAKELEVEL", "MFLAGS"] {
        if env::var_os(name).is_some() {
            make.env_remove(name);
        }
    }
    command::run(&mut make, "make").map(drop)
}
