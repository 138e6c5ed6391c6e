//! What a poll is made of: the flag that the runtime sets, and the slow path.

use crate::ir::{Builder, Module, Type, Value};
use maize_abi::symbols::{POLL_FLAG, POLL_SLOW};

/// The poll flag.
pub fn poll_flag(module: Module) -> Value {
    let flag = module.declare_variable(POLL_FLAG, Type::integer(module.context(), 64));
    flag.set_hidden();
    flag
}

/// A call of the slow path.
pub fn poll_slow(module: Module, builder: &Builder) -> Value {
    let ty = Type::function(Type::void(module.context()), &[]);
    let function = module.declare_function(POLL_SLOW, ty);
    builder.call(ty, function.value(), &[])
}
