//! The passes in order, and what becomes of a translation unit.

use crate::codegen::{self, Output};
use crate::error::PassError;
use crate::ir::{Function, Linkage, Module, Place};
use crate::migrating::Migrating;
use crate::{
    byval, computed_goto, inline_assembly, migration_points, resume_clones, save_pads, setjmp, shadow_stack,
    thread_locals, unique_names, variadics,
};
use inkwell::context::Context;
use inkwell::memory_buffer::MemoryBuffer;
use inkwell::module::Module as InkwellModule;
use maize_abi::Isa;
use maize_abi::symbols::RESUME_SUFFIX;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// How to compile one translation unit.
#[derive(Clone, Debug)]
pub struct CompileOptions {
    /// 0 to 3, as in `-O`.
    pub optimization_level: u8,
    /// Tells units apart; with the unit's content it makes the suffix of internal symbols.
    pub unit_name: String,
    /// For which ISAs to generate code.
    pub isas: Vec<Isa>,
    /// Whether functions get migration points and resume clones (not so for the runtime itself).
    pub instrument: bool,
    /// Functions of other units that never reach a migration point, such as `memcpy`; if this unit
    /// defines them (the libc does), they get no migration points.
    pub non_migrating: HashSet<String>,
}

/// Compiles a module of the portable ABI, given as bitcode, to one ELF object per ISA, in the order of `options.isas`.
///
/// # Errors
/// What the source uses that exists on one ISA only, or LLVM's message.
pub fn compile_module(bitcode: &[u8], options: &CompileOptions) -> Result<Vec<(Isa, Vec<u8>)>, PassError> {
    let instrumented = instrument_bitcode(bitcode, options)?;
    let level = options.optimization_level;
    let instrumented = instrumented.as_slice();
    std::thread::scope(|scope| {
        let generators: Vec<_> = options
            .isas
            .iter()
            .map(|&isa| (isa, scope.spawn(move || codegen::generate(instrumented, isa, level, Output::Object))))
            .collect();
        generators
            .into_iter()
            .map(|(isa, generator)| match generator.join() {
                Ok(result) => Ok((isa, result?)),
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .collect()
    })
}

/// Compiles a module to assembly text for one ISA.
///
/// # Errors
/// As [`compile_module`].
pub fn compile_to_assembly(bitcode: &[u8], options: &CompileOptions, isa: Isa) -> Result<String, PassError> {
    let instrumented = instrument_bitcode(bitcode, options)?;
    let text = codegen::generate(&instrumented, isa, options.optimization_level, Output::Assembly)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Runs the passes over a module and returns it as IR text, for inspection and tests.
///
/// # Errors
/// As [`compile_module`].
pub fn instrument_to_text(source: &[u8], options: &CompileOptions) -> Result<String, PassError> {
    with_instrumented(source, options, |module| module.print_to_string().to_string())
}

fn instrument_bitcode(bitcode: &[u8], options: &CompileOptions) -> Result<Vec<u8>, PassError> {
    with_instrumented(bitcode, options, |module| module.write_bitcode_to_memory().as_slice().to_vec())
}

fn with_instrumented<T>(
    source: &[u8],
    options: &CompileOptions,
    then: impl FnOnce(&InkwellModule<'_>) -> T,
) -> Result<T, PassError> {
    let context = Context::create();
    let buffer = MemoryBuffer::create_from_memory_range_copy(source, &options.unit_name);
    let parsed = context.create_module_from_ir(buffer).map_err(|message| PassError::Llvm {
        stage: "reading the module",
        isa: "all ISAs",
        message: message.to_string(),
    })?;
    instrument(Module::new(&parsed), options, &unit_suffix(source, &options.unit_name))?;
    Ok(then(&parsed))
}

/// Ten hexadecimal digits that differ between units, and are the same for the same unit.
fn unit_suffix(source: &[u8], unit_name: &str) -> String {
    let mut hasher = DefaultHasher::new();
    source.hash(&mut hasher);
    unit_name.hash(&mut hasher);
    format!("{:010x}", hasher.finish() & 0xff_ffff_ffff)
}

/// Runs one pass and checks its result.
macro_rules! pass {
    ($name:literal, $module:expr, $run:expr) => {{
        let result = $run?;
        $module.verify().map_err(|message| PassError::InvalidIr { pass: $name, message })?;
        result
    }};
}

fn instrument(module: Module, options: &CompileOptions, suffix: &str) -> Result<(), PassError> {
    pass!("inline_assembly", module, inline_assembly::run(module));
    // Before byval, which must not see the aggregates that variadics lays out.
    pass!("variadics", module, variadics::run(module));
    pass!("byval", module, byval::run(module));
    pass!("unique_names", module, unique_names::run(module, suffix));
    pass!("thread_locals", module, thread_locals::run(module));
    pass!("computed_goto", module, computed_goto::run(module));
    if options.instrument {
        make_migratable(module, options, suffix)?;
    }
    // What is left unused must go for every ISA alike.
    pass!("globaldce", module, module.run_passes("globaldce").map_err(simplification_error));
    Ok(())
}

fn make_migratable(module: Module, options: &CompileOptions, suffix: &str) -> Result<(), PassError> {
    pass!("setjmp", module, setjmp::run(module));
    pass!("migration_points", module, migration_points::run(module, &options.non_migrating));
    let migrating = Migrating::of(module, &options.non_migrating);
    let needs_frame = |function| setjmp::is_used_in(module, function);
    let mut frames = pass!("shadow_stack", module, shadow_stack::run(module, &migrating, needs_frame));
    let functions: Vec<Function> =
        module.definitions().into_iter().filter(|&function| migrating.function(function)).collect();
    let mut clones = Vec::new();
    for &function in &functions {
        let name = resume_name(function, suffix);
        let clone = resume_clones::declare(module, function, &name);
        let sites = save_pads::run(module, &migrating, function, clone, frames.get_mut(&function))?;
        if sites.is_empty() {
            clone.delete();
            continue;
        }
        resume_clones::run(module, function, clone, &sites)?;
        place_clone(function, clone);
        clones.push(clone);
    }
    for &clone in &clones {
        module.run_function_passes(clone, "mem2reg,simplifycfg,dce").map_err(simplification_error)?;
    }
    pass!("save_pads and resume_clones", module, Ok::<(), PassError>(()));
    Ok(())
}

fn simplification_error(message: String) -> PassError {
    PassError::Llvm { stage: "simplification", isa: "all ISAs", message }
}

/// Clones are local to the unit: the pads that name them are, too. Functions that several units may
/// define need the unit's suffix to keep their clones apart.
fn resume_name(function: Function, suffix: &str) -> String {
    let name = function.name();
    let shared = !function.is_internal() && function.value().linkage() != Linkage::LLVMExternalLinkage;
    if shared { format!("{name}.{suffix}{RESUME_SUFFIX}") } else { format!("{name}{RESUME_SUFFIX}") }
}

fn place_clone(function: Function, clone: Function) {
    for attribute in function.attributes(Place::Function) {
        clone.add_attribute(Place::Function, attribute);
    }
    clone.remove_attribute(Place::Function, "alwaysinline");
    clone.value().set_linkage(Linkage::LLVMInternalLinkage);
    clone.share_comdat(function);
    clone.value().set_section(&format!(".text.unlikely.{}", clone.name()));
}
