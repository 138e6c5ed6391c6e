//! Before the passes: what the link of a whole program decides about its module.

use crate::error::PassError;
use crate::ir::{Linkage, Module};
use inkwell::context::Context;
use inkwell::memory_buffer::MemoryBuffer;

/// What to do with a program's module.
#[derive(Clone, Copy, Debug, Default)]
pub struct Preparation {
    /// Drop debug information.
    pub strip_debug_information: bool,
}

/// What begins to unwind. A Rust program that does not refer to it aborts when it panics, and then its landing pads, some of
/// which the standard library always has, are never reached.
const RAISE: &str = "_Unwind_RaiseException";
/// Rust's personality routine.
const PERSONALITY: &str = "rust_eh_personality";

/// Prepares a module, given as bitcode.
///
/// # Errors
/// LLVM's, if it cannot read the module.
pub fn prepare(bitcode: &[u8], preparation: Preparation) -> Result<Vec<u8>, PassError> {
    let failed = |stage: &'static str| move |message: String| PassError::Llvm { stage, isa: "all ISAs", message };
    let context = Context::create();
    let buffer = MemoryBuffer::create_from_memory_range_copy(bitcode, "program");
    let parsed =
        context.create_module_from_ir(buffer).map_err(|error| failed("reading the module")(error.to_string()))?;
    let module = Module::new(&parsed);
    if preparation.strip_debug_information {
        module.strip_debug_information();
    }
    if module.function(RAISE).is_none() {
        module.run_passes("function(lower-invoke,simplifycfg)").map_err(failed("simplification"))?;
        for function in module.definitions() {
            function.remove_personality();
        }
        if let Some(personality) = module.function(PERSONALITY).filter(|function| !function.is_declaration()) {
            personality.value().set_linkage(Linkage::LLVMInternalLinkage);
        }
        module.run_passes("globaldce").map_err(failed("simplification"))?;
    }
    Ok(parsed.write_bitcode_to_memory().as_slice().to_vec())
}
