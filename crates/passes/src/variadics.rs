//! Pass 4: variadic functions take a pointer to their variadic arguments.
//!
//! Every ISA passes variadic arguments differently. Here `f(fixed..., ...)` becomes
//! `f(fixed..., ptr arguments)`: the caller lays the arguments out in 8-byte slots (16-byte aligned
//! where the type asks), as the x86-64 psABI (section 3.5.7) lays out its `overflow_arg_area`. `va_start` fills the
//! x86-64 `va_list` so that all registers count as used up, and the `va_arg` code that clang has
//! emitted for x86-64 then reads memory on every ISA.
//!
//! ```text
//! call i32 (ptr, ...) @printf(ptr %format, i32 %n, double %x)
//!   =>  %slots = alloca [2 x i64] ; store %n, %x ; call i32 @printf(ptr %format, ptr %slots)
//! ```
//!
//! A call through a type with no fixed parameter is a call of a function without a prototype (C17
//! 6.5.2.2), which is not variadic: it becomes an ordinary call.

use crate::byval::entry_point;
use crate::error::PassError;
use crate::ir::{Builder, Function, Module, Opcode, Place, Type, Value};
use crate::signature::{describe_call, replace_function};
use maize_abi::layout::DESCRIPTOR_BASE;

/// `gp_offset` and `fp_offset` of a `va_list` whose register save areas are used up.
const GENERAL_REGISTERS_USED: u64 = 48;
const VECTOR_REGISTERS_USED: u64 = 176;

/// Lowers variadic functions and calls.
///
/// # Errors
/// [`PassError::Unsupported`] for the `va_arg` instruction and for `musttail` calls that forward variadic arguments.
pub fn run(module: Module) -> Result<(), PassError> {
    for function in module.functions() {
        if function.function_type().is_variadic() && !function.is_intrinsic() {
            lower_function(module, function);
        }
    }
    for function in module.definitions() {
        for instruction in function.instructions() {
            if instruction.is(Opcode::LLVMVAArg) {
                return Err(unsupported(function, instruction, "the va_arg instruction"));
            }
            if !instruction.is_call_site() {
                continue;
            }
            match instruction.intrinsic_name() {
                Some(name) if name.starts_with("llvm.va_end") => instruction.erase(),
                Some(name) if name.starts_with("llvm.va_copy") => {
                    let arguments = instruction.arguments();
                    Builder::before(instruction).copy_memory(arguments[0], 8, arguments[1], 8, 24);
                    instruction.erase();
                }
                Some(_) => {}
                None if instruction.called_type().is_variadic() => lower_call(module, function, instruction)?,
                None => {}
            }
        }
    }
    Ok(())
}

fn unsupported(function: Function, at: Value, what: &str) -> PassError {
    PassError::Unsupported {
        function: function.name(),
        what: what.to_owned(),
        remedy: "use va_list and va_arg of <stdarg.h>",
        location: at.source_location(),
    }
}

fn lower_function(module: Module, function: Function) {
    let old_type = function.function_type();
    let mut parameters = old_type.parameters();
    let fixed = parameters.len();
    if fixed > 0 || !function.is_declaration() {
        parameters.push(Type::pointer(module.context()));
    }
    let new = replace_function(module, function, Type::function(old_type.result(), &parameters), 0);
    if !new.is_declaration() {
        lower_va_start(new, new.parameters()[fixed]);
    }
}

fn lower_va_start(function: Function, arguments: Value) {
    let context = function.context();
    let int32 = Type::integer(context, 32);
    for instruction in function.instructions() {
        if !instruction.intrinsic_name().is_some_and(|name| name.starts_with("llvm.va_start")) {
            continue;
        }
        let list = instruction.arguments()[0];
        let builder = Builder::before(instruction);
        builder.store(int32.constant(GENERAL_REGISTERS_USED), list, 8);
        builder.store(int32.constant(VECTOR_REGISTERS_USED), builder.offset_by(list, 4), 4);
        builder.store(arguments, builder.offset_by(list, 8), 8);
        builder.store(Type::pointer(context).zero(), builder.offset_by(list, 16), 8);
        instruction.erase();
    }
}

/// One variadic argument and its place in the slots.
struct Slot {
    argument: Value,
    /// The aggregate's type, if the argument is a pointer to memory to be copied.
    copied: Option<Type>,
    offset: u64,
}

fn lower_call(module: Module, function: Function, call: Value) -> Result<(), PassError> {
    if call.is_must_tail_call() {
        return Err(unsupported(function, call, "a musttail call of a variadic function"));
    }
    let context = module.context();
    let ty = call.called_type();
    let mut types = ty.parameters();
    let fixed = types.len();
    let mut arguments = call.arguments();
    if fixed == 0 {
        types = arguments.iter().map(|argument| argument.ty()).collect();
        rebuild(call, Type::function(ty.result(), &types), &arguments, arguments.len());
        return Ok(());
    }
    let (slots, size, alignment) = lay_out(module, call, &arguments[fixed..], fixed);
    let pointer = Type::pointer(context);
    let area = if slots.is_empty() {
        // Some functions read an argument that callers may leave out (`fcntl`, `open`): what they find is not used, but must be readable.
        Type::integer(context, 64).constant(DESCRIPTOR_BASE).constant_to_pointer(pointer)
    } else {
        let area = Builder::before(entry_point(call)).alloca(Type::array(Type::integer(context, 8), size), alignment);
        let builder = Builder::before(call);
        for slot in slots {
            let place = builder.offset_by(area, slot.offset as i64);
            match slot.copied {
                Some(aggregate) => {
                    builder.copy_memory(place, 8, slot.argument, 1, aggregate.size(module));
                }
                None => {
                    builder.store(slot.argument, place, 8);
                }
            }
        }
        area
    };
    arguments.truncate(fixed);
    arguments.push(area);
    types.push(pointer);
    rebuild(call, Type::function(ty.result(), &types), &arguments, fixed).set_tail_call(false);
    Ok(())
}

/// The slots, and size and alignment of them all, bytes.
fn lay_out(module: Module, call: Value, arguments: &[Value], first: usize) -> (Vec<Slot>, u64, u64) {
    let (mut offset, mut largest): (u64, u64) = (0, 16);
    let mut slots = Vec::new();
    for (index, &argument) in arguments.iter().enumerate() {
        let place = Place::Parameter((first + index) as u32);
        let copied = call.call_attribute(place, "byval").map(|byval| byval.type_value());
        let ty = copied.unwrap_or(argument.ty());
        let alignment = match copied {
            Some(_) => call.call_attribute(place, "align").map_or(8, |align| align.integer_value()),
            None => ty.alignment(module),
        };
        offset = offset.next_multiple_of(alignment.max(8));
        largest = largest.max(alignment);
        slots.push(Slot { argument, copied, offset });
        offset += ty.size(module).next_multiple_of(8);
    }
    (slots, offset, largest)
}

/// Replaces a call by one of another type, keeping the attributes of the first `kept` parameters.
fn rebuild(call: Value, ty: Type, arguments: &[Value], kept: usize) -> Value {
    let builder = Builder::before(call);
    let new = if call.is(Opcode::LLVMInvoke) {
        let successors = call.successors();
        builder.invoke(ty, call.callee(), arguments, successors[0], successors[1])
    } else {
        builder.call(ty, call.callee(), arguments)
    };
    describe_call(new, call, kept, 0);
    new.set_tail_call(call.is_tail_call());
    call.replace_all_uses_with(new);
    call.erase();
    new
}
