//! What Maize is compared with: clang for one ISA, with the same musl and the same libc++ built for it.

use crate::builds::builds_directory;
use anyhow::{Context, Result, anyhow, ensure};
use maize_abi::Isa;
use maize_driver::sysroot::{Baseline, Language, Tools, build_baseline};
use maize_tests::Compiler;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::thread::available_parallelism;

/// A script that behaves as clang for a static executable with the baseline's musl, for any build system, and one of that name with `++` for C++.
/// Not position-independent, as Maize's programs are not: clang's default would make the baseline slower.
///
/// # Errors
/// If the libraries cannot be built, or one of helper functions is missing.
pub fn clang_with_musl(isa: Isa) -> Result<Compiler> {
    eprintln!("building the baseline's libraries for {} ...", isa.name());
    let script = builds_directory()?.join(format!("clang-musl-{}", isa.name()));
    let path = script.to_str().context("the directory's name is not UTF-8")?;
    write_script(path, "clang-22", isa, &baseline(isa, Language::C)?)?;
    write_script(&format!("{path}++"), "clang++-22", isa, &baseline(isa, Language::Cxx)?)?;
    Ok(Compiler::Command(String::leak(path.to_owned())))
}

fn baseline(isa: Isa, language: Language) -> Result<Baseline> {
    build_baseline(&Tools::default(), language, isa, available_parallelism()?, &|_| ())
        .map_err(|error| anyhow!("{error}"))
}

fn write_script(path: &str, clang: &str, isa: Isa, baseline: &Baseline) -> Result<()> {
    let mut link = baseline.link_options();
    link.extend(helpers(isa)?.map(|library| library.display().to_string()));
    // Before the machine's own libraries, of which -lm would find the wrong one.
    let libraries = baseline.root().join("lib");
    let text = format!(
        "#!/bin/sh\n# {}\nlink='-L{} {}'\nfor argument; do\n    case $argument in -c | -E | -S | -M*) link= ;; esac\ndone\n\
         exec {clang} {} -fno-pie -ffp-contract=off \"$@\" $link\n",
        baseline.identity(),
        libraries.display(),
        link.join(" "),
        baseline.compile_options().join(" ")
    );
    // Another benchmark may be using it.
    let new = format!("{path}.new");
    fs::write(&new, text)?;
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755))?;
    fs::rename(&new, path).with_context(|| path.to_owned())
}

/// The functions for `long double`, which is 128 bits wide on the other ISAs, and which the libc uses.
fn helpers(isa: Isa) -> Result<Option<PathBuf>> {
    if isa == Isa::X86_64 {
        return Ok(None);
    }
    let path = PathBuf::from(format!("/usr/lib/gcc-cross/{}-linux-gnu/12/libgcc.a", isa.name()));
    ensure!(path.exists(), "{}: not there; run scripts/setup --benches", path.display());
    Ok(Some(path))
}
