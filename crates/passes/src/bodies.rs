//! Puts bodies, written in IR, in the place of intrinsics: that of `@llvm.NAME` is `@maize.NAME`.

use crate::ir::{Function, Module};
use std::collections::HashSet;

const FROM: &str = "llvm.";
const TO: &str = "maize.";

/// Replaces the intrinsics for which `bodies`, a module's text that ends with a NUL, has one, and returns the functions that use them.
///
/// # Errors
/// LLVM's message, if the bodies cannot be linked or inlined.
pub fn replace(module: Module, bodies: &str) -> Result<HashSet<Function>, String> {
    let mut users = HashSet::new();
    if bodies.is_empty() {
        return Ok(users);
    }
    for intrinsic in module.functions() {
        let name = intrinsic.name();
        let Some(rest) = name.strip_prefix(FROM) else { continue };
        let replacement = format!("{TO}{rest}");
        if !bodies.contains(&format!("@{replacement}(")) {
            continue;
        }
        let callers = intrinsic.value().users().into_iter().filter(|user| user.is_instruction());
        users.extend(callers.map(|call| call.block().function()));
        let body = module.declare_function(&replacement, intrinsic.function_type());
        intrinsic.value().replace_all_uses_with(body.value());
    }
    if !users.is_empty() {
        module.link_text(bodies)?;
        module.run_passes("always-inline,globaldce")?;
    }
    Ok(users)
}
