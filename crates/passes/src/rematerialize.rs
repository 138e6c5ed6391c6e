//! Pass 15: cheap values are computed where they are used, if what they derive from is there.
//!
//! Optimisation computes values early and hoists them out of loops; between there and their uses, a call may lie at which they would have
//! to be kept and saved, although the values they derive from are live as well. Most are addresses, which
//! the back ends fold into addressing modes, as they do with what they sink themselves.
//!
//! What is kept is kept as a number of at least 32 bits, since records have no narrower ones: a truth value would be widened before each
//! call for the record, and kept as what it is besides. Vectors, which are in no register during a call and taken apart for its record, are kept as their
//! words where the call is in a loop that does not use them. (Where it does, it may store them, which back ends then do word by word; a processor takes long to
//! load as a whole what it has just stored in parts.)

use crate::control_flow::{ControlFlow, Loop};
use crate::error::PassError;
use crate::ir::{Block, Builder, Function, Module, Opcode, Type, Value};
use crate::liveness::Liveness;
use crate::points;
use crate::sites::next_block;
use crate::words;
use inkwell::llvm_sys::LLVMTypeKind;
use std::collections::{HashMap, HashSet};

/// Of how many instructions a value may be computed anew.
const MOST_INSTRUCTIONS: usize = 3;

/// Bits of the narrowest number that is recorded as it is.
const RECORDED_BITS: u32 = 32;

/// Sinks cheap values of one function to their uses in other blocks. `frame`, the address of its shadow frame,
/// stays one value: its offset is not final yet.
///
/// # Errors
/// None today; the signature is that of every pass.
pub fn run(module: Module, function: Function, frame: Option<Value>, sites: &[Value]) -> Result<(), PassError> {
    let flow = ControlFlow::of(function);
    let loops = flow.loops(&flow.dominators());
    let liveness = Liveness::of(function, &flow);
    let sinking = Sinking { flow: &flow, loops: &loops, liveness: &liveness, frame };
    let mut kept = HashSet::new();
    let mut vectors = HashSet::new();
    for site in sites.iter().filter(|&&site| !points::is_point(site)) {
        if let Some(&position) = flow.position.get(&site.block()) {
            let live = liveness.at_end(position).into_iter().filter(|value| value != site);
            vectors.extend(live.clone().filter(|&value| is_vector(value) && sinking.is_passing_by(position, value)));
            kept.extend(live);
        }
    }
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
    let values: Vec<Value> = function.parameters().into_iter().chain(function.instructions()).collect();
    for value in values.into_iter().filter(|value| kept.contains(value)) {
        let is_site = sites.contains(&value);
        if value.ty().is_integer_below(RECORDED_BITS) {
            widen(function, value, is_site);
        } else if vectors.contains(&value) {
            take_apart(module, function, value, is_site);
        }
    }
    Ok(())
}

fn is_vector(value: Value) -> bool {
    value.ty().kind() == LLVMTypeKind::LLVMVectorTypeKind
}

/// Has other blocks use a wider number.
fn widen(function: Function, value: Value, is_site: bool) {
    let wide = Type::integer(function.context(), RECORDED_BITS);
    let narrow = value.ty();
    keep_as(
        function,
        value,
        is_site,
        |builder| vec![builder.integer_cast(value, wide)],
        |builder, kept| builder.integer_cast(kept[0], narrow),
    );
}

/// Has other blocks use a vector's words.
fn take_apart(module: Module, function: Function, value: Value, is_site: bool) {
    let split = |builder: &Builder| {
        let mut parts = Vec::new();
        words::split(module, builder, value, &mut parts);
        parts
    };
    keep_as(function, value, is_site, split, |builder, parts| words::join(module, builder, parts, value.ty()));
}

/// Has other blocks use what `encode` makes of a value where it is computed, by way of `decode`.
fn keep_as(
    function: Function,
    value: Value,
    is_site: bool,
    encode: impl Fn(&Builder) -> Vec<Value>,
    decode: impl Fn(&Builder, &[Value]) -> Value,
) {
    let place = if value.is_argument() {
        function.entry().first_insertion_point()
    } else if value.is(Opcode::LLVMPHI) {
        value.block().first_insertion_point()
    } else if is_site {
        // Where a resumption goes on, too.
        next_block(value).and_then(|next| next.first_insertion_point())
    } else {
        value.next()
    };
    let Some(place) = place else { return };
    let home = place.block();
    let users = value.users();
    let kept = encode(&Builder::before(place));
    for user in users {
        let decoded = |place: Value| (place.block() != home).then(|| decode(&Builder::before(place), &kept));
        replace_in(user, value, decoded);
    }
    for unused in kept.into_iter().filter(|kept| !kept.has_uses()) {
        unused.erase();
    }
}

/// Replaces a value as operand of `user` by what `copy` makes for the place where it is used, if anything. Returns whether it has.
fn replace_in(user: Value, value: Value, copy: impl Fn(Value) -> Option<Value>) -> bool {
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
            || self.depth(position) <= self.depth(self.flow.position[&value.block()])
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

    /// Whether the block at `position` is in more loops than what computes the value and all that uses it.
    fn is_passing_by(&self, position: usize, value: Value) -> bool {
        let depth_of = |block: Block| self.flow.position.get(&block).map_or(0, |&position| self.depth(position));
        let depth = if value.is_argument() { 0 } else { depth_of(value.block()) };
        self.depth(position) > depth && value.users().iter().all(|user| depth_of(user.block()) <= depth)
    }

    fn depth(&self, position: usize) -> usize {
        self.loops.iter().filter(|this| this.blocks.contains(&position)).count()
    }
}

fn is_constant_offset(instruction: Value) -> bool {
    instruction.is(Opcode::LLVMGetElementPtr)
        && instruction.operand(0).is_local()
        && instruction.operands()[1..].iter().all(|index| index.as_constant_integer().is_some())
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
