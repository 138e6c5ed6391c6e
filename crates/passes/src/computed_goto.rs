//! Pass 7: computed goto becomes a switch over label numbers, which is a migration point as well.
//!
//! The address of a label is code, which differs between ISAs, yet programs keep it in tables. Here
//! each label of a function whose address is taken gets an even number, `blockaddress` becomes that number as a pointer, and
//! `indirectbr` a `switch` over it. Code generation makes that a jump through a table of the ISA's own again
//! ([`lower_dispatches`]), so that back ends can give each handler of an interpreter its own dispatch.
//!
//! A dispatch is taken once per instruction of the program that an interpreter runs: a load, a comparison and a branch
//! there would show. So the poll flag, 0 or 1, is made the number's lowest bit, and odd numbers lead to the slow path.

use crate::error::PassError;
use crate::ir::{Block, Builder, Function, Module, Opcode, Type, Value};
use crate::poll::{poll_flag, poll_slow};
use std::collections::{HashMap, HashSet};

/// Metadata of a switch that is a dispatch.
pub const DISPATCH: &str = "maize.dispatch";

/// Lowers label addresses and indirect branches, with migration points except in functions that `known` names,
/// or without any (`None`).
///
/// # Errors
/// None today; the signature is that of every pass.
pub fn run(module: Module, known: Option<&HashSet<String>>) -> Result<(), PassError> {
    for function in module.definitions() {
        let polls = known.is_some_and(|known| !known.contains(&function.name()));
        let numbers = number_labels(function);
        for block in function.blocks() {
            if let Some(branch) = block.terminator().filter(|terminator| terminator.is(Opcode::LLVMIndirectBr)) {
                lower_branch(module, branch, &numbers, polls);
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
            let next = 2 * (numbers.len() as u64 + 1);
            let number = *numbers.entry(block).or_insert(next);
            let constant = Type::integer(context, 64).constant(number);
            address.replace_all_uses_with(constant.constant_to_pointer(Type::pointer(context)));
        }
    }
    numbers
}

fn lower_branch(module: Module, branch: Value, numbers: &HashMap<Block, u64>, polls: bool) {
    let block = branch.block();
    let function = block.function();
    let int64 = Type::integer(function.context(), 64);
    let impossible = function.append_block("");
    Builder::at_end(impossible).unreachable();

    let successors = branch.successors();
    let cases = number_edges(&successors, numbers);
    let builder = Builder::before(branch);
    let number = builder.pointer_to_integer(branch.operand(0), int64);
    if !polls {
        let switch = builder.switch(number, impossible, cases.len() as u32);
        cases.iter().for_each(|&(case, target)| switch.add_case(int64.constant(case), target));
        switch.mark(DISPATCH);
        branch.erase();
        return;
    }
    let flag = builder.load(int64, poll_flag(module), 8);
    flag.set_volatile();
    let switch = builder.switch(builder.or(number, flag), impossible, 2 * cases.len() as u32);
    switch.mark(DISPATCH);

    let slow = function.append_block("");
    let builder = Builder::at_end(slow);
    poll_slow(module, &builder).copy_debug_location(branch);
    let again = builder.switch(number, impossible, cases.len() as u32);
    for &(case, target) in &cases {
        switch.add_case(int64.constant(case), target);
        switch.add_case(int64.constant(case + 1), slow);
        again.add_case(int64.constant(case), target);
        for phi in target.phis() {
            let value = phi.incoming().into_iter().find(|(_, from)| *from == block);
            if let Some((value, _)) = value {
                phi.add_incoming(value, slow);
            }
        }
    }
    branch.erase();
}

/// Each edge keeps its own case, so that phis in the targets stay as they are; a target that is
/// listed twice, or whose address nobody takes, gets a number no table contains.
fn number_edges(successors: &[Block], numbers: &HashMap<Block, u64>) -> Vec<(u64, Block)> {
    let mut unused = 2 * numbers.len() as u64;
    let mut seen = HashSet::new();
    let mut cases = Vec::new();
    for &successor in successors {
        let case = match numbers.get(&successor) {
            Some(&number) if seen.insert(successor) => number,
            _ => {
                unused += 2;
                unused
            }
        };
        cases.push((case, successor));
    }
    cases
}

/// Makes dispatches jumps through tables of addresses, in a module that is for one ISA only.
pub fn lower_dispatches(module: Module) {
    for function in module.definitions() {
        for block in function.blocks() {
            if let Some(switch) = block.terminator().filter(|terminator| terminator.has_mark(DISPATCH)) {
                lower_dispatch(module, switch);
            }
        }
    }
}

fn lower_dispatch(module: Module, switch: Value) {
    let function = switch.block().function();
    let successors = switch.successors();
    let cases: Vec<u64> = switch.switch_cases().into_iter().filter_map(Value::as_constant_integer).collect();
    let size = cases.iter().max().map_or(0, |last| last + 1);
    let (Some(&impossible), Some(targets)) = (successors.first(), successors.get(1..)) else { return };
    let mut entries = vec![impossible; size as usize];
    for (&case, &target) in cases.iter().zip(targets) {
        entries[case as usize] = target;
    }
    let addresses: Vec<Value> = entries.into_iter().map(|block| function.block_address(block)).collect();
    let table = module.add_private_table(&addresses);
    let pointer = Type::pointer(module.context());
    let builder = Builder::before(switch);
    let offset = builder.mul(switch.operand(0), Type::integer(module.context(), 64).constant(8));
    let address = builder.load(pointer, builder.offset(table, offset), 8);
    let branch = builder.indirect_branch(address, successors.len() as u32);
    successors.iter().for_each(|&successor| branch.add_destination(successor));
    switch.erase();
}
