//! Pass 1: the machine that programs see is an x86-64 without extensions.
//!
//! Programs ask the processor what it can do and then call functions compiled for extensions such as AVX2. Here the
//! processor (`cpuid`) answers that it has none. So functions that need one are never called; what calls them all the same ends with a trap.

use crate::error::PassError;
use crate::ir::{Builder, Function, Module, Type};

/// What every x86-64 processor has, as LLVM names it.
const BASELINE: &[&str] = &["64bit", "cmov", "cx8", "fxsr", "mmx", "sse", "sse2", "x87"];
const FEATURES: &str = "target-features";

/// Makes `cpuid` answer zeros, and empties functions that need extensions.
///
/// # Errors
/// [`PassError::Unsupported`] if the program's entry needs an extension, and LLVM's, if it cannot remove what became unreachable.
pub fn run(module: Module) -> Result<(), PassError> {
    for function in module.definitions() {
        for call in function.instructions().into_iter().filter(|call| call.is_call_site()) {
            if call.callee().is_inline_assembly() && asks_processor(&call.callee().inline_assembly_text().0) {
                if call.has_uses() {
                    call.replace_all_uses_with(call.ty().zero());
                }
                call.erase();
            }
        }
        if let Some(extension) = needed_extension(function) {
            if function.name() == "main" {
                return Err(PassError::Unsupported {
                    function: function.name(),
                    what: format!("code for processors with {extension}"),
                    remedy: "compile for the baseline (without -march, -Ctarget-cpu and -Ctarget-feature)",
                    location: None,
                });
            }
            make_trap(module, function)?;
        }
    }
    Ok(())
}

/// Whether assembly consists of `cpuid` and the moves that save `rbx`, which it clobbers and the compiler may use.
fn asks_processor(template: &str) -> bool {
    let mut asks = false;
    for statement in template.split(['\n', ';']).map(str::trim).filter(|statement| !statement.is_empty()) {
        let mut words = statement.split_whitespace();
        match words.next().unwrap_or_default() {
            "cpuid" => asks = true,
            word if (word.starts_with("mov") || word.starts_with("xchg")) && statement.contains("bx") => {}
            _ => return false,
        }
    }
    asks
}

/// An extension that a function was compiled for.
fn needed_extension(function: Function) -> Option<String> {
    let features = function.string_attribute(FEATURES)?;
    let needed = features.split(',').filter_map(|feature| feature.strip_prefix('+'));
    needed.into_iter().find(|feature| !BASELINE.contains(feature)).map(str::to_owned)
}

fn make_trap(module: Module, function: Function) -> Result<(), PassError> {
    let block = function.entry().insert_block_before("");
    let builder = Builder::at_end(block);
    let trap = module.intrinsic("llvm.trap", &[]);
    builder.call(Type::function(Type::void(module.context()), &[]), trap.value(), &[]);
    builder.unreachable();
    let failed = |message| PassError::Llvm { stage: "simplification", isa: "all ISAs", message };
    module.run_function_passes(function, "simplifycfg").map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::asks_processor;

    #[test]
    fn cpuid_is_told_from_other_assembly() {
        assert!(asks_processor("mov ${0:q}, rbx\ncpuid\nxchg ${0:q}, rbx"));
        assert!(asks_processor("  xchgq %rbx, ${1:q}\n  cpuid\n  xchgq %rbx, ${1:q}"));
        assert!(asks_processor("cpuid"));
        assert!(!asks_processor("mov rax, rbx"));
        assert!(!asks_processor("cpuid\nmov rax, 1"));
        assert!(!asks_processor("rdtsc"));
        assert!(!asks_processor(""));
    }
}
