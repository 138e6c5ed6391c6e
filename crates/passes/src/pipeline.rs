//! The passes in order, and what becomes of a translation unit.

use crate::codegen::{self, Output};
use crate::error::PassError;
use crate::fault::Fault;
use crate::ir::{Function, Linkage, Module, Place, Value};
use crate::migrating::Migrating;
use crate::shadow_stack::ShadowFrame;
use crate::{
    addresses, byval, computed_goto, exceptions, inline_assembly, kept_form, migration_points, rematerialize, results,
    resume_clones, setjmp, shadow_stack, sites, thread_locals, unique_names, variadics, x86_extensions, x86_intrinsics,
};
use inkwell::context::Context;
use inkwell::memory_buffer::MemoryBuffer;
use inkwell::module::Module as InkwellModule;
use maize_abi::Isa;
use maize_abi::symbols::RESUME_SUFFIX;
use std::collections::{HashMap, HashSet};
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
    /// A deliberate defect, for tests of tests.
    pub fault: Option<Fault>,
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

/// Runs the passes up to and including `last` over a module and returns it as IR text, for inspection and tests.
///
/// # Errors
/// As [`compile_module`].
pub fn instrument_to_text(source: &[u8], options: &CompileOptions, last: Pass) -> Result<String, PassError> {
    with_instrumented(source, options, last, |module| module.print_to_string().to_string())
}

fn instrument_bitcode(bitcode: &[u8], options: &CompileOptions) -> Result<Vec<u8>, PassError> {
    let last = if options.instrument { Pass::GlobalDce } else { Pass::ComputedGoto };
    with_instrumented(bitcode, options, last, |module| module.write_bitcode_to_memory().as_slice().to_vec())
}

fn with_instrumented<T>(
    source: &[u8],
    options: &CompileOptions,
    last: Pass,
    then: impl FnOnce(&InkwellModule<'_>) -> T,
) -> Result<T, PassError> {
    let context = Context::create();
    let buffer = MemoryBuffer::create_from_memory_range_copy(source, &options.unit_name);
    let parsed = context.create_module_from_ir(buffer).map_err(|message| PassError::Llvm {
        stage: "reading the module",
        isa: "all ISAs",
        message: message.to_string(),
    })?;
    let module = Module::new(&parsed);
    let suffix = unit_suffix(source, &options.unit_name);
    let mut pipeline =
        Pipeline { module, options, suffix, migrating: None, frames: HashMap::new(), clones: Vec::new() };
    for pass in Pass::ALL {
        pipeline.run(pass)?;
        module.verify().map_err(|message| PassError::InvalidIr { pass: pass.name(), message })?;
        if pass == last {
            break;
        }
    }
    Ok(then(&parsed))
}

/// Ten hexadecimal digits that differ between units, and are the same for the same unit.
fn unit_suffix(source: &[u8], unit_name: &str) -> String {
    let mut hasher = DefaultHasher::new();
    source.hash(&mut hasher);
    unit_name.hash(&mut hasher);
    format!("{:010x}", hasher.finish() & 0xff_ffff_ffff)
}

/// The passes, in the order in which they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // each is documented in the file of its name
pub enum Pass {
    X86Extensions,
    X86Intrinsics,
    InlineAssembly,
    // Before byval, which must not see the aggregates that variadics lays out.
    Variadics,
    Byval,
    Results,
    UniqueNames,
    ThreadLocals,
    ComputedGoto,
    Setjmp,
    Exceptions,
    MigrationPoints,
    ShadowStack,
    Addresses,
    Rematerialize,
    KeptForm,
    /// `sites` and `resume_clones`, function by function: a clone is copied from the function with its sites.
    Clones,
    SimplifyClones,
    /// What is left unused must go for every ISA alike.
    GlobalDce,
}

impl Pass {
    /// Every pass in order.
    pub const ALL: [Pass; 19] = [
        Pass::X86Extensions,
        Pass::X86Intrinsics,
        Pass::InlineAssembly,
        Pass::Variadics,
        Pass::Byval,
        Pass::Results,
        Pass::UniqueNames,
        Pass::ThreadLocals,
        Pass::ComputedGoto,
        Pass::Setjmp,
        Pass::Exceptions,
        Pass::MigrationPoints,
        Pass::ShadowStack,
        Pass::Addresses,
        Pass::Rematerialize,
        Pass::KeptForm,
        Pass::Clones,
        Pass::SimplifyClones,
        Pass::GlobalDce,
    ];

    /// The name of the pass's file.
    pub const fn name(self) -> &'static str {
        match self {
            Pass::X86Extensions => "x86_extensions",
            Pass::X86Intrinsics => "x86_intrinsics",
            Pass::InlineAssembly => "inline_assembly",
            Pass::Variadics => "variadics",
            Pass::Byval => "byval",
            Pass::Results => "results",
            Pass::UniqueNames => "unique_names",
            Pass::ThreadLocals => "thread_locals",
            Pass::ComputedGoto => "computed_goto",
            Pass::Setjmp => "setjmp",
            Pass::Exceptions => "exceptions",
            Pass::MigrationPoints => "migration_points",
            Pass::ShadowStack => "shadow_stack",
            Pass::Addresses => "addresses",
            Pass::Rematerialize => "rematerialize",
            Pass::KeptForm => "kept_form",
            Pass::Clones => "resume_clones",
            Pass::SimplifyClones => "simplify_clones",
            Pass::GlobalDce => "globaldce",
        }
    }
}

