//! The programs that are measured, in two builds: `maize cc -O3`, and `clang-22 -O3` with the same musl.

use anyhow::{Context, Result, anyhow};
use maize_driver::sysroot::{Tools, build_baseline};
use maize_tests::{
    Compiler, Input, Run, benchmark_source, build_bzip2_with, build_lua_with, compressible, fresh_directory,
};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

/// The kernels, in `programs/`.
const KERNELS: [&str; 5] = ["sieve", "matrix", "queens", "sort", "table"];
/// What Lua runs, in `programs/`.
const SCRIPTS: [&str; 4] = ["fib", "nbody", "binary-trees", "strings"];

/// A program in both builds, and what to do with it.
pub struct Program {
    /// For the table.
    pub name: String,
    /// Built by clang.
    pub clang: PathBuf,
    /// Built by Maize.
    pub maize: PathBuf,
    arguments: Vec<String>,
    input: Input,
}

impl Program {
    /// A run of one of its builds.
    pub fn run(&self, build: &Path) -> Run {
        Run::new(build).arguments(&self.arguments).input(self.input.clone())
    }
}

/// Everything built.
pub struct Builds {
    /// The command that stands for clang with the baseline's musl.
    pub clang: &'static str,
    /// All programs; those that run the same executable follow one another.
    pub programs: Vec<Program>,
}

impl Builds {
    /// Builds all in `directory`, which it empties.
    ///
    /// # Errors
    /// What a compiler or make printed.
    pub fn new(directory: &Path) -> Result<Builds> {
        let directory = fresh_directory(&directory.display().to_string(), "bench")?;
        let command = clang_with_musl(&directory)?;
        let compilers = [Compiler::Command(command), Compiler::Maize];
        let mut programs = Vec::new();

        eprintln!("building bzip2 ...");
        let options = ["CFLAGS=-O3 -D_FILE_OFFSET_BITS=64"];
        let [clang, maize] = compilers.map(|compiler| build_bzip2_with(compiler, &directory, &options));
        let (clang, maize) = (clang?.join("bzip2"), maize?.join("bzip2"));
        let (plain, packed) = (directory.join("plain"), directory.join("plain.bz2"));
        fs::write(&plain, compressible(8_000_000))?;
        let compress = Run::new(&clang).arguments(["-9c"]).input(Input::File(plain.clone()));
        fs::write(&packed, compress.run()?.stdout)?;
        for (name, option, input) in [("bzip2 compress", "-9c", plain), ("bzip2 decompress", "-dc", packed)] {
            programs.push(Program {
                name: name.into(),
                clang: clang.clone(),
                maize: maize.clone(),
                arguments: vec![option.into()],
                input: Input::File(input),
            });
        }

        eprintln!("building Lua ...");
        let [clang, maize] = compilers.map(|compiler| build_lua_with(compiler, &directory, &["MYCFLAGS=-O3"]));
        let (clang, maize) = (clang?, maize?);
        for script in SCRIPTS {
            programs.push(Program {
                name: format!("Lua {script}"),
                clang: clang.clone(),
                maize: maize.clone(),
                arguments: vec![benchmark_source(&format!("{script}.lua")).display().to_string()],
                input: Input::Nothing,
            });
        }

        eprintln!("building kernels ...");
        for kernel in KERNELS {
            let source = [benchmark_source(&format!("{kernel}.c"))];
            let output = |name: &str| directory.join(format!("{kernel}-{name}"));
            let (clang, maize) = (output("clang"), output("maize"));
            compilers[0].build(&source, &["-O3"], &clang)?;
            compilers[1].build(&source, &["-O3"], &maize)?;
            programs.push(Program { name: kernel.into(), clang, maize, arguments: Vec::new(), input: Input::Nothing });
        }
        Ok(Builds { clang: command, programs })
    }
}

/// A script that behaves as clang for a static executable with the baseline's musl, for any build system. Not
/// position-independent, as Maize's programs are not: clang's default would make the baseline slower.
fn clang_with_musl(directory: &Path) -> Result<&'static str> {
    eprintln!("building the baseline's musl ...");
    let jobs = available_parallelism()?;
    let baseline = build_baseline(&Tools::default(), jobs, &|_| ()).map_err(|error| anyhow!("{error}"))?;
    let script = directory.join("clang-musl");
    // Before the machine's own libraries, of which -lm would find the wrong one.
    let libraries = baseline.root().join("lib");
    let text = format!(
        "#!/bin/sh\nlink='-L{} {}'\nfor argument; do\n    case $argument in -c | -E | -S | -M*) link= ;; esac\ndone\n\
         exec clang-22 {} -fno-pie -ffp-contract=off \"$@\" $link\n",
        libraries.display(),
        baseline.link_options().join(" "),
        baseline.compile_options().join(" ")
    );
    fs::write(&script, text)?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    let path = script.to_str().context("the directory's name is not UTF-8")?;
    Ok(String::leak(path.to_owned()))
}
