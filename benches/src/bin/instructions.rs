//! How many instructions programs execute, `maize cc -O3` against `clang-22 -O3` for the same ISA with the same musl. Counted under qemu-user, so
//! that neither the machine nor what else it does matters.
//!
//! `instructions [ISA[,ISA ...] [NAME ...]]`: on these ISAs (all three), of the programs whose names contain one of these. After the table come, for
//! each program that executes more than 1.05 times as many, the functions that do.

use anyhow::{Context, Result, ensure};
use maize_abi::Isa;
use maize_benches::{Builds, Count, Counter, Size, Workload, clang_with_musl, directory, geometric_mean, workloads};
use maize_image::Image;
use maize_tests::Compiler;
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::{env, fs};

/// From here on a program is looked at more closely.
const NOTABLE: f64 = 1.05;
/// So many of its functions are named.
const FUNCTIONS: usize = 8;

fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let isas = match arguments.next() {
        Some(names) => names.split(',').map(isa).collect::<Result<Vec<_>>>()?,
        None => Isa::ALL.to_vec(),
    };
    let wanted: Vec<String> = arguments.collect();
    let directory = directory("instructions")?;
    let counter = Counter::new(&directory)?;
    let mut clang = Vec::new();
    for &isa in &isas {
        clang.push(Builds::new(clang_with_musl(isa)?)?);
    }
    let mut maize = Builds::new(Compiler::Maize)?;
    let mut ratios = vec![Vec::new(); isas.len()];
    let mut notable = Vec::new();
    let names: Vec<_> = isas.iter().map(|isa| isa.name()).collect();
    println!("| program | {} |\n|---|{}", names.join(" | "), "---:|".repeat(isas.len()));
    for workload in workloads(&directory, Size::Small, &wanted)? {
        let program = maize.program(workload.source)?;
        let mut cells = Vec::new();
        for (index, &isa) in isas.iter().enumerate() {
            let baseline = clang[index].program(workload.source)?;
            let [base, other] = counts(&counter, isa, &workload, &baseline, &program, &directory)?;
            let ratio = other.instructions as f64 / base.instructions as f64;
            ratios[index].push(ratio);
            cells.push(format!("{ratio:.3}"));
            if ratio > NOTABLE {
                notable.push(format!("{} on {}:\n{}", workload.name, isa.name(), differences(&base, &other)));
            }
        }
        println!("| {} | {} |", workload.name, cells.join(" | "));
    }
    let means: Vec<_> = ratios.iter().map(|ratios| format!("**{:.3}**", geometric_mean(ratios))).collect();
    println!("| **geometric mean** | {} |", means.join(" | "));
    for lines in notable {
        println!("\n{lines}");
    }
    Ok(())
}

fn isa(name: &str) -> Result<Isa> {
    Isa::from_name(name).with_context(|| format!("{name}: no ISA; give x86_64, aarch64, riscv64, separated by commas"))
}

/// Of the two builds.
fn counts(
    counter: &Counter,
    isa: Isa,
    workload: &Workload,
    clang: &Path,
    maize: &Path,
    directory: &Path,
) -> Result<[Count; 2]> {
    let standalone = directory.join("standalone");
    fs::write(&standalone, Image::open(maize)?.standalone(isa)?)?;
    // The emulator asks for it.
    fs::set_permissions(&standalone, fs::Permissions::from_mode(0o755))?;
    let base = counter.count(isa, workload, clang)?;
    let other = counter.count(isa, workload, &standalone)?;
    let same = workload.result(&base.output) == workload.result(&other.output);
    ensure!(same, "{} on {}: the two builds print different things", workload.name, isa.name());
    Ok([base, other])
}

/// The functions that make the greatest differences.
fn differences(base: &Count, other: &Count) -> String {
    let names: BTreeSet<&String> = base.functions.keys().chain(other.functions.keys()).collect();
    let count = |count: &Count, name: &String| count.functions.get(name).copied().unwrap_or(0);
    let mut rows: Vec<_> = names.into_iter().map(|name| (count(base, name), count(other, name), name)).collect();
    rows.sort_by_key(|&(base, other, _)| base as i64 - other as i64);
    rows.truncate(FUNCTIONS);
    let lines = rows.iter().map(|(base, other, name)| format!("  {name}: {base} -> {other}"));
    lines.collect::<Vec<_>>().join("\n")
}
