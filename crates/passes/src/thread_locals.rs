//! Pass 8: thread-local variables become offsets from the thread pointer.
//!
//! Every ISA has its own TLS models and relocations. Here each thread-local variable becomes an
//! ordinary variable in the TLS image's section, and each access `llvm.thread.pointer()` plus an absolute
//! symbol that the linker defines once for all ISAs ([`maize_abi::symbols::TLS_OFFSET_PREFIX`]).

use crate::error::PassError;
use crate::ir::{Builder, Linkage, Module, Opcode, Type, Value};
use maize_abi::symbols::{TLS_BSS_SECTION, TLS_DATA_SECTION, TLS_OFFSET_PREFIX};
use std::collections::{HashMap, HashSet};

/// Lowers thread-local variables.
///
/// # Errors
/// [`PassError::Unsupported`] if a variable's address is part of another variable's value.
pub fn run(module: Module) -> Result<(), PassError> {
    for variable in module.global_variables() {
        if variable.is_thread_local() {
            lower_accesses(module, variable)?;
            place_in_image(variable);
        }
    }
    Ok(())
}

fn lower_accesses(module: Module, variable: Value) -> Result<(), PassError> {
    let mut address = None;
    // Each user once: one may use the variable several times.
    let mut seen = HashSet::new();
    for user in users(variable)?.into_iter().filter(|user| seen.insert(*user)) {
        let address = *address.get_or_insert_with(|| Address::of(module, variable));
        if user.intrinsic_name().is_some_and(|name| name.starts_with("llvm.threadlocal.address")) {
            user.replace_all_uses_with(address.compute(&Builder::before(user)));
            user.erase();
        } else {
            address.replace_operands(user)?;
        }
    }
    Ok(())
}

/// The instructions that use the variable, or an address within it.
fn users(variable: Value) -> Result<Vec<Value>, PassError> {
    let mut instructions = Vec::new();
    let mut pending = variable.users();
    while let Some(user) = pending.pop() {
        if user.is_instruction() {
            instructions.push(user);
        } else if user.is_constant_expression() {
            pending.extend(user.users());
        } else {
            return Err(unsupported(variable, String::from("(global)")));
        }
    }
    Ok(instructions)
}

fn unsupported(variable: Value, function: String) -> PassError {
    PassError::Unsupported {
        function,
        what: format!("the constant address of the thread-local variable `{}`", variable.name()),
        remedy: "take its address at run time",
        location: None,
    }
}

/// A variable and the symbol of its offset.
#[derive(Clone, Copy)]
struct Address {
    module: Module,
    variable: Value,
    offset: Value,
}

impl Address {
    fn of(module: Module, variable: Value) -> Address {
        let name = format!("{TLS_OFFSET_PREFIX}{}", variable.name());
        let offset = module.declare_variable(&name, Type::integer(module.context(), 8));
        offset.set_hidden();
        Address { module, variable, offset }
    }

    /// The variable of the running thread.
    fn compute(&self, builder: &Builder) -> Value {
        let context = self.module.context();
        let thread_pointer = self.module.intrinsic("llvm.thread.pointer", &[Type::pointer(context)]);
        let base = builder.call(thread_pointer.function_type(), thread_pointer.value(), &[]);
        builder.offset(base, self.offset.constant_to_integer(Type::integer(context, 64)))
    }

    /// Makes an instruction use computed addresses in place of constant ones.
    fn replace_operands(&self, user: Value) -> Result<(), PassError> {
        // What a phi takes is computed where it comes from.
        let places: Vec<Value> = match user.is(Opcode::LLVMPHI) {
            true => user.incoming().into_iter().filter_map(|(_, block)| block.terminator()).collect(),
            false => vec![user; user.operands().len()],
        };
        // Two edges from one block must bring a phi the same value.
        let mut done = HashMap::new();
        for ((index, operand), place) in (0..).zip(user.operands()).zip(places) {
            let computed = match done.get(&(operand, place)) {
                Some(&computed) => computed,
                None => self.computed(operand, &Builder::before(place))?,
            };
            done.insert((operand, place), computed);
            if let Some(computed) = computed {
                user.set_operand(index, computed);
            }
        }
        Ok(())
    }

    /// A constant that the variable's address is part of, computed; `None` for other values.
    fn computed(&self, constant: Value, builder: &Builder) -> Result<Option<Value>, PassError> {
        if constant == self.variable {
            return Ok(Some(self.compute(builder)));
        }
        if !constant.is_constant_expression() {
            return Ok(None);
        }
        let mut operands = constant.operands();
        let mut changed = false;
        for operand in &mut operands {
            if let Some(computed) = self.computed(*operand, builder)? {
                *operand = computed;
                changed = true;
            }
        }
        if !changed {
            return Ok(None);
        }
        let computed = builder.operation_of(constant, &operands);
        computed.map(Some).ok_or_else(|| unsupported(self.variable, String::from("(constant expression)")))
    }
}

fn place_in_image(variable: Value) {
    variable.clear_thread_local();
    let Some(initializer) = variable.initializer() else {
        return;
    };
    let zero = initializer == variable.global_type().zero();
    let section = if zero { TLS_BSS_SECTION } else { TLS_DATA_SECTION };
    variable.set_section(&format!("{section}.{}", variable.name()));
    variable.set_global_constant(false);
    match variable.linkage() {
        // The linker script names the variable, which it can do for global symbols only.
        Linkage::LLVMInternalLinkage | Linkage::LLVMPrivateLinkage => {
            variable.set_linkage(Linkage::LLVMExternalLinkage);
            variable.set_hidden();
        }
        // Nothing of the module refers to the variable any more, but that is no reason to leave it out.
        Linkage::LLVMLinkOnceODRLinkage => variable.set_linkage(Linkage::LLVMWeakODRLinkage),
        Linkage::LLVMLinkOnceAnyLinkage => variable.set_linkage(Linkage::LLVMWeakAnyLinkage),
        _ => {}
    }
}
