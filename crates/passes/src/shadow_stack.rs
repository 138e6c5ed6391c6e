//! Pass 13: locals whose address is taken move to the shadow stack.
//!
//! What is left of allocas after optimisation is memory the program can point to. In functions that
//! can be suspended it is moved to a portable stack, as SafeStack does (Kuznetsov et al., OSDI 2014), so that the machine stack
//! holds only SSA values and return addresses, and pointers to locals stay valid on every ISA.
//! Functions that never reach a migration point keep their allocas.
//!
//! ```text
//! entry:  %old = load ptr, (thread pointer + 8) ; %base = %old - size ; store %base, (thread pointer + 8)
//! return: store (%base + size), (thread pointer + 8)
//! ```
//!
//! A landing pad sets the pointer to what it was when the call was made that has thrown: what that called did not get to give back
//! its frames.

use crate::error::PassError;
use crate::exceptions::landing_pads;
use crate::ir::{Block, Builder, Function, Module, Opcode, Type, Value};
use crate::migrating::{Migrating, stays_tail_call};
use maize_abi::layout::thread::SHADOW_STACK;
use std::collections::HashMap;

const STACK_ALIGNMENT: u64 = 16;
/// Metadata of a frame's address.
const FRAME: &str = "maize.frame";

/// The shadow frame of one function.
pub struct ShadowFrame {
    /// Address of the frame: the lowest address of its locals.
    pub base: Value,
    /// The instructions whose last operand is the frame's size, negated or not.
    sized: Vec<(Value, bool)>,
    size: u64,
    module: Module,
}

impl ShadowFrame {
    /// Whether a value is the address of one of the frame's ends, which depend on its final size.
    pub fn is_end(&self, value: Value) -> bool {
        value == self.base || self.sized.iter().any(|&(instruction, _)| instruction == value)
    }

    /// Makes the frame `bytes` larger and returns the offset from `base` of the new room, 16-byte aligned.
    pub fn extend(&mut self, bytes: u64) -> u64 {
        let offset = self.size;
        self.size += bytes.next_multiple_of(STACK_ALIGNMENT);
        let int64 = Type::integer(self.module.context(), 64);
        for &(instruction, negative) in &self.sized {
            let size = if negative { self.size.wrapping_neg() } else { self.size };
            instruction.set_operand(1, int64.constant(size));
        }
        offset
    }
}

/// Moves locals of every function that can be suspended, and gives those that `needs_frame` a frame in any case.
///
/// # Errors
/// None today; the signature is that of every pass.
pub fn run(
    module: Module,
    migrating: &Migrating<'_>,
    needs_frame: impl Fn(Function) -> bool,
) -> Result<HashMap<Function, ShadowFrame>, PassError> {
    let mut frames = HashMap::new();
    for function in module.definitions() {
        if !migrating.function(function) {
            continue;
        }
        let instructions = function.instructions();
        let allocas: Vec<Value> = instructions.iter().copied().filter(|value| value.is(Opcode::LLVMAlloca)).collect();
        let pads = landing_pads(function);
        if !allocas.is_empty() || needs_frame(function) {
            frames.insert(function, move_locals(module, function, &allocas, &pads));
        } else if !pads.is_empty() {
            give_back(module, &pads, found_pointer(module, function));
        }
    }
    Ok(frames)
}

