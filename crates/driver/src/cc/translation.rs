//! One source file on its way to a multi-ISA object: clang makes bitcode in the portable ABI, the passes make an object per
//! ISA, and these are bundled. Part of what decides the content of objects: see `unit::Compiler::identity`.

use super::clang::{Clang, exit_code};
use super::error::CcError;
use super::invocation::{Kind, Source};
use super::portable::{self, Headers};
use crate::sysroot::Language;
use maize_abi::Isa;
use maize_image::object_file;
use maize_passes::{CompileOptions, PassError, compile_module, compile_to_assembly};
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempPath;

const ADDRESS_SIGNIFICANCE: &str = ".llvm_addrsig";
const OBJECT_COPIER: &str = "llvm-objcopy-22";

/// A source and how to compile it.
pub struct Translation<'a> {
    /// The source.
    pub source: &'a Source,
    /// The user's options for clang.
    pub options: Vec<OsString>,
    /// Further options for clang when it assembles.
    pub assembler: Vec<OsString>,
    /// Options about the dependency file.
    pub dependencies: Vec<OsString>,
    /// As which of clang's drivers it is compiled.
    pub driver: Language,
    /// The libraries' headers.
    pub headers: Headers,
    /// What the passes need to know.
    pub code: CompileOptions,
    /// Runs clang.
    pub clang: &'a Clang,
}

/// What the user is to see, whether the translation succeeded or not: clang's warnings and errors, if they were captured.
pub type Printed = Vec<u8>;

impl Translation<'_> {
    /// The source as a multi-ISA object.
    ///
    /// # Errors
    /// clang's, the passes' or the bundler's.
    pub fn object(&self, printed: &mut Printed) -> Result<Vec<u8>, CcError> {
        let objects = match self.source.kind {
            Kind::Assembly => self.assemble(printed)?,
            Kind::C | Kind::Cxx | Kind::Ir => {
                let bitcode = self.bitcode(printed)?;
                compile_module(&bitcode, &self.code).map_err(|error| self.pass_error(error))?
            }
        };
        object_file::bundle(&objects).map_err(|source| CcError::Object { path: self.source.path.clone(), source })
    }

    /// The source as assembly text for one ISA, for people to read.
    ///
    /// # Errors
    /// clang's or the passes'.
    pub fn assembly(&self, isa: Isa, printed: &mut Printed) -> Result<Vec<u8>, CcError> {
        if self.source.kind == Kind::Assembly {
            return self.with_temporary("s", |path| self.run_assembler(isa, "-E", path, &self.dependencies, printed));
        }
        let bitcode = self.bitcode(printed)?;
        let text = compile_to_assembly(&bitcode, &self.code, isa).map_err(|error| self.pass_error(error))?;
        Ok(text.into_bytes())
    }

    fn bitcode(&self, printed: &mut Printed) -> Result<Vec<u8>, CcError> {
        if self.source.kind == Kind::Ir {
            return fs::read(&self.source.path).map_err(CcError::read(&self.source.path));
        }
        self.compile(self.clang, &self.dependencies, printed)
    }

    fn compile(&self, clang: &Clang, further: &[OsString], printed: &mut Printed) -> Result<Vec<u8>, CcError> {
        self.with_temporary("bc", |path| {
            let mut arguments = portable::compile_options(self.driver, &self.headers);
            arguments.extend_from_slice(&self.options);
            arguments.extend_from_slice(further);
            arguments.extend(portable::LAST.iter().map(OsString::from));
            arguments.extend(["-c".into(), "-emit-llvm".into(), "-o".into(), path.into()]);
            arguments.extend(self.source.arguments());
            run(clang, &arguments, printed)
        })
    }

    fn assemble(&self, printed: &mut Printed) -> Result<Vec<(Isa, Vec<u8>)>, CcError> {
        let mut objects = Vec::new();
        for isa in Isa::ALL {
            // The includes may differ between ISAs; what the first one reads has to do.
            let dependencies = if objects.is_empty() { self.dependencies.as_slice() } else { &[] };
            let object =
                self.with_temporary("o", |path| match self.run_assembler(isa, "-c", path, dependencies, printed) {
                    Err(CcError::Clang { code, .. }) if isa != Isa::X86_64 => {
                        Err(CcError::Assembly { path: self.source.path.clone(), isa, code })
                    }
                    result => result,
                })?;
            objects.push((isa, object));
        }
        Ok(objects)
    }

    fn run_assembler(
        &self,
        isa: Isa,
        action: &str,
        output: &Path,
        dependencies: &[OsString],
        printed: &mut Printed,
    ) -> Result<(), CcError> {
        let mut arguments = portable::assemble_options(isa, &self.headers);
        arguments.extend_from_slice(&self.options);
        arguments.extend_from_slice(&self.assembler);
        arguments.extend_from_slice(dependencies);
        arguments.extend([action.into(), "-o".into(), output.into()]);
        arguments.extend(self.source.arguments());
        run(self.clang, &arguments, printed)?;
        if action == "-c" { remove_address_significance(output) } else { Ok(()) }
    }

    /// Calls `write` with the path of a temporary file, and returns what it has put there.
    fn with_temporary(
        &self,
        extension: &str,
        write: impl FnOnce(&Path) -> Result<(), CcError>,
    ) -> Result<Vec<u8>, CcError> {
        let path = temporary_file(extension)?;
        write(&path)?;
        fs::read(&path).map_err(CcError::read(&path))
    }

    fn pass_error(&self, error: PassError) -> CcError {
        let source = self.with_location(error);
        CcError::Pass { path: self.source.path.clone(), source }
    }

    /// Without debug information the passes cannot tell lines; then the source is compiled once more with it.
    fn with_location(&self, error: PassError) -> PassError {
        if !error.lacks_location()
            || !matches!(self.source.kind, Kind::C | Kind::Cxx)
            || self.source.path.as_os_str() == "-"
        {
            return error;
        }
        let silent = Clang { capture: true, ..self.clang.clone() };
        let further = ["-w", "-gline-tables-only"].map(OsString::from);
        let Ok(bitcode) = self.compile(&silent, &further, &mut Printed::new()) else { return error };
        let code = CompileOptions { isas: vec![Isa::X86_64], ..self.code.clone() };
        match compile_module(&bitcode, &code) {
            Err(located) if !located.lacks_location() => located,
            _ => error,
        }
    }
}

