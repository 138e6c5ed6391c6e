//! Pass 3: refuses what exists on one ISA only.
//!
//! Empty inline assembly is a compiler barrier and stays, without the clobbers of x86 flags that compilers add and without comments.
//! Everything else is an error that says where.

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
                return Err(PassError::IsaIntrinsic {
                    function: function.name(),
                    intrinsic: name,
                    location: instruction.source_location(),
                });
            }
        }
    }
    Ok(())
}

fn make_portable(module: Module, call: Value) -> Result<(), PassError> {
    let assembly = call.callee();
    let (template, constraints) = assembly.inline_assembly_text();
    let kept: Vec<&str> = constraints.split(',').filter(|constraint| !is_x86_flag_clobber(constraint)).collect();
    if !is_comment(template.trim()) || !kept.iter().all(|constraint| is_portable(constraint)) {
        return Err(PassError::InlineAssembly {
            function: call.block().function().name(),
            template: template.trim().to_owned(),
            location: call.source_location(),
        });
    }
    let replacement = module.empty_assembly_like(assembly, &kept.join(","));
    let callee_index = call.operands().len() as u32 - 1;
    call.set_operand(callee_index, replacement);
    Ok(())
}

/// Whether there is no code, and at most one comment: Rust programs name a value in it to keep the compiler from knowing it.
fn is_comment(template: &str) -> bool {
    let comment = template.strip_prefix("/*").and_then(|rest| rest.strip_suffix("*/"));
    template.is_empty() || comment.is_some_and(|text| !text.contains("*/"))
}

fn is_x86_flag_clobber(constraint: &str) -> bool {
    matches!(constraint, "~{dirflag}" | "~{fpsr}" | "~{flags}")
}

/// Registers and memory of any kind; a named register exists on one ISA only.
fn is_portable(constraint: &str) -> bool {
    constraint == "~{memory}"
        || constraint.trim_start_matches(['=', '+', '&', '*']).chars().all(|c| "rmgiXn0123456789".contains(c))
}
