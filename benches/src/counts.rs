//! Counts of executed instructions, by a plugin for qemu's emulator of programs. They are the same in every run and on every machine, however busy.

use anyhow::{Context, Result, ensure};
use maize_abi::Isa;
use maize_tests::Checked;
use object::{Object, ObjectSymbol, SymbolKind};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Workload;

/// The emulators, and the plugin.
#[derive(Debug)]
pub struct Counter {
    directory: PathBuf,
    plugin: PathBuf,
}

/// Instructions of a run.
#[derive(Debug)]
pub struct Count {
    /// All.
    pub instructions: u64,
    /// Those of each function.
    pub functions: BTreeMap<String, u64>,
    /// What the program printed.
    pub output: Vec<u8>,
}

impl Counter {
    /// Builds the plugin in `directory`.
    ///
    /// # Errors
    /// What the compiler printed.
    pub fn new(directory: &Path) -> Result<Counter> {
        fs::create_dir_all(directory)?;
        let plugin = directory.join("instructions.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("plugin/instructions.c");
        let mut compiler = Command::new("clang-22");
        compiler.args(["-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o"]).arg(&plugin).arg(&source);
        ensure!(compiler.status().context("running clang-22")?.success(), "{}: clang-22 failed", source.display());
        Ok(Counter { directory: directory.to_owned(), plugin })
    }

    /// Runs an ordinary static executable of any ISA.
    ///
    /// # Errors
    /// If it fails, or the emulator is not one with plugins.
    pub fn count(&self, isa: Isa, workload: &Workload, program: &Path) -> Result<Count> {
        let blocks = self.directory.join("blocks");
        let emulator = PathBuf::from(format!("/usr/bin/qemu-{}", isa.name()));
        ensure!(emulator.exists(), "{}: not there; run scripts/setup --benches", emulator.display());
        let plugin = format!("file={},output={}", self.plugin.display(), blocks.display());
        let run =
            workload.run_by(&emulator, &["-plugin", &plugin], program).timeout(std::time::Duration::from_secs(3000));
        let output = run.run()?.succeeded()?.stdout;
        let symbols = symbols(program)?;
        let mut functions = BTreeMap::new();
        for line in fs::read_to_string(&blocks).context("what the plugin wrote")?.lines() {
            let (address, instructions) = line.split_once(' ').context("a line of the plugin's")?;
            let address = u64::from_str_radix(address, 16)?;
            let name = symbols.range(..=address).next_back().map_or("?", |(_, name)| name.as_str());
            *functions.entry(name.to_owned()).or_insert(0) += instructions.parse::<u64>()?;
        }
        Ok(Count { instructions: functions.values().sum(), functions, output })
    }
}

/// Functions by address, under the names that the source has.
fn symbols(program: &Path) -> Result<BTreeMap<u64, String>> {
    let bytes = fs::read(program)?;
    let file = object::File::parse(&*bytes).with_context(|| program.display().to_string())?;
    let mut symbols = BTreeMap::new();
    for symbol in file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.is_definition()) {
        let name = symbol.name()?;
        symbols.insert(symbol.address(), name.split('.').next().unwrap_or(name).to_owned());
    }
    Ok(symbols)
}
