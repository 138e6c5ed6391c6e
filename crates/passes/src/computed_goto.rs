//! Pass 9: computed goto becomes a switch over label numbers, and its targets migration points.
//!
//! The address of a label is code, which differs between ISAs, yet programs keep it in tables. Here
//! each label of a function whose address is taken gets a number, `blockaddress` becomes that number as a pointer, and
//! `indirectbr` a `switch` over it. Code generation makes that a jump through a table of the ISA's own again
//! ([`lower_dispatches`]), so that back ends can give each handler of an interpreter its own dispatch.
//!
//! The points stand at the targets, not at the branch: back ends do not duplicate a block with a call in it.

use crate::error::PassError;
use crate::ir::{Block, Builder, Function, Module, Opcode, Type, Value};
use crate::points;
use std::collections::{HashMap, HashSet};

/// Metadata of a switch that is a dispatch.
pub const DISPATCH: &str = "maize.dispatch";

/// What the names of tables of an ISA's own begin with.
const TABLE: &str = ".maize.labels";

/// Whether a variable is one that [`lower_dispatches`] has made.
pub fn is_own_table(variable: Value) -> bool {
    variable.name().starts_with(TABLE)
}

/// Lowers label addresses and indirect branches, with migration points except in functions that `known` names,
/// or without any (`None`).
///
/// # Errors
/// None today; the signature is that of every pass.
pub fn run(module: Module, known: Option<&HashSet<String>>) -> Result<(), PassError> {
    for function in module.definitions() {
        let has_points = known.is_some_and(|known| !known.contains(&function.name()));
        let numbers = number_labels(function);
        let blocks = function.blocks();
        let mut targets = HashSet::new();
        for block in &blocks {
            if let Some(branch) = block.terminator().filter(|terminator| terminator.is(Opcode::LLVMIndirectBr)) {
                targets.extend(branch.successors());
                lower_branch(branch, &numbers);
            }
        }
        for block in blocks.into_iter().filter(|block| has_points && targets.contains(block)) {
            if let Some(place) = block.first_insertion_point() {
                points::insert(module, place);
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
    let cases = number_edges(&successors, numbers);
    let builder = Builder::before(branch);
    let number = builder.pointer_to_integer(branch.operand(0), int64);
    let switch = builder.switch(number, impossible, cases.len() as u32);
    cases.iter().for_each(|&(case, target)| switch.add_case(int64.constant(case), target));
    switch.mark(DISPATCH);
    branch.erase();
}

/// Each edge keeps its own case, so that phis in the targets stay as they are; a target that is
/// listed twice, or whose address nobody takes, gets a number no table contains.
fn number_edges(successors: &[Block], numbers: &HashMap<Block, u64>) -> Vec<(u64, Block)> {
    let mut unused = numbers.len() as u64;
    let mut seen = HashSet::new();
    let mut cases = Vec::new();
    for &successor in successors {
        let case = match numbers.get(&successor) {
            Some(&number) if seen.insert(successor) => number,
            _ => {
                unused += 1;
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
    let (Some(&impossible), Some(targets)) = (successors.first(), successors.get(1..)) else { return };
    let targets: HashMap<u64, Block> = cases.into_iter().zip(targets.iter().copied()).collect();
    let addresses = |numbers: &mut dyn Iterator<Item = u64>| {
        let blocks = numbers.map(|number| targets.get(&number).copied().unwrap_or(impossible));
        module.add_private_table(TABLE, &blocks.map(|block| function.block_address(block)).collect::<Vec<_>>())
    };
    let pointer = Type::pointer(module.context());
    let builder = Builder::before(switch);
    let number = switch.operand(0);
    let place = match place_in_table(number) {
        Some((place, labels)) => {
            let copy = place.duplicate();
            Builder::before(place).insert(copy);
            copy.set_operand(0, addresses(&mut labels.into_iter()));
            copy
        }
        None => {
            let last = targets.keys().max().copied().unwrap_or(0);
            let offset = builder.mul(number, Type::integer(module.context(), 64).constant(8));
            builder.offset(addresses(&mut (0..=last)), offset)
        }
    };
    let branch = builder.indirect_branch(builder.load(pointer, place, 8), successors.len() as u32);
    successors.iter().for_each(|&successor| branch.add_destination(successor));
    switch.erase();
}

/// If a label's number comes straight from a constant table of the program's that holds nothing else: the address it is loaded from, and
/// the numbers in the table. Then the addresses of the labels can be in a table in its place.
fn place_in_table(number: Value) -> Option<(Value, Vec<u64>)> {
    let load = number.is(Opcode::LLVMPtrToInt).then(|| number.operand(0))?;
    let place = load.is(Opcode::LLVMLoad).then(|| load.operand(0))?;
    let table = place.is(Opcode::LLVMGetElementPtr).then(|| place.operand(0))?;
    if number.users().len() > 1 || load.users().len() > 1 || !table.is_constant_variable() {
        return None;
    }
    let label = |entry: Value| entry.operands().first()?.as_constant_integer();
    let labels: Option<Vec<u64>> = table.initializer()?.operands().into_iter().map(label).collect();
    Some((place, labels?))
}
