//! Pass 7: internal symbols get names that are unique in the program.
//!
//! Code for every ISA refers to one data image, and the linker matches functions across ISAs: both
//! by name. Internal functions and variables therefore get a suffix that no other unit has.

use crate::error::PassError;
use crate::ir::{Linkage, Module, Value};

/// Renames internal and private symbols to `NAME.SUFFIX` and makes private ones internal, so that they have a symbol.
///
/// # Errors
/// None today; the signature is that of every pass.
pub fn run(module: Module, suffix: &str) -> Result<(), PassError> {
    let functions = module.definitions().into_iter().map(|function| function.value());
    let symbols = module.global_variables().into_iter().chain(module.aliases()).chain(functions);
    for symbol in symbols {
        if matches!(symbol.linkage(), Linkage::LLVMInternalLinkage | Linkage::LLVMPrivateLinkage) {
            rename(symbol, suffix);
        }
    }
    Ok(())
}

fn rename(symbol: Value, suffix: &str) {
    let name = symbol.name();
    // LLVM's own variables (llvm.used and the like) never become symbols.
    if name.starts_with("llvm.") {
        return;
    }
    let stem = if name.is_empty() { "anonymous" } else { name.as_str() };
    symbol.set_name(&format!("{stem}.{suffix}"));
    symbol.set_linkage(Linkage::LLVMInternalLinkage);
}
