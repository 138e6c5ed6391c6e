//! Code generation: the same instrumented module, once per ISA.
//!
//! The x86-64 object carries all global variables; for the other ISAs they become declarations, so
//! that there is one data image. Each ISA works in an LLVM context of its own, on its own thread.

use crate::bodies;
use crate::computed_goto;
use crate::control_flow::ControlFlow;
use crate::error::PassError;
use crate::ir::{Builder, Linkage, Module, Opcode, Place, Type, Value};
use crate::isa::Target;
use crate::migrating::stays_tail_call;
use crate::points;
use crate::shadow_stack;
use inkwell::context::Context;
use inkwell::llvm_sys::LLVMDiagnosticSeverity;
use inkwell::llvm_sys::core::{
    LLVMContextSetDiagnosticHandler, LLVMDisposeMessage, LLVMGetDiagInfoDescription, LLVMGetDiagInfoSeverity,
    LLVMGetModuleContext,
};
use inkwell::llvm_sys::prelude::LLVMDiagnosticInfoRef;
use inkwell::llvm_sys::target_machine as machine;
use inkwell::memory_buffer::MemoryBuffer;
use inkwell::module::Module as InkwellModule;
use maize_abi::Isa;
use maize_abi::symbols::RESUME_SUFFIX;
use std::cell::RefCell;
use std::collections::HashSet;
use std::ffi::{CStr, CString, c_void};

/// Blocks of a loop whose addresses are computed as they are used on every ISA.
const MOST_BLOCKS: usize = 300;

/// What code generation yields.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Output {
    /// A relocatable ELF object.
    Object,
    /// Assembly text.
    Assembly,
}

/// Generates code for one ISA from the bitcode of an instrumented module.
///
/// # Errors
/// [`PassError::Llvm`].
pub fn generate(bitcode: &[u8], isa: Isa, optimization_level: u8, output: Output) -> Result<Vec<u8>, PassError> {
    let context = Context::create();
    let buffer = MemoryBuffer::create_from_memory_range_copy(bitcode, "unit");
    let parsed = InkwellModule::parse_bitcode_from_buffer(&buffer, &context)
        .map_err(|message| llvm_error("reading bitcode", isa, message.to_string()))?;
    let diagnostics = Diagnostics::collect(&parsed);
    let module = Module::new(&parsed);
    let target = Target::of(isa);
    retarget(module, isa, &target).map_err(|message| llvm_error("retargeting", isa, message))?;
    points::lower(module, &target)?;
    bodies::replace(module, target.bodies).map_err(|message| llvm_error("replacing intrinsics", isa, message))?;
    let target_machine = TargetMachine::new(isa, &target, optimization_level)?;
    target_machine.set_data_layout(module);
    if !target.scales_addresses {
        target_machine.reduce_strength(module).map_err(|message| llvm_error("strength reduction", isa, message))?;
    }
    let code = target_machine.emit(module, isa, output)?;
    match diagnostics.first_error() {
        Some(message) => Err(llvm_error("code generation", isa, message)),
        None => Ok(code),
    }
}

fn llvm_error(stage: &'static str, isa: Isa, message: String) -> PassError {
    PassError::Llvm { stage, isa: isa.name(), message }
}

/// Makes the module one for `isa`: triple, and no trace of the target the front end compiled for.
fn retarget(module: Module, isa: Isa, target: &Target) -> Result<(), String> {
    module.set_triple(target.triple);
    // While tables of labels have contents.
    computed_goto::lower_dispatches(module);
    // Where the C API leaves `UseInitArray` off, back ends write these backwards; the linker script makes one list of either kind.
    for name in ["llvm.global_ctors", "llvm.global_dtors"] {
        module.reverse_list(name);
    }
    if isa != Isa::X86_64 {
        detach_data(module)?;
    }
    shadow_stack::hide_origin(module);
    copy_jump_targets(module);
    if !target.has_32_bit_registers {
        widen_words(module);
    }
    for function in module.functions() {
        for name in ["target-cpu", "target-features", "tune-cpu", "probe-stack", "stack-probe-size"] {
            function.remove_string_attribute(name);
        }
        // Locals that can be reached through pointers are not on the stack that holds return addresses.
        for name in ["ssp", "sspstrong", "sspreq"] {
            function.remove_attribute(Place::Function, name);
        }
        // One section each, even where the source names another: only so can entries be aligned across ISAs.
        if !function.is_declaration() && !function.value().section().ends_with(RESUME_SUFFIX) {
            function.value().set_section(&format!(".text.{}", function.name()));
        }
    }
    Ok(())
}

