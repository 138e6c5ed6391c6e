//! Other ways to run one program on machines of several ISAs, against Maize, on x86-64: WebAssembly in Wasmtime, compiled ahead of time, and
//! the x86-64 program of `clang-22 -O3` in qemu's emulator of programs.
//!
//! `peers [ROUNDS [NAME ...]]`: so many pairs of runs (5) of the programs whose names contain one of these. Wasmtime runs
//! those that compile for WASI as they are: the C files of our own. The emulator is given small inputs, since it takes minutes for large ones.
//! Wasmtime and a compiler with a libc for it (Zig's) are fetched from PyPI.

use anyhow::{Context, Result, ensure};
use maize_benches::{
    Ratio, Size, Source, Workload, builds_directory, clang_and_maize, cpu_time, directory, geometric_mean, paired,
    rounds_and_names, workloads,
};
use maize_tests::{Checked, Run};
use std::path::{Path, PathBuf};
use std::process::Command;

/// From PyPI. Zig's is the one whose libc++ Maize uses.
const PACKAGES: [&str; 2] = ["wasmtime==50.0.1", "ziglang==0.17.1"];
const QEMU: &str = "/usr/bin/qemu-x86_64-static";

fn main() -> Result<()> {
    let (rounds, wanted) = rounds_and_names(5)?;
    let directory = directory("peers")?;
    let python = install()?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/wasm.py");
    let [mut clang, mut maize] = clang_and_maize()?;
    let full = workloads(&directory, Size::Full, &wanted)?;
    let small = workloads(&directory.join("small"), Size::Small, &wanted)?;
    let (mut wasm_ratios, mut qemu_ratios) = (Vec::new(), Vec::new());
    println!(
        "| program | maize, s | Wasmtime, s | ratio | quartiles | maize, s | qemu-x86_64, s | ratio | quartiles |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|");
    for (full, small) in full.iter().zip(&small) {
        let program = maize.program(full.source)?;
        let mut wasm_cells = String::from("| | | ");
        if let Some(file) = portable_file(full.source) {
            let module = compile(&python, &file, &directory)?;
            let expected = full.result(&cpu_time(full.run(&program))?.1);
            let by_wasmtime = || {
                let outcome = full.run_by(&python, &[script.to_string_lossy()], &module).run()?.succeeded()?;
                same(full, &outcome.stdout, &expected)?;
                let last = outcome.stderr.lines().last().context("no time")?;
                last.trim().parse::<f64>().with_context(|| last.to_owned())
            };
            let ratio = paired(rounds, || timed(full, full.run(&program), &expected), by_wasmtime)?;
            wasm_cells = cells(&ratio);
            wasm_ratios.push(ratio.median);
        }
        let native = clang.program(small.source)?;
        let expected = small.result(&cpu_time(small.run(&program))?.1);
        let by_qemu = || timed(small, small.run_by::<&str>(Path::new(QEMU), &[], &native), &expected);
        let ratio = paired(rounds, || timed(small, small.run(&program), &expected), by_qemu)?;
        println!("| {} | {wasm_cells} | {} |", full.name, cells(&ratio));
        qemu_ratios.push(ratio.median);
    }
    let (wasm, qemu) = (geometric_mean(&wasm_ratios), geometric_mean(&qemu_ratios));
    println!("| **geometric mean** | | | **{wasm:.2}** | | | | **{qemu:.2}** | |");
    Ok(())
}

/// A run's processor time, seconds.
fn timed(workload: &Workload, run: Run, expected: &str) -> Result<f64> {
    let (time, output) = cpu_time(run)?;
    same(workload, &output, expected).map(|()| time)
}

fn same(workload: &Workload, output: &[u8], expected: &str) -> Result<()> {
    ensure!(workload.result(output) == expected, "{}: prints something else", workload.name);
    Ok(())
}

fn cells(ratio: &Ratio) -> String {
    let Ratio { base, other, median, quartiles } = ratio;
    format!("{base:.3} | {other:.3} | {median:.2} | {:.2}-{:.2}", quartiles.0, quartiles.1)
}

/// The programs that are one file and need of an operating system no more than WASI has. It has no processes, sockets or signals (Redis,
/// bzip2, zstd, SQLite's shell), and its `setjmp` (Lua) and exceptions (C++) need extensions that not all engines have.
fn portable_file(source: Source) -> Option<PathBuf> {
    match source {
        Source::Kernel(_) | Source::Npb(_) => source.file(),
        _ => None,
    }
}

/// A Python with the packages, kept for the next time.
fn install() -> Result<PathBuf> {
    let environment = builds_directory()?.join(PACKAGES.join("-").replace("==", "-"));
    let (python, complete) = (environment.join("bin/python3"), environment.join(".complete"));
    if !complete.exists() {
        eprintln!("fetching Wasmtime and Zig ...");
        run(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
        let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        run(Command::new(&python).args(install).args(PACKAGES))?;
        std::fs::write(complete, "")?;
    }
    Ok(python)
}

/// Compiles a C file to WebAssembly.
fn compile(python: &Path, file: &Path, directory: &Path) -> Result<PathBuf> {
    let name = file.file_stem().context("no name")?;
    let module = directory.join(name).with_extension("wasm");
    let mut compiler = Command::new(python);
    compiler.args(["-m", "ziglang", "cc", "-target", "wasm32-wasi", "-std=gnu11", "-O3", "-ffp-contract=off"]);
    run(compiler.arg("-o").arg(&module).arg(file).arg("-lm"))?;
    Ok(module)
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("running {command:?}"))?;
    ensure!(status.success(), "{command:?}: {status}; run scripts/setup --benches");
    Ok(())
}
