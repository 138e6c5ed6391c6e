//! Pass 16: what is kept across calls is kept in the form that records have.
//!
//! Records have no numbers of less than 32 bits: a truth value would be widened before each call for the record, and kept as what it is besides. So
//! narrow numbers that are kept become wide ones, and are used narrowed; phis of them do so together with the phis that they come from.
//!
//! Vectors, which are in no register during a call and taken apart for its record, are kept as their words where the call is in a loop that does not use
//! them. (Where it does, it may store them, which back ends then do word by word; a processor takes long to load as a whole what it has just stored in
//! parts.)

use crate::control_flow::{ControlFlow, Loop, depth};
use crate::error::PassError;
use crate::ir::{Block, Builder, Function, Module, Opcode, Type, Value};
use crate::liveness::Liveness;
use crate::rematerialize::{kept_across, replace_in};
use crate::sites::next_block;
use crate::words;
use inkwell::llvm_sys::LLVMTypeKind;
use std::collections::{HashMap, HashSet};

/// Bits of the narrowest number that is recorded as it is.
const RECORDED_BITS: u32 = 32;

/// Gives the values of one function that are kept across `sites` this form.
///
/// # Errors
/// None today; the signature is that of every pass.
pub fn run(module: Module, function: Function, sites: &[Value]) -> Result<(), PassError> {
    let flow = ControlFlow::of(function);
    let loops = flow.loops(&flow.dominators());
    let liveness = Liveness::of(function, &flow);
    let (mut narrow, mut vectors) = (HashSet::new(), HashSet::new());
    for (position, values) in kept_across(sites, &flow, &liveness) {
        narrow.extend(values.iter().copied().filter(|&value| is_narrow(value)));
        let is_passing_by = |&value: &Value| is_vector(value) && is_passing_by(&flow, &loops, position, value);
        vectors.extend(values.into_iter().filter(is_passing_by));
    }
    let values: Vec<Value> = function.parameters().into_iter().chain(function.instructions()).collect();
    for &vector in values.iter().filter(|value| vectors.contains(value)) {
        take_apart(module, function, vector, sites.contains(&vector));
    }
    let phis = phis_of(&narrow, sites);
    narrow.extend(&phis);
    let in_order: Vec<Value> = values.into_iter().filter(|value| narrow.contains(value)).collect();
    widen(function, &in_order, &phis, sites);
    Ok(())
}

fn is_narrow(value: Value) -> bool {
    value.ty().is_integer_below(RECORDED_BITS)
}

fn is_vector(value: Value) -> bool {
    value.ty().kind() == LLVMTypeKind::LLVMVectorTypeKind
}

/// Whether the block at `position` is in more loops than what computes the value and all that uses it.
fn is_passing_by(flow: &ControlFlow, loops: &[Loop], position: usize, value: Value) -> bool {
    let depth_of = |block: Block| flow.position.get(&block).map_or(0, |&position| depth(loops, position));
    let own = if value.is_argument() { 0 } else { depth_of(value.block()) };
    depth(loops, position) > own && value.users().iter().all(|user| depth_of(user.block()) <= own)
}

/// The phis among these, and those from which they have their values, that can become wide ones: where what comes can be widened.
fn phis_of(narrow: &HashSet<Value>, sites: &[Value]) -> HashSet<Value> {
    // The result of a call that ends its block is nowhere in that block.
    let is_there = |(value, _): &(Value, Block)| !value.is_terminator() || sites.contains(value);
    let can_be_wide = |value: &Value| value.is(Opcode::LLVMPHI) && value.incoming().iter().all(is_there);
    let mut pending: Vec<Value> = narrow.iter().copied().filter(can_be_wide).collect();
    let mut phis: HashSet<Value> = pending.iter().copied().collect();
    while let Some(phi) = pending.pop() {
        let sources = phi.incoming().into_iter().map(|(value, _)| value).filter(can_be_wide);
        pending.extend(sources.filter(|&source| phis.insert(source)));
    }
    phis
}

/// Has everything use wider numbers in the place of these.
fn widen(function: Function, narrow: &[Value], phis: &HashSet<Value>, sites: &[Value]) {
    let ty = Type::integer(function.context(), RECORDED_BITS);
    let mut wide: HashMap<Value, Value> = HashMap::new();
    for &value in narrow {
        if phis.contains(&value) {
            wide.insert(value, Builder::before(value).phi(ty));
        } else if let Some(place) = place_after(function, value, sites.contains(&value)) {
            wide.insert(value, Builder::before(place).integer_cast(value, ty));
        }
    }
    for phi in narrow.iter().filter(|value| phis.contains(value)) {
        add_incoming(*phi, wide[phi], &wide);
    }
    for &value in narrow {
        let Some(&widened) = wide.get(&value) else { continue };
        // Where a number is computed it is there as it is; a phi is not to be there twice.
        let home = (!phis.contains(&value)).then(|| widened.block());
        for user in value.users().into_iter().filter(|user| *user != widened && !phis.contains(user)) {
            replace_in(user, value, |place| {
                (Some(place.block()) != home).then(|| Builder::before(place).integer_cast(widened, value.ty()))
            });
        }
        if !widened.has_uses() {
            widened.erase();
        }
    }
    for phi in phis {
        phi.replace_all_uses_with(phi.ty().poison());
    }
    for phi in phis {
        phi.erase();
    }
}

/// Gives a wide phi what the narrow one has.
fn add_incoming(narrow: Value, phi: Value, wide: &HashMap<Value, Value>) {
    // Two edges from one predecessor must bring a phi the same value.
    let mut widened: HashMap<Block, Value> = HashMap::new();
    for (value, predecessor) in narrow.incoming() {
        let Some(place) = predecessor.terminator() else { continue };
        let widened = widened.entry(predecessor).or_insert_with(|| match wide.get(&value) {
            Some(&wide) => wide,
            None => Builder::before(place).integer_cast(value, phi.ty()),
        });
        phi.add_incoming(*widened, predecessor);
    }
}

/// Has other blocks use a vector's words.
fn take_apart(module: Module, function: Function, vector: Value, is_site: bool) {
    let Some(place) = place_after(function, vector, is_site) else { return };
    let users = vector.users();
    let mut parts = Vec::new();
    words::split(module, &Builder::before(place), vector, &mut parts);
    for user in users {
        replace_in(user, vector, |use_place| {
            (use_place.block() != place.block())
                .then(|| words::join(module, &Builder::before(use_place), &parts, vector.ty()))
        });
    }
}

/// Where something can be made of a value as soon as it is there.
fn place_after(function: Function, value: Value, is_site: bool) -> Option<Value> {
    // Where a resumption goes on, too.
    if is_site { next_block(value)?.first_insertion_point() } else { function.place_after(value) }
}
