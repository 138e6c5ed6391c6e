//! `libmaize_rust.a`: what Rust's standard library for glibc calls and musl does not have. Linked into Rust programs only.

use super::error::SysrootError;
use super::{Build, Unit, embedded};
use std::ffi::OsString;
use std::fs;

/// The archive's name.
pub const ARCHIVE: &str = "libmaize_rust.a";
/// The sources' directory in the workspace.
pub const SOURCES: &str = "libc/rust/";

pub(super) fn build(build: &Build<'_>) -> Result<(), SysrootError> {
    let directory = build.work.join("rust");
    embedded::unpack(SOURCES, &directory)?;
    let mut units = Vec::new();
    for entry in fs::read_dir(&directory).map_err(SysrootError::read(&directory))? {
        let source = entry.map_err(SysrootError::read(&directory))?.path();
        let name = source.file_name().unwrap_or_default().to_string_lossy().into_owned();
        units.push(Unit {
            output: build.work.join("objects").join(&name).with_extension("o"),
            name: format!("rust/{name}"),
            source,
            flags: ["-std=gnu11", "-ffreestanding", "-O3"].map(OsString::from).to_vec(),
            instrument: false,
        });
    }
    units.sort_by(|one, other| one.name.cmp(&other.name));
    build.compile_archive(ARCHIVE, &units)
}
