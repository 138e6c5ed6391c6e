//! Pass 12: migration points, where a running thread looks whether it should move.
//!
//! Points stand at the header of every loop that is not provably short and has no computed goto in its way, and before calls by
//! which functions call themselves, directly or through others of the module.

use crate::computed_goto::DISPATCH;
use crate::control_flow::{ControlFlow, Dominators, Loop};
use crate::error::PassError;
use crate::ir::{Function, IntPredicate, Module, Opcode, Value};
use crate::points;
use std::collections::{HashMap, HashSet};

/// A loop that certainly ends within this many IR instructions (some microseconds) needs no point.
const SHORT_LOOP_INSTRUCTIONS: u64 = 20_000;

/// Inserts migration points into every function but those that `known` says must not have any.
///
/// # Errors
/// None today; the signature is that of every pass.
pub fn run(module: Module, known: &HashSet<String>) -> Result<(), PassError> {
    let calls = CallGraph::of(module);
    for function in module.definitions() {
        if known.contains(&function.name()) {
            continue;
        }
        let flow = ControlFlow::of(function);
        let dominators = flow.dominators();
        let headers = loop_headers(&flow, &dominators);
        let recursion = recursion_point(&flow, &dominators, &headers, &calls.recursive_calls(function));
        let loops = headers.into_iter().filter_map(|header| flow.order[header].first_insertion_point());
        for place in loops.chain(recursion).collect::<Vec<Value>>() {
            points::insert(module, place);
        }
    }
    Ok(())
}

/// Where to look before recursive calls, unless each of them comes after some loop's point in any case: in the block through which
/// all of them are reached, so that activations that call nothing need not look.
fn recursion_point(flow: &ControlFlow, dominators: &Dominators, headers: &[usize], calls: &[Value]) -> Option<Value> {
    let uncovered: Vec<(Value, usize)> = calls
        .iter()
        .filter_map(|&call| Some((call, *flow.position.get(&call.block())?)))
        .filter(|&(_, block)| !headers.iter().any(|&header| dominators.dominates(header, block)))
        .collect();
    let blocks = uncovered.iter().map(|&(_, block)| block);
    let common = blocks.reduce(|left, right| dominators.nearest_common(left, right))?;
    let first = uncovered.iter().find(|&&(_, block)| block == common).map(|&(call, _)| call);
    first.or_else(|| flow.order[common].terminator())
}

/// Positions of the headers at which points are needed.
fn loop_headers(flow: &ControlFlow, dominators: &Dominators) -> Vec<usize> {
    let loops = flow.loops(dominators);
    let mut work: HashMap<usize, u64> = HashMap::new();
    let mut headers = Vec::new();
    // Inner loops come after the loops around them.
    for (index, this) in loops.iter().enumerate().rev() {
        if passes_dispatch(flow, dominators, this) {
            continue;
        }
        match instructions_of_loop(flow, &loops, index, &work) {
            Some(instructions) if instructions <= SHORT_LOOP_INSTRUCTIONS => {
                work.insert(this.header, instructions);
            }
            _ => headers.push(this.header),
        }
    }
    headers
}

/// Whether every iteration passes a computed goto, which is a migration point.
fn passes_dispatch(flow: &ControlFlow, dominators: &Dominators, this: &Loop) -> bool {
    let is_dispatch =
        |&block: &usize| flow.order[block].terminator().is_some_and(|terminator| terminator.has_mark(DISPATCH));
    this.natural
        && this
            .blocks
            .iter()
            .filter(|block| is_dispatch(block))
            .any(|&dispatch| this.latches.iter().all(|&latch| dominators.dominates(dispatch, latch)))
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

/// Direct calls within the module.
struct CallGraph {
    callees: HashMap<Function, Vec<Function>>,
}

impl CallGraph {
    fn of(module: Module) -> CallGraph {
        let called = |function: Function| direct_calls(function).map(|(_, callee)| callee).collect();
        CallGraph { callees: module.definitions().into_iter().map(|function| (function, called(function))).collect() }
    }

    /// The calls of a function from which it may be called again.
    fn recursive_calls(&self, function: Function) -> Vec<Value> {
        direct_calls(function).filter(|&(_, callee)| self.reaches(callee, function)).map(|(call, _)| call).collect()
    }

    fn reaches(&self, from: Function, target: Function) -> bool {
        let mut seen = HashSet::from([from]);
        let mut work = vec![from];
        while let Some(function) = work.pop() {
            if function == target {
                return true;
            }
            work.extend(self.callees[&function].iter().filter(|&&callee| seen.insert(callee)));
        }
        false
    }
}

/// Calls of functions that are defined in the module, with these.
fn direct_calls(function: Function) -> impl Iterator<Item = (Value, Function)> {
    function
        .instructions()
        .into_iter()
        .filter(|instruction| instruction.is_call_site())
        .filter_map(|call| Some((call, call.callee().as_function()?)))
        .filter(|(_, callee)| !callee.is_declaration())
}
