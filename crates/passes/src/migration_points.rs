//! Pass 8: migration points, where a running thread looks whether it should move.
//!
//! A point loads a flag and branches, all but never, to a call of the runtime:
//!
//! ```text
//! %flag = load volatile i32, ptr @__maize_poll_flag
//! br (%flag != 0), slow, on ; slow: call void @__maize_poll_slow() ; br on
//! ```
//!
//! Points stand at the header of every loop that is not provably short and has no computed goto in its way, and at the entry of
//! functions that call themselves, directly or through others of the module.

use crate::computed_goto;
use crate::control_flow::{ControlFlow, Loop, dominates};
use crate::error::PassError;
use crate::ir::{Block, Builder, Function, IntPredicate, Module, Opcode, Type, Value};
use maize_abi::symbols::{POLL_FLAG, POLL_SLOW};
use std::collections::{HashMap, HashSet};

/// A loop that certainly ends within this many IR instructions (some microseconds) needs no point.
const SHORT_LOOP_INSTRUCTIONS: u64 = 20_000;

/// Inserts migration points into every function but those that `known` says must not have any.
///
/// # Errors
/// None today; the signature is that of every pass.
pub fn run(module: Module, known: &HashSet<String>) -> Result<(), PassError> {
    let recursive = recursive_functions(module);
    for function in module.definitions() {
        if known.contains(&function.name()) {
            continue;
        }
        let mut places: Vec<Value> =
            loop_headers(function).into_iter().filter_map(Block::first_insertion_point).collect();
        if recursive.contains(&function) {
            places.extend(function.entry().first_insertion_point());
        }
        for place in places {
            insert_point(module, place);
        }
    }
    Ok(())
}

/// The poll flag.
pub fn poll_flag(module: Module) -> Value {
    let flag = module.declare_variable(POLL_FLAG, Type::integer(module.context(), 64));
    flag.set_hidden();
    flag
}

/// A call of the slow path.
pub fn poll_slow(module: Module, builder: &Builder) -> Value {
    let ty = Type::function(Type::void(module.context()), &[]);
    let function = module.declare_function(POLL_SLOW, ty);
    builder.call(ty, function.value(), &[])
}

/// Splits the block before `place` and puts a point between the halves.
fn insert_point(module: Module, place: Value) {
    let int32 = Type::integer(module.context(), 32);
    let rest = place.block();
    // The head must hold something for the block to be split after.
    let load = Builder::before(place).load(int32, poll_flag(module), 4);
    load.set_volatile();
    load.copy_debug_location(place);
    let head = rest.split_off_head(load);
    let slow = rest.function().append_block("");
    let builder = Builder::at_end(head);
    let requested = builder.compare(IntPredicate::LLVMIntNE, load, int32.zero());
    builder.conditional_branch(requested, slow, rest).set_first_successor_unlikely();
    builder.position_at_end(slow);
    poll_slow(module, &builder).copy_debug_location(place);
    builder.branch(rest);
}

/// The headers at which points are needed.
fn loop_headers(function: Function) -> Vec<Block> {
    let flow = ControlFlow::of(function);
    let loops = flow.loops();
    let mut work: HashMap<usize, u64> = HashMap::new();
    let mut headers = Vec::new();
    // Inner loops come after the loops around them.
    for (index, this) in loops.iter().enumerate().rev() {
        if passes_dispatch(&flow, this) {
            continue;
        }
        match instructions_of_loop(&flow, &loops, index, &work) {
            Some(instructions) if instructions <= SHORT_LOOP_INSTRUCTIONS => {
                work.insert(this.header, instructions);
            }
            _ => headers.push(flow.order[this.header]),
        }
    }
    headers
}

/// Whether every iteration passes a computed goto, which is a migration point.
fn passes_dispatch(flow: &ControlFlow, this: &Loop) -> bool {
    let is_dispatch = |&block: &usize| {
        flow.order[block].terminator().is_some_and(|terminator| terminator.has_mark(computed_goto::DISPATCH))
    };
    let dominators = flow.immediate_dominators();
    this.natural
        && this
            .blocks
            .iter()
            .filter(|block| is_dispatch(block))
            .any(|&dispatch| this.latches.iter().all(|&latch| dominates(&dominators, dispatch, latch)))
}

