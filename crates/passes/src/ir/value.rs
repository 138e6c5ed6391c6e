//! Anything that can be an operand: instructions, arguments, constants, globals, basic blocks.

use super::function::{Block, Function};
use super::types::Type;
use super::{Linkage, c_string, llvm_bool};
use inkwell::llvm_sys::core::*;
use inkwell::llvm_sys::prelude::*;
use inkwell::llvm_sys::{LLVMThreadLocalMode, LLVMValueKind, LLVMVisibility};
use std::ffi::CStr;

/// A value of the IR.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Value(pub(super) LLVMValueRef);

// SAFETY (whole impl): the reference comes from a live module (see the module comment of `ir`) and
// each call is made only on the kind of value its name says.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Value {
    /// The value's type.
    pub fn ty(self) -> Type {
        Type(unsafe { LLVMTypeOf(self.0) })
    }

    /// The value's name; empty if it has none.
    pub fn name(self) -> String {
        let mut length = 0;
        unsafe {
            let start = LLVMGetValueName2(self.0, &mut length);
            String::from_utf8_lossy(std::slice::from_raw_parts(start.cast::<u8>(), length)).into_owned()
        }
    }

    /// Renames the value.
    pub fn set_name(self, name: &str) {
        unsafe { LLVMSetValueName2(self.0, name.as_ptr().cast(), name.len()) }
    }

    /// Whether this is an instruction.
    pub fn is_instruction(self) -> bool {
        unsafe { !LLVMIsAInstruction(self.0).is_null() }
    }

    /// Whether this is a function's parameter.
    pub fn is_argument(self) -> bool {
        unsafe { !LLVMIsAArgument(self.0).is_null() }
    }

    /// Whether this value is computed at run time within a function.
    pub fn is_local(self) -> bool {
        self.is_instruction() || self.is_argument()
    }

    /// This value as a function, if it is one.
    pub fn as_function(self) -> Option<Function> {
        unsafe { (!LLVMIsAFunction(self.0).is_null()).then_some(Function(self.0)) }
    }

    /// Whether this is inline assembly.
    pub fn is_inline_assembly(self) -> bool {
        unsafe { !LLVMIsAInlineAsm(self.0).is_null() }
    }

    /// The function and block of a `blockaddress` constant.
    pub fn as_block_address(self) -> Option<(Function, Block)> {
        unsafe {
            (!LLVMIsABlockAddress(self.0).is_null())
                .then(|| (Function(LLVMGetBlockAddressFunction(self.0)), Block(LLVMGetBlockAddressBasicBlock(self.0))))
        }
    }

    /// The value of an integer constant that fits 64 bits, zero-extended.
    pub fn as_constant_integer(self) -> Option<u64> {
        unsafe {
            let is_integer = LLVMGetValueKind(self.0) == LLVMValueKind::LLVMConstantIntValueKind;
            (is_integer && self.ty().integer_width() <= 64).then(|| LLVMConstIntGetZExtValue(self.0))
        }
    }

    /// Whether this is the null or zero constant.
    pub fn is_null(self) -> bool {
        unsafe { LLVMIsNull(self.0) != 0 }
    }

    /// The operands, in the order of the C API (a call's callee last).
    pub fn operands(self) -> Vec<Value> {
        unsafe {
            let count = LLVMGetNumOperands(self.0).max(0) as u32;
            (0..count).map(|index| Value(LLVMGetOperand(self.0, index))).filter(|value| !value.0.is_null()).collect()
        }
    }

    /// Operand `index`.
    pub fn operand(self, index: u32) -> Value {
        Value(unsafe { LLVMGetOperand(self.0, index) })
    }

    /// Replaces operand `index`.
    pub fn set_operand(self, index: u32, value: Value) {
        unsafe { LLVMSetOperand(self.0, index, value.0) }
    }

    /// Every user, once per use.
    pub fn users(self) -> Vec<Value> {
        let mut users = Vec::new();
        unsafe {
            let mut current = LLVMGetFirstUse(self.0);
            while !current.is_null() {
                users.push(Value(LLVMGetUser(current)));
                current = LLVMGetNextUse(current);
            }
        }
        users
    }

    /// Whether anything uses the value.
    pub fn has_uses(self) -> bool {
        unsafe { !LLVMGetFirstUse(self.0).is_null() }
    }

    /// Makes every user use `replacement` instead.
    pub fn replace_all_uses_with(self, replacement: Value) {
        if self != replacement {
            unsafe { LLVMReplaceAllUsesWith(self.0, replacement.0) }
        }
    }

    /// Whether a global has no definition here.
    pub fn is_declaration(self) -> bool {
        unsafe { LLVMIsDeclaration(self.0) != 0 }
    }

    /// A global's linkage.
    pub fn linkage(self) -> Linkage {
        unsafe { LLVMGetLinkage(self.0) }
    }

    /// Sets a global's linkage.
    pub fn set_linkage(self, linkage: Linkage) {
        unsafe { LLVMSetLinkage(self.0, linkage) }
    }

    /// Gives a global hidden visibility: resolved within the program.
    pub fn set_hidden(self) {
        unsafe { LLVMSetVisibility(self.0, LLVMVisibility::LLVMHiddenVisibility) }
    }

    /// A global's section; empty for the default.
    pub fn section(self) -> String {
        unsafe {
            let section = LLVMGetSection(self.0);
            if section.is_null() { String::new() } else { CStr::from_ptr(section).to_string_lossy().into_owned() }
        }
    }

    /// Places a global into a section.
    pub fn set_section(self, section: &str) {
        unsafe { LLVMSetSection(self.0, c_string(section).as_ptr()) }
    }

    /// Takes a global out of its comdat group.
    pub fn clear_comdat(self) {
        unsafe { inkwell::llvm_sys::comdat::LLVMSetComdat(self.0, std::ptr::null_mut()) }
    }

    /// The type a global variable holds.
    pub fn global_type(self) -> Type {
        Type(unsafe { LLVMGlobalGetValueType(self.0) })
    }

    /// Whether it is a global variable that never changes.
    pub fn is_constant_variable(self) -> bool {
        unsafe { !LLVMIsAGlobalVariable(self.0).is_null() && LLVMIsGlobalConstant(self.0) != 0 }
    }

    /// A global variable's initial value.
    pub fn initializer(self) -> Option<Value> {
        let value = unsafe { LLVMGetInitializer(self.0) };
        (!value.is_null()).then_some(Value(value))
    }

    /// Turns a global variable's definition into a declaration.
    pub fn remove_initializer(self) {
        unsafe { LLVMSetInitializer(self.0, std::ptr::null_mut()) }
    }

    /// Whether a global variable is thread-local.
    pub fn is_thread_local(self) -> bool {
        unsafe { LLVMIsThreadLocal(self.0) != 0 }
    }

    /// Makes a thread-local variable an ordinary one.
    pub fn clear_thread_local(self) {
        unsafe { LLVMSetThreadLocalMode(self.0, LLVMThreadLocalMode::LLVMNotThreadLocal) }
    }

    /// Marks a global variable constant or not.
    pub fn set_global_constant(self, constant: bool) {
        unsafe { LLVMSetGlobalConstant(self.0, llvm_bool(constant)) }
    }

    /// Deletes a global variable that nothing uses.
    pub fn delete_global(self) {
        unsafe { LLVMDeleteGlobal(self.0) }
    }

    /// What an alias stands for.
    pub fn aliasee(self) -> Value {
        Value(unsafe { LLVMAliasGetAliasee(self.0) })
    }

    /// Whether this is an alias.
    pub fn is_alias(self) -> bool {
        unsafe { !LLVMIsAGlobalAlias(self.0).is_null() }
    }

    /// `ptrtoint` of a constant pointer.
    pub fn constant_to_integer(self, ty: Type) -> Value {
        Value(unsafe { LLVMConstPtrToInt(self.0, ty.0) })
    }

    /// `inttoptr` of a constant integer.
    pub fn constant_to_pointer(self, ty: Type) -> Value {
        Value(unsafe { LLVMConstIntToPtr(self.0, ty.0) })
    }

    /// The value printed as IR, for messages.
    pub fn print(self) -> String {
        unsafe {
            let text = LLVMPrintValueToString(self.0);
            let owned = CStr::from_ptr(text).to_string_lossy().into_owned();
            LLVMDisposeMessage(text);
            owned
        }
    }
}