/// Compilers' own assembly output has a table by which linkers merge equal functions. Functions must lie alike for every ISA,
/// so nothing is merged; and the table does not survive the rewriting of an object.
fn remove_address_significance(object: &Path) -> Result<(), CcError> {
    let content = fs::read(object).map_err(CcError::read(object))?;
    if !content.windows(ADDRESS_SIGNIFICANCE.len()).any(|window| window == ADDRESS_SIGNIFICANCE.as_bytes()) {
        return Ok(());
    }
    let mut command = Command::new(OBJECT_COPIER);
    command.arg(format!("--remove-section={ADDRESS_SIGNIFICANCE}")).arg(object);
    let start = |source| CcError::Start { program: OBJECT_COPIER.to_owned(), package: "llvm-22", source };
    let status = command.status().map_err(start)?;
    if status.success() { Ok(()) } else { Err(CcError::Clang { code: exit_code(status), output: String::new() }) }
}

/// Makes an empty file that is gone when its path is dropped.
///
/// # Errors
/// If the directory of temporary files cannot be written to.
pub fn temporary_file(extension: &str) -> Result<TempPath, CcError> {
    let suffix = format!(".{extension}");
    let file = tempfile::Builder::new().prefix("maize-cc-").suffix(&suffix).tempfile();
    Ok(file.map_err(CcError::write(&std::env::temp_dir()))?.into_temp_path())
}

fn run(clang: &Clang, arguments: &[OsString], printed: &mut Printed) -> Result<(), CcError> {
    let finished = clang.run(arguments)?;
    printed.extend(finished.printed);
    if finished.code == 0 { Ok(()) } else { Err(CcError::Clang { code: finished.code, output: String::new() }) }
}