/// An upper bound for the instructions the loop executes in all its iterations, if there is one.
fn instructions_of_loop(flow: &ControlFlow, loops: &[Loop], index: usize, short: &HashMap<usize, u64>) -> Option<u64> {
    let this = &loops[index];
    if !this.natural {
        return None;
    }
    let trips = constant_trip_count(flow, this)?;
    let inner: Vec<&Loop> = loops[index + 1..].iter().filter(|inner| this.blocks.contains(&inner.header)).collect();
    let mut total: u64 = 0;
    for inner in &inner {
        // A short loop inside a short loop is counted in both; the bound stays a bound.
        total = total.checked_add(*short.get(&inner.header)?)?;
    }
    for &block in &this.blocks {
        for instruction in flow.order[block].instructions() {
            if instruction.is_call_site() && instruction.intrinsic_name().is_none() {
                return None;
            }
            total = total.checked_add(1)?;
        }
    }
    total.checked_mul(trips)
}

/// The number of iterations of a loop counted by a constant step from one constant to another.
fn constant_trip_count(flow: &ControlFlow, this: &Loop) -> Option<u64> {
    let [latch] = this.latches[..] else {
        return None;
    };
    let latch = flow.order[latch];
    let branch = latch.terminator()?;
    if !branch.is(Opcode::LLVMBr) || branch.successors().len() != 2 {
        return None;
    }
    let comparison = branch.operand(0);
    if !comparison.is(Opcode::LLVMICmp) {
        return None;
    }
    let bound = comparison.operand(1).as_constant_integer()?;
    let counter = comparison.operand(0);
    flow.order[this.header].phis().into_iter().find_map(|phi| {
        let incoming = phi.incoming();
        let (next, _) = incoming.iter().find(|(_, block)| *block == latch)?;
        let (first, _) = incoming.iter().find(|(_, block)| *block != latch)?;
        if !next.is(Opcode::LLVMAdd) || next.operand(0) != phi || (counter != *next && counter != phi) {
            return None;
        }
        let width = phi.ty().integer_width();
        let (start, step) = (first.as_constant_integer()?, next.operand(1).as_constant_integer()?);
        let mask = if width >= 64 { u64::MAX } else { (1 << width) - 1 };
        let up = bound.wrapping_sub(start) & mask;
        let distance = if step <= mask / 2 { up } else { up.wrapping_neg() & mask };
        let step = if step <= mask / 2 { step } else { step.wrapping_neg() & mask };
        let equality = matches!(comparison.integer_predicate(), IntPredicate::LLVMIntEQ | IntPredicate::LLVMIntNE);
        // An equality the counter steps over would make the loop wrap round; an ordering ends it in either case.
        if step == 0 || (equality && distance % step != 0) || distance > mask / 2 {
            return None;
        }
        Some(distance / step + 1)
    })
}

/// Functions on a cycle of direct calls within the module.
fn recursive_functions(module: Module) -> HashSet<Function> {
    let definitions = module.definitions();
    let callees: HashMap<Function, Vec<Function>> = definitions
        .iter()
        .map(|&function| {
            let calls = function.instructions().into_iter().filter(|instruction| instruction.is_call_site());
            let called = calls.filter_map(|call| call.callee().as_function()).filter(|callee| !callee.is_declaration());
            (function, called.collect())
        })
        .collect();
    definitions.into_iter().filter(|&function| reaches(&callees, function)).collect()
}

fn reaches(callees: &HashMap<Function, Vec<Function>>, target: Function) -> bool {
    let mut seen = HashSet::new();
    let mut work = callees[&target].clone();
    while let Some(function) = work.pop() {
        if function == target {
            return true;
        }
        if seen.insert(function) {
            work.extend(&callees[&function]);
        }
    }
    false
}