/// Where an indirect call becomes a jump, has other calls of the same target go by a copy of it. A jump cannot go by a register that calls
/// preserve, and LLVM asks that of the target wherever it is kept: a call by it, with it in its record, would find no register at all.
/// The same has been seen of calls in a loop (SQLite's `rtreeInsertCell`), so every call with its target in its own record goes by a copy.
fn copy_jump_targets(module: Module) {
    for function in module.definitions() {
        let calls: Vec<Value> = function.instructions().into_iter().filter(|call| call.is_call_site()).collect();
        let targets = calls.iter().filter(|&&call| stays_tail_call(call)).map(|call| call.callee());
        let targets: HashSet<Value> = targets.filter(|target| target.is_local()).collect();
        for call in calls {
            let target = call.callee();
            if call.operand_bundle_count() > 0 && (targets.contains(&target) || keeps_target(call)) {
                let copy = Builder::before(call).opaque_copy(target);
                call.set_operand(call.operands().len() as u32 - 1, copy);
            }
        }
    }
}

/// Whether the target of an indirect call is in the call's own record.
fn keeps_target(call: Value) -> bool {
    let (target, operands) = (call.callee(), call.operands());
    let is_target = |word: &Value| *word == target || word.is(Opcode::LLVMPtrToInt) && word.operands()[0] == target;
    target.is_local() && operands[call.arguments().len()..operands.len() - 1].iter().any(is_target)
}

/// Makes 64-bit numbers of the 32-bit words at sites. The upper half is not looked at.
fn widen_words(module: Module) {
    let (int32, int64) = (Type::integer(module.context(), 32), Type::integer(module.context(), 64));
    for function in module.definitions() {
        let sites = function.instructions().into_iter().filter(|call| call.is_call_site());
        for site in sites.filter(|call| call.operand_bundle_count() > 0) {
            let first = site.arguments().len();
            let operands = site.operands();
            for (index, &word) in operands.iter().enumerate().take(operands.len() - 1).skip(first) {
                if word.ty() == int32 {
                    let wide = Builder::before(site).sign_extend(word, int64);
                    site.set_operand(index as u32, wide);
                }
            }
        }
    }
}

/// Turns variables into declarations of those in the x86-64 object.
fn detach_data(module: Module) -> Result<(), String> {
    for alias in module.aliases() {
        if alias.aliasee().as_function().is_none() {
            let declaration = module.declare_variable("", alias.global_type());
            let name = alias.name();
            alias.set_name("");
            declaration.set_name(&name);
            alias.replace_all_uses_with(declaration);
            alias.set_linkage(Linkage::LLVMInternalLinkage);
        }
    }
    // The C API cannot delete an alias; this drops those just made unused.
    module.run_passes("globaldce")?;
    for variable in module.global_variables() {
        if variable.name().starts_with("llvm.") {
            variable.delete_global();
        } else if !variable.is_declaration() && !computed_goto::is_own_table(variable) {
            variable.remove_initializer();
            variable.clear_comdat();
            variable.set_section("");
            variable.set_linkage(Linkage::LLVMExternalLinkage);
            variable.set_hidden();
        }
    }
    Ok(())
}

/// Errors that back ends report in passing; without a handler LLVM would end the process.
struct Diagnostics(Box<RefCell<Vec<String>>>);

impl Diagnostics {
    fn collect(module: &InkwellModule<'_>) -> Diagnostics {
        let errors = Box::new(RefCell::new(Vec::new()));
        // SAFETY: the box outlives the code generation, during which alone the handler is called, on this thread.
        unsafe {
            let context = LLVMGetModuleContext(module.as_mut_ptr());
            let pointer = std::ptr::from_ref::<RefCell<Vec<String>>>(&errors).cast_mut().cast();
            LLVMContextSetDiagnosticHandler(context, Some(note_diagnostic), pointer);
        }
        Diagnostics(errors)
    }

    fn first_error(&self) -> Option<String> {
        self.0.borrow().first().cloned()
    }
}

extern "C" fn note_diagnostic(diagnostic: LLVMDiagnosticInfoRef, errors: *mut c_void) {
    // SAFETY: LLVM passes a live diagnostic, and the pointer that `Diagnostics::collect` gave it.
    unsafe {
        if LLVMGetDiagInfoSeverity(diagnostic) == LLVMDiagnosticSeverity::LLVMDSError {
            let errors = &*errors.cast::<RefCell<Vec<String>>>();
            errors.borrow_mut().push(take_message(LLVMGetDiagInfoDescription(diagnostic)));
        }
    }
}

struct TargetMachine(machine::LLVMTargetMachineRef);

