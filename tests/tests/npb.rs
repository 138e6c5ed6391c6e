//! The eight kernels in benches/programs/npb: numerical programs whose loops, nested three deep over arrays, are most of their
//! lives. They verify their own results, and everywhere print the same digits.

use anyhow::{Result, ensure};
use maize_tests::{Checked, Compiler, ISAS, Outcome, Placement, Run, benchmark_source, fresh_directory};
use std::path::PathBuf;
use std::sync::LazyLock;

/// A kernel, a class of problem that is large enough for some moves, and how long it stays on an ISA when it hops.
const KERNELS: [(&str, &str, &str); 8] = [
    ("ep", "S", "60ms"),
    ("is", "W", "12ms"),
    ("cg", "S", "6ms"),
    ("mg", "S", "1ms"),
    ("ft", "S", "12ms"),
    ("lu", "S", "8ms"),
    ("sp", "S", "12ms"),
    ("bt", "S", "8ms"),
];

struct Kernel {
    program: PathBuf,
    class: &'static str,
    every: &'static str,
    /// What the native build prints.
    expected: Vec<u8>,
}

static BUILT: LazyLock<Result<Vec<Kernel>, String>> = LazyLock::new(|| build().map_err(|error| format!("{error:#}")));

fn build() -> Result<Vec<Kernel>> {
    let directory = fresh_directory(env!("CARGO_TARGET_TMPDIR"), "npb")?;
    let options = ["-std=gnu11", "-O2", "-ffp-contract=off"];
    let mut kernels = Vec::new();
    for (name, class, every) in KERNELS {
        let source = [benchmark_source(&format!("npb/{name}.c"))];
        let [native, program] = ["native", "maize"].map(|kind| directory.join(format!("{name}-{kind}")));
        Compiler::Clang.build(&source, &options, &native)?;
        Compiler::Maize.build(&source, &options, &program)?;
        let expected = Run::new(native).arguments([class]).run()?.succeeded()?.stdout;
        kernels.push(Kernel { program, class, every, expected });
    }
    Ok(kernels)
}

fn kernels() -> Result<&'static [Kernel]> {
    BUILT.as_deref().map_err(|error| anyhow::anyhow!("{error}"))
}

impl Kernel {
    fn run(&self, placement: Placement) -> Result<Outcome> {
        let outcome = Run::new(&self.program).arguments([self.class]).placed(placement).run()?;
        outcome.printed(&self.expected)?.succeeded()
    }
}

#[test]
fn results_are_as_published_on_each_isa() -> Result<()> {
    for kernel in kernels()? {
        kernel.run(Placement::Directly)?;
        ISAS.iter().try_for_each(|isa| kernel.run(Placement::On(isa)).map(drop))?;
    }
    Ok(())
}

#[test]
fn results_are_as_published_hopping() -> Result<()> {
    let mut moves = 0;
    for (kernel, seed) in kernels()?.iter().zip(1..) {
        // Natively some are over before the first move.
        let isas = vec!["aarch64", "riscv64", "x86_64"];
        let placement = Placement::Hopping { isas, every: kernel.every, seed: Some(seed) };
        let report = kernel.run(placement)?.moved(1)?;
        moves += report.migrations.len();
    }
    ensure!(moves >= 16, "only {moves} moves of 8 kernels");
    Ok(())
}
