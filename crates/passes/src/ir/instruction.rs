//! What only instructions have: opcode, place, control flow, call details.

use super::function::Block;
use super::types::Type;
use super::value::Value;
use super::{IntPredicate, Opcode};
use inkwell::llvm_sys::LLVMTypeKind;
use inkwell::llvm_sys::core::*;
use std::ffi::CStr;

// SAFETY (whole impl): `self` is an instruction of a live module, of the kind the method's name says.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Value {
    /// The instruction's operation.
    pub fn opcode(self) -> Opcode {
        unsafe { LLVMGetInstructionOpcode(self.0) }
    }

    /// Whether this is an instruction with this operation.
    pub fn is(self, opcode: Opcode) -> bool {
        self.is_instruction() && self.opcode() == opcode
    }

    /// The block the instruction is in.
    pub fn block(self) -> Block {
        Block(unsafe { LLVMGetInstructionParent(self.0) })
    }

    /// The following instruction of the block.
    pub fn next(self) -> Option<Value> {
        let next = unsafe { LLVMGetNextInstruction(self.0) };
        (!next.is_null()).then_some(Value(next))
    }

    /// The instruction before this one in the block.
    pub fn previous(self) -> Option<Value> {
        let previous = unsafe { LLVMGetPreviousInstruction(self.0) };
        (!previous.is_null()).then_some(Value(previous))
    }

    /// Whether the instruction ends its block.
    pub fn is_terminator(self) -> bool {
        unsafe { !LLVMIsATerminatorInst(self.0).is_null() }
    }

    /// Removes the instruction and frees it; nothing may use it any more.
    pub fn erase(self) {
        unsafe { LLVMInstructionEraseFromParent(self.0) }
    }

    /// Takes the instruction out of its block without freeing it.
    pub fn detach(self) {
        unsafe { LLVMInstructionRemoveFromParent(self.0) }
    }

    /// A detached copy with the same operands.
    pub fn duplicate(self) -> Value {
        Value(unsafe { LLVMInstructionClone(self.0) })
    }

    /// The blocks a terminator can go to; none for other instructions.
    pub fn successors(self) -> Vec<Block> {
        if !self.is_terminator() {
            return Vec::new();
        }
        unsafe { (0..LLVMGetNumSuccessors(self.0)).map(|index| Block(LLVMGetSuccessor(self.0, index))).collect() }
    }

    /// Redirects one successor of a terminator.
    pub fn set_successor(self, index: u32, block: Block) {
        unsafe { LLVMSetSuccessor(self.0, index, block.0) }
    }

    /// The pairs of value and predecessor of a phi.
    pub fn incoming(self) -> Vec<(Value, Block)> {
        unsafe {
            (0..LLVMCountIncoming(self.0))
                .map(|index| (Value(LLVMGetIncomingValue(self.0, index)), Block(LLVMGetIncomingBlock(self.0, index))))
                .collect()
        }
    }

    /// Adds a pair of value and predecessor to a phi.
    pub fn add_incoming(self, value: Value, block: Block) {
        unsafe { LLVMAddIncoming(self.0, &mut { value.0 }, &mut { block.0 }, 1) }
    }

    /// Whether this is a call or an invoke.
    pub fn is_call_site(self) -> bool {
        self.is(Opcode::LLVMCall) || self.is(Opcode::LLVMInvoke)
    }

    /// What a call calls.
    pub fn callee(self) -> Value {
        Value(unsafe { LLVMGetCalledValue(self.0) })
    }

    /// The function type of a call.
    pub fn called_type(self) -> Type {
        Type(unsafe { LLVMGetCalledFunctionType(self.0) })
    }

    /// A call's arguments.
    pub fn arguments(self) -> Vec<Value> {
        unsafe { (0..LLVMGetNumArgOperands(self.0)).map(|index| Value(LLVMGetArgOperand(self.0, index))).collect() }
    }

    /// Number of operand bundles of a call.
    pub fn operand_bundle_count(self) -> u32 {
        unsafe { LLVMGetNumOperandBundles(self.0) }
    }

    /// A call's calling convention.
    pub fn calling_convention(self) -> u32 {
        unsafe { LLVMGetInstructionCallConv(self.0) }
    }

    /// Sets a call's calling convention.
    pub fn set_calling_convention(self, convention: u32) {
        unsafe { LLVMSetInstructionCallConv(self.0, convention) }
    }

    /// Whether a call is marked `tail` or `musttail`.
    pub fn is_tail_call(self) -> bool {
        unsafe { LLVMIsTailCall(self.0) != 0 }
    }

    /// Whether a call is marked `musttail`.
    pub fn is_must_tail_call(self) -> bool {
        use inkwell::llvm_sys::LLVMTailCallKind::LLVMTailCallKindMustTail;
        unsafe { LLVMGetTailCallKind(self.0) == LLVMTailCallKindMustTail }
    }

    /// Marks a call `musttail`.
    pub fn set_must_tail_call(self) {
        use inkwell::llvm_sys::LLVMTailCallKind::LLVMTailCallKindMustTail;
        unsafe { LLVMSetTailCallKind(self.0, LLVMTailCallKindMustTail) }
    }

    /// Sets or clears the `tail` marker of a call.
    pub fn set_tail_call(self, tail: bool) {
        unsafe { LLVMSetTailCall(self.0, i32::from(tail)) }
    }

    /// The case values of a switch in the order of its successors (the first successor is the default).
    pub fn switch_cases(self) -> Vec<Value> {
        unsafe { (1..LLVMGetNumSuccessors(self.0)).map(|index| Value(LLVMGetSwitchCaseValue(self.0, index))).collect() }
    }

    /// Adds a block that an `indirectbr` can go to.
    pub fn add_destination(self, block: Block) {
        unsafe { LLVMAddDestination(self.0, block.0) }
    }

    /// Attaches empty metadata of this kind.
    pub fn mark(self, kind: &str) {
        unsafe {
            let context = LLVMGetValueContext(self.0);
            let node = LLVMMDNodeInContext2(context, std::ptr::null_mut(), 0);
            LLVMSetMetadata(self.0, Self::metadata_kind(self, kind), LLVMMetadataAsValue(context, node));
        }
    }

    /// Whether [`Value::mark`] has marked the instruction so.
    pub fn has_mark(self, kind: &str) -> bool {
        unsafe { !LLVMGetMetadata(self.0, Self::metadata_kind(self, kind)).is_null() }
    }

    /// The type descriptors of a landing pad's `catch` clauses.
    pub fn caught_types(self) -> Vec<Value> {
        let clauses = unsafe { (0..LLVMGetNumClauses(self.0)).map(|index| Value(LLVMGetClause(self.0, index))) };
        // A filter's clause is an array of descriptors.
        clauses.filter(|clause| clause.ty().kind() == LLVMTypeKind::LLVMPointerTypeKind).collect()
    }

    /// Adds a case to a switch.
    pub fn add_case(self, value: Value, block: Block) {
        unsafe { LLVMAddCase(self.0, value.0, block.0) }
    }

    /// What a `getelementptr i8` starts from and how many bytes it adds, if these are constant.
    pub fn constant_offset(self) -> Option<(Value, i64)> {
        let in_bytes =
            self.is(Opcode::LLVMGetElementPtr) && unsafe { Type(LLVMGetGEPSourceElementType(self.0)).is_integer_of(8) };
        match self.operands()[..] {
            [base, offset] if in_bytes => {
                // Indices of any width are signed.
                offset.as_constant_integer().map(|_| (base, unsafe { LLVMConstIntGetSExtValue(offset.0) }))
            }
            _ => None,
        }
    }

    /// The type an alloca allocates.
    pub fn allocated_type(self) -> Type {
        Type(unsafe { LLVMGetAllocatedType(self.0) })
    }

    /// Alignment of an alloca, load, store or global, bytes.
    pub fn alignment(self) -> u64 {
        u64::from(unsafe { LLVMGetAlignment(self.0) })
    }

    /// Sets the alignment of an alloca, load, store or global, bytes.
    pub fn set_alignment(self, bytes: u64) {
        unsafe { LLVMSetAlignment(self.0, bytes as u32) }
    }

    /// Marks a load or store volatile.
    pub fn set_volatile(self) {
        unsafe { LLVMSetVolatile(self.0, 1) }
    }

    /// The predicate of an integer comparison.
    pub fn integer_predicate(self) -> IntPredicate {
        unsafe { LLVMGetICmpPredicate(self.0) }
    }

    /// Copies the debug location from another instruction.
    pub fn copy_debug_location(self, from: Value) {
        unsafe {
            let kind = Self::metadata_kind(from, "dbg");
            let location = LLVMGetMetadata(from.0, kind);
            if !location.is_null() {
                LLVMSetMetadata(self.0, kind, location);
            }
        }
    }

    /// Marks a conditional branch as all but never taking its first successor.
    pub fn set_first_successor_unlikely(self) {
        unsafe {
            let context = LLVMGetValueContext(self.0);
            let name = "branch_weights";
            let weight = |value| LLVMValueAsMetadata(LLVMConstInt(LLVMInt32TypeInContext(context), value, 0));
            let mut parts =
                [LLVMMDStringInContext2(context, name.as_ptr().cast(), name.len()), weight(1), weight(1 << 20)];
            let node = LLVMMDNodeInContext2(context, parts.as_mut_ptr(), parts.len());
            LLVMSetMetadata(self.0, Self::metadata_kind(self, "prof"), LLVMMetadataAsValue(context, node));
        }
    }

    fn metadata_kind(value: Value, name: &str) -> u32 {
        unsafe { LLVMGetMDKindIDInContext(LLVMGetValueContext(value.0), name.as_ptr().cast(), name.len() as u32) }
    }

    /// `file:line` of the instruction, if the module has debug information.
    pub fn source_location(self) -> Option<String> {
        unsafe {
            let line = LLVMGetDebugLocLine(self.0);
            let mut length = 0;
            let file = LLVMGetDebugLocFilename(self.0, &mut length);
            if line == 0 || file.is_null() {
                return None;
            }
            let file = std::slice::from_raw_parts(file.cast::<u8>(), length as usize);
            Some(format!("{}:{line}", String::from_utf8_lossy(file)))
        }
    }

    /// The name of the intrinsic a call calls, such as `llvm.va_start.p0`; `None` for other callees.
    pub fn intrinsic_name(self) -> Option<String> {
        if !self.is_call_site() {
            return None;
        }
        let name = self.callee().as_function()?.name();
        name.starts_with("llvm.").then_some(name)
    }

    /// Template and constraints of inline assembly.
    pub fn inline_assembly_text(self) -> (String, String) {
        let mut length = 0;
        unsafe {
            let template = LLVMGetInlineAsmAsmString(self.0, &mut length);
            let template = CStr::from_bytes_until_nul(std::slice::from_raw_parts(template.cast(), length + 1))
                .map(|text| text.to_string_lossy().into_owned())
                .unwrap_or_default();
            let constraints = inkwell::llvm_sys::core::LLVMGetInlineAsmConstraintString(self.0, &mut length);
            let constraints = std::slice::from_raw_parts(constraints.cast::<u8>(), length);
            (template, String::from_utf8_lossy(constraints).into_owned())
        }
    }
}
