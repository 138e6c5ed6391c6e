//! Pass 15: cheap values are computed where they are used, if what they derive from is there.
//!
//! Optimisation computes values early and hoists them out of loops; between there and their uses, a call may lie at which they would have
//! to be kept and saved, although the values they derive from are live as well. Most are addresses, which
//! the back ends fold into addressing modes, as they do with what they sink themselves.

use crate::control_flow::{ControlFlow, Loop, depth};
use crate::error::PassError;
use crate::ir::{Block, Builder, Function, Opcode, Value};
use crate::liveness::Liveness;
use crate::points;
use std::collections::{HashMap, HashSet};

/// Of how many instructions a value may be computed anew.
const MOST_INSTRUCTIONS: usize = 3;

/// Sinks cheap values of one function to their uses in other blocks. `frame`, the address of its shadow frame,
/// stays one value: its offset is not final yet.
///
/// # Errors
/// None today; the signature is that of every pass.
pub fn run(function: Function, frame: Option<Value>, sites: &[Value]) -> Result<(), PassError> {
    let flow = ControlFlow::of(function);
    let loops = flow.loops(&flow.dominators());
    let liveness = Liveness::of(function, &flow);
    let sinking = Sinking { flow: &flow, loops: &loops, liveness: &liveness, frame };
    let mut kept: HashSet<Value> =
        kept_across(sites, &flow, &liveness).into_iter().flat_map(|(_, values)| values).collect();
    // Users before what they use: a value that is sunk may itself derive from one still to be sunk.
    for instruction in function.instructions().into_iter().rev() {
        if Some(instruction) == frame || !is_cheap(instruction) || !flow.position.contains_key(&instruction.block()) {
            continue;
        }
        if !is_constant_offset(instruction) && !kept.contains(&instruction) {
            continue;
        }
        for user in instruction.users() {
            if sinking.sink_into(instruction, user) {
                kept.extend(instruction.operands());
            }
        }
        if !instruction.has_uses() {
            kept.remove(&instruction);
            instruction.erase();
        }
    }
    Ok(())
}

/// Replaces a value as operand of `user` by what `copy` makes for the place where it is used, if anything. Returns whether it has.
pub fn replace_in(user: Value, value: Value, copy: impl Fn(Value) -> Option<Value>) -> bool {
    let incoming = if user.is(Opcode::LLVMPHI) { user.incoming() } else { Vec::new() };
    // Two edges from one predecessor must bring a phi the same value.
    let mut copies: HashMap<Block, Option<Value>> = HashMap::new();
    let mut replaced = false;
    for (index, operand) in user.operands().into_iter().enumerate() {
        if operand != value {
            continue;
        }
        let place = incoming.get(index).and_then(|(_, predecessor)| predecessor.terminator()).unwrap_or(user);
        if let Some(copy) = copies.entry(place.block()).or_insert_with(|| copy(place)) {
            user.set_operand(index as u32, *copy);
            replaced = true;
        }
    }
    replaced
}

struct Sinking<'a> {
    flow: &'a ControlFlow,
    loops: &'a [Loop],
    liveness: &'a Liveness,
    frame: Option<Value>,
}

impl Sinking<'_> {
    fn sink_into(&self, value: Value, user: Value) -> bool {
        replace_in(user, value, |place| {
            (place.block() != value.block() && self.may_sink(value, place.block())).then(|| {
                let copy = value.duplicate();
                Builder::before(place).insert(copy);
                copy
            })
        })
    }

    fn may_sink(&self, value: Value, to: Block) -> bool {
        let Some(&position) = self.flow.position.get(&to) else { return false };
        // A constant distance costs nothing anywhere.
        is_constant_offset(value)
            || depth(self.loops, position) <= depth(self.loops, self.flow.position[&value.block()])
                && self.computable(value, position, MOST_INSTRUCTIONS)
    }

    /// Whether the value can be computed at the start of a block from values that are live there, in so many instructions.
    fn computable(&self, value: Value, position: usize, instructions: usize) -> bool {
        instructions > 0
            && Some(value) != self.frame
            && is_cheap(value)
            && value.operands().into_iter().filter(|operand| operand.is_local()).all(|operand| {
                self.liveness.is_live_at_start(operand, position)
                    || self.computable(operand, position, instructions - 1)
            })
    }
}

/// The values live after each of these calls but for the points', with the calls' positions.
pub fn kept_across(sites: &[Value], flow: &ControlFlow, liveness: &Liveness) -> Vec<(usize, Vec<Value>)> {
    let calls = sites.iter().filter(|&&site| !points::is_point(site));
    let placed = calls.filter_map(|&site| Some((site, *flow.position.get(&site.block())?)));
    let kept = |site, position| liveness.at_end(position).into_iter().filter(move |&value| value != site).collect();
    placed.map(|(site, position)| (position, kept(site, position))).collect()
}

/// Whether an instruction gives an address at a constant distance from another, be it as a number.
fn is_constant_offset(instruction: Value) -> bool {
    use Opcode::*;
    if !instruction.is_instruction() || !matches!(instruction.opcode(), LLVMGetElementPtr | LLVMPtrToInt | LLVMAdd) {
        return false;
    }
    let operands = instruction.operands();
    let is_constant = operands[1..].iter().all(|operand| operand.as_constant_integer().is_some());
    is_constant && operands[0].is_local() && (!instruction.is(LLVMAdd) || is_constant_offset(operands[0]))
}

/// Whether an instruction is one without effects, of one cycle or none on every ISA.
fn is_cheap(value: Value) -> bool {
    use Opcode::*;
    value.is_instruction()
        && matches!(
            value.opcode(),
            LLVMGetElementPtr
                | LLVMAdd
                | LLVMSub
                | LLVMAnd
                | LLVMOr
                | LLVMXor
                | LLVMShl
                | LLVMLShr
                | LLVMAShr
                | LLVMZExt
                | LLVMSExt
                | LLVMTrunc
                | LLVMPtrToInt
                | LLVMIntToPtr
                | LLVMICmp
        )
        && value.operands().iter().any(|operand| operand.is_local())
}
