//! The whole libc, compiled as the driver compiles it. These tests take minutes: `cargo test -- --ignored`.

use maize_abi::Isa;
use maize_driver::sysroot::{self, Tools, Unit};
use maize_passes::{CompileOptions, compile_module};
use std::collections::BTreeSet;
use std::error::Error;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::{fs, thread};

/// The portable ABI's options.
const PORTABLE: &[&str] = &[
    "--target=x86_64-linux-musl",
    "-nostdinc",
    "-ffp-contract=off",
    "-mlong-double-64",
    "-fno-strict-float-cast-overflow",
    "-fno-pic",
    "-fno-stack-protector",
    "-U__x86_64__",
    "-U__x86_64",
    "-U__amd64__",
    "-U__amd64",
    "-U__SSE__",
    "-U__SSE2__",
    "-U__MMX__",
    "-D__maize__",
];

type AnyError = Box<dyn Error + Send + Sync>;

fn to_bitcode(unit: &Unit) -> Result<Vec<u8>, AnyError> {
    let output = unit.output.with_extension("bc");
    if let Some(directory) = output.parent() {
        fs::create_dir_all(directory)?;
    }
    let result = Command::new(Tools::default().clang)
        .args(PORTABLE)
        .args(&unit.flags)
        .args(["-c", "-emit-llvm", "-o"])
        .arg(&output)
        .arg(&unit.source)
        .output()?;
    if !result.status.success() {
        return Err(String::from_utf8_lossy(&result.stderr).into());
    }
    Ok(fs::read(&output)?)
}

/// Runs `work` on all units and returns what failed.
fn on_all(units: &[Unit], work: impl Fn(&Unit) -> Result<(), AnyError> + Sync) -> Vec<String> {
    let (queue, failures) = (Mutex::new(units.iter()), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let Some(unit) = queue.lock().unwrap().next() else { return };
                    if let Err(error) = work(unit) {
                        failures.lock().unwrap().push(format!("{}: {error}", unit.name));
                    }
                }
            });
        }
    });
    failures.into_inner().unwrap()
}

fn is_c(unit: &Unit) -> bool {
    unit.source.extension().is_some_and(|extension| extension == "c")
}

#[test]
#[ignore = "compiles the whole libc for every ISA"]
fn every_unit_of_the_libc_becomes_code_for_every_isa() {
    let work = tempfile::tempdir().unwrap();
    let units = sysroot::libc_units(work.path(), &Tools::default()).unwrap();
    assert!(units.len() > 1300, "only {} units", units.len());
    let known = sysroot::non_migrating_functions().map(String::from).collect();
    let options = CompileOptions {
        optimization_level: 3,
        unit_name: String::new(),
        isas: Isa::ALL.to_vec(),
        instrument: true,
        non_migrating: known,
        fault: None,
    };
    let failures = on_all(&units, |unit| {
        if is_c(unit) {
            let bitcode = to_bitcode(unit)?;
            let options =
                CompileOptions { unit_name: unit.name.clone(), instrument: unit.instrument, ..options.clone() };
            compile_module(&bitcode, &options)?;
        }
        Ok(())
    });
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
#[ignore = "compiles the whole libc to bitcode"]
fn the_list_of_non_migrating_functions_is_what_the_libc_says() {
    let work = tempfile::tempdir().unwrap();
    let units: Vec<Unit> =
        sysroot::libc_units(work.path(), &Tools::default()).unwrap().into_iter().filter(is_c).collect();
    let failures = on_all(&units, |unit| to_bitcode(unit).map(drop));
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    let files: Vec<PathBuf> = units.iter().map(|unit| unit.output.with_extension("bc")).collect();
    let computed = sysroot::compute_non_migrating(&files).unwrap();
    let listed: BTreeSet<String> = sysroot::non_migrating_functions().map(String::from).collect();
    if let Some(path) = std::env::var_os("MAIZE_WRITE_NON_MIGRATING") {
        fs::write(path, computed.iter().map(|name| format!("{name}\n")).collect::<String>()).unwrap();
        return;
    }
    let wrong: Vec<_> = listed.difference(&computed).collect();
    let missing: Vec<_> = computed.difference(&listed).collect();
    assert!(wrong.is_empty() && missing.is_empty(), "may migrate but listed: {wrong:?}\nnot listed: {missing:?}");
}