fn move_locals(module: Module, function: Function, allocas: &[Value], pads: &[Value]) -> ShadowFrame {
    for &alloca in allocas {
        remove_lifetime_markers(alloca);
    }
    let entry = function.entry();
    let is_static = |alloca: &Value| alloca.block() == entry && alloca.operand(0).as_constant_integer().is_some();
    let (mut fixed, dynamic): (Vec<Value>, Vec<Value>) = allocas.iter().copied().partition(is_static);
    fixed.sort_by_key(|alloca| std::cmp::Reverse(alloca.alignment()));

    let mut size = 0;
    let mut offsets = Vec::new();
    for alloca in &fixed {
        size = u64::next_multiple_of(size, alloca.alignment().max(1));
        offsets.push(size);
        size += allocation_size(module, *alloca).unwrap_or(0);
    }
    let size = size.next_multiple_of(STACK_ALIGNMENT);
    let alignment = fixed.first().map_or(STACK_ALIGNMENT, |alloca| alloca.alignment().max(STACK_ALIGNMENT));

    let mut frame = open_frame(module, function, size, alignment);
    for (alloca, offset) in fixed.into_iter().zip(offsets) {
        address_at_uses(alloca, frame.base, offset);
        alloca.erase();
    }
    // Where the stack pointer is kept for landing pads, if it changes while the function runs.
    let kept = (!dynamic.is_empty() && !pads.is_empty()).then(|| {
        let offset = frame.extend(STACK_ALIGNMENT) as i64;
        let place = frame.base.next().unwrap_or(frame.base);
        let kept = Builder::before(place).offset_by(frame.base, offset);
        Builder::before(place).store(frame.base, kept, 8);
        kept
    });
    for alloca in dynamic {
        allocate_dynamically(module, alloca, kept);
    }
    lower_stack_saves(module, function, kept);
    match kept {
        None => give_back(module, pads, |_| frame.base),
        Some(kept) => give_back(module, pads, |builder| builder.load(Type::pointer(module.context()), kept, 8)),
    }
    frame
}

/// Sets the stack pointer at landing pads.
fn give_back(module: Module, pads: &[Value], pointer: impl Fn(&Builder) -> Value) {
    for pad in pads {
        let Some(place) = pad.block().first_insertion_point() else { continue };
        let builder = Builder::before(place);
        builder.store(pointer(&builder), stack_pointer_slot(module, &builder), 8);
    }
}

/// The stack pointer of a function without a frame.
fn found_pointer(module: Module, function: Function) -> impl Fn(&Builder) -> Value {
    let builder = Builder::before(entry_point(function));
    let pointer = builder.load(Type::pointer(module.context()), stack_pointer_slot(module, &builder), 8);
    move |_| pointer
}

fn entry_point(function: Function) -> Value {
    match function.entry().first_insertion_point() {
        Some(first) => first,
        None => unreachable!("a block of a verified function has a terminator"),
    }
}

/// Computes the address anew at each use, where it folds into the addressing mode as a frame index
/// would; computed once it would be one more value to keep in a register and in every record.
fn address_at_uses(alloca: Value, base: Value, offset: u64) {
    for user in alloca.users() {
        let incoming = if user.is(Opcode::LLVMPHI) { user.incoming() } else { Vec::new() };
        // Two edges from one predecessor must bring a phi the same value.
        let mut addresses: HashMap<Block, Value> = HashMap::new();
        for (index, operand) in user.operands().into_iter().enumerate() {
            if operand != alloca {
                continue;
            }
            let place = incoming.get(index).and_then(|(_, predecessor)| predecessor.terminator()).unwrap_or(user);
            let address = *addresses
                .entry(place.block())
                .or_insert_with(|| Builder::before(place).offset_by(base, offset as i64));
            user.set_operand(index as u32, address);
        }
    }
}

/// Keeps back ends, in a module that is for one ISA only, from addressing locals by the stack pointer that the function has found: that would be
/// a second value to keep, beside the frame's address.
pub fn hide_origin(module: Module) {
    for function in module.definitions() {
        for base in function.entry().instructions().into_iter().filter(|instruction| instruction.has_mark(FRAME)) {
            let Some(next) = base.next() else { continue };
            let copy = Builder::before(next).opaque_copy(base);
            base.replace_all_uses_with(copy);
            copy.set_operand(0, base);
        }
    }
}

