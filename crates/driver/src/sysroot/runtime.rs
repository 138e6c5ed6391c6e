//! `libmaize_runtime.a`: the runtime, compiled by cargo to one bitcode module and by the driver to every ISA
//! like the program itself, plus one assembly file per ISA.

use super::error::SysrootError;
use super::{Build, Unit, command, embedded};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The archive's name.
pub const ARCHIVE: &str = maize_abi::symbols::RUNTIME_ARCHIVE;
/// Name of the crate's library, as cargo writes it.
const LIBRARY: &str = "maize_runtime";

/// Variables of a surrounding cargo, or of the user, that would change how the runtime is compiled.
const FOREIGN_VARIABLES: &[&str] = &[
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_TARGET_DIR",
    "RUSTC",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
];

pub(super) fn build(build: &Build<'_>) -> Result<(), SysrootError> {
    let workspace = build.work.join("workspace");
    unpack_workspace(&workspace)?;
    let crate_directory = workspace.join("crates/runtime");
    let bitcode = compile_to_bitcode(&build.options.tools.cargo, &crate_directory)?;
    let mut units = vec![unit(build, "runtime", bitcode)];
    units.push(unit(build, "assembly", join_assembly(&crate_directory.join("src"))?));
    build.compile_archive(ARCHIVE, &units)
}

fn unit(build: &Build<'_>, name: &str, source: PathBuf) -> Unit {
    let extension = source.extension().unwrap_or_default().to_string_lossy().into_owned();
    Unit {
        name: format!("runtime/{name}.{extension}"),
        output: build.work.join("objects").join(format!("{name}.o")),
        flags: source.parent().map(|directory| vec![OsString::from("-I"), directory.into()]).unwrap_or_default(),
        source,
        instrument: false,
    }
}

/// Unpacks the embedded crates as a workspace of their own: the crates that the runtime uses inherit from the
/// workspace, whose other members are not here.
fn unpack_workspace(workspace: &Path) -> Result<(), SysrootError> {
    for prefix in ["crates/", "rust-toolchain.toml", "Cargo.toml"] {
        embedded::unpack_whole(prefix, workspace)?;
    }
    let path = workspace.join("Cargo.toml");
    let manifest = fs::read_to_string(&path).map_err(SysrootError::read(&path))?;
    let members = format!("members = {:?}", embedded::LIBRARY_CRATES);
    let manifest: Vec<&str> =
        manifest.lines().map(|line| if line.starts_with("members = ") { members.as_str() } else { line }).collect();
    fs::write(&path, manifest.join("\n")).map_err(SysrootError::write(&path))
}

fn compile_to_bitcode(cargo: &Path, crate_directory: &Path) -> Result<PathBuf, SysrootError> {
    let target = crate_directory.join("target");
    let mut command = Command::new(cargo);
    command.current_dir(crate_directory);
    for name in FOREIGN_VARIABLES {
        command.env_remove(name);
    }
    command.args(["rustc", "--quiet", "--release", "--lib", "--crate-type", "staticlib", "--target-dir"]).arg(&target);
    command.args(["--config", "profile.release.panic='abort'", "--config", "profile.release.lto='fat'"]);
    command.args(["--config", "profile.release.opt-level=3", "--config", "profile.release.codegen-units=1"]);
    command.args(["--", "--emit=llvm-bc", "-Crelocation-model=static"]);
    command::run(&mut command, "the Rust toolchain, see rust-toolchain.toml")?;
    let dependencies = target.join("release/deps");
    let bitcode = files(&dependencies)?.into_iter().find(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(LIBRARY) && name.ends_with(".bc")
    });
    bitcode.ok_or_else(|| SysrootError::NotProduced { program: "cargo rustc", directory: dependencies })
}

/// One file that includes the assembly of every ISA: assembled for each ISA, it defines the same sections.
fn join_assembly(directory: &Path) -> Result<PathBuf, SysrootError> {
    let files = assembly_files(directory)?;
    let text: String = files.iter().map(|file| format!("#include \"{}\"\n", file.display())).collect();
    let path = directory.join("assembly.S");
    fs::write(&path, text).map_err(SysrootError::write(&path))?;
    Ok(path)
}

/// The crate's `.S` files. Those of one ISA guard themselves with the preprocessor: each is assembled for every ISA.
fn assembly_files(directory: &Path) -> Result<Vec<PathBuf>, SysrootError> {
    let mut found = Vec::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(directory) = pending.pop() {
        for path in files(&directory)? {
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|extension| extension == "S") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn files(directory: &Path) -> Result<Vec<PathBuf>, SysrootError> {
    let entries = fs::read_dir(directory).map_err(SysrootError::read(directory))?;
    let paths: Result<Vec<PathBuf>, _> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
    paths.map_err(SysrootError::read(directory))
}
