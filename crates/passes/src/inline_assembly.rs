//! Pass 1: refuses what exists on one ISA only.
//!
//! Empty inline assembly is a compiler barrier and stays, without the clobbers of x86 flags that
//! clang adds. `llvm.x86.sse2.pause` is a hint and goes. Everything else is an error that says where.

use crate::error::PassError;
use crate::ir::{Module, Value};

/// Refuses assembly and intrinsics of one ISA.
///
/// # Errors
/// [`PassError::InlineAssembly`], [`PassError::IsaIntrinsic`], [`PassError::ModuleAssembly`].
pub fn run(module: Module) -> Result<(), PassError> {
    let text = module.inline_assembly();
    if !text.trim().is_empty() {
        return Err(PassError::ModuleAssembly { text: text.trim().to_owned() });
    }
    for function in module.definitions() {
        for instruction in function.instructions() {
            if !instruction.is_call_site() {
                continue;
            }
            if instruction.callee().is_inline_assembly() {
                make_portable(module, instruction)?;
            } else if let Some(name) = instruction.intrinsic_name().filter(|name| name.starts_with("llvm.x86.")) {
                if name != "llvm.x86.sse2.pause" {
                    return Err(PassError::IsaIntrinsic {
                        function: function.name(),
                        intrinsic: name,
                        location: instruction.source_location(),
                    });
                }
                instruction.erase();
            }
        }
    }
    Ok(())
}

fn make_portable(module: Module, call: Value) -> Result<(), PassError> {
    let assembly = call.callee();
    let (template, constraints) = assembly.inline_assembly_text();
    let kept: Vec<&str> = constraints.split(',').filter(|constraint| !is_x86_flag_clobber(constraint)).collect();
    if !template.trim().is_empty() || !kept.iter().all(|constraint| is_portable(constraint)) {
        return Err(PassError::InlineAssembly {
            function: call.block().function().name(),
            template: template.trim().to_owned(),
            location: call.source_location(),
        });
    }
    let replacement = module.inline_assembly_like(assembly, &template, &kept.join(","));
    let callee_index = call.operands().len() as u32 - 1;
    call.set_operand(callee_index, replacement);
    Ok(())
}

fn is_x86_flag_clobber(constraint: &str) -> bool {
    matches!(constraint, "~{dirflag}" | "~{fpsr}" | "~{flags}")
}

/// Registers and memory of any kind; a named register exists on one ISA only.
fn is_portable(constraint: &str) -> bool {
    constraint == "~{memory}"
        || constraint.trim_start_matches(['=', '+', '&', '*']).chars().all(|c| "rmgiXn0123456789".contains(c))
}