/// The state that passes hand on.
struct Pipeline<'a> {
    module: Module,
    options: &'a CompileOptions,
    suffix: String,
    migrating: Option<Migrating<'a>>,
    frames: HashMap<Function, ShadowFrame>,
    clones: Vec<Function>,
}

impl Pipeline<'_> {
    fn run(&mut self, pass: Pass) -> Result<(), PassError> {
        let module = self.module;
        match pass {
            Pass::X86Extensions => x86_extensions::run(module),
            Pass::X86Intrinsics => x86_intrinsics::run(module),
            Pass::InlineAssembly => inline_assembly::run(module),
            Pass::Variadics => variadics::run(module),
            Pass::Byval => byval::run(module),
            Pass::Results => results::run(module),
            Pass::UniqueNames => unique_names::run(module, &self.suffix),
            Pass::ThreadLocals => thread_locals::run(module),
            Pass::ComputedGoto => {
                computed_goto::run(module, self.options.instrument.then_some(&self.options.non_migrating))
            }
            Pass::Setjmp => setjmp::run(module),
            Pass::Exceptions => exceptions::run(module),
            Pass::MigrationPoints => migration_points::run(module, &self.options.non_migrating),
            Pass::ShadowStack => {
                let migrating = self.migrating.insert(Migrating::of(module, &self.options.non_migrating));
                self.frames = shadow_stack::run(module, migrating, |function| setjmp::is_used_in(module, function))?;
                Ok(())
            }
            Pass::Addresses => {
                for function in self.migrating_functions() {
                    addresses::run(function, self.frames.get(&function));
                }
                Ok(())
            }
            Pass::Rematerialize => self.migrating_functions().into_iter().try_for_each(|function| {
                let Some(migrating) = &self.migrating else { return Ok(()) };
                sites::split_blocks(migrating, function)?;
                let sites = migrating.sites(function);
                rematerialize::run(function, self.frames.get(&function).map(|frame| frame.base), &sites)
            }),
            Pass::KeptForm => self.migrating_functions().into_iter().try_for_each(|function| {
                let Some(migrating) = &self.migrating else { return Ok(()) };
                kept_form::run(module, function, &migrating.sites(function))
            }),
            Pass::Clones => {
                self.migrating_functions().into_iter().try_for_each(|function| self.make_clone(function))?;
                let clones: Vec<Value> = self.clones.iter().map(|clone| clone.value()).collect();
                if !clones.is_empty() {
                    module.keep(&clones);
                }
                Ok(())
            }
            Pass::SimplifyClones => self.clones.iter().try_for_each(|&clone| {
                module.run_function_passes(clone, "mem2reg,simplifycfg,loop-simplify,dce").map_err(simplification_error)
            }),
            Pass::GlobalDce => module.run_passes("globaldce").map_err(simplification_error),
        }
    }

    fn migrating_functions(&self) -> Vec<Function> {
        let Some(migrating) = &self.migrating else { return Vec::new() };
        self.module.definitions().into_iter().filter(|&function| migrating.function(function)).collect()
    }

    fn make_clone(&mut self, function: Function) -> Result<(), PassError> {
        let Some(migrating) = &self.migrating else { return Ok(()) };
        let fault = self.options.fault.as_ref().filter(|fault| fault.concerns(function));
        let sites = sites::run(self.module, migrating, function, self.frames.get_mut(&function), fault)?;
        if sites.is_empty() {
            return Ok(());
        }
        let clone = resume_clones::declare(self.module, function, &format!("{}{RESUME_SUFFIX}", function.name()));
        resume_clones::run(self.module, function, clone, &sites)?;
        place_clone(function, clone);
        self.clones.push(clone);
        Ok(())
    }
}

fn simplification_error(message: String) -> PassError {
    PassError::Llvm { stage: "simplification", isa: "all ISAs", message }
}

/// Clones are local to the unit: only its own site table names them.
fn place_clone(function: Function, clone: Function) {
    for attribute in function.attributes(Place::Function) {
        clone.add_attribute(Place::Function, attribute);
    }
    // What is said of the parameters does not hold for the record.
    for name in ["alwaysinline", "allocsize", "allockind"] {
        clone.remove_attribute(Place::Function, name);
    }
    clone.value().set_linkage(Linkage::LLVMInternalLinkage);
    clone.share_comdat(function);
    clone.value().set_section(&format!(".text.unlikely.{}", clone.name()));
}
