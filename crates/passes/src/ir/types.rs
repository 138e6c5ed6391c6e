//! IR types.

use super::module::{Context, Module};
use super::value::Value;
use inkwell::llvm_sys::LLVMTypeKind;
use inkwell::llvm_sys::core::*;
use inkwell::llvm_sys::prelude::*;
use inkwell::llvm_sys::target::{
    LLVMABIAlignmentOfType, LLVMABISizeOfType, LLVMGetModuleDataLayout, LLVMSizeOfTypeInBits,
};

/// An IR type.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Type(pub(super) LLVMTypeRef);

// SAFETY (whole impl): the reference comes from a live context; the C API only reads it.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Type {
    /// `ptr` (address space 0).
    pub fn pointer(context: Context) -> Type {
        Type(unsafe { LLVMPointerTypeInContext(context.0, 0) })
    }

    /// `iN`.
    pub fn integer(context: Context, bits: u32) -> Type {
        Type(unsafe { LLVMIntTypeInContext(context.0, bits) })
    }

    /// `void`.
    pub fn void(context: Context) -> Type {
        Type(unsafe { LLVMVoidTypeInContext(context.0) })
    }

    /// `[count x element]`.
    pub fn array(element: Type, count: u64) -> Type {
        Type(unsafe { LLVMArrayType2(element.0, count) })
    }

    /// A function type without variadic arguments.
    pub fn function(result: Type, parameters: &[Type]) -> Type {
        let mut raw: Vec<LLVMTypeRef> = parameters.iter().map(|parameter| parameter.0).collect();
        Type(unsafe { LLVMFunctionType(result.0, raw.as_mut_ptr(), raw.len() as u32, 0) })
    }

    /// Which sort of type this is.
    pub fn kind(self) -> LLVMTypeKind {
        unsafe { LLVMGetTypeKind(self.0) }
    }

    /// Whether this is `void`.
    pub fn is_void(self) -> bool {
        self.kind() == LLVMTypeKind::LLVMVoidTypeKind
    }

    /// Whether a function type takes variadic arguments.
    pub fn is_variadic(self) -> bool {
        unsafe { LLVMIsFunctionVarArg(self.0) != 0 }
    }

    /// The result of a function type.
    pub fn result(self) -> Type {
        Type(unsafe { LLVMGetReturnType(self.0) })
    }

    /// The fixed parameters of a function type.
    pub fn parameters(self) -> Vec<Type> {
        unsafe {
            let mut raw = vec![std::ptr::null_mut(); LLVMCountParamTypes(self.0) as usize];
            LLVMGetParamTypes(self.0, raw.as_mut_ptr());
            raw.into_iter().map(Type).collect()
        }
    }

    /// Whether this is the integer type of that width.
    pub fn is_integer_of(self, bits: u32) -> bool {
        self.kind() == LLVMTypeKind::LLVMIntegerTypeKind && self.integer_width() == bits
    }

    /// Whether this is an integer type of fewer bits.
    pub fn is_integer_below(self, bits: u32) -> bool {
        self.kind() == LLVMTypeKind::LLVMIntegerTypeKind && self.integer_width() < bits
    }

    /// Width of an integer type, bits.
    pub fn integer_width(self) -> u32 {
        unsafe { LLVMGetIntTypeWidth(self.0) }
    }

    /// Number of elements of a struct or array type.
    pub fn element_count(self) -> u32 {
        unsafe {
            match self.kind() {
                LLVMTypeKind::LLVMArrayTypeKind => LLVMGetArrayLength2(self.0) as u32,
                _ => LLVMCountStructElementTypes(self.0),
            }
        }
    }

    /// The type of element `index` of a struct or array type.
    pub fn element(self, index: u32) -> Type {
        unsafe {
            match self.kind() {
                LLVMTypeKind::LLVMArrayTypeKind => Type(LLVMGetElementType(self.0)),
                _ => Type(LLVMStructGetTypeAtIndex(self.0, index)),
            }
        }
    }

    /// Number of elements of a vector type.
    pub fn vector_length(self) -> u64 {
        u64::from(unsafe { LLVMGetVectorSize(self.0) })
    }

    /// For a vector of pointers, the vector of 64-bit integers as long; `None` for other types.
    pub fn vector_of_integers(self, context: Context) -> Option<Type> {
        unsafe {
            let of_pointers = self.kind() == LLVMTypeKind::LLVMVectorTypeKind
                && Type(LLVMGetElementType(self.0)).kind() == LLVMTypeKind::LLVMPointerTypeKind;
            of_pointers.then(|| Type(LLVMVectorType(Type::integer(context, 64).0, LLVMGetVectorSize(self.0))))
        }
    }

    /// Width of a value, bits, under the module's data layout.
    pub fn bits(self, module: Module) -> u64 {
        unsafe { LLVMSizeOfTypeInBits(LLVMGetModuleDataLayout(module.raw()), self.0) }
    }

    /// Size in memory, bytes, under the module's data layout.
    pub fn size(self, module: Module) -> u64 {
        unsafe { LLVMABISizeOfType(LLVMGetModuleDataLayout(module.raw()), self.0) }
    }

    /// ABI alignment, bytes, under the module's data layout.
    pub fn alignment(self, module: Module) -> u64 {
        u64::from(unsafe { LLVMABIAlignmentOfType(LLVMGetModuleDataLayout(module.raw()), self.0) })
    }

    /// Whether values of this type can be stored to memory (not labels, tokens, metadata).
    pub fn is_storable(self) -> bool {
        !matches!(
            self.kind(),
            LLVMTypeKind::LLVMLabelTypeKind
                | LLVMTypeKind::LLVMTokenTypeKind
                | LLVMTypeKind::LLVMMetadataTypeKind
                | LLVMTypeKind::LLVMVoidTypeKind
                | LLVMTypeKind::LLVMFunctionTypeKind
        )
    }

    /// The integer constant `value` of this type.
    pub fn constant(self, value: u64) -> Value {
        Value(unsafe { LLVMConstInt(self.0, value, 0) })
    }

    /// The zero or null value of this type.
    pub fn zero(self) -> Value {
        Value(unsafe { LLVMConstNull(self.0) })
    }

    /// `poison` of this type.
    pub fn poison(self) -> Value {
        Value(unsafe { LLVMGetPoison(self.0) })
    }
}
