//! Pass 10: calls of `setjmp` and its variants become one marker that later passes understand.
//!
//! A `setjmp` is a site like any call: its record is written, inline, when it is called, and `longjmp`
//! runs that record's resume clone in place of the frame. So `setjmp` returns once in the function proper, with 0,
//! and for the second time only in the clone. This pass replaces the call by [`MARKER`]; the save-pads pass
//! gives it its record. `sigsetjmp` keeps the signal mask through a function of the libc.
//!
//! `__builtin_setjmp` has room for five words only: the `jmp_buf` is a local of its function, and the first word its address.

use crate::byval::entry_point;
use crate::error::PassError;
use crate::ir::{Builder, Function, Module, Type, Value};

/// `i32 (ptr jmp_buf)`: stands for a `setjmp` until its record is known.
pub const MARKER: &str = "__maize.setjmp";
/// `void (ptr jmp_buf, i32 save_mask)`, in the libc: keeps the signal mask in the `jmp_buf`.
const SAVE_MASK: &str = "__maize_sigsetjmp_save";
/// Words of a `jmp_buf`: `__jmp_buf` of libc/arch/maize/bits/setjmp.h, and what musl keeps beside it.
const BUFFER_WORDS: u64 = 32 + 17;
const BUILTIN_SETJMP: &str = "llvm.eh.sjlj.setjmp";
const BUILTIN_LONGJMP: &str = "llvm.eh.sjlj.longjmp";

/// Replaces calls of `setjmp` and its variants.
///
/// # Errors
/// None today; the signature is that of every pass.
pub fn run(module: Module) -> Result<(), PassError> {
    for name in ["setjmp", "_setjmp", "sigsetjmp", "__sigsetjmp"] {
        let Some(function) = module.function(name).filter(|function| function.is_declaration()) else {
            continue;
        };
        for user in function.value().users() {
            if !user.is_instruction() || !user.is_call_site() || user.callee() != function.value() {
                continue;
            }
            lower(module, user);
        }
    }
    for instruction in module.definitions().into_iter().flat_map(Function::instructions) {
        match instruction.intrinsic_name().as_deref() {
            Some(BUILTIN_SETJMP) => lower_builtin_setjmp(module, instruction),
            Some(BUILTIN_LONGJMP) => lower_builtin_longjmp(module, instruction),
            _ => {}
        }
    }
    Ok(())
}

fn lower_builtin_setjmp(module: Module, call: Value) {
    let words = Type::array(Type::integer(module.context(), 64), BUFFER_WORDS);
    let buffer = Builder::before(entry_point(call)).alloca(words, 16);
    let builder = Builder::before(call);
    builder.store(buffer, call.arguments()[0], 8);
    let (ty, marker) = marker(module);
    let marker = builder.call(ty, marker.value(), &[buffer]);
    marker.copy_debug_location(call);
    call.replace_all_uses_with(marker);
    call.erase();
}

fn lower_builtin_longjmp(module: Module, call: Value) {
    let context = module.context();
    let (pointer, int32) = (Type::pointer(context), Type::integer(context, 32));
    let ty = Type::function(Type::void(context), &[pointer, int32]);
    let longjmp = module.declare_function("longjmp", ty);
    let builder = Builder::before(call);
    let buffer = builder.load(pointer, call.arguments()[0], 8);
    builder.call(ty, longjmp.value(), &[buffer, int32.constant(1)]).copy_debug_location(call);
    call.erase();
}

fn marker(module: Module) -> (Type, Function) {
    let ty = Type::function(Type::integer(module.context(), 32), &[Type::pointer(module.context())]);
    (ty, module.declare_function(MARKER, ty))
}

/// Whether `function` contains a marker.
pub fn is_used_in(module: Module, function: Function) -> bool {
    module.function(MARKER).is_some_and(|marker| {
        marker.value().users().into_iter().any(|user| user.is_instruction() && user.block().function() == function)
    })
}

fn lower(module: Module, call: Value) {
    let context = module.context();
    let (pointer, int32) = (Type::pointer(context), Type::integer(context, 32));
    let (marker_type, marker_function) = marker(module);
    let arguments = call.arguments();
    let builder = Builder::before(call);
    if let &[buffer, save_mask] = &arguments[..] {
        let ty = Type::function(Type::void(context), &[pointer, int32]);
        let save = module.declare_function(SAVE_MASK, ty);
        builder.call(ty, save.value(), &[buffer, save_mask]).copy_debug_location(call);
    }
    let marker = builder.call(marker_type, marker_function.value(), &arguments[..1]);
    marker.copy_debug_location(call);
    // An invoke, in a try block: what may throw is what comes after it.
    if let [normal, unwind] = call.successors()[..] {
        builder.branch(normal).copy_debug_location(call);
        unwind.remove_predecessor(call.block());
    }
    call.replace_all_uses_with(marker);
    call.erase();
}
