//! From a command line to a link: which libraries are part of the libc, and what the linker is told.

use super::error::CcError;
use super::invocation::{CXX_LIBRARIES, Input, Invocation};
use crate::link::{self, LinkOptions};
use crate::sysroot::Sysroot;
use std::path::{Path, PathBuf};
use tempfile::TempPath;

/// Libraries whose content is in the libc or among the compiler's helpers: musl installs empty archives of these names, and GCC's are not needed.
const PART_OF_LIBC: &[&str] = &[
    "c",
    "m",
    "pthread",
    "rt",
    "dl",
    "util",
    "crypt",
    "resolv",
    "xnet",
    "nsl",
    "anl",
    "gcc",
    "gcc_s",
    "gcc_eh",
    "atomic",
    "compiler_rt",
    "ssp",
    "ssp_nonshared",
];

/// Links a program from the inputs of a command line, with `objects` in place of its sources.
///
/// # Errors
/// An input that cannot be linked, or the linker's.
pub fn run(invocation: &Invocation, objects: &[TempPath], sysroot: &Sysroot) -> Result<(), CcError> {
    let mut objects = objects.iter();
    let mut inputs = Vec::new();
    for input in &invocation.inputs {
        match input {
            Input::Source(_) => inputs.extend(objects.next().map(|object| link::Input::File(object.to_path_buf()))),
            Input::File(path) => inputs.push(link::Input::File(checked(path)?)),
            Input::Library(name) => inputs.extend(library(name, &invocation.library_directories)?),
            Input::Argument(argument) => inputs.push(link::Input::Argument(argument.clone())),
        }
    }
    let mut library_directories = invocation.library_directories.clone();
    library_directories.push(sysroot.library_directory());
    let mut default_libraries = Vec::new();
    if invocation.links_cxx_library() {
        default_libraries.push(sysroot.cxx_archive());
    }
    if invocation.default_libraries {
        default_libraries.extend(sysroot.default_archives());
    }
    link::link(&LinkOptions {
        inputs,
        library_directories,
        output: invocation.output.clone().unwrap_or_else(|| PathBuf::from("a.out")),
        linker_arguments: Vec::new(),
        strip: invocation.strip,
        default_libraries,
    })?;
    Ok(())
}

fn checked(path: &Path) -> Result<PathBuf, CcError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if name.ends_with(".so") || name.contains(".so.") {
        return Err(CcError::SharedLibrary { path: path.to_owned() });
    }
    if path.exists() { Ok(path.to_owned()) } else { Err(CcError::NoSuchFile { path: path.to_owned() }) }
}

/// What `-lNAME` stands for: the user's archive of that name if there is one, nothing if the libc has it all.
fn library(name: &str, directories: &[PathBuf]) -> Result<Option<link::Input>, CcError> {
    if let Some(file) = name.strip_prefix(':') {
        let found = directories.iter().map(|directory| directory.join(file)).find(|path| path.exists());
        return found
            .ok_or_else(|| CcError::NoSuchFile { path: file.into() })
            .and_then(|path| checked(&path))
            .map(|path| Some(link::Input::File(path)));
    }
    let archive = format!("lib{name}.a");
    if PART_OF_LIBC.contains(&name) && !directories.iter().any(|directory| directory.join(&archive).exists()) {
        return Ok(None);
    }
    if CXX_LIBRARIES.contains(&name) && !directories.iter().any(|directory| directory.join(&archive).exists()) {
        return Ok(Some(link::Input::Library(String::from("c++"))));
    }
    Ok(Some(link::Input::Library(name.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_of_the_libc_need_no_archive_but_the_users_own_come_first() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("libutil.a"), "").unwrap();
        let directories = [directory.path().to_owned()];
        assert!(library("m", &directories).unwrap().is_none());
        assert!(library("util", &[]).unwrap().is_none());
        assert!(matches!(library("util", &directories), Ok(Some(link::Input::Library(name))) if name == "util"));
        assert!(matches!(library("stdc++", &directories), Ok(Some(link::Input::Library(name))) if name == "c++"));
        assert!(matches!(library("z", &directories), Ok(Some(link::Input::Library(name))) if name == "z"));
        assert!(matches!(library(":libutil.a", &directories), Ok(Some(link::Input::File(_)))));
        assert!(library(":none.a", &directories).is_err());
    }

    #[test]
    fn shared_libraries_and_missing_files_are_told_apart() {
        assert!(matches!(checked(Path::new("/lib/libz.so.1")), Err(CcError::SharedLibrary { .. })));
        assert!(matches!(checked(Path::new("/no/such.o")), Err(CcError::NoSuchFile { .. })));
    }
}
