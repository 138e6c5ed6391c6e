//! The programs that are measured, what they do, and how they are built.

use anyhow::{Context, Result, anyhow};
use maize_tests::{
    Compiler, Input, Run, benchmark_source, build_bzip2_with, build_lua_with, build_zstd, compressible,
    fresh_directory, sqlite_amalgamation,
};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::{env, fs};

/// The kernels, in `programs/`.
const KERNELS: [&str; 5] = ["sieve", "matrix", "queens", "sort", "table"];
/// The kernels in `programs/npb/`, with the class that takes about a second, and the one that is long enough to be counted.
const NPB: [(&str, &str, &str); 8] = [
    ("ep", "W", "S"),
    ("is", "A", "W"),
    ("cg", "A", "S"),
    ("mg", "W", "S"),
    ("ft", "W", "S"),
    ("lu", "W", "S"),
    ("sp", "W", "S"),
    ("bt", "W", "S"),
];
/// What Lua runs, in `programs/`.
const SCRIPTS: [&str; 4] = ["fib", "nbody", "binary-trees", "strings"];

/// What a program is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// bzip2, by its own make.
    Bzip2,
    /// zstd, by its own make.
    Zstd,
    /// SQLite and its `speedtest1`.
    Sqlite,
    /// Lua, by its own make.
    Lua,
    /// A file in `programs/`, without its extension.
    Kernel(&'static str),
    /// A file in `programs/npb/`, without its extension.
    Npb(&'static str),
}

/// How much a program is given to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// For times: about a second, where it can be chosen.
    Full,
    /// For counts of instructions under an emulator.
    Small,
}

/// A program and what it does.
#[derive(Clone, Debug)]
pub struct Workload {
    /// For the tables.
    pub name: String,
    /// What is built for it.
    pub source: Source,
    arguments: Vec<String>,
    input: Input,
}

impl Workload {
    /// A run of a build of it.
    pub fn run(&self, build: &Path) -> Run {
        Run::new(build).arguments(self.arguments()).input(self.input.clone())
    }

    /// A run of a build of it by another program, which is called with the path after its own arguments.
    pub fn run_by<A: AsRef<str>>(&self, by: &Path, arguments: &[A], build: &Path) -> Run {
        let own = arguments.iter().map(|argument| argument.as_ref().to_owned());
        Run::new(by).arguments(own).arguments([build]).arguments(self.arguments()).input(self.input.clone())
    }

    fn arguments(&self) -> &[String] {
        &self.arguments
    }

    /// What two runs must have in common of what they print: for `speedtest1` not the times, at the ends of lines.
    pub fn result(&self, output: &[u8]) -> String {
        let text = String::from_utf8_lossy(output);
        if self.source != Source::Sqlite {
            return text.into_owned();
        }
        let is_time = |word: &str| word.strip_suffix('s').is_some_and(|number| number.parse::<f64>().is_ok());
        let untimed = |line: &str| line.split_whitespace().filter(|word| !is_time(word)).collect::<Vec<_>>().join(" ");
        text.lines().map(untimed).collect::<Vec<_>>().join("\n")
    }
}

/// All workloads whose names contain one of `wanted`, or all; those of one source follow one another. Their input files are written to `directory`.
///
/// # Errors
/// If an input cannot be made.
pub fn workloads(directory: &Path, size: Size, wanted: &[String]) -> Result<Vec<Workload>> {
    let full = size == Size::Full;
    let mut all = Vec::new();
    let mut add = |name: &str, source, arguments: &[&str], input: Input| {
        if wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str())) {
            let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
            all.push(Workload { name: name.to_owned(), source, arguments, input });
        }
    };
    fs::create_dir_all(directory)?;
    let plain = directory.join("plain");
    fs::write(&plain, compressible(if full { 8_000_000 } else { 400_000 }))?;
    let (bz2, zst) = (directory.join("plain.bz2"), directory.join("plain.zst"));
    pack("bzip2", &["-9c"], &plain, &bz2)?;
    pack("zstd", &["-19", "-qc"], &plain, &zst)?;
    add("bzip2 compress", Source::Bzip2, &["-9c"], Input::File(plain.clone()));
    add("bzip2 decompress", Source::Bzip2, &["-dc"], Input::File(bz2));
    add("zstd compress", Source::Zstd, &[if full { "-12" } else { "-9" }, "-qc"], Input::File(plain));
    let zst = zst.to_str().context("the directory's name is not UTF-8")?;
    let archives = vec![zst; if full { 20 } else { 4 }];
    add("zstd decompress", Source::Zstd, &[&["-dqc"], &archives[..]].concat(), Input::Nothing);
    let rows = if full { "15" } else { "2" };
    add("SQLite speedtest1", Source::Sqlite, &["--verify", "--size", rows, ":memory:"], Input::Nothing);
    for script in SCRIPTS {
        let path = benchmark_source(&format!("{script}.lua"));
        let path = path.to_str().context("the directory's name is not UTF-8")?;
        add(&format!("Lua {script}"), Source::Lua, &[path], Input::Nothing);
    }
    for kernel in KERNELS {
        add(kernel, Source::Kernel(kernel), &[], Input::Nothing);
    }
    for (kernel, class, small_class) in NPB {
        let class = if full { class } else { small_class };
        add(&format!("NPB {}", kernel.to_uppercase()), Source::Npb(kernel), &[class], Input::Nothing);
    }
    Ok(all)
}

