//! How the programs are built. Builds are kept between benchmarks, in `benches` in the cache directory: under a name made of all that decides the
//! code, so that a second benchmark finds what the first has built, and a changed compiler builds anew. Old ones may be deleted at any time.

use crate::Source;
use anyhow::{Context, Result, anyhow, bail};
use maize_driver::sysroot::cache_directory;
use maize_tests::{
    Compiler, Package, benchmark_source, build_bzip2_with, build_lua_with, build_redis, build_zstd, fresh_directory,
    maize, run, sqlite_amalgamation,
};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// In the directory of a build: the program's path below it, written when it is complete.
const RECORD: &str = ".program";

/// Builds by one compiler, each made when it is first asked for.
#[derive(Debug)]
pub struct Builds {
    /// The compiler.
    pub compiler: Compiler,
    options: &'static str,
    /// Changes with the compiler and its libraries.
    identity: String,
    built: HashMap<Source, PathBuf>,
}

impl Builds {
    /// Builds with `-O3`.
    ///
    /// # Errors
    /// If the compiler's libraries cannot be built.
    pub fn new(compiler: Compiler) -> Result<Builds> {
        Ok(Builds { compiler, options: "-O3", identity: identity(compiler)?, built: HashMap::new() })
    }

    /// The same with debug information.
    #[must_use]
    pub fn with_lines(self) -> Builds {
        Builds { options: "-O3 -g", ..self }
    }

    /// A program.
    ///
    /// # Errors
    /// What a compiler or make printed.
    pub fn program(&mut self, source: Source) -> Result<PathBuf> {
        if let Some(program) = self.built.get(&source) {
            return Ok(program.clone());
        }
        let name = format!("{}-{}-{}", source.name(), self.compiler.name(), &self.key(source)?[..16]);
        let root = builds_directory()?.join(name);
        fs::create_dir_all(&root)?;
        // Another benchmark may be about to build the same.
        let lock = File::create(root.join(".lock"))?;
        lock.lock()?;
        let record = root.join(RECORD);
        let program = match fs::read_to_string(&record) {
            Ok(path) => root.join(path),
            Err(_) => {
                eprintln!("building {source:?} with {} ...", self.compiler.name());
                let directory = fresh_directory(&root.to_string_lossy(), "build")?;
                let program = build(source, self.compiler, self.options, &directory)?;
                let path = program.strip_prefix(&root)?.to_str().context("the path is not UTF-8")?;
                fs::write(&record, path)?;
                program
            }
        };
        self.built.insert(source, program.clone());
        Ok(program)
    }

    /// Changes with all that decides the code of a program.
    fn key(&self, source: Source) -> Result<String> {
        let mut hasher = Sha256::new();
        let recipes = [include_str!("builds.rs"), include_str!("../../tests/src/corpus.rs")];
        for part in [self.identity.as_str(), self.options].iter().chain(&recipes) {
            hasher.update(Sha256::digest(part));
        }
        if let Some(package) = source.package() {
            hasher.update(package.source().sha256);
        }
        for file in files(source)? {
            hasher.update(Sha256::digest(fs::read(&file).with_context(|| file.display().to_string())?));
        }
        Ok(hexadecimal(hasher))
    }
}

/// Where builds, and the scripts of the baseline, are kept.
///
/// # Errors
/// If there is no cache directory.
pub fn builds_directory() -> Result<PathBuf> {
    let directory = cache_directory().map_err(|error| anyhow!("{error}"))?.join("benches");
    fs::create_dir_all(&directory)?;
    Ok(directory)
}

/// Of the compiler, and of what it links programs with.
fn identity(compiler: Compiler) -> Result<String> {
    let mut hasher = Sha256::new();
    hasher.update(run(Command::new("clang-22").arg("--version"))?);
    let files = match compiler {
        Compiler::Maize => {
            run(Command::new(maize()).args(["sysroot", "build", "--cxx"]))?;
            let sysroot = run(Command::new(maize()).args(["sysroot", "path"]))?;
            [maize().to_owned(), Path::new(sysroot.trim()).join(".stamp")]
        }
        // The scripts name the libraries' versions.
        Compiler::Command(script) => [script.into(), format!("{script}++").into()],
        Compiler::Gcc | Compiler::Clang => bail!("{} is no compiler of benchmarks", compiler.name()),
    };
    for file in &files {
        hasher.update(Sha256::digest(fs::read(file).with_context(|| file.display().to_string())?));
    }
    Ok(hexadecimal(hasher))
}

