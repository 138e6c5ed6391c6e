//! Pass 11: what landing pads and resumptions leave to each back end becomes portable.
//!
//! Exceptions stay those of the Itanium C++ ABI; the runtime unwinds by the site table. But a program may move between a landing pad and
//! what it does with the selector found there, which is a number that each back end gives to types as it likes. Here
//! types are numbered once for all ISAs, function by function, and each landing pad translates:
//!
//! ```text
//! %pad = landingpad { ptr, i32 } catch ptr @T      =>  %pad = ... ; %own = call i32 @llvm.eh.typeid.for(ptr @T)
//!                                                      %selector = selected by whether %pad's equals %own: 1, or 0
//! resume { ptr, i32 } %exception                   =>  call void @_Unwind_Resume(ptr ...), a call like others, with a site
//! ```

use crate::error::PassError;
use crate::ir::{Attribute, Block, Builder, Function, IntPredicate, Module, Opcode, Place, Type, Value};
use std::collections::HashMap;

/// What the Itanium ABI (level I, 1.3) calls at the end of a landing pad.
const RESUME: &str = "_Unwind_Resume";
const TYPE_NUMBER: &str = "llvm.eh.typeid.for";

/// The selector of a landing pad that is entered because of an exception specification (`throw()` lists).
const BY_SPECIFICATION: u64 = u32::MAX as u64;

/// Separates landing pads, numbers types, and lowers `resume`.
///
/// # Errors
/// None today; the signature is that of every pass.
pub fn run(module: Module) -> Result<(), PassError> {
    for function in module.definitions().into_iter().filter(|function| function.personality().is_some()) {
        separate_pads(function);
        let mut types = Types::default();
        for instruction in function.instructions() {
            if instruction.intrinsic_name().is_some_and(|name| name.starts_with(TYPE_NUMBER)) {
                let number = types.number(instruction.arguments()[0]);
                instruction.replace_all_uses_with(instruction.ty().constant(number));
                instruction.erase();
            }
        }
        for instruction in function.instructions() {
            match instruction.opcode() {
                Opcode::LLVMLandingPad => translate_selector(module, &mut types, instruction),
                Opcode::LLVMResume => lower_resume(module, instruction),
                _ => {}
            }
        }
    }
    Ok(())
}

/// Gives each invoke a landing pad of its own, from which control goes on to what was the shared one's block. Of what phis in a shared pad
/// choose, LLVM's register allocator may put the copies after a call that has words to write down: on the way on only.
fn separate_pads(function: Function) {
    let mut invokes: HashMap<Block, Vec<Value>> = HashMap::new();
    for invoke in function.instructions().into_iter().filter(|instruction| instruction.is(Opcode::LLVMInvoke)) {
        invokes.entry(invoke.successors()[1]).or_default().push(invoke);
    }
    for pad in landing_pads(function) {
        let joined = pad.block();
        let Some(invokes) = invokes.get(&joined) else { continue };
        let builder = Builder::new(function.context());
        let mut found_on_each = Vec::new();
        let mut own_pads: HashMap<Block, Block> = HashMap::new();
        for &invoke in invokes {
            let own = joined.insert_block_before("");
            let copy = pad.duplicate();
            builder.position_at_end(own);
            builder.insert(copy);
            builder.branch(joined);
            invoke.set_successor(1, own);
            found_on_each.push((copy, own));
            own_pads.insert(invoke.block(), own);
        }
        joined.replace_predecessors(|predecessor| own_pads.get(&predecessor).copied().unwrap_or(predecessor));
        builder.position_before(pad);
        let found = builder.phi(pad.ty());
        found_on_each.into_iter().for_each(|(copy, own)| found.add_incoming(copy, own));
        pad.replace_all_uses_with(found);
        pad.erase();
    }
}

/// The landing pads of a function.
pub fn landing_pads(function: Function) -> Vec<Value> {
    function.instructions().into_iter().filter(|instruction| instruction.is(Opcode::LLVMLandingPad)).collect()
}

/// The types that a function's landing pads tell apart; each one's number is its place, from 1.
#[derive(Default)]
struct Types(Vec<Value>);

impl Types {
    fn number(&mut self, ty: Value) -> u64 {
        let index = self.0.iter().position(|&known| known == ty).unwrap_or_else(|| {
            self.0.push(ty);
            self.0.len() - 1
        });
        index as u64 + 1
    }
}

fn translate_selector(module: Module, types: &mut Types, pad: Value) {
    let Some(place) = pad.block().first_insertion_point() else { return };
    let builder = Builder::before(place);
    let int32 = Type::integer(module.context(), 32);
    let selector = builder.extract_value(pad, 1);
    let is_negative = builder.compare(IntPredicate::LLVMIntSLT, selector, int32.zero());
    let mut portable = builder.select(is_negative, int32.constant(BY_SPECIFICATION), int32.zero());
    let intrinsic = module.intrinsic(TYPE_NUMBER, &[Type::pointer(module.context())]);
    // `catch ptr null` takes everything: no number is compared with its own.
    for ty in pad.caught_types().into_iter().filter(|ty| !ty.is_null()) {
        let own = builder.call(intrinsic.function_type(), intrinsic.value(), &[ty]);
        let is_this = builder.compare(IntPredicate::LLVMIntEQ, selector, own);
        portable = builder.select(is_this, int32.constant(types.number(ty)), portable);
    }
    let translated = builder.insert_value(pad, portable, 1);
    pad.replace_all_uses_with(translated);
    selector.set_operand(0, pad);
    translated.set_operand(0, pad);
}

fn lower_resume(module: Module, resume: Value) {
    let context = module.context();
    let ty = Type::function(Type::void(context), &[Type::pointer(context)]);
    let function = module.declare_function(RESUME, ty);
    let builder = Builder::before(resume);
    let exception = builder.extract_value(resume.operand(0), 0);
    let call = builder.call(ty, function.value(), &[exception]);
    call.add_call_attribute(Place::Function, Attribute::new(context, "noreturn"));
    call.copy_debug_location(resume);
    builder.unreachable();
    resume.erase();
}
