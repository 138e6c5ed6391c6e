//! `libmaize_builtins.a`: the functions that code generators call for operations an ISA lacks, such as
//! 128-bit division, conversions of 128-bit integers, complex division, quadruple and half precision. Compiled once into the portable ABI
//! from LLVM's compiler-rt, so that they compute the same on every ISA; none reaches a migration point.

use super::error::SysrootError;
use super::{Build, Unit, embedded, source};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

/// The archive's name.
pub const ARCHIVE: &str = "libmaize_builtins.a";
/// Where the C files are in the source archive.
const DIRECTORY: &str = "pythondata_software_compiler_rt/data/lib/builtins";

/// Files that are not for this target: other systems' interfaces, things that exist on one ISA only.
const LEFT_OUT: &[&str] = &[
    "apple_versioning",
    "atomic_flag_clear",
    "atomic_flag_clear_explicit",
    "atomic_flag_test_and_set",
    "atomic_flag_test_and_set_explicit",
    "atomic_signal_fence",
    "atomic_thread_fence",
    "clear_cache",
    "emutls",
    "enable_execute_stack",
    "eprintf",
    "gcc_personality_v0",
    "os_version_check",
    "trampoline_setup",
];

pub(super) fn build(build: &Build<'_>) -> Result<(), SysrootError> {
    let units = prepare(build.work, &build.sysroot.include_directory())?;
    build.compile_archive(ARCHIVE, &units)
}

/// Unpacks the sources below `work` and lists the units. `include` holds the libc's headers.
///
/// # Errors
/// A download that fails, or a file that cannot be written.
pub fn prepare(work: &Path, include: &Path) -> Result<Vec<Unit>, SysrootError> {
    source::COMPILER_RT.unpack(work)?;
    let compiler_rt = work.join(DIRECTORY);
    let own = work.join("own");
    embedded::unpack("libc/builtins/", &own)?;
    let mut units = BTreeMap::new();
    // Files of ours replace those of the same name.
    for directory in [&compiler_rt, &own] {
        for entry in fs::read_dir(directory).map_err(SysrootError::read(directory))? {
            let path = entry.map_err(SysrootError::read(directory))?.path();
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let is_c = path.extension().is_some_and(|extension| extension == "c");
            if is_c && !LEFT_OUT.contains(&name.as_str()) && !is_extended_precision(&name) {
                units.insert(name.clone(), unit(work, &compiler_rt, include, &path, &name));
            }
        }
    }
    Ok(units.into_values().collect())
}

/// x87's 80-bit format is in the names as `x`.
fn is_extended_precision(name: &str) -> bool {
    name.contains("xf") || name.contains("xc")
}

/// Quadruple precision is in the names as `t`; compiler-rt calls it `long double`.
fn is_quadruple_precision(name: &str) -> bool {
    name.contains("tf") || name.contains("tc")
}

fn unit(work: &Path, compiler_rt: &Path, include: &Path, source: &Path, name: &str) -> Unit {
    let mut flags: Vec<OsString> =
        ["-std=gnu11", "-ffreestanding", "-fno-builtin", "-O3", "-w"].map(OsString::from).to_vec();
    if is_quadruple_precision(name) {
        flags.push("-mlong-double-128".into());
    }
    for directory in [compiler_rt, include] {
        flags.extend(["-I".into(), directory.as_os_str().to_owned()]);
    }
    Unit {
        name: format!("builtins/{name}.c"),
        source: source.to_owned(),
        output: work.join("builtins").join(format!("{name}.o")),
        flags,
        instrument: false,
    }
}
