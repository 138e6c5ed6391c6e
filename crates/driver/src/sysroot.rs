//! The sysroot: libc headers and archives, compiler helpers and the runtime, built on this machine from
//! pinned sources with Maize's own compiler. docs/libc.md describes the libc and its layout on disk.
//!
//! Each part is a file here: [`musl`] (headers and `libc.a`), [`builtins`], [`runtime`], [`cxx`] (libc++, for those who need it), and [`baseline`], the
//! ordinary musl that benchmarks compare with. How a file is compiled is the driver's affair: see [`UnitCompiler`].

mod archive;
mod baseline;
mod builtins;
mod command;
mod cxx;
mod embedded;
mod error;
mod headers;
mod intrinsics;
mod memory_functions;
mod musl;
mod non_migrating;
mod parallel;
mod runtime;
mod rust;
mod source;
mod stamp;

pub use baseline::{Baseline, build_baseline};
pub use embedded::COMPILER_HASH;
pub use error::SysrootError;
pub use non_migrating::{compute as compute_non_migrating, list as non_migrating_functions};

use stamp::Stamp;
use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// The language of programs, which decides how much of a sysroot they need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// C: the libc, the compiler helpers and the runtime.
    C,
    /// C++: all that C needs, and the C++ library.
    Cxx,
}

/// One file to be compiled for the sysroot.
#[derive(Clone, Debug)]
pub struct Unit {
    /// Name that stays the same wherever the sources lie, such as `libc/stdio/printf.c`.
    pub name: String,
    /// A C file (`.c`), a C++ file (`.cpp`), an assembly file to be preprocessed (`.S`), or LLVM bitcode (`.bc`).
    pub source: PathBuf,
    /// The multi-ISA object to write.
    pub output: PathBuf,
    /// Options of this unit, in clang's spelling; the compiler adds those of the portable ABI before them.
    pub flags: Vec<OsString>,
    /// Whether the unit's functions get migration points and resume clones.
    pub instrument: bool,
}

/// Compiles units into the portable ABI. Called from several threads at once.
pub trait UnitCompiler: Sync {
    /// Compiles one unit to a multi-ISA object.
    ///
    /// # Errors
    /// Any; it becomes the source of [`SysrootError::Compile`].
    fn compile(&self, unit: &Unit) -> Result<(), Box<dyn Error + Send + Sync>>;

    /// Changes whenever the same unit may compile to something else; [`COMPILER_HASH`] is a good part of it.
    fn identity(&self) -> String;
}

/// What is going on in a build.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// A step has begun, such as "musl 1.2.3".
    Step(&'a str),
    /// So many of the step's units are done.
    Units {
        /// Compiled so far.
        done: usize,
        /// To be compiled in this step.
        total: usize,
    },
}

/// Programs of the host that builds use.
#[derive(Clone, Debug)]
pub struct Tools {
    /// clang 22.
    pub clang: PathBuf,
    /// llvm-ar 22.
    pub archiver: PathBuf,
    /// cargo with the toolchain of rust-toolchain.toml.
    pub cargo: PathBuf,
}

impl Default for Tools {
    fn default() -> Tools {
        Tools { clang: "clang-22".into(), archiver: "llvm-ar-22".into(), cargo: "cargo".into() }
    }
}

/// How to build a sysroot.
pub struct BuildOptions<'a> {
    /// Compiles the units.
    pub compiler: &'a dyn UnitCompiler,
    /// Programs of the host.
    pub tools: Tools,
    /// How many units are compiled at once.
    pub jobs: NonZeroUsize,
}

impl<'a> BuildOptions<'a> {
    /// The host's usual tools, and a job per processor.
    pub fn new(compiler: &'a dyn UnitCompiler) -> BuildOptions<'a> {
        BuildOptions { compiler, tools: Tools::default(), jobs: parallel::default_jobs() }
    }
}

/// Where progress goes.
pub type ProgressFn<'a> = dyn Fn(Progress<'_>) + Sync + 'a;

