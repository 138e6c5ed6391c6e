//! What Maize is compared with: clang for one ISA, with the same musl built for it.

use anyhow::{Context, Result, anyhow, ensure};
use maize_abi::Isa;
use maize_driver::sysroot::{Tools, build_baseline};
use maize_tests::Compiler;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

/// A script that behaves as clang for a static executable with the baseline's musl, for any build system. Not
/// position-independent, as Maize's programs are not: clang's default would make the baseline slower.
///
/// # Errors
/// If musl cannot be built, or a library of helper functions is missing.
pub fn clang_with_musl(isa: Isa, directory: &Path) -> Result<Compiler> {
    eprintln!("building the baseline's musl for {} ...", isa.name());
    let jobs = available_parallelism()?;
    let baseline = build_baseline(&Tools::default(), isa, jobs, &|_| ()).map_err(|error| anyhow!("{error}"))?;
    let script = directory.join(format!("clang-musl-{}", isa.name()));
    let mut link = baseline.link_options();
    link.extend(helpers(isa)?.map(|library| library.display().to_string()));
    // Before the machine's own libraries, of which -lm would find the wrong one.
    let libraries = baseline.root().join("lib");
    let text = format!(
        "#!/bin/sh\nlink='-L{} {}'\nfor argument; do\n    case $argument in -c | -E | -S | -M*) link= ;; esac\ndone\n\
         exec clang-22 {} -fno-pie -ffp-contract=off \"$@\" $link\n",
        libraries.display(),
        link.join(" "),
        baseline.compile_options().join(" ")
    );
    fs::create_dir_all(directory)?;
    fs::write(&script, text)?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    let path = script.to_str().context("the directory's name is not UTF-8")?;
    Ok(Compiler::Command(String::leak(path.to_owned())))
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
