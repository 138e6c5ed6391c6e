//! What rustc is told so that its output is one portable module, and where it finds Maize's tools.

use super::error::RustError;
use crate::cc::{self, CcError};
use crate::sysroot::{Language, Sysroot};
use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// The target whose standard library programs use. Its ABI is that of portable programs, and its libc's differs from Maize's in no
/// structure that the standard library passes on.
pub const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Name by which maize is what rustc calls to link.
pub const LINKER: &str = "maize-rust-linker";

/// Directory in the sysroot with symbolic links to maize by the names of its tools.
pub struct Tools(PathBuf);

impl Tools {
    /// Makes the links; builds the sysroot if need be, so that no later step has to.
    ///
    /// # Errors
    /// If the sysroot cannot be built or written to.
    pub fn install() -> Result<Tools, RustError> {
        let sysroot: Sysroot = cc::sysroot(Language::C)?;
        let directory = sysroot.root().join("bin");
        fs::create_dir_all(&directory).map_err(write(&directory))?;
        let maize = env::current_exe().map_err(write(&directory))?;
        for name in [LINKER, "maize-cc", "maize-ar"] {
            let link = directory.join(name);
            if fs::read_link(&link).is_ok_and(|target| target == maize) {
                continue;
            }
            // In one step: other builds may be using it.
            let temporary = directory.join(format!(".{name}.{}", std::process::id()));
            symlink(&maize, &temporary).and_then(|()| fs::rename(&temporary, &link)).map_err(write(&link))?;
        }
        Ok(Tools(directory))
    }

    /// The path of a tool.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// rustc's flags for every crate of the program.
    pub fn rustc_flags(&self) -> Vec<OsString> {
        let mut linker = OsString::from("-Clinker=");
        linker.push(self.path(LINKER));
        let mut flags = vec![linker];
        let portable = [
            // Bitcode instead of machine code, which would be for one ISA.
            "-Clinker-plugin-lto",
            "-Clinker-flavor=gcc",
            "-Crelocation-model=static",
            "-Ctarget-feature=+crt-static",
            "-Ctarget-cpu=x86-64",
        ];
        flags.extend(portable.map(OsString::from));
        flags
    }
}

fn write(path: &Path) -> impl FnOnce(io::Error) -> RustError {
    let path = path.to_owned();
    move |source| RustError::Cc(CcError::Write { path, source })
}
