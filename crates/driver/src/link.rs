//! The link: from multi-ISA objects and archives to a program.
//!
//! lld links x86-64 first, by a generated script ([`script`]); its trace tells which objects and archive members take
//! part, in which order. Then it links the same objects' other ISAs, code at the same addresses and variables where x86-64
//! has them ([`foreign`]). Site tables are made of what came out, and `maize_image` composes the program.

mod error;
mod foreign;
mod inputs;
mod linker;
mod script;
mod symbols;

pub use error::LinkError;

use maize_abi::Isa;
use maize_image::{IsaPart, Parts, site_table};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use symbols::Symbols;

/// What to link, and how.
#[derive(Clone, Debug)]
pub struct LinkOptions {
    /// Objects, archives and linker arguments, in command-line order.
    pub inputs: Vec<Input>,
    /// Where `-l` libraries are looked for, in order.
    pub library_directories: Vec<PathBuf>,
    /// The program to write.
    pub output: PathBuf,
    /// Arguments of which the place among the inputs does not matter.
    pub linker_arguments: Vec<OsString>,
    /// Whether to leave out symbols and debug information.
    pub strip: bool,
    /// Archives that every link ends with; they refer to one another.
    pub default_libraries: Vec<PathBuf>,
}

/// One thing that a link is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// An object or archive.
    File(PathBuf),
    /// `-lNAME`
    Library(String),
    /// A `-Wl` item, such as `--start-group`.
    Argument(OsString),
}

/// Links a program.
///
/// # Errors
/// [`LinkError`]; what the linker had to say about the objects is on standard error already.
pub fn link(options: &LinkOptions) -> Result<(), LinkError> {
    let work = tempfile::Builder::new()
        .prefix("maize-link-")
        .tempdir()
        .map_err(|source| LinkError::Write { path: std::env::temp_dir(), source })?;
    let inputs = inputs::resolve(options, work.path())?;
    let native = work.path().join("x86_64");
    let trace = linker::link_native(&inputs, options, work.path(), &native)?;
    let objects = inputs::load_order(&trace)?;
    let native = read(&native)?;
    let symbols = Symbols::read(&native)?;

    let foreign: Vec<Isa> = Isa::ALL.into_iter().filter(|&isa| isa != Isa::X86_64).collect();
    let linked: Vec<Result<(Isa, Vec<u8>), LinkError>> = std::thread::scope(|scope| {
        let (objects, symbols, work) = (&objects, &symbols, work.path());
        let runs: Vec<_> = foreign
            .into_iter()
            .map(|isa| scope.spawn(move || Ok((isa, foreign::link(isa, objects, symbols, options, work)?))))
            .collect();
        runs.into_iter().map(|run| run.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    let mut executables = vec![(Isa::X86_64, native)];
    for result in linked {
        executables.push(result?);
    }
    let text = symbols.text()?;
    let mut isas = Vec::new();
    for (isa, executable) in executables {
        let descriptor = site_table::build(isa, &executable, text.clone())?;
        let executable = without_link_data(isa, executable, options.strip, work.path())?;
        isas.push(IsaPart { isa, executable, descriptor });
    }
    let program = maize_image::compose(Parts { isas })?;
    install(&options.output, &program)
}

fn read(path: &Path) -> Result<Vec<u8>, LinkError> {
    fs::read(path).map_err(|source| LinkError::Read { path: path.to_owned(), source })
}

/// Drops what only the link needed: sites and points; and symbols, if so asked.
fn without_link_data(isa: Isa, executable: Vec<u8>, strip: bool, work: &Path) -> Result<Vec<u8>, LinkError> {
    let path = work.join(format!("{}.final", isa.name()));
    fs::write(&path, executable).map_err(|source| LinkError::Write { path: path.clone(), source })?;
    let mut command = Command::new("llvm-objcopy-22");
    for section in [maize_image::object_file::SITES_SECTION, maize_abi::symbols::POINTS_SECTION] {
        command.arg(format!("--remove-section={section}"));
    }
    if strip {
        command.arg("--strip-all");
    }
    linker::run(command.arg(&path))?;
    read(&path)
}

/// Puts the program in place in one step, so that nobody sees half of it.
fn install(output: &Path, program: &[u8]) -> Result<(), LinkError> {
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;
    let failed = |source| LinkError::Write { path: output.to_owned(), source };
    let directory = output.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if output.exists() && !output.is_file() {
        // `-o /dev/null` and the like.
        return fs::write(output, program).map_err(failed);
    }
    let mut file = tempfile::Builder::new()
        .prefix(".maize-link-")
        .permissions(fs::Permissions::from_mode(0o777))
        .tempfile_in(directory)
        .map_err(failed)?;
    file.write_all(program).map_err(failed)?;
    file.persist(output).map_err(|error| failed(error.error))?;
    Ok(())
}
