//! How a value of any type travels in a frame record: as words of 8 bytes, each one number that fits a register.
//!
//! Back ends report where a number is at a call, but not where a vector, an aggregate or a pointer is:
//! those are taken apart before the call and put together again in the resume clone. The words of one scalar or
//! vector are its little-endian image, so that the clone can load it whole.

use crate::ir::{Builder, Module, Type, Value};
use inkwell::llvm_sys::LLVMTypeKind as Kind;

/// Bytes of a word in a record.
pub const WORD: u64 = 8;

/// How many words a value of this type takes.
pub fn count(module: Module, ty: Type) -> u64 {
    match ty.kind() {
        Kind::LLVMStructTypeKind | Kind::LLVMArrayTypeKind => {
            (0..ty.element_count()).map(|index| count(module, ty.element(index))).sum()
        }
        _ => ty.bits(module).div_ceil(64).max(1),
    }
}

/// Appends the words of `value` to `words`: numbers of type `i32`, `i64`, `float` or `double`.
pub fn split(module: Module, builder: &Builder, value: Value, words: &mut Vec<Value>) {
    let context = module.context();
    let int64 = Type::integer(context, 64);
    let ty = value.ty();
    match ty.kind() {
        Kind::LLVMStructTypeKind | Kind::LLVMArrayTypeKind => {
            for index in 0..ty.element_count() {
                split(module, builder, builder.extract_value(value, index), words);
            }
        }
        Kind::LLVMFloatTypeKind | Kind::LLVMDoubleTypeKind => words.push(value),
        Kind::LLVMPointerTypeKind => words.push(builder.pointer_to_integer(value, int64)),
        _ => {
            let bits = ty.bits(module);
            let integer = as_integer(module, builder, value, bits);
            if bits <= 64 {
                // Narrower numbers are not legal types; back ends would keep them in memory instead.
                words.push(builder.integer_cast(integer, Type::integer(context, if bits <= 32 { 32 } else { 64 })));
                return;
            }
            for word in 0..bits.div_ceil(64) {
                let shifted = builder.shift_right(integer, integer.ty().constant(64 * word));
                words.push(builder.integer_cast(shifted, int64));
            }
        }
    }
}

/// Puts a scalar or vector together from its words, if these are whole numbers.
pub fn join(module: Module, builder: &Builder, words: &[Value], ty: Type) -> Value {
    let whole = Type::integer(module.context(), (64 * words.len()) as u32);
    let mut integer = whole.zero();
    for (index, &word) in words.iter().enumerate() {
        let shifted = builder.shift_left(builder.integer_cast(word, whole), whole.constant(64 * index as u64));
        integer = builder.or(integer, shifted);
    }
    from_integer(module, builder, integer, ty)
}

/// Puts a value together from its words in memory at `address`.
pub fn load(module: Module, builder: &Builder, ty: Type, address: Value) -> Value {
    let context = module.context();
    match ty.kind() {
        Kind::LLVMStructTypeKind | Kind::LLVMArrayTypeKind => {
            let (mut aggregate, mut offset) = (ty.poison(), 0);
            for index in 0..ty.element_count() {
                let element = load(module, builder, ty.element(index), builder.offset_by(address, offset as i64));
                aggregate = builder.insert_value(aggregate, element, index);
                offset += WORD * count(module, ty.element(index));
            }
            aggregate
        }
        Kind::LLVMFloatTypeKind | Kind::LLVMDoubleTypeKind | Kind::LLVMPointerTypeKind => {
            builder.load(ty, address, WORD)
        }
        _ => {
            let bits = ty.bits(module);
            let width = if bits <= 32 { 32 } else { bits.next_multiple_of(64) };
            let integer = builder.load(Type::integer(context, width as u32), address, WORD);
            from_integer(module, builder, integer, ty)
        }
    }
}

/// The bits of a scalar or vector as one integer.
fn as_integer(module: Module, builder: &Builder, value: Value, bits: u64) -> Value {
    let ty = value.ty();
    if ty.kind() == Kind::LLVMIntegerTypeKind {
        return value;
    }
    let integers = match ty.vector_of_integers(module.context()) {
        Some(vector) => builder.pointer_to_integer(value, vector),
        None => value,
    };
    builder.bit_cast(integers, Type::integer(module.context(), bits as u32))
}

/// The inverse of [`as_integer`], for an integer that may be wider.
fn from_integer(module: Module, builder: &Builder, integer: Value, ty: Type) -> Value {
    let integer = builder.integer_cast(integer, Type::integer(module.context(), ty.bits(module) as u32));
    if ty.kind() == Kind::LLVMIntegerTypeKind {
        return integer;
    }
    match ty.vector_of_integers(module.context()) {
        Some(vector) => builder.integer_to_pointer(builder.bit_cast(integer, vector), ty),
        None => builder.bit_cast(integer, ty),
    }
}
