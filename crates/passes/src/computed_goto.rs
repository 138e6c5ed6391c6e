//! Pass 5: computed goto becomes a switch over label numbers.
//!
//! The address of a label is code, which differs between ISAs, yet programs keep it in tables. Here
//! each label of a function whose address is taken gets a number from 1, `blockaddress` becomes that number as a pointer, and
//! `indirectbr` a `switch` over it, as LLVM's own `indirectbr-expand` does.

use crate::error::PassError;
use crate::ir::{Block, Builder, Function, Module, Opcode, Type, Value};
use std::collections::HashMap;

/// Lowers label addresses and indirect branches.
///
/// # Errors
/// None today; the signature is that of every pass.
pub fn run(module: Module) -> Result<(), PassError> {
    for function in module.definitions() {
        let numbers = number_labels(function);
        for block in function.blocks() {
            if let Some(branch) = block.terminator().filter(|terminator| terminator.is(Opcode::LLVMIndirectBr)) {
                lower_branch(branch, &numbers);
            }
        }
    }
    Ok(())
}

fn number_labels(function: Function) -> HashMap<Block, u64> {
    let mut numbers = HashMap::new();
    let context = function.context();
    for block in function.blocks() {
        for address in block.value().users().into_iter().filter(|user| user.as_block_address().is_some()) {
            let next = numbers.len() as u64 + 1;
            let number = *numbers.entry(block).or_insert(next);
            let constant = Type::integer(context, 64).constant(number);
            address.replace_all_uses_with(constant.constant_to_pointer(Type::pointer(context)));
        }
    }
    numbers
}

fn lower_branch(branch: Value, numbers: &HashMap<Block, u64>) {
    let block = branch.block();
    let function = block.function();
    let int64 = Type::integer(function.context(), 64);
    let impossible = function.append_block("");
    Builder::at_end(impossible).unreachable();

    let successors = branch.successors();
    let builder = Builder::before(branch);
    let number = builder.pointer_to_integer(branch.operand(0), int64);
    let switch = builder.switch(number, impossible, successors.len() as u32);
    // Each edge keeps its own case, so that phis in the targets stay as they are; a target that is
    // listed twice, or whose address nobody takes, gets a number no table contains.
    let mut unused = numbers.len() as u64;
    let mut seen = Vec::new();
    for successor in successors {
        let case = match numbers.get(&successor) {
            Some(&number) if !seen.contains(&successor) => number,
            _ => {
                unused += 1;
                unused
            }
        };
        seen.push(successor);
        switch.add_case(int64.constant(case), successor);
    }
    branch.erase();
}
