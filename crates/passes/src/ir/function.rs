//! Functions and basic blocks.

use super::Opcode;
use super::module::Context;
use super::types::Type;
use super::value::Value;
use inkwell::llvm_sys::core::*;
use inkwell::llvm_sys::prelude::*;

/// A function of the module.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Function(pub(super) LLVMValueRef);

/// A basic block.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Block(pub(super) LLVMBasicBlockRef);

// SAFETY (whole impl): the reference is a function of a live module.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Function {
    /// The function as a value.
    pub fn value(self) -> Value {
        Value(self.0)
    }

    /// The first place at which an argument or the result of an instruction is there; none for that of an invoke, which has no place of its own.
    pub fn place_after(self, value: Value) -> Option<Value> {
        if value.is_argument() {
            self.entry().first_insertion_point()
        } else if value.is(Opcode::LLVMPHI) {
            value.block().first_insertion_point()
        } else {
            value.next()
        }
    }

    /// The symbol's name.
    pub fn name(self) -> String {
        self.value().name()
    }

    /// The context everything of this function belongs to.
    pub fn context(self) -> Context {
        Context(unsafe { LLVMGetValueContext(self.0) })
    }

    /// The function's type.
    pub fn function_type(self) -> Type {
        Type(unsafe { LLVMGlobalGetValueType(self.0) })
    }

    /// Whether there is no body here.
    pub fn is_declaration(self) -> bool {
        self.value().is_declaration()
    }

    /// Whether this is an intrinsic.
    pub fn is_intrinsic(self) -> bool {
        unsafe { LLVMGetIntrinsicID(self.0) != 0 }
    }

    /// The parameters.
    pub fn parameters(self) -> Vec<Value> {
        unsafe { (0..LLVMCountParams(self.0)).map(|index| Value(LLVMGetParam(self.0, index))).collect() }
    }

    /// The blocks in layout order.
    pub fn blocks(self) -> Vec<Block> {
        unsafe {
            let mut raw = vec![std::ptr::null_mut(); LLVMCountBasicBlocks(self.0) as usize];
            LLVMGetBasicBlocks(self.0, raw.as_mut_ptr());
            raw.into_iter().map(Block).collect()
        }
    }

    /// The block at which the function starts.
    pub fn entry(self) -> Block {
        Block(unsafe { LLVMGetEntryBasicBlock(self.0) })
    }

    /// All instructions in layout order.
    pub fn instructions(self) -> Vec<Value> {
        self.blocks().into_iter().flat_map(Block::instructions).collect()
    }

    /// The address of one of the function's blocks, as a constant.
    pub fn block_address(self, block: Block) -> Value {
        Value(unsafe { LLVMBlockAddress(self.0, block.0) })
    }

    /// Adds an empty block at the end.
    pub fn append_block(self, name: &str) -> Block {
        let name = super::c_string(name);
        Block(unsafe { LLVMAppendBasicBlockInContext(self.context().0, self.0, name.as_ptr()) })
    }

    /// The personality routine.
    pub fn personality(self) -> Option<Value> {
        unsafe { (LLVMHasPersonalityFn(self.0) != 0).then(|| Value(LLVMGetPersonalityFn(self.0))) }
    }

    /// Sets the personality routine.
    pub fn set_personality(self, personality: Value) {
        unsafe { LLVMSetPersonalityFn(self.0, personality.0) }
    }

    /// Takes the personality routine away; there are no landing pads.
    pub fn remove_personality(self) {
        unsafe { LLVMSetPersonalityFn(self.0, std::ptr::null_mut()) }
    }

    /// The calling convention's number.
    pub fn calling_convention(self) -> u32 {
        unsafe { LLVMGetFunctionCallConv(self.0) }
    }

    /// Sets the calling convention.
    pub fn set_calling_convention(self, convention: u32) {
        unsafe { LLVMSetFunctionCallConv(self.0, convention) }
    }

    /// Copies metadata (such as the debug subprogram), section, visibility and comdat from another function.
    pub fn copy_definition_properties(self, from: Function) {
        unsafe {
            LLVMSetSubprogram(self.0, from);
            LLVMSetVisibility(self.0, LLVMGetVisibility(from.0));
            inkwell::llvm_sys::comdat::LLVMSetComdat(self.0, inkwell::llvm_sys::comdat::LLVMGetComdat(from.0));
            LLVMSetUnnamedAddress(self.0, LLVMGetUnnamedAddress(from.0));
        }
        let section = from.value().section();
        if !section.is_empty() {
            self.value().set_section(&section);
        }
    }

    /// Joins the comdat group of another function, if it is in one.
    pub fn share_comdat(self, with: Function) {
        use inkwell::llvm_sys::comdat::{LLVMGetComdat, LLVMSetComdat};
        unsafe { LLVMSetComdat(self.0, LLVMGetComdat(with.0)) }
    }

    /// Moves every block of `from` into this function, which must have none.
    pub fn take_body(self, from: Function) {
        for block in from.blocks() {
            unsafe {
                LLVMRemoveBasicBlockFromParent(block.0);
                LLVMAppendExistingBasicBlock(self.0, block.0);
            }
        }
    }

    /// Deletes the function; nothing may refer to it any more.
    pub fn delete(self) {
        unsafe { LLVMDeleteFunction(self.0) }
    }
}

