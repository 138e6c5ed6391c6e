//! How much larger code gets: sizes of functions in the object files of `maize cc -O3` and `clang-22 -O3`, for x86-64,
//! and of the linked files. Resume clones run only after a move; they are cold, in sections of their own.

use anyhow::{Context, Result};
use maize_benches::{Size, Source, clang_and_maize, directory, geometric_mean, workloads};
use maize_tests::Compiler;
use object::{Object, ObjectSection, ObjectSymbol, SectionKind, SymbolKind};
use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

/// Code of some object files, bytes.
#[derive(Default)]
struct Code {
    /// Functions as compiled.
    hot: u64,
    /// The same with the padding that gives them one size on all ISAs.
    padded: u64,
    /// Resume clones.
    cold: u64,
}

impl Code {
    fn add(&mut self, path: &Path) -> Result<()> {
        let bytes = fs::read(path)?;
        let file = object::File::parse(&*bytes).with_context(|| path.display().to_string())?;
        for section in file.sections().filter(|section| section.kind() == SectionKind::Text) {
            if !section.name()?.starts_with(".text.unlikely.") {
                self.padded += section.size();
            }
        }
        for symbol in file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.is_definition()) {
            let cold = symbol.name()?.ends_with(".resume");
            *(if cold { &mut self.cold } else { &mut self.hot }) += symbol.size();
        }
        Ok(())
    }

    fn of(objects: &[PathBuf]) -> Result<Code> {
        let mut code = Code::default();
        objects.iter().try_for_each(|path| code.add(path))?;
        Ok(code)
    }
}

fn main() -> Result<()> {
    let directory = directory("size")?;
    let mut builds = clang_and_maize()?;
    println!(
        "| program | hot, clang | hot, maize | ratio | padded | cold | file, clang | file, maize | of it x86_64, aarch64, riscv64 |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|");
    let mut ratios = Vec::new();
    let mut measured = HashSet::new();
    for workload in workloads(&directory, Size::Small, &[])? {
        // These leave no object files beside their programs.
        let source = workload.source;
        if matches!(source, Source::Sqlite | Source::Zstd | Source::PortableZstd | Source::Cxx("xml"))
            || !measured.insert(source)
        {
            continue;
        }
        let mut programs = Vec::new();
        let mut codes = Vec::new();
        for builds in &mut builds {
            let program = builds.program(source)?;
            codes.push(Code::of(&objects(source, builds.compiler, &program, &directory)?)?);
            programs.push(program);
        }
        let [clang, maize] = &codes[..] else { unreachable!("two builds") };
        let ratio = maize.hot as f64 / clang.hot as f64;
        ratios.push(ratio);
        println!(
            "| {} | {} | {} | {ratio:.3} | {} | {} | {} | {} | {} |",
            if matches!(source, Source::Lua | Source::Bzip2 | Source::Redis) {
                format!("{source:?}")
            } else {
                workload.name
            },
            clang.hot,
            maize.hot,
            maize.padded,
            maize.cold,
            fs::metadata(&programs[0])?.len(),
            fs::metadata(&programs[1])?.len(),
            bytes_of_isas(&programs[1])?
        );
    }
    println!("| **geometric mean** | | | **{:.3}** | | | | | |", geometric_mean(&ratios));
    Ok(())
}

/// The object file of one of our own programs, compiled for this; or those that lie beside a package's program.
fn objects(source: Source, compiler: Compiler, executable: &Path, directory: &Path) -> Result<Vec<PathBuf>> {
    if let Some(file) = source.file() {
        let object = directory.join(compiler.name()).with_extension("o");
        match source {
            Source::Cxx(_) => compiler.build_cxx(&[file], &["-std=c++20", "-O3", "-c"], &object)?,
            _ => compiler.build(&[file], &["-std=gnu11", "-O3", "-c"], &object)?,
        }
        return Ok(vec![object]);
    }
    let mut objects = Vec::new();
    for entry in executable.parent().context("no directory")?.read_dir()? {
        let path = entry?.path();
        if path.extension() == Some(OsStr::new("o")) {
            objects.push(path);
        }
    }
    Ok(objects)
}

/// What each ISA takes in the linked file, with its part of the libc.
fn bytes_of_isas(program: &Path) -> Result<String> {
    let output = std::process::Command::new(maize_tests::maize()).args(["inspect", "--json"]).arg(program).output()?;
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).context("the output of maize inspect")?;
    let isas = report["isas"].as_array().context("no ISAs")?;
    Ok(isas.iter().map(|isa| isa["file_bytes"].to_string()).collect::<Vec<_>>().join(", "))
}
