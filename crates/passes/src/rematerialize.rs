//! Pass 11: addresses at a constant distance from another value are computed where they are used.
//!
//! Optimisation hoists such addresses out of loops as values of their own. Each would be saved and reloaded at every
//! site it is live across, though the value it derives from is live there as well. The back ends
//! fold the recomputed addresses into addressing modes, as they do with what they sink themselves.

use crate::error::PassError;
use crate::ir::{Block, Builder, Function, Opcode, Value};
use std::collections::HashMap;

/// Sinks constant-offset addresses of one function to their uses in other blocks. `frame`, the address of its shadow frame,
/// stays one value: its offset is not final yet.
///
/// # Errors
/// None today; the signature is that of every pass.
pub fn run(function: Function, frame: Option<Value>) -> Result<(), PassError> {
    // Users before what they use: a sunk address may itself derive from one still to be sunk.
    for instruction in function.instructions().into_iter().rev() {
        if !is_constant_offset(instruction) || Some(instruction) == frame {
            continue;
        }
        for user in instruction.users() {
            sink_into(instruction, user);
        }
        if !instruction.has_uses() {
            instruction.erase();
        }
    }
    Ok(())
}

fn is_constant_offset(instruction: Value) -> bool {
    instruction.is(Opcode::LLVMGetElementPtr)
        && instruction.operand(0).is_local()
        && instruction.operands()[1..].iter().all(|index| index.as_constant_integer().is_some())
}

fn sink_into(address: Value, user: Value) {
    let home = address.block();
    let incoming = if user.is(Opcode::LLVMPHI) { user.incoming() } else { Vec::new() };
    // Two edges from one predecessor must bring a phi the same value.
    let mut copies: HashMap<Block, Value> = HashMap::new();
    for (index, operand) in user.operands().into_iter().enumerate() {
        if operand != address {
            continue;
        }
        let place = match incoming.get(index) {
            Some((_, predecessor)) => predecessor.terminator().unwrap_or(user),
            None => user,
        };
        if place.block() == home {
            continue;
        }
        let copy = *copies.entry(place.block()).or_insert_with(|| {
            let copy = address.duplicate();
            Builder::before(place).insert(copy);
            copy
        });
        user.set_operand(index as u32, copy);
    }
}
