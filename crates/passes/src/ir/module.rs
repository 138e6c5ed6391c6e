//! Modules: symbols, verification, pass pipelines, bitcode.

use super::Linkage;
use super::function::Function;
use super::types::Type;
use super::value::Value;
use super::{c_string, llvm_bool};
use inkwell::llvm_sys::analysis::{LLVMVerifierFailureAction, LLVMVerifyModule};
use inkwell::llvm_sys::core::*;
use inkwell::llvm_sys::error::{LLVMDisposeErrorMessage, LLVMErrorRef, LLVMGetErrorMessage};
use inkwell::llvm_sys::ir_reader::LLVMParseIRInContext2;
use inkwell::llvm_sys::linker::LLVMLinkModules2;
use inkwell::llvm_sys::prelude::*;
use inkwell::llvm_sys::target_machine::LLVMTargetMachineRef;
use inkwell::llvm_sys::transforms::pass_builder as passes;
use inkwell::llvm_sys::{LLVMInlineAsmDialect, LLVMUnnamedAddr};
use std::ffi::CStr;

/// The LLVM context that a module's types and constants belong to.
#[derive(Clone, Copy)]
pub struct Context(pub(super) LLVMContextRef);

/// A module. It does not own the LLVM module: [`inkwell::module::Module`] does.
#[derive(Clone, Copy)]
pub struct Module(LLVMModuleRef);

