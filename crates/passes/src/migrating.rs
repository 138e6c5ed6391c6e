//! Which calls may reach a migration point. Everything that is not known not to, may.
//!
//! A call that is wrongly left out is safe but delays: the runtime finds a frame it cannot suspend
//! and tries again at a later point.

use crate::ir::{Function, Linkage, Module, Opcode, Value};
use maize_abi::symbols::{REQUESTED, SET_THREAD_POINTER, SETJMP_SAVE};
use std::collections::{HashMap, HashSet};

/// Facts about the functions of one module.
pub struct Migrating<'a> {
    migrating: HashSet<Function>,
    known: &'a HashSet<String>,
}

impl<'a> Migrating<'a> {
    /// Computes the facts. `known` names functions of other units that never reach a migration point.
    pub fn of(module: Module, known: &'a HashSet<String>) -> Migrating<'a> {
        let mut facts = Migrating { migrating: HashSet::new(), known };
        let definitions = module.definitions();
        let mut callers: HashMap<Function, Vec<Function>> = HashMap::new();
        let mut work = Vec::new();
        for &function in &definitions {
            let mut migrates = false;
            for call in call_sites(function) {
                match call.callee().as_function().filter(|&callee| is_fixed(callee)) {
                    Some(callee) => callers.entry(callee).or_default().push(function),
                    None => migrates |= facts.may_migrate(call),
                }
            }
            if migrates {
                work.push(function);
            }
        }
        while let Some(function) = work.pop() {
            if facts.migrating.insert(function) {
                work.extend(callers.get(&function).into_iter().flatten());
            }
        }
        facts
    }

    /// Whether the body of `function` may reach a migration point.
    pub fn function(&self, function: Function) -> bool {
        self.migrating.contains(&function)
    }

    /// Whether this call may reach a migration point.
    pub fn may_migrate(&self, call: Value) -> bool {
        let callee = call.callee();
        if callee.is_inline_assembly() {
            return false;
        }
        match callee.as_function() {
            None => true,
            Some(callee) if callee.is_intrinsic() => false,
            Some(callee) if is_fixed(callee) => self.migrating.contains(&callee),
            Some(callee) => !self.is_known_leaf(&callee.name()),
        }
    }

    fn is_known_leaf(&self, name: &str) -> bool {
        [REQUESTED, SETJMP_SAVE, SET_THREAD_POINTER].contains(&name) || self.known.contains(name)
    }

    /// The calls of a function at which its activation can be suspended.
    pub fn sites(&self, function: Function) -> Vec<Value> {
        call_sites(function).into_iter().filter(|&call| self.may_migrate(call) && !stays_tail_call(call)).collect()
    }
}

/// Whether calls by name reach this very body. Of an inline function they may reach another unit's copy, optimised
/// differently: the bodies do the same, but only one of them may have a migration point (docs/why.md).
fn is_fixed(function: Function) -> bool {
    let exact = matches!(
        function.value().linkage(),
        Linkage::LLVMExternalLinkage | Linkage::LLVMInternalLinkage | Linkage::LLVMPrivateLinkage
    );
    !function.is_declaration() && exact
}

fn call_sites(function: Function) -> Vec<Value> {
    function.instructions().into_iter().filter(|instruction| instruction.is_call_site()).collect()
}

/// Whether every back end turns this call into a jump, so that it leaves no frame behind: a `tail`
/// call just before the return, whose arguments all fit the argument registers of every ISA.
pub fn stays_tail_call(call: Value) -> bool {
    use inkwell::llvm_sys::LLVMTypeKind as Kind;
    if call.is_must_tail_call() {
        return true;
    }
    if !call.is(Opcode::LLVMCall) || !call.is_tail_call() {
        return false;
    }
    let returns_result = call.next().is_some_and(|next| {
        next.is(Opcode::LLVMRet)
            && match next.operands().first() {
                Some(&value) => value == call,
                None => call.ty().is_void(),
            }
    });
    let function = call.block().function();
    let same_result = call.ty() == function.function_type().result();
    let (mut integers, mut floats) = (0, 0);
    for argument in call.arguments() {
        match argument.ty().kind() {
            Kind::LLVMIntegerTypeKind if argument.ty().integer_width() <= 64 => integers += 1,
            Kind::LLVMPointerTypeKind => integers += 1,
            Kind::LLVMFloatTypeKind | Kind::LLVMDoubleTypeKind => floats += 1,
            _ => return false,
        }
    }
    returns_result && same_result && integers <= 6 && floats <= 8 && call.calling_convention() == 0
}
