//! `libc.a` and the headers: musl 1.2.3, all of it but the dynamic loader, with the port layer in `libc/`.
//!
//! A file `libc/src/DIR/NAME.c` takes the place of musl's `src/DIR/NAME.c`. Of musl's own files only the
//! portable C is compiled, never what it has per ISA, so that floating-point results are the same on every
//! ISA; the exception is [`memory_functions`].

use super::error::SysrootError;
use super::{Build, Tools, Unit, archive, embedded, headers, memory_functions, source};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// Top directory in the source archive.
pub const DIRECTORY: &str = "musl-1.2.3";
/// Where in `src` musl's allocator is; the other one, `oldmalloc`, is left out.
const ALLOCATOR: &str = "malloc/mallocng";
/// Libraries that are part of `libc.a` and exist only for `-lNAME`.
const EMPTY_LIBRARIES: &[&str] = &["m", "rt", "pthread", "crypt", "util", "xnet", "resolv", "dl"];

pub(super) fn build(build: &Build<'_>) -> Result<(), SysrootError> {
    let musl = Musl::prepare(build.work, &build.options.tools)?;
    build.compile_archive("libc.a", &musl.units)?;
    for library in EMPTY_LIBRARIES {
        let name = format!("lib{library}.a");
        let empty = build.work.join(&name);
        archive::create(&build.options.tools.archiver, &empty, &[], build.work)?;
        build.install(&empty, &format!("lib/{name}"))?;
    }
    build.install(&musl.include, "include")
}

/// The libc, unpacked and ready to be compiled.
pub struct Musl {
    /// Its headers as programs see them.
    pub include: PathBuf,
    /// What to compile.
    pub units: Vec<Unit>,
}

impl Musl {
    /// Unpacks musl and the port layer below `work` and lists the units.
    ///
    /// # Errors
    /// A download that fails, or a file that cannot be written.
    pub fn prepare(work: &Path, tools: &Tools) -> Result<Musl, SysrootError> {
        source::MUSL.unpack(work)?;
        let (musl, port, include, internal) =
            (work.join(DIRECTORY), work.join("port"), work.join("include"), work.join("internal"));
        embedded::unpack("libc/", &port)?;
        headers::install(&musl, &port.join("arch/maize"), tools, &include)?;
        headers::install_internal(&musl, &port.join("arch/maize"), &internal)?;

        let mut sources = portable_sources(&musl.join("src"))?;
        sources.extend(sources_below(&port.join("src"))?);
        sources.extend(memory_functions::generate(&musl, &port, &work.join("assembly"), tools)?);
        let flags = flags(&musl, &internal, &include);
        let units = sources.into_iter().map(|(name, source)| unit(work, &name, source, &flags)).collect();
        Ok(Musl { include, units })
    }
}

/// Sources by name, such as `stdio/printf`: a later one of the same name replaces an earlier one.
pub type Sources = BTreeMap<String, PathBuf>;

fn unit(work: &Path, name: &str, source: PathBuf, flags: &[OsString]) -> Unit {
    // Flat and unique: musl has `malloc/free.c` and `malloc/mallocng/free.c`.
    let object = format!("{}.o", name.replace('/', "-"));
    let extension = source.extension().unwrap_or_default().to_string_lossy().into_owned();
    Unit {
        name: format!("libc/{name}.{extension}"),
        source,
        output: work.join("objects").join(object),
        flags: flags.to_vec(),
        instrument: true,
    }
}

/// As in musl's configure and Makefile, but for `-frounding-math`, since portable programs have no rounding modes; as with that, the compiler is not to
/// make vectors of the scalars of `log` and its like, which only lengthens what depends on one another.
fn flags(musl: &Path, internal: &Path, include: &Path) -> Vec<OsString> {
    let mut flags: Vec<OsString> =
        ["-std=c99", "-ffreestanding", "-nostdinc", "-D_XOPEN_SOURCE=700", "-O3", "-w", "-fno-slp-vectorize"]
            .map(OsString::from)
            .to_vec();
    // musl's root comes last, for port files that include the file they adapt.
    for directory in [internal, &musl.join("src/include"), &musl.join("src/internal"), include, musl] {
        flags.extend(["-I".into(), directory.as_os_str().to_owned()]);
    }
    flags
}

/// The C files directly in the directories of `src`, which are those for every ISA.
fn portable_sources(src: &Path) -> Result<Sources, SysrootError> {
    let mut sources = Sources::new();
    for directory in list(src)?.iter().filter(|path| path.is_dir()).chain([&src.join(ALLOCATOR)]) {
        for path in list(directory)? {
            if path.extension().is_some_and(|extension| extension == "c") {
                sources.insert(name_of(src, &path), path);
            }
        }
    }
    Ok(sources)
}

fn sources_below(root: &Path) -> Result<Sources, SysrootError> {
    let mut sources = Sources::new();
    let mut pending = vec![root.to_owned()];
    while let Some(directory) = pending.pop() {
        for path in list(&directory)? {
            if path.is_dir() {
                pending.push(path);
            } else {
                sources.insert(name_of(root, &path), path);
            }
        }
    }
    Ok(sources)
}

fn name_of(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).with_extension("").to_string_lossy().into_owned()
}

fn list(directory: &Path) -> Result<Vec<PathBuf>, SysrootError> {
    let entries = fs::read_dir(directory).map_err(SysrootError::read(directory))?;
    let paths: Result<Vec<PathBuf>, _> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
    paths.map_err(SysrootError::read(directory))
}