// SAFETY (whole impl): the reference is a live module owned by the caller's inkwell module.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Module {
    /// The handle of an inkwell module.
    pub fn new(module: &inkwell::module::Module<'_>) -> Module {
        Module(module.as_mut_ptr())
    }

    /// The C API's reference.
    pub fn raw(self) -> LLVMModuleRef {
        self.0
    }

    /// The context everything of this module belongs to.
    pub fn context(self) -> Context {
        Context(unsafe { LLVMGetModuleContext(self.0) })
    }

    /// All functions, declared and defined.
    pub fn functions(self) -> Vec<Function> {
        let mut functions = Vec::new();
        unsafe {
            let mut current = LLVMGetFirstFunction(self.0);
            while !current.is_null() {
                functions.push(Function(current));
                current = LLVMGetNextFunction(current);
            }
        }
        functions
    }

    /// The functions with a body.
    pub fn definitions(self) -> Vec<Function> {
        self.functions().into_iter().filter(|function| !function.is_declaration()).collect()
    }

    /// All global variables.
    pub fn global_variables(self) -> Vec<Value> {
        let mut variables = Vec::new();
        unsafe {
            let mut current = LLVMGetFirstGlobal(self.0);
            while !current.is_null() {
                variables.push(Value(current));
                current = LLVMGetNextGlobal(current);
            }
        }
        variables
    }

    /// All aliases.
    pub fn aliases(self) -> Vec<Value> {
        let mut aliases = Vec::new();
        unsafe {
            let mut current = LLVMGetFirstGlobalAlias(self.0);
            while !current.is_null() {
                aliases.push(Value(current));
                current = LLVMGetNextGlobalAlias(current);
            }
        }
        aliases
    }

    /// The function with this name.
    pub fn function(self, name: &str) -> Option<Function> {
        let function = unsafe { LLVMGetNamedFunction(self.0, c_string(name).as_ptr()) };
        (!function.is_null()).then_some(Function(function))
    }

    /// Adds a function (renamed by LLVM if the name is taken).
    pub fn add_function(self, name: &str, ty: Type) -> Function {
        Function(unsafe { LLVMAddFunction(self.0, c_string(name).as_ptr(), ty.0) })
    }

    /// The function with this name, declared if need be.
    pub fn declare_function(self, name: &str, ty: Type) -> Function {
        self.function(name).unwrap_or_else(|| self.add_function(name, ty))
    }

    /// The intrinsic with this name for these overloaded types.
    pub fn intrinsic(self, name: &str, overloads: &[Type]) -> Function {
        let mut raw: Vec<LLVMTypeRef> = overloads.iter().map(|ty| ty.0).collect();
        unsafe {
            let id = LLVMLookupIntrinsicID(name.as_ptr().cast(), name.len());
            Function(LLVMGetIntrinsicDeclaration(self.0, id, raw.as_mut_ptr(), raw.len()))
        }
    }

    /// The global variable with this name, declared if need be.
    pub fn declare_variable(self, name: &str, ty: Type) -> Value {
        unsafe {
            let existing = LLVMGetNamedGlobal(self.0, c_string(name).as_ptr());
            Value(if existing.is_null() { LLVMAddGlobal(self.0, ty.0, c_string(name).as_ptr()) } else { existing })
        }
    }

    /// A constant array of pointers that only this module sees.
    pub fn add_private_table(self, name: &str, entries: &[Value]) -> Value {
        let name = c_string(name);
        let mut raw: Vec<LLVMValueRef> = entries.iter().map(|entry| entry.0).collect();
        unsafe {
            let list = LLVMConstArray2(Type::pointer(self.context()).0, raw.as_mut_ptr(), raw.len() as u64);
            let variable = Value(LLVMAddGlobal(self.0, LLVMTypeOf(list), name.as_ptr()));
            LLVMSetInitializer(variable.0, list);
            variable.set_linkage(Linkage::LLVMPrivateLinkage);
            variable.set_global_constant(true);
            LLVMSetUnnamedAddress(variable.0, LLVMUnnamedAddr::LLVMGlobalUnnamedAddr);
            variable
        }
    }

    /// Turns the elements of an array variable round, if there is one of this name.
    pub fn reverse_list(self, name: &str) {
        unsafe {
            let existing = LLVMGetNamedGlobal(self.0, c_string(name).as_ptr());
            if existing.is_null() || LLVMGetInitializer(existing).is_null() {
                return;
            }
            let elements = Value(LLVMGetInitializer(existing)).operands();
            let Some(first) = elements.first() else { return };
            let mut raw: Vec<LLVMValueRef> = elements.iter().rev().map(|element| element.0).collect();
            LLVMSetInitializer(existing, LLVMConstArray2(first.ty().0, raw.as_mut_ptr(), raw.len() as u64));
        }
    }

    /// Keeps globals that nothing in the module refers to (`llvm.compiler.used`).
    pub fn keep(self, globals: &[Value]) {
        const NAME: &str = "llvm.compiler.used";
        unsafe {
            let mut raw: Vec<LLVMValueRef> = globals.iter().map(|global| global.0).collect();
            let existing = LLVMGetNamedGlobal(self.0, c_string(NAME).as_ptr());
            if !existing.is_null() {
                raw.extend(Value(LLVMGetInitializer(existing)).operands().iter().map(|value| value.0));
                LLVMDeleteGlobal(existing);
            }
            let pointer = Type::pointer(self.context());
            let list = LLVMConstArray2(pointer.0, raw.as_mut_ptr(), raw.len() as u64);
            let variable = Value(LLVMAddGlobal(self.0, LLVMTypeOf(list), c_string(NAME).as_ptr()));
            LLVMSetInitializer(variable.0, list);
            variable.set_linkage(Linkage::LLVMAppendingLinkage);
            variable.set_section("llvm.metadata");
        }
    }

    /// Module-level assembly, if any.
    pub fn inline_assembly(self) -> String {
        let mut length = 0;
        unsafe {
            let text = LLVMGetModuleInlineAsm(self.0, &mut length);
            String::from_utf8_lossy(std::slice::from_raw_parts(text.cast::<u8>(), length)).into_owned()
        }
    }

    /// Empty inline assembly with the given constraints, of the same type and effects as `original`.
    pub fn empty_assembly_like(self, original: Value, constraints: &str) -> Value {
        unsafe {
            Value(LLVMGetInlineAsm(
                LLVMGetInlineAsmFunctionType(original.0),
                c"".as_ptr(),
                0,
                constraints.as_ptr().cast(),
                constraints.len(),
                LLVMGetInlineAsmHasSideEffects(original.0),
                LLVMGetInlineAsmNeedsAlignedStack(original.0),
                LLVMInlineAsmDialect::LLVMInlineAsmDialectATT,
                LLVMGetInlineAsmCanUnwind(original.0),
            ))
        }
    }

    /// Adds what another module, given as text that ends with a NUL, defines and this one needs.
    ///
    /// # Errors
    /// LLVM's message.
    pub fn link_text(self, text: &str) -> Result<(), String> {
        unsafe {
            let length = text.len().saturating_sub(1);
            let buffer = LLVMCreateMemoryBufferWithMemoryRangeCopy(text.as_ptr().cast(), length, c"linked".as_ptr());
            let (mut other, mut message) = (std::ptr::null_mut(), std::ptr::null_mut());
            let failed = LLVMParseIRInContext2(self.context().0, buffer, &mut other, &mut message) != 0;
            LLVMDisposeMemoryBuffer(buffer);
            if failed {
                let owned = CStr::from_ptr(message).to_string_lossy().into_owned();
                LLVMDisposeMessage(message);
                return Err(owned);
            }
            LLVMSetDataLayout(other, LLVMGetDataLayoutStr(self.0));
            // This consumes the other module.
            if LLVMLinkModules2(self.0, other) == 0 { Ok(()) } else { Err(String::from("modules do not fit together")) }
        }
    }

    /// Sets the target triple.
    pub fn set_triple(self, triple: &str) {
        unsafe { LLVMSetTarget(self.0, c_string(triple).as_ptr()) }
    }

    /// Runs a pipeline of LLVM's own function passes, such as `mem2reg,dce`, on one function.
    ///
    /// # Errors
    /// LLVM's message, for a pipeline it does not know.
    pub fn run_function_passes(self, function: Function, pipeline: &str) -> Result<(), String> {
        // SAFETY: these passes need no target.
        unsafe { self.run_function_passes_for(std::ptr::null_mut(), function, pipeline) }
    }

    /// The same for passes that must know the target.
    ///
    /// # Errors
    /// The pass manager's message.
    ///
    /// # Safety
    /// `target` is null or a live target machine.
    pub unsafe fn run_function_passes_for(
        self,
        target: LLVMTargetMachineRef,
        function: Function,
        pipeline: &str,
    ) -> Result<(), String> {
        unsafe {
            let options = passes::LLVMCreatePassBuilderOptions();
            let text = c_string(pipeline);
            let error = passes::LLVMRunPassesOnFunction(function.0, text.as_ptr(), target, options);
            passes::LLVMDisposePassBuilderOptions(options);
            check(error)
        }
    }

    /// Runs a pipeline of LLVM's own module passes, such as `globaldce`.
    ///
    /// # Errors
    /// LLVM's message, for a pipeline it does not know.
    pub fn run_passes(self, pipeline: &str) -> Result<(), String> {
        unsafe {
            let options = passes::LLVMCreatePassBuilderOptions();
            let text = c_string(pipeline);
            let error = passes::LLVMRunPasses(self.0, text.as_ptr(), std::ptr::null_mut(), options);
            passes::LLVMDisposePassBuilderOptions(options);
            check(error)
        }
    }

    /// Drops debug information.
    pub fn strip_debug_information(self) {
        unsafe {
            inkwell::llvm_sys::debuginfo::LLVMStripModuleDebugInfo(self.0);
        }
    }

    /// Runs LLVM's verifier.
    ///
    /// # Errors
    /// The verifier's message.
    pub fn verify(self) -> Result<(), String> {
        let mut message = std::ptr::null_mut();
        unsafe {
            let action = LLVMVerifierFailureAction::LLVMReturnStatusAction;
            let broken = LLVMVerifyModule(self.0, action, &mut message) != llvm_bool(false);
            let text =
                if message.is_null() { String::new() } else { CStr::from_ptr(message).to_string_lossy().into_owned() };
            LLVMDisposeMessage(message);
            if broken { Err(text) } else { Ok(()) }
        }
    }
}

/// # Safety
/// `error` is null or an error LLVM returned, not yet consumed.
unsafe fn check(error: LLVMErrorRef) -> Result<(), String> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: by the contract above.
    unsafe {
        let message = LLVMGetErrorMessage(error);
        let owned = CStr::from_ptr(message).to_string_lossy().into_owned();
        LLVMDisposeErrorMessage(message);
        Err(owned)
    }
}
