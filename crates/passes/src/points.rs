//! What a migration point is made of.
//!
//! In IR, a point is a branch that is all but never taken, to a call of the runtime:
//!
//! ```text
//! %requested = call i1 @__maize_requested()
//! br i1 %requested, label %point, label %on ; point: call void @__maize_point() ; br label %on
//! ```
//!
//! In machine code there is no test. The branch becomes a place that the runtime can overwrite with a trap, and
//! whose trap leads to the call, as do the kernel's static keys; the list of these places is a section
//! ([`POINTS_SECTION`]: pairs of the place's and the call's address). The call preserves all registers
//! (`llvm/point_masks.cpp` tells LLVM), so that the code around it need not care.

use crate::error::PassError;
use crate::ir::{Block, Builder, Function, Module, Opcode, Type, Value};
use crate::isa::Target;
use maize_abi::symbols::{POINT, POINTS_SECTION, REQUESTED};
use std::collections::HashMap;

/// Splits the block before `place` and puts a point between the halves.
pub fn insert(module: Module, place: Value) {
    let ty = Type::function(Type::integer(module.context(), 1), &[]);
    let requested = Builder::before(place).call(ty, module.declare_function(REQUESTED, ty).value(), &[]);
    requested.copy_debug_location(place);
    let rest = place.block();
    let head = rest.split_off_head(requested);
    let slow = rest.function().append_block("");
    let builder = Builder::at_end(head);
    builder.conditional_branch(requested, slow, rest).set_first_successor_unlikely();
    builder.position_at_end(slow);
    let ty = Type::function(Type::void(module.context()), &[]);
    builder.call(ty, module.declare_function(POINT, ty).value(), &[]).copy_debug_location(place);
    builder.branch(rest);
}

/// The tests of the points in a function, by the blocks of the points' calls.
pub fn tests(module: Module, function: Function) -> HashMap<Block, Value> {
    let tests = module.function(REQUESTED).map(|requested| requested.value().users()).unwrap_or_default();
    let tests = tests.into_iter().filter(|test| test.block().function() == function);
    tests.filter_map(|test| Some((*test.block().successors().first()?, test))).collect()
}

/// Whether a call is a point's.
pub fn is_point(call: Value) -> bool {
    call.callee().as_function().is_some_and(|callee| callee.name() == POINT)
}

/// Gives the points of a module for one ISA the form they have in machine code.
///
/// # Errors
/// [`PassError::InvalidIr`] if a pass has made something else of a point.
pub fn lower(module: Module, target: &Target) -> Result<(), PassError> {
    let Some(requested) = module.function(REQUESTED) else { return Ok(()) };
    for test in requested.value().users() {
        lower_one(target, test).ok_or_else(|| PassError::InvalidIr {
            pass: "points",
            message: format!("a migration point of {} has been taken apart", test.block().function().name()),
        })?;
    }
    Ok(())
}

fn lower_one(target: &Target, test: Value) -> Option<()> {
    let branch = test.next().filter(|next| next.is(Opcode::LLVMBr) && test.users() == [*next])?;
    let &[slow, rest] = branch.successors().as_slice() else { return None };
    let nop = target.nop;
    let text = format!("1: {nop}\n.pushsection {POINTS_SECTION}, \"\", @progbits\n.8byte 1b, ${{0:l}}\n.popsection");
    Builder::before(branch).jump_by_assembly(&text, rest, slow);
    branch.erase();
    test.erase();
    Some(())
}
