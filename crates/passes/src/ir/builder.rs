//! Building instructions.

use super::IntPredicate;
use super::function::Block;
use super::module::Context;
use super::types::Type;
use super::value::Value;
use inkwell::llvm_sys::LLVMInlineAsmDialect;
use inkwell::llvm_sys::core::*;
use inkwell::llvm_sys::prelude::*;

/// Inserts instructions at a position.
pub struct Builder(pub(super) LLVMBuilderRef);

pub(super) const NO_NAME: *const std::ffi::c_char = c"".as_ptr();

// SAFETY (whole impl): the builder is live until dropped and is positioned in a live function before
// it builds; operands are values of the same context.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Builder {
    /// A builder that is not positioned yet.
    pub fn new(context: Context) -> Builder {
        Builder(unsafe { LLVMCreateBuilderInContext(context.0) })
    }

    /// A builder that inserts before `instruction` and takes over its debug location.
    pub fn before(instruction: Value) -> Builder {
        let builder = Builder::new(instruction.block().function().context());
        builder.position_before(instruction);
        builder
    }

    /// A builder that adds to the end of `block`.
    pub fn at_end(block: Block) -> Builder {
        let builder = Builder::new(block.function().context());
        builder.position_at_end(block);
        builder
    }

    /// Inserts before `instruction` from now on.
    pub fn position_before(&self, instruction: Value) {
        unsafe { LLVMPositionBuilderBefore(self.0, instruction.0) }
    }

    /// Adds to the end of `block` from now on.
    pub fn position_at_end(&self, block: Block) {
        unsafe { LLVMPositionBuilderAtEnd(self.0, block.0) }
    }

    /// Inserts a detached instruction.
    pub fn insert(&self, instruction: Value) {
        unsafe { LLVMInsertIntoBuilder(self.0, instruction.0) }
    }

    /// `alloca`, at `alignment` bytes.
    pub fn alloca(&self, ty: Type, alignment: u64) -> Value {
        let value = Value(unsafe { LLVMBuildAlloca(self.0, ty.0, NO_NAME) });
        value.set_alignment(alignment);
        value
    }

    /// `load`, at `alignment` bytes.
    pub fn load(&self, ty: Type, pointer: Value, alignment: u64) -> Value {
        let value = Value(unsafe { LLVMBuildLoad2(self.0, ty.0, pointer.0, NO_NAME) });
        value.set_alignment(alignment);
        value
    }

    /// `store`, at `alignment` bytes.
    pub fn store(&self, value: Value, pointer: Value, alignment: u64) -> Value {
        let store = Value(unsafe { LLVMBuildStore(self.0, value.0, pointer.0) });
        store.set_alignment(alignment);
        store
    }

    /// `pointer + offset` in bytes (`getelementptr i8`).
    pub fn offset(&self, pointer: Value, offset: Value) -> Value {
        unsafe {
            let byte = LLVMInt8TypeInContext(LLVMGetBuilderContext(self.0));
            Value(LLVMBuildGEP2(self.0, byte, pointer.0, &mut { offset.0 }, 1, NO_NAME))
        }
    }

    /// `pointer + bytes`; `pointer` itself for 0.
    pub fn offset_by(&self, pointer: Value, bytes: i64) -> Value {
        if bytes == 0 {
            return pointer;
        }
        let ty = unsafe { Type(LLVMInt64TypeInContext(LLVMGetBuilderContext(self.0))) };
        self.offset(pointer, ty.constant(bytes as u64))
    }

    /// A call of a function type through a pointer.
    pub fn call(&self, ty: Type, callee: Value, arguments: &[Value]) -> Value {
        let mut raw: Vec<LLVMValueRef> = arguments.iter().map(|argument| argument.0).collect();
        Value(unsafe { LLVMBuildCall2(self.0, ty.0, callee.0, raw.as_mut_ptr(), raw.len() as u32, NO_NAME) })
    }

    /// A call that goes on at `normal`, or unwinds to `unwind`.
    pub fn invoke(&self, ty: Type, callee: Value, arguments: &[Value], normal: Block, unwind: Block) -> Value {
        let mut raw: Vec<LLVMValueRef> = arguments.iter().map(|argument| argument.0).collect();
        unsafe {
            let count = raw.len() as u32;
            Value(LLVMBuildInvoke2(self.0, ty.0, callee.0, raw.as_mut_ptr(), count, normal.0, unwind.0, NO_NAME))
        }
    }

    /// Inline assembly that goes on at `next` or, as far as the compiler knows, at `target` (`${0:l}` in the text).
    pub fn jump_by_assembly(&self, text: &str, next: Block, target: Block) -> Value {
        let constraints = "!i";
        unsafe {
            let ty = LLVMFunctionType(LLVMVoidTypeInContext(LLVMGetBuilderContext(self.0)), std::ptr::null_mut(), 0, 0);
            let (text, length) = (text.as_ptr().cast(), text.len());
            let dialect = LLVMInlineAsmDialect::LLVMInlineAsmDialectATT;
            let assembly =
                LLVMGetInlineAsm(ty, text, length, constraints.as_ptr().cast(), constraints.len(), 1, 0, dialect, 0);
            let (mut targets, nothing, no_bundles) = ([target.0], std::ptr::null_mut(), std::ptr::null_mut());
            let (next, targets) = (next.0, targets.as_mut_ptr());
            Value(LLVMBuildCallBr(self.0, ty, assembly, next, targets, 1, nothing, 0, no_bundles, 0, NO_NAME))
        }
    }

    /// A copy of a value of which the compiler does not know that it is one.
    pub fn opaque_copy(&self, value: Value) -> Value {
        let constraints = "=r,0";
        unsafe {
            let mut parameters = [value.ty().0];
            let ty = LLVMFunctionType(value.ty().0, parameters.as_mut_ptr(), 1, 0);
            let dialect = LLVMInlineAsmDialect::LLVMInlineAsmDialectATT;
            let (text, length) = (constraints.as_ptr().cast(), constraints.len());
            let assembly = LLVMGetInlineAsm(ty, NO_NAME, 0, text, length, 0, 0, dialect, 0);
            let mut arguments = [value.0];
            Value(LLVMBuildCall2(self.0, ty, assembly, arguments.as_mut_ptr(), 1, NO_NAME))
        }
    }

    /// A call with a `deopt` operand bundle: values whose places at the call back ends write down in the stack map.
    pub fn call_with_words(&self, ty: Type, callee: Value, arguments: &[Value], words: &[Value]) -> Value {
        let mut raw: Vec<LLVMValueRef> = arguments.iter().map(|argument| argument.0).collect();
        let mut bundle = Bundle::deopt(words);
        unsafe {
            let (arguments, count) = (raw.as_mut_ptr(), raw.len() as u32);
            let bundles = &raw mut bundle.0;
            Value(LLVMBuildCallWithOperandBundles(self.0, ty.0, callee.0, arguments, count, bundles, 1, NO_NAME))
        }
    }

    /// An invoke with a `deopt` operand bundle.
    pub fn invoke_with_words(
        &self,
        ty: Type,
        callee: Value,
        arguments: &[Value],
        words: &[Value],
        [normal, unwind]: [Block; 2],
    ) -> Value {
        let mut raw: Vec<LLVMValueRef> = arguments.iter().map(|argument| argument.0).collect();
        let mut bundle = Bundle::deopt(words);
        unsafe {
            let (arguments, count) = (raw.as_mut_ptr(), raw.len() as u32);
            let (normal, unwind, bundles) = (normal.0, unwind.0, &raw mut bundle.0);
            Value(LLVMBuildInvokeWithOperandBundles(
                self.0, ty.0, callee.0, arguments, count, normal, unwind, bundles, 1, NO_NAME,
            ))
        }
    }

    /// Field `index` of an aggregate.
    pub fn extract_value(&self, aggregate: Value, index: u32) -> Value {
        Value(unsafe { LLVMBuildExtractValue(self.0, aggregate.0, index, NO_NAME) })
    }

    /// The aggregate with field `index` replaced.
    pub fn insert_value(&self, aggregate: Value, field: Value, index: u32) -> Value {
        Value(unsafe { LLVMBuildInsertValue(self.0, aggregate.0, field.0, index, NO_NAME) })
    }

    /// `bitcast`.
    pub fn bit_cast(&self, value: Value, ty: Type) -> Value {
        Value(unsafe { LLVMBuildBitCast(self.0, value.0, ty.0, NO_NAME) })
    }

    /// Integer comparison.
    pub fn compare(&self, predicate: IntPredicate, left: Value, right: Value) -> Value {
        Value(unsafe { LLVMBuildICmp(self.0, predicate, left.0, right.0, NO_NAME) })
    }

    /// `left + right`.
    pub fn add(&self, left: Value, right: Value) -> Value {
        Value(unsafe { LLVMBuildAdd(self.0, left.0, right.0, NO_NAME) })
    }

    /// `left - right`.
    pub fn sub(&self, left: Value, right: Value) -> Value {
        Value(unsafe { LLVMBuildSub(self.0, left.0, right.0, NO_NAME) })
    }

    /// `left * right`.
    pub fn mul(&self, left: Value, right: Value) -> Value {
        Value(unsafe { LLVMBuildMul(self.0, left.0, right.0, NO_NAME) })
    }

    /// `left & right`.
    pub fn and(&self, left: Value, right: Value) -> Value {
        Value(unsafe { LLVMBuildAnd(self.0, left.0, right.0, NO_NAME) })
    }

    /// `left | right`.
    pub fn or(&self, left: Value, right: Value) -> Value {
        Value(unsafe { LLVMBuildOr(self.0, left.0, right.0, NO_NAME) })
    }

    /// `left >> right`, shifting in zeros.
    pub fn shift_right(&self, left: Value, right: Value) -> Value {
        Value(unsafe { LLVMBuildLShr(self.0, left.0, right.0, NO_NAME) })
    }

    /// `left << right`.
    pub fn shift_left(&self, left: Value, right: Value) -> Value {
        Value(unsafe { LLVMBuildShl(self.0, left.0, right.0, NO_NAME) })
    }

    /// `ptrtoint`.
    pub fn pointer_to_integer(&self, pointer: Value, ty: Type) -> Value {
        Value(unsafe { LLVMBuildPtrToInt(self.0, pointer.0, ty.0, NO_NAME) })
    }

    /// `inttoptr`.
    pub fn integer_to_pointer(&self, integer: Value, ty: Type) -> Value {
        Value(unsafe { LLVMBuildIntToPtr(self.0, integer.0, ty.0, NO_NAME) })
    }

    /// Zero-extends or truncates an integer to a type.
    pub fn integer_cast(&self, integer: Value, ty: Type) -> Value {
        Value(unsafe { LLVMBuildIntCast2(self.0, integer.0, ty.0, 0, NO_NAME) })
    }

    /// `sext`.
    pub fn sign_extend(&self, integer: Value, ty: Type) -> Value {
        Value(unsafe { LLVMBuildSExt(self.0, integer.0, ty.0, NO_NAME) })
    }

    /// `select`.
    pub fn select(&self, condition: Value, yes: Value, no: Value) -> Value {
        Value(unsafe { LLVMBuildSelect(self.0, condition.0, yes.0, no.0, NO_NAME) })
    }

    /// An empty phi.
    pub fn phi(&self, ty: Type) -> Value {
        Value(unsafe { LLVMBuildPhi(self.0, ty.0, NO_NAME) })
    }

    /// An unconditional branch.
    pub fn branch(&self, target: Block) -> Value {
        Value(unsafe { LLVMBuildBr(self.0, target.0) })
    }

    /// A conditional branch.
    pub fn conditional_branch(&self, condition: Value, yes: Block, no: Block) -> Value {
        Value(unsafe { LLVMBuildCondBr(self.0, condition.0, yes.0, no.0) })
    }

    /// A switch with room for `cases` cases.
    pub fn switch(&self, value: Value, default: Block, cases: u32) -> Value {
        Value(unsafe { LLVMBuildSwitch(self.0, value.0, default.0, cases) })
    }

    /// `indirectbr` with room for `destinations`.
    pub fn indirect_branch(&self, address: Value, destinations: u32) -> Value {
        Value(unsafe { LLVMBuildIndirectBr(self.0, address.0, destinations) })
    }

    /// `ret` of a value.
    pub fn return_value(&self, value: Value) -> Value {
        Value(unsafe { LLVMBuildRet(self.0, value.0) })
    }

    /// `ret void`.
    pub fn return_void(&self) -> Value {
        Value(unsafe { LLVMBuildRetVoid(self.0) })
    }

    /// `unreachable`.
    pub fn unreachable(&self) -> Value {
        Value(unsafe { LLVMBuildUnreachable(self.0) })
    }

    /// `llvm.memcpy` of `size` bytes.
    pub fn copy_memory(&self, to: Value, to_alignment: u64, from: Value, from_alignment: u64, size: u64) -> Value {
        unsafe {
            let length = LLVMConstInt(LLVMInt64TypeInContext(LLVMGetBuilderContext(self.0)), size, 0);
            Value(LLVMBuildMemCpy(self.0, to.0, to_alignment as u32, from.0, from_alignment as u32, length))
        }
    }
}

impl Drop for Builder {
    fn drop(&mut self) {
        // SAFETY: created by `new`, dropped once.
        unsafe { LLVMDisposeBuilder(self.0) }
    }
}

/// An operand bundle while a call is built.
struct Bundle(LLVMOperandBundleRef);

impl Bundle {
    fn deopt(words: &[Value]) -> Bundle {
        let mut words: Vec<LLVMValueRef> = words.iter().map(|word| word.0).collect();
        let tag = "deopt";
        // SAFETY: tag and words are valid for the lengths given; LLVM copies them.
        Bundle(unsafe {
            LLVMCreateOperandBundle(tag.as_ptr().cast(), tag.len(), words.as_mut_ptr(), words.len() as u32)
        })
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        // SAFETY: created by `deopt`, dropped once.
        unsafe { LLVMDisposeOperandBundle(self.0) }
    }
}