fn hexadecimal(hasher: Sha256) -> String {
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Our own files that a program is made of, and those beside them, which they may include; in an order that does not change.
fn files(source: Source) -> Result<Vec<PathBuf>> {
    let Some(file) = source.file() else { return Ok(Vec::new()) };
    if matches!(source, Source::Kernel(_) | Source::Cxx(_)) {
        return Ok(vec![file]);
    }
    let directory = file.parent().context("no directory")?;
    let paths: std::io::Result<Vec<_>> = directory.read_dir()?.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut paths = paths?;
    paths.sort();
    Ok(paths)
}

impl Source {
    /// For the names of directories.
    fn name(self) -> String {
        let name = match self {
            Source::Kernel(name) => name.to_owned(),
            Source::Npb(name) => format!("npb-{name}"),
            Source::Cxx(name) => format!("cxx-{name}"),
            _ => format!("{self:?}"),
        };
        name.to_lowercase()
    }

    /// The file, if it is one of our own.
    pub fn file(self) -> Option<PathBuf> {
        match self {
            Source::Kernel(name) => Some(benchmark_source(&format!("{name}.c"))),
            Source::Npb(name) => Some(benchmark_source(&format!("npb/{name}.c"))),
            Source::Cxx(name) => Some(benchmark_source(&format!("cxx/{name}.cpp"))),
            _ => None,
        }
    }

    /// The Debian source package in it.
    fn package(self) -> Option<Package> {
        match self {
            Source::Bzip2 => Some(Package::Bzip2),
            Source::Zstd | Source::PortableZstd => Some(Package::Zstd),
            Source::Sqlite => Some(Package::Sqlite),
            Source::Lua => Some(Package::Lua),
            Source::Redis => Some(Package::Redis),
            Source::Cxx("xml") => Some(Package::Pugixml),
            Source::Kernel(_) | Source::Npb(_) | Source::Cxx(_) => None,
        }
    }
}

/// Builds in an empty directory.
fn build(source: Source, compiler: Compiler, options: &str, directory: &Path) -> Result<PathBuf> {
    let words: Vec<&str> = options.split(' ').collect();
    let output = directory.join("program");
    match source {
        Source::Bzip2 => {
            let flags = format!("CFLAGS={options} -D_FILE_OFFSET_BITS=64");
            build_bzip2_with(compiler, directory, &[&flags]).map(|directory| directory.join("bzip2"))
        }
        Source::Zstd => build_zstd(compiler, directory, &[&format!("CFLAGS={options}")]),
        Source::PortableZstd => {
            let portable = "-DDYNAMIC_BMI2=0 -DZSTD_NO_INTRINSICS";
            build_zstd(compiler, directory, &[&format!("CFLAGS={options} {portable}")])
        }
        Source::Sqlite => build_speedtest(compiler, &words, directory),
        Source::Lua => build_lua_with(compiler, directory, &[&format!("MYCFLAGS={options}")]),
        Source::Redis => {
            let programs = ["redis-server", "redis-benchmark"];
            build_redis(compiler, directory, &[&[&*format!("CFLAGS={options}")], &programs[..]].concat())
                .map(|directory| directory.join(programs[0]))
        }
        Source::Kernel(_) | Source::Npb(_) => {
            let file = source.file().context("no file")?;
            compiler.build(&[file], &[&["-std=gnu11"], &words[..]].concat(), &output).map(|()| output)
        }
        Source::Cxx(_) => {
            let mut files = vec![source.file().context("no file")?];
            let mut include = String::from("-I.");
            if let Some(package) = source.package() {
                let library = package.source().unpack(directory)?.join("src");
                include = format!("-I{}", library.display());
                files.push(library.join("pugixml.cpp"));
            }
            let options = [&["-std=c++20", &include], &words[..]].concat();
            compiler.build_cxx(&files, &options, &output).map(|()| output)
        }
    }
}

fn build_speedtest(compiler: Compiler, words: &[&str], directory: &Path) -> Result<PathBuf> {
    let source = sqlite_sources()?;
    let include = format!("-I{}", source.display());
    let own = ["-DSQLITE_THREADSAFE=0", "-DSQLITE_OMIT_LOAD_EXTENSION", &include];
    let output = directory.join("speedtest1");
    let files = [source.join("test/speedtest1.c"), source.join("sqlite3.c")];
    compiler.build(&files, &[words, &own].concat(), &output).map(|()| output)
}

/// SQLite's one file, made once for all compilers.
fn sqlite_sources() -> Result<PathBuf> {
    let root = builds_directory()?.join(format!("sqlite-sources-{}", &Package::Sqlite.source().sha256[..16]));
    fs::create_dir_all(&root)?;
    let lock = File::create(root.join(".lock"))?;
    lock.lock()?;
    let record = root.join(RECORD);
    if let Ok(path) = fs::read_to_string(&record) {
        return Ok(root.join(path));
    }
    let directory = fresh_directory(&root.to_string_lossy(), "build")?;
    let source = sqlite_amalgamation(&directory)?;
    fs::write(&record, source.strip_prefix(&root)?.to_str().context("the path is not UTF-8")?)?;
    Ok(source)
}
