//! Headers of SIMD intrinsics: SIMDe 0.7.4, and in `intrinsics/` the headers by which programs know them.

use super::error::SysrootError;
use super::{Build, embedded, source};

/// Where the headers are in the sysroot.
pub const INCLUDE: &str = "intrinsics";
/// Where the headers by which programs know them are embedded.
pub const SOURCES: &str = "intrinsics/";

pub(super) fn build(build: &Build<'_>) -> Result<(), SysrootError> {
    source::SIMDE.unpack(build.work)?;
    let include = build.work.join("usr/include");
    embedded::unpack(SOURCES, &include)?;
    build.install(&include, INCLUDE)
}
