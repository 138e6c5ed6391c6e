//! Cloning the body of a function, which the C API lacks.

use super::Opcode;
use super::builder::Builder;
use super::function::{Block, Function};
use super::value::Value;
use std::collections::HashMap;

/// Copies every block of `from` to the end of `to`. `values` maps what is defined outside the copied
/// blocks (the parameters) and receives each copied instruction. Returns the copy of each block.
pub fn clone_into(from: Function, to: Function, values: &mut HashMap<Value, Value>) -> HashMap<Block, Block> {
    let blocks: HashMap<Block, Block> = from.blocks().into_iter().map(|block| (block, to.append_block(""))).collect();
    let builder = Builder::new(to.context());
    for block in from.blocks() {
        builder.position_at_end(blocks[&block]);
        for instruction in block.instructions() {
            // A phi's incoming blocks cannot be changed through the C API, so phis are made anew.
            let copy = if instruction.opcode() == Opcode::LLVMPHI {
                builder.phi(instruction.ty())
            } else {
                let copy = instruction.duplicate();
                builder.insert(copy);
                copy
            };
            values.insert(instruction, copy);
        }
    }
    for block in from.blocks() {
        for instruction in block.instructions() {
            let copy = values[&instruction];
            if instruction.opcode() == Opcode::LLVMPHI {
                for (value, predecessor) in instruction.incoming() {
                    copy.add_incoming(values.get(&value).copied().unwrap_or(value), blocks[&predecessor]);
                }
                continue;
            }
            for (index, operand) in copy.operands().into_iter().enumerate() {
                if let Some(&mapped) = values.get(&operand) {
                    copy.set_operand(index as u32, mapped);
                }
            }
            if copy.is_terminator() {
                for (index, successor) in copy.successors().into_iter().enumerate() {
                    copy.set_successor(index as u32, blocks[&successor]);
                }
            }
        }
    }
    blocks
}
