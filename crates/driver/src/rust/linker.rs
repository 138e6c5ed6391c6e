//! What rustc calls to link a program: compiles its one module of bitcode for every ISA, and links.

use super::error::RustError;
use crate::cc::{self, CcError, Input, Invocation};
use crate::sysroot::Language;
use maize_abi::Isa;
use maize_image::object_file;
use maize_passes::{CompileOptions, PassError, Preparation, compile_module, prepare};
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use tempfile::TempPath;

/// What bitcode begins with.
const BITCODE: &[u8] = b"BC\xc0\xde";
/// What ELF objects begin with.
const ELF: &[u8] = b"\x7fELF";
/// Code generators' helpers in rustc's own form; the sysroot has them for every ISA.
const RUSTC_HELPERS: &str = "libcompiler_builtins-";

/// Links what rustc asks for.
///
/// # Errors
/// If the program uses what exists on one ISA only, or cannot be linked.
pub fn run(arguments: &[OsString]) -> Result<(), RustError> {
    let arguments = cc::expand_response_files(arguments);
    let request = Request::of(&arguments);
    let mut invocation = Invocation::parse(Language::C, &request.arguments)?;
    invocation.strip |= request.strip == Strip::All;
    // rustc names GCC's and the libc's libraries itself; here others take their place.
    invocation.default_libraries = true;
    let mut objects: Vec<TempPath> = Vec::new();
    for input in &mut invocation.inputs {
        let Input::File(path) = input else { continue };
        let content = fs::read(&*path).map_err(|source| CcError::Read { path: path.clone(), source })?;
        if content.starts_with(BITCODE) {
            let object = compile(path, &content, &request)?;
            *path = object.to_path_buf();
            objects.push(object);
        } else if content.starts_with(ELF) && object_file::unbundle(&content, Isa::Riscv64).is_err() {
            return Err(RustError::OneIsa { path: path.clone() });
        }
    }
    let sysroot = cc::sysroot(Language::C)?;
    invocation.inputs.push(Input::File(sysroot.rust_archive()));
    Ok(cc::link(&invocation, &[], &sysroot)?)
}

/// How much to leave out of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Strip {
    Nothing,
    DebugInformation,
    All,
}

/// rustc's command line for a linker like GCC, without what Maize decides itself.
#[derive(Debug)]
struct Request {
    arguments: Vec<OsString>,
    optimization_level: u8,
    strip: Strip,
}

impl Request {
    fn of(arguments: &[OsString]) -> Request {
        let mut request = Request { arguments: Vec::new(), optimization_level: 2, strip: Strip::Nothing };
        for argument in arguments {
            let text = argument.to_string_lossy();
            if let Some(items) = text.strip_prefix("-Wl,") {
                request.linker_items(items);
            } else if !is_rustc_helpers(Path::new(argument)) && !text.starts_with("-B") && text != "-static-pie" {
                request.arguments.push(argument.clone());
            }
        }
        request
    }

    /// Of what is meant for the linker itself, whole archives matter to the result; the rest is about dynamic linking and about
    /// layout, which is Maize's.
    fn linker_items(&mut self, items: &str) {
        for item in items.split(',') {
            match item {
                "--strip-all" | "-s" => self.strip = Strip::All,
                "--strip-debug" | "-S" if self.strip == Strip::Nothing => self.strip = Strip::DebugInformation,
                "--whole-archive" | "--no-whole-archive" | "--start-group" | "--end-group" => {
                    self.arguments.push(format!("-Wl,{item}").into());
                }
                _ => {
                    if let Some(level) = item.strip_prefix("-plugin-opt=O") {
                        self.optimization_level = level.parse().unwrap_or(2).min(3);
                    }
                }
            }
        }
    }
}

fn is_rustc_helpers(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(RUSTC_HELPERS))
}

/// Compiles the program's module to a multi-ISA object.
fn compile(path: &Path, bitcode: &[u8], request: &Request) -> Result<TempPath, RustError> {
    let failed = |source: PassError| CcError::Pass { path: path.to_owned(), source };
    let preparation = Preparation { strip_debug_information: request.strip != Strip::Nothing };
    let prepared = prepare(bitcode, preparation).map_err(failed)?;
    let options = CompileOptions {
        optimization_level: request.optimization_level,
        // Not where it lies: the same program built elsewhere is to be the same.
        unit_name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        isas: Isa::ALL.to_vec(),
        instrument: true,
        non_migrating: cc::non_migrating(),
        fault: None,
    };
    let objects = compile_module(&prepared, &options).map_err(failed)?;
    drop(prepared);
    let object = object_file::bundle(&objects).map_err(|source| CcError::Object { path: path.to_owned(), source })?;
    let file = cc::temporary_file("o")?;
    fs::write(&file, object).map_err(|source| CcError::Write { path: file.to_path_buf(), source })?;
    Ok(file)
}
