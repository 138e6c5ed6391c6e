//! The baseline's C++ library: libc++ and libc++abi from the sources and with the configuration of Maize's ([`super::super::cxx`]), and
//! LLVM's libunwind, in whose place Maize has its runtime.

use super::super::error::SysrootError;
use super::super::{ProgressFn, Tools, Unit, archive, command, cxx, parallel};
use super::{scratch, target};
use maize_abi::Isa;
use std::ffi::OsString;
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The archives, which a program is linked with.
pub const ARCHIVES: [&str; 2] = [cxx::ARCHIVE, "libunwind.a"];
/// Where the headers are.
pub const INCLUDE: &str = cxx::INCLUDE;

/// libunwind's sources for ELF, without those for other ways to unwind.
const UNWINDER: [&str; 5] =
    ["libunwind.cpp", "UnwindLevel1.c", "UnwindLevel1-gcc-ext.c", "UnwindRegistersRestore.S", "UnwindRegistersSave.S"];

/// Builds the archives and installs the headers below `root`, where musl is already.
///
/// # Errors
/// A download or a compilation that fails.
pub fn build(
    root: &Path,
    tools: &Tools,
    isa: Isa,
    jobs: NonZeroUsize,
    progress: &ProgressFn<'_>,
) -> Result<(), SysrootError> {
    let work = scratch(root)?;
    let libc = root.join("include");
    let library = cxx::prepare(work.path(), &libc)?;
    let unwinder = unwinder(work.path(), &libc);
    for (name, units) in ARCHIVES.into_iter().zip([&library.units, &unwinder]) {
        parallel::for_each(units, jobs, progress, |unit| compile(unit, tools, isa))?;
        let objects: Vec<&Path> = units.iter().map(|unit| unit.output.as_path()).collect();
        let (built, archive) = (work.path().join(name), root.join("lib").join(name));
        archive::create(&tools.archiver, &built, &objects, work.path())?;
        fs::rename(&built, &archive).map_err(SysrootError::write(&archive))?;
    }
    let include = root.join(INCLUDE);
    if include.exists() {
        fs::remove_dir_all(&include).map_err(SysrootError::write(&include))?;
    }
    let parent = include.parent().unwrap_or(root);
    fs::create_dir_all(parent).map_err(SysrootError::write(parent))?;
    fs::rename(&library.include, &include).map_err(SysrootError::write(&include))
}

fn unwinder(work: &Path, libc: &Path) -> Vec<Unit> {
    let directory = work.join(cxx::DIRECTORY).join("libunwind");
    let mut flags: Vec<OsString> =
        ["-w", "-DNDEBUG", "-D_LIBUNWIND_IS_NATIVE_ONLY", "-funwind-tables"].map(OsString::from).to_vec();
    for include in [&directory.join("include"), &directory.join("src"), libc] {
        flags.extend(["-I".into(), include.as_os_str().to_owned()]);
    }
    let unit = |name: &str| {
        let own: &[&str] = if name.ends_with(".cpp") { &["-std=c++17", "-fno-exceptions", "-fno-rtti"] } else { &[] };
        Unit {
            name: format!("libunwind/{name}"),
            source: directory.join("src").join(name),
            output: work.join("objects/libunwind").join(name).with_extension("o"),
            flags: flags.iter().cloned().chain(own.iter().map(OsString::from)).collect(),
            instrument: false,
        }
    };
    UNWINDER.map(unit).to_vec()
}

/// Compiles a unit with clang, for one ISA.
fn compile(unit: &Unit, tools: &Tools, isa: Isa) -> Result<(), SysrootError> {
    let directory: PathBuf = unit.output.parent().unwrap_or(Path::new(".")).to_owned();
    fs::create_dir_all(&directory).map_err(SysrootError::write(&directory))?;
    let mut clang = Command::new(&tools.clang);
    clang.arg(format!("--target={}", target(isa))).args(&unit.flags);
    // The last of several levels counts. The compiler's own headers come after musl's.
    clang
        .args(["-O3", "-nostdlibinc", "-fno-pie", "-ffp-contract=off", "-c", "-o"])
        .arg(&unit.output)
        .arg(&unit.source);
    command::run(&mut clang, "clang-22").map(drop)
}
