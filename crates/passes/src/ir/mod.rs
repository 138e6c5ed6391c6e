//! A thin, copyable view of LLVM IR for passes that rewrite whole functions.
//!
//! inkwell's typed values make each instruction a different Rust type, which suits code that builds
//! IR; passes that walk, clone and rewire arbitrary instructions want one type per IR concept.
//! These handles wrap the C API's references. They are valid while their module is alive and the
//! object has not been erased; passes keep to that by erasing only what they own and dropping the handle.
//! `unsafe` is confined to this directory: everything outside it is ordinary safe Rust.

mod attribute;
mod builder;
mod clone;
mod constant;
mod function;
mod instruction;
mod module;
mod types;
mod value;

pub use attribute::{Attribute, Place};
pub use builder::Builder;
pub use clone::clone_into;
pub use function::{Block, Function};
pub use inkwell::llvm_sys::{LLVMIntPredicate as IntPredicate, LLVMLinkage as Linkage, LLVMOpcode as Opcode};
pub use module::{Context, Module};
pub use types::Type;
pub use value::Value;

use inkwell::llvm_sys::prelude::LLVMBool;
use std::ffi::CString;

/// Names come from bitcode and from this crate's constants; an interior NUL cannot be a symbol.
fn c_string(text: &str) -> CString {
    CString::new(text.replace('\0', "")).unwrap_or_default()
}

fn llvm_bool(value: bool) -> LLVMBool {
    LLVMBool::from(value)
}
