//! The baseline that benchmarks compare with: the same libc, which is musl, built for one ISA by its own configure and make with plain `clang -O3`,
//! its assembly for the ISA included, except where Maize's has other functions ([`memory_functions`]); and for C++ the same libc++ with LLVM's unwinder ([`cxx`]).

mod cxx;

use super::error::SysrootError;
use super::stamp::{self, Stamp};
use super::{
    Language, Progress, ProgressFn, Tools, cache_directory, command, embedded, memory_functions, musl, source,
};
use maize_abi::Isa;
use std::env;
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An installed ordinary musl, and libc++ if it was asked for.
#[derive(Clone, Debug)]
pub struct Baseline {
    root: PathBuf,
    isa: Isa,
    language: Language,
    identity: String,
}

impl Baseline {
    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Changes with what it is built from, and how.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Options that make clang compile against it.
    pub fn compile_options(&self) -> Vec<String> {
        let mut options = vec![format!("--target={}", target(self.isa))];
        if self.language == Language::Cxx {
            options.extend(["-nostdinc++".into(), format!("-isystem{}", self.root.join(cxx::INCLUDE).display())]);
        }
        // musl leaves some headers of the language, such as stdatomic.h, to the compiler.
        options.extend(["-nostdlibinc".into(), format!("-isystem{}", self.root.join("include").display())]);
        options
    }

    /// Options that make clang link a static program with it, in addition to those for compiling.
    pub fn link_options(&self) -> Vec<String> {
        let mut options: Vec<String> = ["-static", "-nostdlib", "-fuse-ld=lld"].map(String::from).to_vec();
        let mut files = vec!["crt1.o", "crti.o", "crtn.o", "libc.a"];
        if self.language == Language::Cxx {
            // By which the unwinder finds what the program has.
            options.push("-Wl,--eh-frame-hdr".into());
            files.extend(cxx::ARCHIVES);
        }
        options.extend(files.iter().map(|file| self.root.join("lib").join(file).display().to_string()));
        options
    }
}

/// Builds what programs in a language need for `isa` into `baseline-musl-ISA` in the cache directory, if it is not there already.
///
/// # Errors
/// A download, configure, make or compilation that fails.
pub fn build_baseline(
    tools: &Tools,
    language: Language,
    isa: Isa,
    jobs: NonZeroUsize,
    progress: &ProgressFn<'_>,
) -> Result<Baseline, SysrootError> {
    let root = cache_directory()?.join(format!("baseline-musl-{}", isa.name()));
    fs::create_dir_all(&root).map_err(SysrootError::write(&root))?;
    let _lock = stamp::lock(&root)?;
    let mut built = Stamp::read(&root);
    let libc_key =
        stamp::key([source::MUSL.sha256, include_str!("baseline.rs"), &embedded::hash(memory_functions::OWN)]);
    if !built.holds("baseline", &libc_key) {
        progress(Progress::Step(&format!("musl 1.2.3 for {}, the baseline of benchmarks", isa.name())));
        make(&root, tools, isa, jobs)?;
        built.set("baseline", &libc_key);
        built.write(&root)?;
    }
    let recipe = [include_str!("baseline/cxx.rs"), include_str!("cxx.rs"), &embedded::hash("libcxx/")];
    let cxx_key = stamp::key([&recipe[..], &[libc_key.as_str(), source::LIBCXX.sha256]].concat());
    if language == Language::Cxx && !built.holds("c++", &cxx_key) {
        progress(Progress::Step(&format!("libc++ 22.1.8 for {}, the baseline of benchmarks", isa.name())));
        cxx::build(&root, tools, isa, jobs, progress)?;
        built.set("c++", &cxx_key);
        built.write(&root)?;
    }
    let identity = if language == Language::Cxx { cxx_key } else { libc_key };
    Ok(Baseline { root, isa, language, identity })
}

fn target(isa: Isa) -> String {
    format!("{}-linux-musl", isa.name())
}

/// A directory that is gone afterwards, on the same file system.
fn scratch(root: &Path) -> Result<tempfile::TempDir, SysrootError> {
    tempfile::Builder::new().prefix(".build-").tempdir_in(root).map_err(SysrootError::write(root))
}

fn make(root: &Path, tools: &Tools, isa: Isa, jobs: NonZeroUsize) -> Result<(), SysrootError> {
    let work = scratch(root)?;
    source::MUSL.unpack(work.path())?;
    let directory = work.path().join(musl::DIRECTORY);
    memory_functions::replace(&directory, isa)?;
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
