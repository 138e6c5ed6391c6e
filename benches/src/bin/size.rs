//! How much larger code gets: sizes of functions in the object files of `maize cc -O3` and `clang-22 -O3`, for x86-64,
//! and of the linked files. Resume clones run only after a move; they are cold, in sections of their own.

use anyhow::{Context, Result};
use maize_benches::{Builds, geometric_mean};
use maize_tests::{Compiler, benchmark_source};
use object::{Object, ObjectSection, ObjectSymbol, SectionKind, SymbolKind};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::{env, fs};

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
    let builds = Builds::new(&env::temp_dir())?;
    println!(
        "| program | hot, clang | hot, maize | ratio | padded | cold | file, clang | file, maize | of it x86_64, aarch64, riscv64 |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|");
    let mut ratios = Vec::new();
    let mut last = PathBuf::new();
    for program in &builds.programs {
        if program.maize == last {
            continue;
        }
        last.clone_from(&program.maize);
        let [clang, maize] = [(Compiler::Command(builds.clang), &program.clang), (Compiler::Maize, &program.maize)]
            .map(|(compiler, executable)| Code::of(&objects(&program.name, compiler, executable)?));
        let (clang, maize) = (clang?, maize?);
        let ratio = maize.hot as f64 / clang.hot as f64;
        ratios.push(ratio);
        println!(
            "| {} | {} | {} | {ratio:.3} | {} | {} | {} | {} | {} |",
            program.name.split(' ').next().unwrap_or_default(),
            clang.hot,
            maize.hot,
            maize.padded,
            maize.cold,
            fs::metadata(&program.clang)?.len(),
            fs::metadata(&program.maize)?.len(),
            bytes_of_isas(&program.maize)?
        );
    }
    println!("| **geometric mean** | | | **{:.3}** | | | | | |", geometric_mean(&ratios));
    Ok(())
}

/// A kernel's object file, compiled for this; or those that lie beside a package's program.
fn objects(name: &str, compiler: Compiler, executable: &Path) -> Result<Vec<PathBuf>> {
    let source = benchmark_source(&format!("{name}.c"));
    if source.exists() {
        let object = executable.with_extension("o");
        compiler.build(&[source], &["-O3", "-c"], &object)?;
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
