//! `libc++.a` and its headers: LLVM's libc++ and libc++abi 22.1.8, with the configuration in `libcxx/`. There is no
//! libunwind: the runtime unwinds by the site table.
//!
//! All of libc++abi is in `libc++.a`. docs/libcxx.md says what is left out.

use super::error::SysrootError;
use super::{Build, Unit, embedded, source};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// The archive's name.
pub const ARCHIVE: &str = "libc++.a";
/// Where the headers are in the sysroot.
pub const INCLUDE: &str = "c++/v1";
/// Where the libraries are in the source archive.
pub const DIRECTORY: &str = "ziglang/lib";
/// What stands in the archive's headers for the inclusion of the configuration, which its compiler has on its command line.
const NO_CONFIGURATION: &str = "/* zig patch: instead of including __config_site, zig adds -D flags when compiling */";
const CONFIGURATION: &str = "#include <__config_site>";

/// libc++'s directories of sources for this system, in `src`.
const DIRECTORIES: &[&str] = &["", "filesystem", "ryu"];
/// Sources that are not for this configuration: `operator new` is libc++abi's, 128-bit arithmetic the compiler
/// helpers', and the last is for libraries without exceptions.
const LEFT_OUT: &[&str] = &["libcxx/new", "libcxx/filesystem/int128_builtins", "libcxxabi/cxa_noexception"];

/// What Maize's libc has and musl does not.
const LIBC_OPTION: &str = "-DHAVE___CXA_THREAD_ATEXIT_IMPL";

pub(super) fn build(build: &Build<'_>) -> Result<(), SysrootError> {
    let mut library = prepare(build.work, &build.sysroot.include_directory())?;
    library.units.iter_mut().for_each(|unit| unit.flags.push(LIBC_OPTION.into()));
    build.compile_archive(ARCHIVE, &library.units)?;
    build.install(&library.include, INCLUDE)
}

/// The C++ library, unpacked and ready to be compiled.
pub struct Library {
    /// Its headers as programs see them.
    pub include: PathBuf,
    /// What to compile.
    pub units: Vec<Unit>,
}

/// Unpacks the library below `work` for a libc whose headers are in `libc`.
///
/// # Errors
/// A download that fails, or a file that cannot be written.
pub fn prepare(work: &Path, libc: &Path) -> Result<Library, SysrootError> {
    let include = work.join("include");
    source::LIBCXX.unpack(work)?;
    let sources = work.join(DIRECTORY);
    install_headers(&sources, &include)?;
    embedded::unpack("libcxx/internal/", &work.join("internal"))?;
    let units = units(&sources, &include, libc, work)?;
    Ok(Library { include, units })
}

/// libc++'s headers, those of libc++abi for programs, and the configuration.
fn install_headers(sources: &Path, include: &Path) -> Result<(), SysrootError> {
    copy_headers(&sources.join("libcxx/include"), include)?;
    copy_headers(&sources.join("libcxxabi/include"), include)?;
    embedded::unpack("libcxx/include/", include)
}

fn copy_headers(from: &Path, to: &Path) -> Result<(), SysrootError> {
    fs::create_dir_all(to).map_err(SysrootError::write(to))?;
    for path in list(from)? {
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy_headers(&path, &target)?;
        } else {
            let text = fs::read_to_string(&path).map_err(SysrootError::read(&path))?;
            fs::write(&target, text.replacen(NO_CONFIGURATION, CONFIGURATION, 1))
                .map_err(SysrootError::write(&target))?;
        }
    }
    Ok(())
}

fn units(sources: &Path, include: &Path, libc: &Path, work: &Path) -> Result<Vec<Unit>, SysrootError> {
    let (libcxx, libcxxabi) = (sources.join("libcxx"), sources.join("libcxxabi"));
    let common =
        [include, &work.join("internal"), &libcxx.join("src"), &libcxx.join("libc"), &libcxxabi.join("src"), libc];
    let mut flags: Vec<OsString> = [
        "-std=c++26",
        "-O2",
        "-w",
        "-nostdinc++",
        "-fvisibility=hidden",
        "-fvisibility-inlines-hidden",
        "-D_LIBCPP_BUILDING_LIBRARY",
        "-D_LIBCPP_REMOVE_TRANSITIVE_INCLUDES",
        "-DLIBCXX_BUILDING_LIBCXXABI",
        "-DLIBC_NAMESPACE=__llvm_libc_common_utils",
        "-D_LIBCXXABI_BUILDING_LIBRARY",
    ]
    .map(OsString::from)
    .to_vec();
    for directory in common {
        flags.extend(["-I".into(), directory.as_os_str().to_owned()]);
    }
    let mut names = BTreeSet::new();
    for directory in DIRECTORIES {
        for path in list(&libcxx.join("src").join(directory))? {
            names.extend(name_of(&path).map(|name| (Path::new("libcxx").join(directory).join(name), path)));
        }
    }
    for path in list(&libcxxabi.join("src"))? {
        names.extend(name_of(&path).map(|name| (Path::new("libcxxabi").join(name), path)));
    }
    let wanted = names.into_iter().filter(|(name, _)| !LEFT_OUT.iter().any(|left_out| name == Path::new(left_out)));
    Ok(wanted.map(|(name, source)| unit(work, &name.to_string_lossy(), source, &flags)).collect())
}

/// The name of a source without its extension, if it is one.
fn name_of(path: &Path) -> Option<PathBuf> {
    let is_source = path.extension().is_some_and(|extension| extension == "cpp");
    path.file_stem().filter(|_| is_source).map(PathBuf::from)
}

fn unit(work: &Path, name: &str, source: PathBuf, flags: &[OsString]) -> Unit {
    Unit {
        name: format!("{name}.cpp"),
        source,
        output: work.join("objects").join(format!("{}.o", name.replace('/', "-"))),
        flags: flags.to_vec(),
        instrument: true,
    }
}

fn list(directory: &Path) -> Result<Vec<PathBuf>, SysrootError> {
    let entries = fs::read_dir(directory).map_err(SysrootError::read(directory))?;
    let paths: Result<Vec<PathBuf>, _> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
    paths.map_err(SysrootError::read(directory))
}
