//! The compilers: the native one that says what is right, and Maize's.

use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::{env, fs};

/// What a program is built with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compiler {
    /// gcc for this machine.
    Gcc,
    /// clang for this machine.
    Clang,
    /// `maize cc`.
    Maize,
    /// Any other; the one for C++ has this name with `++`.
    Command(&'static str),
}

impl Compiler {
    /// For `make CC=...`.
    pub fn command_line(self) -> String {
        match self {
            Compiler::Gcc => "gcc".into(),
            Compiler::Clang => "clang-22".into(),
            Compiler::Maize => format!("{} cc", maize().display()),
            Compiler::Command(command) => command.into(),
        }
    }

    /// For `make CXX=...`. The native build has the same library as Maize's, for what it decides: orders in hash tables, texts of errors.
    pub fn cxx_command_line(self) -> String {
        match self {
            Compiler::Gcc => "g++".into(),
            Compiler::Clang => "clang++-22 -stdlib=libc++ -static-libstdc++".into(),
            Compiler::Maize => format!("{} c++", maize().display()),
            Compiler::Command(command) => format!("{command}++"),
        }
    }

    /// Its name, for directories and messages.
    pub fn name(self) -> &'static str {
        match self {
            Compiler::Gcc => "gcc",
            Compiler::Clang => "clang",
            Compiler::Maize => "maize",
            Compiler::Command(_) => "other",
        }
    }

    /// Compiles and links C files.
    ///
    /// # Errors
    /// What the compiler printed.
    pub fn build<A: AsRef<OsStr>>(self, sources: &[PathBuf], options: &[A], output: &Path) -> Result<()> {
        run(command(&self.command_line()).args(options).arg("-o").arg(output).args(sources).arg("-lm")).map(drop)
    }

    /// Compiles and links C++ files, and objects.
    ///
    /// # Errors
    /// What the compiler printed.
    pub fn build_cxx<A: AsRef<OsStr>>(self, sources: &[PathBuf], options: &[A], output: &Path) -> Result<()> {
        let mut command = command(&self.cxx_command_line());
        command.args(options).arg("-o").arg(output).args(sources);
        if self == Compiler::Clang {
            // Which Debian's archive of libc++ lacks.
            command.arg("-lc++abi");
        }
        run(&mut command).map(drop)
    }

    /// Builds one of the programs in `programs/`, a C file or a directory of C files, with optimisation.
    ///
    /// # Errors
    /// What the compiler printed.
    pub fn build_program(self, name: &str, directory: &Path) -> Result<PathBuf> {
        self.build_program_at("-O2", name, directory)
    }

    /// As [`Compiler::build_program`], with this `-O` option.
    ///
    /// # Errors
    /// What the compiler printed.
    pub fn build_program_at(self, level: &str, name: &str, directory: &Path) -> Result<PathBuf> {
        let path = program_source(name);
        let sources = if path.is_dir() { files(&path, "c")? } else { vec![path.with_extension("c")] };
        let output = directory.join(format!("{name}-{}{level}", self.name()));
        self.build(&sources, &["-std=gnu11", "-D_GNU_SOURCE", level], &output)?;
        Ok(output)
    }

    /// Builds one of the C++ programs in `programs/`, a file or a directory of C++ and C files.
    ///
    /// # Errors
    /// What the compiler printed.
    pub fn build_cxx_program(self, level: &str, name: &str, directory: &Path) -> Result<PathBuf> {
        let path = program_source(name);
        let mut inputs = if path.is_dir() { files(&path, "cpp")? } else { vec![path.with_extension("cpp")] };
        for c in if path.is_dir() { files(&path, "c")? } else { Vec::new() } {
            let stem = c.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let object = directory.join(format!("{stem}-{}{level}.o", self.name()));
            run(command(&self.command_line()).args([level, "-c", "-o"]).arg(&object).arg(&c))?;
            inputs.push(object);
        }
        let output = directory.join(format!("{name}-{}{level}", self.name()));
        self.build_cxx(&inputs, &["-std=c++23", "-pthread", level], &output)?;
        Ok(output)
    }

    /// Runs the `configure` of `source` in `directory`, with this compiler. The site's defaults (`CONFIG_SITE`) are not asked.
    ///
    /// # Errors
    /// What it printed.
    pub fn configure(self, source: &Path, directory: &Path, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(source.join("configure"));
        command.current_dir(directory).args(arguments).arg(format!("CC={}", self.command_line()));
        run(command.env_remove("CONFIG_SITE"))
    }

    /// Runs `make` with this compiler. Jobs of an outer make are not this one's.
    ///
    /// # Errors
    /// What make printed.
    pub fn make(self, directory: &Path, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new("make");
        command.current_dir(directory).args(arguments);
        command.arg(format!("CC={}", self.command_line())).arg(format!("CXX={}", self.cxx_command_line()));
        command.env_remove("MAKEFLAGS").env_remove("MAKELEVEL").env_remove("MFLAGS");
        run(&mut command)
    }
}