/// A sysroot, built or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sysroot {
    root: PathBuf,
}

impl Sysroot {
    /// The sysroot of this version of Maize: `$MAIZE_SYSROOT`, or `sysroot` in the cache directory.
    ///
    /// # Errors
    /// [`SysrootError::NoCacheDirectory`].
    pub fn locate() -> Result<Sysroot, SysrootError> {
        match env::var_os("MAIZE_SYSROOT").filter(|path| !path.is_empty()) {
            Some(path) => Ok(Sysroot::at(path)),
            None => Ok(Sysroot::at(cache_directory()?.join("sysroot"))),
        }
    }

    /// The sysroot in a given directory.
    pub fn at(root: impl Into<PathBuf>) -> Sysroot {
        Sysroot { root: root.into() }
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Headers of the libc.
    pub fn include_directory(&self) -> PathBuf {
        self.root.join("include")
    }

    /// Archives.
    pub fn library_directory(&self) -> PathBuf {
        self.root.join("lib")
    }

    /// The archives that every link ends with, in order. They refer to one another, so they form a group.
    pub fn default_archives(&self) -> [PathBuf; 3] {
        ["libc.a", runtime::ARCHIVE, builtins::ARCHIVE].map(|name| self.library_directory().join(name))
    }

    /// What Rust programs are linked with besides.
    pub fn rust_archive(&self) -> PathBuf {
        self.library_directory().join(rust::ARCHIVE)
    }

    /// Headers of the C++ library. Some of them include the libc's headers of the same names.
    pub fn cxx_include_directory(&self) -> PathBuf {
        self.root.join(cxx::INCLUDE)
    }

    /// Headers of SIMD intrinsics.
    pub fn intrinsics_include_directory(&self) -> PathBuf {
        self.root.join(intrinsics::INCLUDE)
    }

    /// The C++ library, to be linked before the default archives, and in a group with them.
    pub fn cxx_archive(&self) -> PathBuf {
        self.library_directory().join(cxx::ARCHIVE)
    }

    /// Whether everything that programs in a language need has been built from what this executable embeds, by this compiler.
    /// Reads one small file.
    pub fn is_current(&self, language: Language, compiler: &dyn UnitCompiler) -> bool {
        self.has(&parts(language, compiler))
    }

    fn has(&self, parts: &[Part]) -> bool {
        let stamp = Stamp::read(&self.root);
        parts.iter().all(|part| stamp.holds(part.name, &part.key))
    }
}

/// Builds what is missing or out of date, and does nothing when nothing is. Several processes may ask at once: one builds, the others wait.
///
/// # Errors
/// What was being done, with which file, and why it failed. What was there before stays in place.
pub fn build(
    language: Language,
    options: &BuildOptions<'_>,
    progress: &ProgressFn<'_>,
) -> Result<Sysroot, SysrootError> {
    let sysroot = Sysroot::locate()?;
    build_at(&sysroot, language, options, progress)?;
    Ok(sysroot)
}

/// Builds a sysroot in a directory of the caller's choice.
///
/// # Errors
/// As [`build`].
pub fn build_at(
    sysroot: &Sysroot,
    language: Language,
    options: &BuildOptions<'_>,
    progress: &ProgressFn<'_>,
) -> Result<(), SysrootError> {
    build_parts(sysroot, &parts(language, options.compiler), options, progress)
}

fn build_parts(
    sysroot: &Sysroot,
    parts: &[Part],
    options: &BuildOptions<'_>,
    progress: &ProgressFn<'_>,
) -> Result<(), SysrootError> {
    if sysroot.has(parts) {
        return Ok(());
    }
    let root = sysroot.root();
    fs::create_dir_all(root).map_err(SysrootError::write(root))?;
    let _lock = stamp::lock(root)?;
    remove_abandoned(root);
    let mut stamp = Stamp::read(root);
    for part in parts {
        if stamp.holds(part.name, &part.key) {
            continue;
        }
        progress(Progress::Step(part.title));
        let work = tempfile::Builder::new().prefix(WORK_PREFIX).tempdir_in(root).map_err(SysrootError::write(root))?;
        (part.build)(&Build { sysroot, work: work.path(), options, progress })?;
        stamp.set(part.name, &part.key);
        stamp.write(root)?;
    }
    Ok(())
}

/// Name of a build's scratch directory, up to what makes it unique.
const WORK_PREFIX: &str = ".build-";

/// Removes what builds that were killed have left: who holds the lock knows that nobody else is building.
fn remove_abandoned(root: &Path) {
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(WORK_PREFIX) {
            // It takes room, but nothing depends on its absence.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// The versioned cache directory: `$XDG_CACHE_HOME/maize/VERSION` or `~/.cache/maize/VERSION`.
///
/// # Errors
/// [`SysrootError::NoCacheDirectory`].
pub fn cache_directory() -> Result<PathBuf, SysrootError> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("XDG_CACHE_HOME")
        .or_else(|| set("HOME").map(|home| home.join(".cache")))
        .map(|cache| cache.join("maize").join(env!("CARGO_PKG_VERSION")))
        .ok_or(SysrootError::NoCacheDirectory)
}

/// The units of the libc and of the compiler helpers, unpacked below `work` and ready to be compiled: for analysis and tests.
///
/// # Errors
/// A download that fails, or a file that cannot be written.
pub fn libc_units(work: &Path, tools: &Tools) -> Result<Vec<Unit>, SysrootError> {
    let musl = musl::Musl::prepare(work, tools)?;
    let mut units = musl.units;
    units.extend(builtins::prepare(work, &musl.include)?);
    Ok(units)
}

/// One part's build in progress.
struct Build<'a> {
    sysroot: &'a Sysroot,
    /// Scratch directory on the sysroot's file system.
    work: &'a Path,
    options: &'a BuildOptions<'a>,
    progress: &'a ProgressFn<'a>,
}

impl Build<'_> {
    /// Compiles units on all processors.
    fn compile(&self, units: &[Unit]) -> Result<(), SysrootError> {
        parallel::for_each(units, self.options.jobs, self.progress, |unit| {
            if let Some(directory) = unit.output.parent() {
                fs::create_dir_all(directory).map_err(SysrootError::write(directory))?;
            }
            self.options
                .compiler
                .compile(unit)
                .map_err(|source| SysrootError::Compile { unit: unit.name.clone(), source })
        })
    }

