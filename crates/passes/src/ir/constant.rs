//! Constant expressions, such as an address within a global variable.

use super::Opcode;
use super::builder::{Builder, NO_NAME};
use super::value::Value;
use inkwell::llvm_sys::core::*;
use inkwell::llvm_sys::prelude::*;

// SAFETY (whole impl): as that of `Value` in `value`.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Value {
    /// Whether this is an operation on constants.
    pub fn is_constant_expression(self) -> bool {
        unsafe { !LLVMIsAConstantExpr(self.0).is_null() }
    }
}

// SAFETY (whole impl): as that of `Builder` in `builder`.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Builder {
    /// The operation of a constant expression on other operands, or `None` if it is not one that addresses are made of.
    pub fn operation_of(&self, expression: Value, operands: &[Value]) -> Option<Value> {
        let raw: Vec<LLVMValueRef> = operands.iter().map(|operand| operand.0).collect();
        let opcode = unsafe { LLVMGetConstOpcode(expression.0) };
        match (opcode, &raw[..]) {
            (Opcode::LLVMGetElementPtr, [pointer, indices @ ..]) => unsafe {
                let (ty, flags) = (LLVMGetGEPSourceElementType(expression.0), LLVMGEPGetNoWrapFlags(expression.0));
                let (count, indices) = (indices.len() as u32, indices.as_ptr().cast_mut());
                Some(Value(LLVMBuildGEPWithNoWrapFlags(self.0, ty, *pointer, indices, count, NO_NAME, flags)))
            },
            (Opcode::LLVMPtrToInt | Opcode::LLVMIntToPtr | Opcode::LLVMTrunc, &[operand]) => {
                Some(Value(unsafe { LLVMBuildCast(self.0, opcode, operand, expression.ty().0, NO_NAME) }))
            }
            (Opcode::LLVMAdd | Opcode::LLVMSub | Opcode::LLVMXor, &[left, right]) => {
                Some(Value(unsafe { LLVMBuildBinOp(self.0, opcode, left, right, NO_NAME) }))
            }
            _ => None,
        }
    }
}
