//! The baseline that benchmarks compare with: the same musl, built for one ISA by its own configure and make
//! with plain `clang -O3`, its assembly for the ISA included.

use super::error::SysrootError;
use super::stamp::{self, Stamp};
use super::{Progress, ProgressFn, Tools, cache_directory, command, musl, source};
use maize_abi::Isa;
use std::env;
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An installed ordinary musl.
#[derive(Clone, Debug)]
pub struct Baseline {
    root: PathBuf,
    isa: Isa,
}

impl Baseline {
    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Options that make clang compile against it.
    pub fn compile_options(&self) -> Vec<String> {
        let include = self.root.join("include");
        vec![format!("--target={}", target(self.isa)), "-nostdinc".into(), format!("-isystem{}", include.display())]
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

/// Builds it for `isa` into `baseline-musl-ISA` in the cache directory, if it is not there already.
///
/// # Errors
/// A download, configure or make that fails.
pub fn build_baseline(
    tools: &Tools,
    isa: Isa,
    jobs: NonZeroUsize,
    progress: &ProgressFn<'_>,
) -> Result<Baseline, SysrootError> {
    let root = cache_directory()?.join(format!("baseline-musl-{}", isa.name()));
    let key = stamp::key([source::MUSL.sha256, include_str!("baseline.rs")]);
    fs::create_dir_all(&root).map_err(SysrootError::write(&root))?;
    let _lock = stamp::lock(&root)?;
    let mut built = Stamp::read(&root);
    if !built.holds("baseline", &key) {
        progress(Progress::Step(&format!("musl 1.2.3 for {}, the baseline of benchmarks", isa.name())));
        make(&root, tools, isa, jobs)?;
        built.set("baseline", &key);
        built.write(&root)?;
    }
    Ok(Baseline { root, isa })
}

fn target(isa: Isa) -> String {
    format!("{}-linux-musl", isa.name())
}

fn make(root: &Path, tools: &Tools, isa: Isa, jobs: NonZeroUsize) -> Result<(), SysrootError> {
    let work = tempfile::Builder::new().prefix(".build-").tempdir_in(root).map_err(SysrootError::write(root))?;
    source::MUSL.unpack(work.path())?;
    let directory = work.path().join(musl::DIRECTORY);
    // A clang of that name would cross-compile; musl's configure asks the compiler for its target.
    let compiler = format!("{} --target={}", tools.clang.display(), target(isa));
    let mut configure = Command::new("./configure");
    configure.current_dir(&directory).arg(format!("--prefix={}", root.display()));
    configure.arg(format!("--target={}", target(isa))).args(["--disable-shared", "--disable-wrapper"]);
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
