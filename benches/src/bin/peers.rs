//! Other ways to run one program on machines of several ISAs, against Maize, on x86-64: WebAssembly in Wasmtime, compiled ahead of time, and
//! the x86-64 program of `clang-22 -O3` in qemu's emulator of programs.
//!
//! `peers [ROUNDS [NAME ...]]`: so many pairs of runs (5) of the C files among the programs whose names contain one of these.
//! Wasmtime and a compiler with a libc for it (Zig's) are fetched from PyPI.

use anyhow::{Context, Result, ensure};
use maize_benches::{
    Ratio, Size, Source, clang_and_maize, cpu_time, directory, geometric_mean, paired, rounds_and_names, workloads,
};
use maize_tests::{Checked, benchmark_source};
use std::path::{Path, PathBuf};
use std::process::Command;

/// From PyPI. Zig's is the one whose libc++ Maize uses.
const PACKAGES: [&str; 2] = ["wasmtime==50.0.1", "ziglang==0.17.1"];
const QEMU: &str = "/usr/bin/qemu-x86_64-static";

fn main() -> Result<()> {
    let (rounds, wanted) = rounds_and_names(5)?;
    let directory = directory("peers")?;
    let python = install(&directory)?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/wasm.py");
    let [mut clang, mut maize] = clang_and_maize(&directory)?;
    let (mut wasm_ratios, mut qemu_ratios) = (Vec::new(), Vec::new());
    println!("| program | maize, s | Wasmtime, s | ratio | quartiles | qemu-x86_64, s | ratio | quartiles |");
    println!("|---|---:|---:|---:|---:|---:|---:|---:|");
    for workload in workloads(&directory, Size::Full, &wanted)? {
        let Some(file) = c_file(workload.source) else { continue };
        let program = maize.program(workload.source)?;
        let native = clang.program(workload.source)?;
        let module = compile(&python, &file, &directory)?;
        let expected = cpu_time(workload.run(&program))?.1;
        let same = |output: &[u8]| {
            ensure!(output == expected, "{}: prints something else", workload.name);
            Ok(())
        };
        let by_maize = || {
            let (time, output) = cpu_time(workload.run(&program))?;
            same(&output).map(|()| time)
        };
        let by_wasmtime = || {
            let run = workload.run_by(&python, &[script.to_string_lossy()], &module);
            let outcome = run.run()?.succeeded()?;
            same(&outcome.stdout)?;
            let last = outcome.stderr.lines().last().context("no time")?;
            last.trim().parse::<f64>().with_context(|| last.to_owned())
        };
        let by_qemu = || {
            let (time, output) = cpu_time(workload.run_by::<&str>(Path::new(QEMU), &[], &native))?;
            same(&output).map(|()| time)
        };
        let wasm = paired(rounds, by_maize, by_wasmtime)?;
        let qemu = paired(rounds, by_maize, by_qemu)?;
        println!("| {} | {:.3} | {} | {} |", workload.name, wasm.base, cells(&wasm), cells(&qemu));
        wasm_ratios.push(wasm.median);
        qemu_ratios.push(qemu.median);
    }
    let (wasm, qemu) = (geometric_mean(&wasm_ratios), geometric_mean(&qemu_ratios));
    println!("| **geometric mean** | | | **{wasm:.2}** | | | **{qemu:.2}** | |");
    Ok(())
}

fn cells(ratio: &Ratio) -> String {
    format!("{:.3} | {:.2} | {:.2}-{:.2}", ratio.other, ratio.median, ratio.quartiles.0, ratio.quartiles.1)
}

/// The programs that are one file and need nothing of an operating system.
fn c_file(source: Source) -> Option<PathBuf> {
    match source {
        Source::Kernel(name) => Some(benchmark_source(&format!("{name}.c"))),
        Source::Npb(name) => Some(benchmark_source(&format!("npb/{name}.c"))),
        _ => None,
    }
}

/// A Python with the packages.
fn install(directory: &Path) -> Result<PathBuf> {
    eprintln!("fetching Wasmtime and Zig ...");
    let environment = directory.join("python");
    run(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
    let python = environment.join("bin/python3");
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(PACKAGES))?;
    Ok(python)
}

/// Compiles a C file to WebAssembly.
fn compile(python: &Path, file: &Path, directory: &Path) -> Result<PathBuf> {
    let name = file.file_stem().context("no name")?;
    let module = directory.join(name).with_extension("wasm");
    let mut compiler = Command::new(python);
    compiler.args(["-m", "ziglang", "cc", "-target", "wasm32-wasi", "-std=gnu11", "-O3", "-ffp-contract=off", "-o"]);
    run(compiler.arg(&module).arg(file).arg("-lm"))?;
    Ok(module)
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("running {command:?}"))?;
    ensure!(status.success(), "{command:?}: {status}; run scripts/setup --benches");
    Ok(())
}