impl TargetMachine {
    fn new(isa: Isa, target: &Target, optimization_level: u8) -> Result<TargetMachine, PassError> {
        Target::initialize_all();
        let triple = CString::new(target.triple).unwrap_or_default();
        // LLVM's fast path for unoptimised code does not know operand bundles, so 0 is as 1.
        let level = match optimization_level {
            0 | 1 => machine::LLVMCodeGenOptLevel::LLVMCodeGenLevelLess,
            2 => machine::LLVMCodeGenOptLevel::LLVMCodeGenLevelDefault,
            _ => machine::LLVMCodeGenOptLevel::LLVMCodeGenLevelAggressive,
        };
        // SAFETY: every pointer passed is a live NUL-terminated string or an object just created;
        // the options are disposed of once.
        unsafe {
            let mut found = std::ptr::null_mut();
            let mut message = std::ptr::null_mut();
            if machine::LLVMGetTargetFromTriple(triple.as_ptr(), &mut found, &mut message) != 0 {
                return Err(llvm_error("target look-up", isa, take_message(message)));
            }
            let options = machine::LLVMCreateTargetMachineOptions();
            let set = |setter: unsafe extern "C" fn(_, _), text: &str| {
                let text = CString::new(text).unwrap_or_default();
                setter(options, text.as_ptr());
            };
            set(machine::LLVMTargetMachineOptionsSetCPU, target.cpu);
            set(machine::LLVMTargetMachineOptionsSetFeatures, target.features);
            if !target.abi.is_empty() {
                set(machine::LLVMTargetMachineOptionsSetABI, target.abi);
            }
            machine::LLVMTargetMachineOptionsSetCodeGenOptLevel(options, level);
            machine::LLVMTargetMachineOptionsSetRelocMode(options, machine::LLVMRelocMode::LLVMRelocStatic);
            machine::LLVMTargetMachineOptionsSetCodeModel(options, machine::LLVMCodeModel::LLVMCodeModelSmall);
            let created = machine::LLVMCreateTargetMachineWithOptions(found, triple.as_ptr(), options);
            machine::LLVMDisposeTargetMachineOptions(options);
            if created.is_null() {
                return Err(llvm_error("target set-up", isa, String::from("no target machine")));
            }
            Ok(TargetMachine(created))
        }
    }

    /// Has the loops of functions step pointers, but of those with a large loop or one that is entered in several places: what one of many blocks
    /// steps is kept in all of them.
    fn reduce_strength(&self, module: Module) -> Result<(), String> {
        for function in module.definitions() {
            let flow = ControlFlow::of(function);
            let loops = flow.loops(&flow.dominators());
            if !loops.is_empty() && loops.iter().all(|this| this.natural && this.blocks.len() <= MOST_BLOCKS) {
                // SAFETY: the target machine is live.
                unsafe { module.run_function_passes_for(self.0, function, "loop(loop-reduce)") }?;
            }
        }
        Ok(())
    }

    fn set_data_layout(&self, module: Module) {
        // SAFETY: module and machine are live; the layout is disposed of once.
        unsafe {
            let layout = machine::LLVMCreateTargetDataLayout(self.0);
            inkwell::llvm_sys::target::LLVMSetModuleDataLayout(module.raw(), layout);
            inkwell::llvm_sys::target::LLVMDisposeTargetData(layout);
        }
    }

    fn emit(&self, module: Module, isa: Isa, output: Output) -> Result<Vec<u8>, PassError> {
        let kind = match output {
            Output::Object => machine::LLVMCodeGenFileType::LLVMObjectFile,
            Output::Assembly => machine::LLVMCodeGenFileType::LLVMAssemblyFile,
        };
        // SAFETY: module and machine are live; the buffer returned is copied and disposed of once.
        unsafe {
            let mut buffer = std::ptr::null_mut();
            let mut message = std::ptr::null_mut();
            if machine::LLVMTargetMachineEmitToMemoryBuffer(self.0, module.raw(), kind, &mut message, &mut buffer) != 0
            {
                return Err(llvm_error("code generation", isa, take_message(message)));
            }
            let start = inkwell::llvm_sys::core::LLVMGetBufferStart(buffer).cast::<u8>();
            let bytes = std::slice::from_raw_parts(start, inkwell::llvm_sys::core::LLVMGetBufferSize(buffer)).to_vec();
            inkwell::llvm_sys::core::LLVMDisposeMemoryBuffer(buffer);
            Ok(bytes)
        }
    }
}

impl Drop for TargetMachine {
    fn drop(&mut self) {
        // SAFETY: created by `new`, dropped once.
        unsafe { machine::LLVMDisposeTargetMachine(self.0) }
    }
}

/// # Safety
/// `message` is null or a message LLVM allocated.
unsafe fn take_message(message: *mut std::ffi::c_char) -> String {
    if message.is_null() {
        return String::from("no reason given");
    }
    // SAFETY: by the contract above.
    unsafe {
        let text = CStr::from_ptr(message).to_string_lossy().into_owned();
        LLVMDisposeMessage(message);
        text
    }
}
