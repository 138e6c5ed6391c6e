//! Pass 5: aggregates passed by value in memory become explicit copies.
//!
//! `byval` makes the back end copy an argument into the machine stack, whose addresses are not
//! portable. Here the caller copies into a local of its own (which the shadow-stack pass then moves)
//! and passes a plain pointer. `sret` goes too: it selects a special register on AArch64 and a
//! returned pointer on x86-64, and a resume clone has neither.

use crate::error::PassError;
use crate::ir::{Builder, Module, Place, Value};

/// Replaces `byval` and `sret` everywhere.
///
/// # Errors
/// None today; the signature is that of every pass.
pub fn run(module: Module) -> Result<(), PassError> {
    for function in module.functions() {
        for index in 0..function.parameters().len() as u32 {
            function.remove_attribute(Place::Parameter(index), "byval");
            function.remove_attribute(Place::Parameter(index), "sret");
        }
        if function.is_declaration() {
            continue;
        }
        for instruction in function.instructions() {
            if instruction.is_call_site() && instruction.intrinsic_name().is_none() {
                lower_call(module, instruction);
            }
        }
    }
    Ok(())
}

fn lower_call(module: Module, call: Value) {
    for (index, argument) in call.arguments().into_iter().enumerate() {
        let place = Place::Parameter(index as u32);
        call.remove_call_attribute(place, "sret");
        let Some(byval) = call.call_attribute(place, "byval") else {
            continue;
        };
        let ty = byval.type_value();
        let stated = call.call_attribute(place, "align").map_or(0, |align| align.integer_value());
        let alignment = stated.max(ty.alignment(module)).max(8);
        let copy = Builder::before(entry_point(call)).alloca(ty, alignment);
        let source_alignment = stated.max(1);
        Builder::before(call).copy_memory(copy, alignment, argument, source_alignment, ty.size(module));
        call.set_operand(index as u32, copy);
        call.remove_call_attribute(place, "byval");
        // The callee now reads the caller's frame, which a tail call would have popped.
        call.set_tail_call(false);
    }
}

/// Where locals of the function that contains `instruction` are allocated.
pub(crate) fn entry_point(instruction: Value) -> Value {
    let entry = instruction.block().function().entry();
    entry.first_instruction().unwrap_or(instruction)
}
