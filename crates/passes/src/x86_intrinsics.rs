//! Pass 2: intrinsics of SSE and SSE2, which every x86-64 has, become IR that every ISA can run.
//!
//! ```text
//! %s = call <2 x i64> @llvm.x86.sse2.psad.bw(<16 x i8> %a, <16 x i8> %b)
//! ```
//! becomes the body of `@maize.x86.sse2.psad.bw` in `x86_intrinsics.ll`. What that file does not have is left, for the next pass to refuse.

use crate::error::PassError;
use crate::ir::Module;
use std::collections::HashSet;

/// The bodies, as IR.
const BODIES: &str = concat!(include_str!("x86_intrinsics.ll"), "\0");
const FROM: &str = "llvm.x86.";
const TO: &str = "maize.x86.";

/// Replaces intrinsics by what they do.
///
/// # Errors
/// LLVM's, if the bodies cannot be linked or inlined.
pub fn run(module: Module) -> Result<(), PassError> {
    let failed = |message| PassError::Llvm { stage: "lowering of SSE intrinsics", isa: "all ISAs", message };
    let mut users = HashSet::new();
    for intrinsic in module.functions() {
        let name = intrinsic.name();
        let Some(rest) = name.strip_prefix(FROM) else { continue };
        let replacement = format!("{TO}{rest}");
        if !BODIES.contains(&format!("@{replacement}(")) {
            continue;
        }
        let callers = intrinsic.value().users().into_iter().filter(|user| user.is_instruction());
        users.extend(callers.map(|call| call.block().function()));
        let body = module.declare_function(&replacement, intrinsic.function_type());
        intrinsic.value().replace_all_uses_with(body.value());
    }
    if users.is_empty() {
        return Ok(());
    }
    module.link_text(BODIES).map_err(failed)?;
    module.run_passes("always-inline,globaldce").map_err(failed)?;
    users.into_iter().try_for_each(|user| module.run_function_passes(user, "instsimplify,simplifycfg")).map_err(failed)
}
