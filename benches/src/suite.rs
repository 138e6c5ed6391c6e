//! The programs that are measured, and what they do.

use crate::redis;
use anyhow::{Context, Result};
use maize_tests::{Input, Run, benchmark_source, compressible};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The kernels, in `programs/`, with an argument that makes them short enough to be counted.
const KERNELS: [(&str, &str); 5] =
    [("sieve", "4"), ("matrix", "1"), ("queens", "11"), ("sort", "1"), ("table", "300000")];
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
/// The C++ programs, in `programs/cxx/`, with the argument that takes about a second, and a small one.
const CXX: [(&str, &str, &str); 4] =
    [("containers", "30", "1"), ("rays", "2400", "160"), ("records", "50000", "1000"), ("xml", "20", "1")];
/// What Lua runs, in `programs/`.
const SCRIPTS: [&str; 4] = ["fib", "nbody", "binary-trees", "strings"];

/// What a program is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// bzip2, by its own make.
    Bzip2,
    /// zstd, by its own make: for one ISA with what it has for that alone, such as code for processors with BMI2, between which it chooses as it runs.
    Zstd,
    /// zstd without that, for every compiler.
    PortableZstd,
    /// SQLite and its `speedtest1`.
    Sqlite,
    /// Lua, by its own make.
    Lua,
    /// The Redis server, by its own make.
    Redis,
    /// A file in `programs/`, without its extension.
    Kernel(&'static str),
    /// A file in `programs/npb/`, without its extension.
    Npb(&'static str),
    /// A file in `programs/cxx/`, without its extension. `xml` is linked with pugixml.
    Cxx(&'static str),
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
    /// The working directory, if it matters.
    directory: Option<PathBuf>,
}

impl Workload {
    /// A run of a build of it.
    pub fn run(&self, build: &Path) -> Run {
        self.fed(Run::new(build))
    }

    /// A run of a build of it by another program, which is called with the path after its own arguments.
    pub fn run_by<A: AsRef<str>>(&self, by: &Path, arguments: &[A], build: &Path) -> Run {
        let own = arguments.iter().map(|argument| argument.as_ref().to_owned());
        self.fed(Run::new(by).arguments(own).arguments([build]))
    }

    fn fed(&self, run: Run) -> Run {
        let run = run.arguments(&self.arguments).input(self.input.clone());
        match &self.directory {
            Some(directory) => run.directory(directory),
            None => run,
        }
    }

    /// What two runs must have in common of what they print: for `speedtest1` not the times, at the ends of lines; of Redis's log
    /// the digest of its data.
    pub fn result(&self, output: &[u8]) -> String {
        let text = String::from_utf8_lossy(output);
        match self.source {
            Source::Redis => {
                let digest = text.lines().find_map(|line| line.split_once(redis::MARK));
                return digest.map_or(&*text, |(_, digest)| digest).to_owned();
            }
            Source::Sqlite => {}
            _ => return text.into_owned(),
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
            all.push(Workload { name: name.to_owned(), source, arguments, input, directory: None });
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
    let zst = zst.to_str().context("the directory's name is not UTF-8")?;
    let archives = vec![zst; if full { 20 } else { 4 }];
    for (kind, source) in [("zstd", Source::Zstd), ("portable zstd", Source::PortableZstd)] {
        let level = if full { "-12" } else { "-9" };
        add(&format!("{kind} compress"), source, &[level, "-qc"], Input::File(plain.clone()));
        add(&format!("{kind} decompress"), source, &[&["-dqc"], &archives[..]].concat(), Input::Nothing);
    }
    let rows = if full { "15" } else { "2" };
    add("SQLite speedtest1", Source::Sqlite, &["--verify", "--size", rows, ":memory:"], Input::Nothing);
    for script in SCRIPTS {
        let path = benchmark_source(&format!("{script}.lua"));
        let path = path.to_str().context("the directory's name is not UTF-8")?;
        add(&format!("Lua {script}"), Source::Lua, &[path], Input::Nothing);
    }
    add("Redis", Source::Redis, &redis::ARGUMENTS, Input::Nothing);
    for (program, argument, small_argument) in CXX {
        let argument = if full { argument } else { small_argument };
        add(&format!("C++ {program}"), Source::Cxx(program), &[argument], Input::Nothing);
    }
    for (kernel, small_argument) in KERNELS {
        let arguments: &[&str] = if full { &[] } else { &[small_argument] };
        add(kernel, Source::Kernel(kernel), arguments, Input::Nothing);
    }
    for (kernel, class, small_class) in NPB {
        let class = if full { class } else { small_class };
        add(&format!("NPB {}", kernel.to_uppercase()), Source::Npb(kernel), &[class], Input::Nothing);
    }
    if let Some(server) = all.iter_mut().find(|workload| workload.source == Source::Redis) {
        let data = directory.join("redis");
        redis::write_data(&data, if full { 60_000 } else { 3_000 })?;
        server.directory = Some(data);
    }
    Ok(all)
}

fn pack(command: &str, arguments: &[&str], plain: &Path, packed: &Path) -> Result<()> {
    let output = Command::new(command).args(arguments).stdin(fs::File::open(plain)?).output();
    let output = output.with_context(|| format!("running {command}; run scripts/setup --benches"))?;
    fs::write(packed, output.stdout).with_context(|| packed.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::{Input, Source, Workload};

    #[test]
    fn times_and_logs_are_no_part_of_the_result() {
        let workload = |source| Workload {
            name: String::new(),
            source,
            arguments: Vec::new(),
            input: Input::Nothing,
            directory: None,
        };
        let output = b" 100 - 7500 INSERTs into table with no index......    0.023s\nVerification Hash: 1 2\n";
        let expected = "100 - 7500 INSERTs into table with no index......\nVerification Hash: 1 2";
        assert_eq!(workload(Source::Sqlite).result(output), expected);
        assert!(workload(Source::Lua).result(output).contains("0.023s"));
        let log = b"7:M 01 Jan 2026 00:00:00.000 # digest 0123 of 5 keys\n7:M 01 Jan 2026 00:00:00.001 # bye bye...\n";
        assert_eq!(workload(Source::Redis).result(log), "0123 of 5 keys");
    }
}
