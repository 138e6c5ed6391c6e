//! Pass 8: thread-local variables become offsets from the thread pointer.
//!
//! Every ISA has its own TLS models and relocations. Here each thread-local variable becomes an
//! ordinary variable in the TLS image's section, and each access `llvm.thread.pointer()` plus an absolute
//! symbol that the linker defines once for all ISAs ([`maize_abi::symbols::TLS_OFFSET_PREFIX`]).

use crate::error::PassError;
use crate::ir::{Builder, Linkage, Module, Type, Value};
use maize_abi::symbols::{TLS_BSS_SECTION, TLS_DATA_SECTION, TLS_OFFSET_PREFIX};

/// Lowers thread-local variables.
///
/// # Errors
/// [`PassError::Unsupported`] if a variable's address is used as a constant.
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
    let context = module.context();
    let offset_name = format!("{TLS_OFFSET_PREFIX}{}", variable.name());
    let mut offset_symbol = None;
    for user in variable.users() {
        let is_access = user.is_instruction()
            && user.intrinsic_name().is_some_and(|name| name.starts_with("llvm.threadlocal.address"));
        if !is_access {
            return Err(PassError::Unsupported {
                function: if user.is_instruction() { user.block().function().name() } else { String::from("(global)") },
                what: format!("the constant address of the thread-local variable `{}`", variable.name()),
                remedy: "take its address at run time",
                location: None,
            });
        }
        let symbol = *offset_symbol.get_or_insert_with(|| {
            let symbol = module.declare_variable(&offset_name, Type::integer(context, 8));
            symbol.set_hidden();
            symbol
        });
        let builder = Builder::before(user);
        let thread_pointer = module.intrinsic("llvm.thread.pointer", &[Type::pointer(context)]);
        let base = builder.call(thread_pointer.function_type(), thread_pointer.value(), &[]);
        let offset = symbol.constant_to_integer(Type::integer(context, 64));
        user.replace_all_uses_with(builder.offset(base, offset));
        user.erase();
    }
    Ok(())
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
    if matches!(variable.linkage(), Linkage::LLVMInternalLinkage | Linkage::LLVMPrivateLinkage) {
        // The linker script names the variable, which it can do for global symbols only.
        variable.set_linkage(Linkage::LLVMExternalLinkage);
        variable.set_hidden();
    }
}