    /// Compiles units and puts their objects into an archive of the sysroot.
    fn compile_archive(&self, name: &str, units: &[Unit]) -> Result<(), SysrootError> {
        self.compile(units)?;
        let objects: Vec<&Path> = units.iter().map(|unit| unit.output.as_path()).collect();
        let built = self.work.join(name);
        archive::create(&self.options.tools.archiver, &built, &objects, self.work)?;
        self.install(&built, &format!("lib/{name}"))
    }

    /// Moves a file or directory to its place in the sysroot, replacing what is there.
    fn install(&self, from: &Path, to: &str) -> Result<(), SysrootError> {
        let to = self.sysroot.root().join(to);
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent).map_err(SysrootError::write(parent))?;
        }
        if to.is_dir() {
            let old = self.work.join("replaced");
            fs::rename(&to, &old).map_err(SysrootError::write(&to))?;
        }
        fs::rename(from, &to).map_err(SysrootError::write(&to))
    }
}

/// A part of the sysroot that is built, and goes out of date, on its own.
struct Part {
    name: &'static str,
    title: &'static str,
    key: String,
    build: fn(&Build<'_>) -> Result<(), SysrootError>,
}

fn parts(language: Language, compiler: &dyn UnitCompiler) -> Vec<Part> {
    let identity = compiler.identity();
    let key = |parts: &[&str]| stamp::key(parts.iter().copied().chain([identity.as_str()]));
    let libc: &[&str] = &[&embedded::hash("libc/arch/"), &embedded::hash("libc/src/"), source::MUSL.sha256];
    let mut parts = vec![
        Part { name: "libc", title: "musl 1.2.3", key: key(libc), build: musl::build },
        Part {
            name: "builtins",
            title: "compiler helpers",
            key: key(&[&embedded::hash("libc/builtins/"), source::COMPILER_RT.sha256]),
            build: builtins::build,
        },
        Part {
            name: "intrinsics",
            title: "headers of SIMD intrinsics",
            key: stamp::key([embedded::hash(intrinsics::SOURCES).as_str(), source::SIMDE.sha256]),
            build: intrinsics::build,
        },
        Part {
            name: "rust",
            title: "support of Rust's standard library",
            key: key(&[&embedded::hash(rust::SOURCES)]),
            build: rust::build,
        },
        Part {
            name: "runtime",
            title: "Maize runtime",
            key: key(&[&embedded::hash("crates/"), &embedded::hash("rust-toolchain.toml")]),
            build: runtime::build,
        },
    ];
    if language == Language::Cxx {
        parts.push(Part {
            name: "c++",
            title: "libc++ 22.1.8",
            // The libc's headers are part of what is compiled.
            key: key(&[libc, &[&embedded::hash("libcxx/"), source::LIBCXX.sha256]].concat()),
            build: cxx::build,
        });
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    struct NoCompiler;

    impl UnitCompiler for NoCompiler {
        fn compile(&self, unit: &Unit) -> Result<(), Box<dyn Error + Send + Sync>> {
            Err(format!("asked to compile {}", unit.name).into())
        }

        fn identity(&self) -> String {
            String::from("none")
        }
    }

    fn part(name: &'static str, key: &str, build: fn(&Build<'_>) -> Result<(), SysrootError>) -> Part {
        Part { name, title: name, key: key.to_owned(), build }
    }

    #[test]
    fn only_parts_whose_sources_changed_are_built_again() {
        static BUILT: AtomicUsize = AtomicUsize::new(0);
        fn count(build: &Build<'_>) -> Result<(), SysrootError> {
            let file = build.work.join("file");
            fs::write(&file, "x").map_err(SysrootError::write(&file))?;
            BUILT.fetch_add(1, Ordering::Relaxed);
            build.install(&file, "lib/file")
        }
        let directory = tempfile::tempdir().unwrap();
        let sysroot = Sysroot::at(directory.path());
        fs::create_dir(directory.path().join(".build-abandoned")).unwrap();
        let options = BuildOptions::new(&NoCompiler);
        for (keys, expected) in [(["1", "1"], 2), (["1", "1"], 2), (["1", "2"], 3)] {
            let parts = [part("a", keys[0], count), part("b", keys[1], count)];
            build_parts(&sysroot, &parts, &options, &|_| ()).unwrap();
            assert_eq!(BUILT.load(Ordering::Relaxed), expected);
            assert!(sysroot.has(&parts));
        }
        let left: Vec<_> = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), 3, "lib, stamp and lock, but {left:?}");
    }

    #[test]
    fn a_failed_build_keeps_what_was_there_and_names_the_unit() {
        fn fail(build: &Build<'_>) -> Result<(), SysrootError> {
            let unit = Unit {
                name: String::from("libc/a.c"),
                source: PathBuf::new(),
                output: build.work.join("a.o"),
                flags: Vec::new(),
                instrument: true,
            };
            build.compile_archive("libc.a", &[unit])
        }
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("lib")).unwrap();
        fs::write(directory.path().join("lib/libc.a"), "old").unwrap();
        let parts = [part("libc", "1", fail)];
        let sysroot = Sysroot::at(directory.path());
        let error = build_parts(&sysroot, &parts, &BuildOptions::new(&NoCompiler), &|_| ()).unwrap_err();
        assert!(error.to_string().contains("libc/a.c"), "{error}");
        assert_eq!(fs::read_to_string(directory.path().join("lib/libc.a")).unwrap(), "old");
        assert!(!sysroot.has(&parts));
    }
}
