//! Pass 6: results that do not fit two registers of every ISA are returned in memory.
//!
//! A vector of four floats is one register on x86-64 and AArch64, and four on RISC-V, which returns them in memory that the back
//! end provides; at a call that says where its live values are, LLVM 22 gets that wrong. Here the caller passes the address of
//! a local of its own, as C does for large structures, and the function returns nothing.

use crate::byval::entry_point;
use crate::error::PassError;
use crate::ir::{Builder, Function, Module, Opcode, Place, Type, Value};
use crate::signature::{describe_call, replace_function};
use inkwell::llvm_sys::LLVMTypeKind as Kind;

/// Registers in which every ISA returns results.
const REGISTERS: u64 = 2;
/// What every caller aligns the room for the result to, bytes.
const ALIGNMENT: u64 = 16;
/// What is not true of a function that writes its result to memory.
const UNTRUE_ATTRIBUTES: [&str; 2] = ["memory", "speculatable"];

/// Lowers wide results of functions and calls.
///
/// # Errors
/// [`PassError::Unsupported`] for `musttail` calls.
pub fn run(module: Module) -> Result<(), PassError> {
    for function in module.functions() {
        if !function.is_intrinsic() && is_wide(module, function.function_type().result()) {
            lower_function(module, function);
        }
    }
    for function in module.definitions() {
        for call in function.instructions().into_iter().filter(|instruction| instruction.is_call_site()) {
            if call.intrinsic_name().is_none() && !call.callee().is_inline_assembly() && is_wide(module, call.ty()) {
                lower_call(module, call)?;
            }
        }
    }
    Ok(())
}

fn is_wide(module: Module, ty: Type) -> bool {
    !ty.is_void() && scalars(module, ty) > REGISTERS
}

/// The numbers a value consists of where there are no vector registers.
fn scalars(module: Module, ty: Type) -> u64 {
    match ty.kind() {
        Kind::LLVMStructTypeKind | Kind::LLVMArrayTypeKind => {
            (0..ty.element_count()).map(|index| scalars(module, ty.element(index))).sum()
        }
        Kind::LLVMVectorTypeKind => ty.vector_length(),
        _ => ty.bits(module).div_ceil(64),
    }
}

fn lower_function(module: Module, function: Function) {
    let context = module.context();
    let mut parameters = vec![Type::pointer(context)];
    parameters.extend(function.function_type().parameters());
    let new = replace_function(module, function, Type::function(Type::void(context), &parameters), 1);
    UNTRUE_ATTRIBUTES.iter().for_each(|name| new.remove_attribute(Place::Function, name));
    for instruction in new.instructions().into_iter().filter(|instruction| instruction.is(Opcode::LLVMRet)) {
        let builder = Builder::before(instruction);
        builder.store(instruction.operand(0), new.parameters()[0], ALIGNMENT);
        builder.return_void().copy_debug_location(instruction);
        instruction.erase();
    }
}

fn lower_call(module: Module, call: Value) -> Result<(), PassError> {
    if call.is_must_tail_call() {
        return Err(PassError::Unsupported {
            function: call.block().function().name(),
            what: String::from("a tail call with a result of more than two registers"),
            remedy: "return it through a pointer",
            location: call.source_location(),
        });
    }
    let ty = call.ty();
    let slot = Builder::before(entry_point(call)).alloca(ty, ty.alignment(module).max(ALIGNMENT));
    let mut parameters = vec![Type::pointer(module.context())];
    parameters.extend(call.called_type().parameters());
    let mut arguments = vec![slot];
    arguments.extend(call.arguments());
    // The result of an invoke is there on the way on only.
    let loaded_at = match call.is_terminator() {
        true => call.block().split_edge(0).terminator().unwrap_or(call),
        false => call,
    };
    let builder = Builder::before(call);
    let new_type = Type::function(Type::void(module.context()), &parameters);
    let new = match call.successors()[..] {
        [normal, unwind] => builder.invoke(new_type, call.callee(), &arguments, normal, unwind),
        _ => builder.call(new_type, call.callee(), &arguments),
    };
    describe_call(new, call, call.arguments().len(), 1);
    UNTRUE_ATTRIBUTES.iter().for_each(|name| new.remove_call_attribute(Place::Function, name));
    new.copy_debug_location(call);
    call.replace_all_uses_with(Builder::before(loaded_at).load(ty, slot, ALIGNMENT));
    call.erase();
    Ok(())
}
