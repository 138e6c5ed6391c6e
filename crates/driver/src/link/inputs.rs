//! What takes part in a link: libraries found, archives opened, and the order in which the linker loads objects.

use super::error::LinkError;
use super::{Input, LinkOptions, read};
use maize_abi::symbols::TLS_OFFSET_PREFIX;
use object::read::archive::ArchiveFile;
use object::read::elf::ElfFile64;
use object::{LittleEndian, Object, ObjectSymbol};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// The linker's command line for the inputs, and what the script must know about them.
pub struct Inputs {
    /// Files and arguments in order.
    pub arguments: Vec<OsString>,
    /// Thread-local variables whose offsets objects ask for.
    pub thread_locals: BTreeSet<String>,
}

/// Finds libraries and reads every object's and archive's symbols.
pub fn resolve(options: &LinkOptions, work: &Path) -> Result<Inputs, LinkError> {
    let mut inputs = Inputs { arguments: Vec::new(), thread_locals: BTreeSet::new() };
    let mut whole_archive = false;
    for input in &options.inputs {
        match input {
            Input::Argument(argument) => {
                match argument.to_str() {
                    Some("--whole-archive" | "-whole-archive") => whole_archive = true,
                    Some("--no-whole-archive" | "-no-whole-archive") => whole_archive = false,
                    _ => {}
                }
                inputs.arguments.push(argument.clone());
            }
            Input::File(path) => inputs.add(path, whole_archive, work)?,
            Input::Library(name) => inputs.add(&find(name, &options.library_directories)?, whole_archive, work)?,
        }
    }
    inputs.arguments.push("--start-group".into());
    for library in &options.default_libraries {
        inputs.add(library, false, work)?;
    }
    inputs.arguments.push("--end-group".into());
    Ok(inputs)
}

fn find(name: &str, directories: &[PathBuf]) -> Result<PathBuf, LinkError> {
    let file = match name.strip_prefix(':') {
        Some(exact) => exact.to_owned(),
        None => format!("lib{name}.a"),
    };
    directories
        .iter()
        .map(|directory| directory.join(&file))
        .find(|path| path.exists())
        .ok_or_else(|| LinkError::NoLibrary { name: name.to_owned(), directories: directories.to_vec() })
}

fn is_archive(bytes: &[u8]) -> bool {
    bytes.starts_with(b"!<arch>\n") || bytes.starts_with(b"!<thin>\n")
}

impl Inputs {
    fn add(&mut self, path: &Path, whole_archive: bool, work: &Path) -> Result<(), LinkError> {
        let bytes = read(path)?;
        if !is_archive(&bytes) {
            self.note_thread_locals(&bytes);
            self.arguments.push(path.into());
            return Ok(());
        }
        let members = members(path, &bytes)?;
        for (_, member) in &members {
            self.note_thread_locals(member);
        }
        let names: HashSet<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
        if names.len() == members.len() {
            self.arguments.push(path.into());
        } else {
            self.add_members(&members, whole_archive, work)?;
        }
        Ok(())
    }

    /// Members of the same name could not be told apart in the linker's trace: they become files of their own.
    fn add_members(
        &mut self,
        members: &[(String, Vec<u8>)],
        whole_archive: bool,
        work: &Path,
    ) -> Result<(), LinkError> {
        let directory =
            tempfile::tempdir_in(work).map_err(|source| LinkError::Write { path: work.to_owned(), source })?;
        let directory = directory.keep();
        if !whole_archive {
            self.arguments.push("--start-lib".into());
        }
        for (index, (name, bytes)) in members.iter().enumerate() {
            let path = directory.join(format!("{index}-{name}"));
            fs::write(&path, bytes).map_err(|source| LinkError::Write { path: path.clone(), source })?;
            self.arguments.push(path.into());
        }
        if !whole_archive {
            self.arguments.push("--end-lib".into());
        }
        Ok(())
    }

    /// What cannot be read here, the linker will complain about.
    fn note_thread_locals(&mut self, object: &[u8]) {
        let Ok(file) = ElfFile64::<LittleEndian>::parse(object) else { return };
        let names = file.symbols().filter(|symbol| symbol.is_undefined()).filter_map(|symbol| symbol.name().ok());
        self.thread_locals.extend(names.filter_map(|name| name.strip_prefix(TLS_OFFSET_PREFIX)).map(str::to_owned));
    }
}

fn members(path: &Path, bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, LinkError> {
    let damaged = |error: object::Error| LinkError::Archive { path: path.to_owned(), message: error.to_string() };
    let archive = ArchiveFile::parse(bytes).map_err(damaged)?;
    let mut members = Vec::new();
    for member in archive.members() {
        let member = member.map_err(damaged)?;
        let name = String::from_utf8_lossy(member.name()).into_owned();
        let content = if archive.is_thin() {
            read(&path.parent().unwrap_or(Path::new(".")).join(&name))?
        } else {
            member.data(bytes).map_err(damaged)?.to_vec()
        };
        members.push((name, content));
    }
    Ok(members)
}

/// An object that takes part in the link.
pub struct LoadedObject {
    /// Its path, or archive and member.
    pub name: String,
    /// The multi-ISA object.
    pub bytes: Vec<u8>,
}

/// The objects of a linker's trace: lines such as `main.o` and `libc.a(printf.o)`.
pub fn load_order(trace: &str) -> Result<Vec<LoadedObject>, LinkError> {
    let mut archives: HashMap<PathBuf, HashMap<String, Vec<u8>>> = HashMap::new();
    let mut objects = Vec::new();
    for line in trace.lines().filter(|line| !line.is_empty()) {
        let member = line.strip_suffix(')').and_then(|line| line.rsplit_once('('));
        let bytes = match member {
            Some((archive, member)) if !Path::new(line).exists() => {
                let path = PathBuf::from(archive);
                if !archives.contains_key(&path) {
                    let bytes = read(&path)?;
                    archives.insert(path.clone(), members(&path, &bytes)?.into_iter().collect());
                }
                let found = archives.get_mut(&path).and_then(|members| members.remove(member));
                found.ok_or_else(|| LinkError::Internal(format!("the linker loaded {line} twice or from nowhere")))?
            }
            _ => {
                let bytes = read(Path::new(line))?;
                if is_archive(&bytes) {
                    continue;
                }
                bytes
            }
        };
        objects.push(LoadedObject { name: line.to_owned(), bytes });
    }
    Ok(objects)
}
