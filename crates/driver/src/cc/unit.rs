//! The compiler as the sysroot's build uses it.

use super::clang::Clang;
use super::error::CcError;
use super::invocation::{Invocation, Kind, Source};
use super::portable::Headers;
use super::translation::{Printed, Translation};
use crate::sysroot::{self, COMPILER_HASH, Language, Tools, Unit, UnitCompiler};
use maize_abi::Isa;
use maize_passes::CompileOptions;
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::error::Error;
use std::ffi::OsString;
use std::fs;

/// The files of this module that decide what objects contain; `build.rs` hashes those of other crates.
const SOURCES: &[&str] = &[include_str!("portable.rs"), include_str!("translation.rs"), include_str!("unit.rs")];

/// Maize's compiler.
pub struct Compiler {
    clang: Clang,
}

impl Compiler {
    /// The compiler with the host's clang.
    pub fn new() -> Compiler {
        Compiler { clang: Clang { program: Tools::default().clang, capture: true } }
    }
}

impl Default for Compiler {
    fn default() -> Compiler {
        Compiler::new()
    }
}

impl UnitCompiler for Compiler {
    fn compile(&self, unit: &Unit) -> Result<(), Box<dyn Error + Send + Sync>> {
        let kind = match unit.source.extension().unwrap_or_default().to_string_lossy().as_ref() {
            "bc" | "ll" => Kind::Ir,
            "s" | "S" => Kind::Assembly,
            "cpp" => Kind::Cxx,
            _ => Kind::C,
        };
        let source = Source { path: unit.source.clone(), kind, language: None };
        let translation = Translation {
            source: &source,
            options: unit.flags.clone(),
            assembler: Vec::new(),
            dependencies: Vec::new(),
            driver: Language::C,
            headers: Headers::default(),
            code: CompileOptions {
                optimization_level: level(&unit.flags),
                unit_name: unit.name.clone(),
                isas: Isa::ALL.to_vec(),
                instrument: unit.instrument,
                non_migrating: non_migrating(),
                fault: None,
            },
            clang: &self.clang,
        };
        let mut printed = Printed::new();
        let object = translation.object(&mut printed).map_err(|error| with_output(error, &printed))?;
        fs::write(&unit.output, object).map_err(CcError::write(&unit.output))?;
        Ok(())
    }

    fn identity(&self) -> String {
        let mut hasher = Sha256::new();
        for source in SOURCES {
            hasher.update(source);
        }
        let digest: String = hasher.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let (major, minor, patch) = inkwell::support::get_llvm_version();
        format!("{COMPILER_HASH} {digest} LLVM {major}.{minor}.{patch}")
    }
}

/// Functions of the libc that never reach a migration point.
pub fn non_migrating() -> HashSet<String> {
    sysroot::non_migrating_functions().map(String::from).collect()
}

/// The level of the last `-O`; without one, that of release builds: bitcode units have no flags of clang's.
fn level(flags: &[OsString]) -> u8 {
    let levels: Vec<OsString> = flags.iter().filter(|flag| flag.to_string_lossy().starts_with("-O")).cloned().collect();
    match Invocation::parse(Language::C, &levels) {
        Ok(invocation) if !levels.is_empty() => invocation.optimization_level,
        _ => 3,
    }
}

/// Nobody is at the terminal: what clang had to say becomes part of the error.
fn with_output(error: CcError, printed: &[u8]) -> CcError {
    let printed = || String::from_utf8_lossy(printed).trim_end().to_owned();
    match error {
        CcError::Clang { code, .. } => CcError::Clang { code, output: printed() },
        error => error,
    }
}