fn pack(command: &str, arguments: &[&str], plain: &Path, packed: &Path) -> Result<()> {
    let output = Command::new(command).args(arguments).stdin(fs::File::open(plain)?).output();
    let output = output.with_context(|| format!("running {command}; run scripts/setup --benches"))?;
    fs::write(packed, output.stdout).with_context(|| packed.display().to_string())
}

/// Builds by one compiler, each made when it is first asked for.
#[derive(Debug)]
pub struct Builds {
    /// The compiler.
    pub compiler: Compiler,
    options: &'static str,
    directory: PathBuf,
    built: HashMap<Source, PathBuf>,
}

impl Builds {
    /// No builds yet; they will be in `directory`.
    pub fn new(compiler: Compiler, directory: PathBuf) -> Builds {
        Builds { compiler, options: "-O3", directory, built: HashMap::new() }
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
        fs::create_dir_all(&self.directory)?;
        eprintln!("building {source:?} with {} ...", self.compiler.name());
        let (compiler, options, directory) = (self.compiler, self.options, self.directory.as_path());
        let words: Vec<&str> = options.split(' ').collect();
        let from_file = |name: &str, file: String| {
            let output = directory.join(name);
            compiler.build(&[benchmark_source(&file)], &[&["-std=gnu11"], &words[..]].concat(), &output)?;
            Ok(output)
        };
        let program = match source {
            Source::Bzip2 => {
                let flags = format!("CFLAGS={options} -D_FILE_OFFSET_BITS=64");
                build_bzip2_with(compiler, directory, &[&flags]).map(|directory| directory.join("bzip2"))
            }
            Source::Zstd => build_zstd(compiler, directory, &[&format!("CFLAGS={options}")]),
            Source::Sqlite => build_speedtest(compiler, &words, directory),
            Source::Lua => build_lua_with(compiler, directory, &[&format!("MYCFLAGS={options}")]),
            Source::Kernel(name) => from_file(name, format!("{name}.c")),
            Source::Npb(name) => from_file(name, format!("npb/{name}.c")),
        }?;
        self.built.insert(source, program.clone());
        Ok(program)
    }
}

fn build_speedtest(compiler: Compiler, words: &[&str], directory: &Path) -> Result<PathBuf> {
    static AMALGAMATION: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let made = AMALGAMATION.get_or_init(|| {
        let directory = fresh_directory(&env::temp_dir().display().to_string(), "bench-sqlite");
        directory.and_then(|directory| sqlite_amalgamation(&directory)).map_err(|error| format!("{error:#}"))
    });
    let source = made.as_ref().map_err(|error| anyhow!("{error}"))?;
    let include = format!("-I{}", source.display());
    let own = ["-DSQLITE_THREADSAFE=0", "-DSQLITE_OMIT_LOAD_EXTENSION", &include];
    let options = [words, &own].concat();
    let output = directory.join("speedtest1");
    compiler.build(&[source.join("test/speedtest1.c"), source.join("sqlite3.c")], &options, &output)?;
    Ok(output)
}

#[cfg(test)]
mod tests {
    use super::{Input, Source, Workload};

    #[test]
    fn times_are_no_part_of_the_result() {
        let workload = |source| Workload { name: String::new(), source, arguments: Vec::new(), input: Input::Nothing };
        let output = b" 100 - 7500 INSERTs into table with no index......    0.023s\nVerification Hash: 1 2\n";
        let expected = "100 - 7500 INSERTs into table with no index......\nVerification Hash: 1 2";
        assert_eq!(workload(Source::Sqlite).result(output), expected);
        assert!(workload(Source::Lua).result(output).contains("0.023s"));
    }
}
