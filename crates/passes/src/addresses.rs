//! Pass 14: addresses at the same constant distance from the same value are one value, and so are phis of nothing but one value.
//!
//! Optimisation leaves `&s->field` computed once on each of several ways, and then phis of phis of what is all the same. Back ends coalesce them
//! cheaply, but at a call at which a program can be suspended each is a value to keep and to record (24 of them in bzip2's
//! `BZ2_decompress`, at 75 places). Once they are one, `rematerialize` puts them where they are used.

use crate::ir::{Builder, Function, Opcode, Value};
use crate::shadow_stack::ShadowFrame;
use std::collections::HashMap;

/// Unifies the addresses, but for those of its shadow frame's ends, and then the phis of one function.
pub fn run(function: Function, frame: Option<&ShadowFrame>) {
    unify_addresses(function, frame);
    unify_phis(function);
}

fn unify_addresses(function: Function, frame: Option<&ShadowFrame>) {
    let mut known: HashMap<(Value, i64), Value> = HashMap::new();
    let mut replaced = Vec::new();
    let is_end = |value| frame.is_some_and(|frame| frame.is_end(value));
    for address in function.instructions().into_iter().filter(|&value| !is_end(value)) {
        let Some((mut base, mut offset)) = address.constant_offset() else { continue };
        while let Some((inner, distance)) = base.constant_offset().filter(|_| !is_end(base)) {
            (base, offset) = (inner, offset.wrapping_add(distance));
        }
        if !base.is_local() {
            continue;
        }
        let leader = match known.get(&(base, offset)) {
            Some(&leader) => leader,
            None => {
                let Some(place) = function.place_after(base) else { continue };
                // Without `inbounds`, which may hold on some of the ways only.
                let leader = Builder::before(place).offset_by(base, offset);
                known.insert((base, offset), leader);
                leader
            }
        };
        address.replace_all_uses_with(leader);
        replaced.push(address);
    }
    replaced.into_iter().for_each(Value::erase);
}

/// What each phi is a copy of, found as constants are (Wegman and Zadeck, TOPLAS 1991): every phi is assumed to be one until it
/// turns out to be more than one value.
fn unify_phis(function: Function) {
    let phis: Vec<Value> =
        function.instructions().into_iter().filter(|instruction| instruction.is(Opcode::LLVMPHI)).collect();
    // Absent: not known yet. A phi that is a value of its own stands for itself.
    let mut copied: HashMap<Value, Value> = HashMap::new();
    let mut changed = true;
    while changed {
        changed = false;
        for &phi in &phis {
            let mut incoming = phi.incoming().into_iter().filter_map(|(value, _)| match value.is(Opcode::LLVMPHI) {
                true => copied.get(&value).copied(),
                false => Some(value),
            });
            let Some(first) = incoming.next() else { continue };
            let meaning = if first == phi || incoming.any(|value| value != first) { phi } else { first };
            changed |= copied.insert(phi, meaning) != Some(meaning);
        }
    }
    for phi in phis {
        if let Some(&value) = copied.get(&phi).filter(|&&value| value != phi) {
            phi.replace_all_uses_with(value);
            phi.erase();
        }
    }
}