/// Moves the debug subprogram, which may describe one function only.
#[allow(non_snake_case)]
unsafe fn LLVMSetSubprogram(to: LLVMValueRef, from: Function) {
    use inkwell::llvm_sys::debuginfo;
    // SAFETY: both are functions of a live module; a null subprogram is allowed.
    unsafe {
        let subprogram = debuginfo::LLVMGetSubprogram(from.0);
        if !subprogram.is_null() {
            debuginfo::LLVMSetSubprogram(to, subprogram);
            debuginfo::LLVMSetSubprogram(from.0, std::ptr::null_mut());
        }
    }
}

// SAFETY (whole impl): the reference is a block of a live function.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Block {
    /// The block as an operand.
    pub fn value(self) -> Value {
        Value(unsafe { LLVMBasicBlockAsValue(self.0) })
    }

    /// The function the block is in.
    pub fn function(self) -> Function {
        Function(unsafe { LLVMGetBasicBlockParent(self.0) })
    }

    /// The instructions in order.
    pub fn instructions(self) -> Vec<Value> {
        let mut instructions = Vec::new();
        let mut current = self.first_instruction();
        while let Some(instruction) = current {
            instructions.push(instruction);
            current = instruction.next();
        }
        instructions
    }

    /// The first instruction.
    pub fn first_instruction(self) -> Option<Value> {
        let first = unsafe { LLVMGetFirstInstruction(self.0) };
        (!first.is_null()).then_some(Value(first))
    }

    /// The first instruction that is neither a phi nor a landing pad.
    pub fn first_insertion_point(self) -> Option<Value> {
        self.instructions()
            .into_iter()
            .find(|instruction| !matches!(instruction.opcode(), Opcode::LLVMPHI | Opcode::LLVMLandingPad))
    }

    /// The phis at the block's start.
    pub fn phis(self) -> Vec<Value> {
        self.instructions().into_iter().take_while(|instruction| instruction.opcode() == Opcode::LLVMPHI).collect()
    }

    /// The instruction that ends the block.
    pub fn terminator(self) -> Option<Value> {
        let terminator = unsafe { LLVMGetBasicBlockTerminator(self.0) };
        (!terminator.is_null()).then_some(Value(terminator))
    }

    /// The blocks control can go to from here.
    pub fn successors(self) -> Vec<Block> {
        self.terminator().map(Value::successors).unwrap_or_default()
    }

    /// Adds an empty block before this one.
    pub fn insert_block_before(self, name: &str) -> Block {
        let name = super::c_string(name);
        Block(unsafe { LLVMInsertBasicBlockInContext(self.function().context().0, self.0, name.as_ptr()) })
    }

    /// Moves everything up to and including `last` into a new block before this one, to which all
    /// predecessors now go. The new block has no terminator yet; this block keeps its successors, so
    /// their phis stay as they are.
    pub fn split_off_head(self, last: Value) -> Block {
        let head = self.insert_block_before("");
        // Not replace_all_uses_with: it would also rewrite the phis of this block's successors.
        for user in self.value().users().into_iter().filter(|user| user.is_instruction()) {
            for (index, successor) in user.successors().into_iter().enumerate() {
                if successor == self {
                    user.set_successor(index as u32, head);
                }
            }
        }
        let builder = super::Builder::new(self.function().context());
        builder.position_at_end(head);
        for instruction in self.instructions() {
            instruction.detach();
            builder.insert(instruction);
            if instruction == last {
                break;
            }
        }
        head
    }

    /// Puts a new block on the way to successor `index`, to which no other successor leads.
    pub fn split_edge(self, index: u32) -> Block {
        let Some(terminator) = self.terminator() else { unreachable!("a block with a successor has a terminator") };
        let target = terminator.successors()[index as usize];
        let edge = target.insert_block_before("");
        super::Builder::at_end(edge).branch(target);
        terminator.set_successor(index, edge);
        target.replace_predecessors(|predecessor| if predecessor == self { edge } else { predecessor });
        edge
    }

    /// Has the block's phis name other predecessors.
    pub fn replace_predecessors(self, replacement: impl Fn(Block) -> Block) {
        self.renew_phis(|predecessor| Some(replacement(predecessor)));
    }

    /// Has the block's phis forget a predecessor, from which no edge leads here any more.
    pub fn remove_predecessor(self, gone: Block) {
        self.renew_phis(|predecessor| (predecessor != gone).then_some(predecessor));
    }

    /// The C API cannot change the predecessors of a phi, so phis are made anew.
    fn renew_phis(self, replacement: impl Fn(Block) -> Option<Block>) {
        for phi in self.phis() {
            let new = super::Builder::before(phi).phi(phi.ty());
            for (value, predecessor) in phi.incoming() {
                if let Some(predecessor) = replacement(predecessor) {
                    new.add_incoming(value, predecessor);
                }
            }
            phi.replace_all_uses_with(new);
            phi.erase();
        }
    }

    /// Deletes the block and what is in it.
    pub fn delete(self) {
        unsafe { LLVMDeleteBasicBlock(self.0) }
    }
}