/// One of our programs, built natively and with `maize cc` below `root`; once for all tests.
///
/// # Errors
/// What the compiler printed.
pub fn build_both(name: &'static str, root: &str) -> Result<(PathBuf, PathBuf)> {
    static BUILT: Mutex<BTreeMap<&str, (PathBuf, PathBuf)>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(programs) = built.get(name) {
        return Ok(programs.clone());
    }
    let directory = fresh_directory(root, name)?;
    let programs = (Compiler::Gcc.build_program(name, &directory)?, Compiler::Maize.build_program(name, &directory)?);
    built.insert(name, programs.clone());
    Ok(programs)
}

/// The command that a line of words without quotes stands for.
fn command(line: &str) -> Command {
    let mut words = line.split(' ');
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words);
    command
}

/// Runs a build step to its end and returns what it printed.
///
/// # Errors
/// What it printed, if it failed.
pub fn run(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("running {command:?}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!("{command:?}: {}\n{text}{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(text)
}

/// The `maize` under test: `$MAIZE`, or the workspace's own, built first if need be.
///
/// # Panics
/// If it cannot be built; no test makes sense then.
pub fn maize() -> &'static Path {
    static MAIZE: OnceLock<PathBuf> = OnceLock::new();
    MAIZE.get_or_init(|| {
        if let Some(path) = env::var_os("MAIZE") {
            return PathBuf::from(path);
        }
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.current_dir(workspace()).args([
            "build",
            "--release",
            "--quiet",
            "--package",
            "maize",
            "--package",
            "maize-daemon",
        ]);
        if let Err(error) = run(&mut command) {
            panic!("{error:#}");
        }
        target_directory().join("release/maize")
    })
}

/// An empty directory of this name below `root`, which is `env!("CARGO_TARGET_TMPDIR")` of the test. It stays, so that a
/// failed run can be repeated by hand.
///
/// # Errors
/// If it cannot be emptied or created.
pub fn fresh_directory(root: &str, name: &str) -> Result<PathBuf> {
    let path = Path::new(root).join(name);
    if path.exists() {
        fs::remove_dir_all(&path).with_context(|| path.display().to_string())?;
    }
    fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
    Ok(path)
}

/// Path of one of our own programs.
pub fn program_source(name: &str) -> PathBuf {
    workspace().join("tests/programs").join(name)
}

/// Path of one of the programs of the benchmarks.
pub fn benchmark_source(name: &str) -> PathBuf {
    workspace().join("benches/programs").join(name)
}

/// Where cargo builds.
pub(crate) fn target_directory() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}

pub(crate) fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// The files with this extension, in the order of their names.
fn files(directory: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in directory.read_dir()? {
        let path = entry?.path();
        if path.extension() == Some(OsStr::new(extension)) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