/// Inserts prologue and epilogues.
fn open_frame(module: Module, function: Function, size: u64, alignment: u64) -> ShadowFrame {
    let context = module.context();
    let int64 = Type::integer(context, 64);
    let pointer = Type::pointer(context);
    let mut sized = Vec::new();

    let builder = Builder::before(entry_point(function));
    let slot = stack_pointer_slot(module, &builder);
    let old = builder.load(pointer, slot, 8);
    let mut base = builder.offset(old, int64.constant(size.wrapping_neg()));
    sized.push((base, true));
    if alignment > STACK_ALIGNMENT {
        let mask = module.intrinsic("llvm.ptrmask", &[pointer, int64]);
        base = builder.call(mask.function_type(), mask.value(), &[base, int64.constant(alignment.wrapping_neg())]);
    }
    base.mark(FRAME);
    builder.store(base, slot, 8);

    for block in function.blocks() {
        let Some(terminator) = block.terminator().filter(|terminator| terminator.is(Opcode::LLVMRet)) else {
            continue;
        };
        // A call that stays a tail call leaves nothing to run after it, so the frame closes before it.
        let place =
            terminator.previous().filter(|&call| call.is_call_site() && stays_tail_call(call)).unwrap_or(terminator);
        let builder = Builder::before(place);
        let slot = stack_pointer_slot(module, &builder);
        let top = if alignment > STACK_ALIGNMENT {
            old
        } else {
            let top = builder.offset(base, int64.constant(size));
            sized.push((top, false));
            top
        };
        builder.store(top, slot, 8);
    }
    ShadowFrame { base, sized, size, module }
}

/// The address of this thread's shadow stack pointer.
fn stack_pointer_slot(module: Module, builder: &Builder) -> Value {
    let thread_pointer = module.intrinsic("llvm.thread.pointer", &[Type::pointer(module.context())]);
    let base = builder.call(thread_pointer.function_type(), thread_pointer.value(), &[]);
    builder.offset_by(base, SHADOW_STACK as i64)
}

fn allocation_size(module: Module, alloca: Value) -> Option<u64> {
    let count = alloca.operand(0).as_constant_integer()?;
    Some(alloca.allocated_type().size(module) * count)
}

fn allocate_dynamically(module: Module, alloca: Value, kept: Option<Value>) {
    let context = module.context();
    let int64 = Type::integer(context, 64);
    let pointer = Type::pointer(context);
    let builder = Builder::before(alloca);
    let slot = stack_pointer_slot(module, &builder);
    let old = builder.load(pointer, slot, 8);
    let count = builder.integer_cast(alloca.operand(0), int64);
    let bytes = builder.mul(count, int64.constant(alloca.allocated_type().size(module)));
    let lowered = builder.sub(builder.pointer_to_integer(old, int64), bytes);
    let alignment = alloca.alignment().max(STACK_ALIGNMENT);
    let aligned = builder.and(lowered, int64.constant(alignment.wrapping_neg()));
    let address = builder.integer_to_pointer(aligned, pointer);
    builder.store(address, slot, 8);
    if let Some(kept) = kept {
        builder.store(address, kept, 8);
    }
    alloca.replace_all_uses_with(address);
    alloca.erase();
}

fn lower_stack_saves(module: Module, function: Function, kept: Option<Value>) {
    let pointer = Type::pointer(module.context());
    for instruction in function.instructions() {
        let Some(name) = instruction.intrinsic_name() else {
            continue;
        };
        if name.starts_with("llvm.stacksave") {
            let builder = Builder::before(instruction);
            let slot = stack_pointer_slot(module, &builder);
            instruction.replace_all_uses_with(builder.load(pointer, slot, 8));
            instruction.erase();
        } else if name.starts_with("llvm.stackrestore") {
            let builder = Builder::before(instruction);
            let slot = stack_pointer_slot(module, &builder);
            let pointer = instruction.arguments()[0];
            builder.store(pointer, slot, 8);
            if let Some(kept) = kept {
                builder.store(pointer, kept, 8);
            }
            instruction.erase();
        }
    }
}

/// Lifetime markers may name allocas only.
fn remove_lifetime_markers(alloca: Value) {
    for user in alloca.users() {
        if user.is_instruction() && user.intrinsic_name().is_some_and(|name| name.starts_with("llvm.lifetime.")) {
            user.erase();
        }
    }
}
