//! Pass 2: intrinsics of SSE and SSE2, which every x86-64 has, become IR that every ISA can run.
//!
//! ```text
//! %s = call <2 x i64> @llvm.x86.sse2.psad.bw(<16 x i8> %a, <16 x i8> %b)
//! ```
//! becomes the body of `@maize.x86.sse2.psad.bw` in `x86_intrinsics.ll`. What that file does not have is left, for the next pass to refuse.

use crate::bodies;
use crate::error::PassError;
use crate::ir::Module;

/// The bodies, as IR.
const BODIES: &str = concat!(include_str!("x86_intrinsics.ll"), "\0");

/// Replaces intrinsics by what they do.
///
/// # Errors
/// LLVM's, if the bodies cannot be linked or inlined.
pub fn run(module: Module) -> Result<(), PassError> {
    let failed = |message| PassError::Llvm { stage: "lowering of SSE intrinsics", isa: "all ISAs", message };
    let users = bodies::replace(module, BODIES).map_err(failed)?;
    users.into_iter().try_for_each(|user| module.run_function_passes(user, "instsimplify,simplifycfg")).map_err(failed)
}
