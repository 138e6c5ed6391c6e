//! Functions and calls made anew with another type: the C API cannot change the type of one that exists.

use crate::ir::{Function, Module, Place, Type, Value};

/// Replaces a function by one of type `ty` that has its name, properties and body. Parameter `i` becomes parameter `i + shift`.
pub fn replace_function(module: Module, function: Function, ty: Type, shift: u32) -> Function {
    let name = function.name();
    let old_type = function.function_type();
    function.value().set_name("");
    let new = module.add_function(&name, ty);
    new.set_calling_convention(function.calling_convention());
    new.value().set_linkage(function.value().linkage());
    new.copy_definition_properties(function);
    let same_result = old_type.result() == ty.result();
    for (from, to) in places(old_type.parameters().len(), same_result, shift) {
        for attribute in function.attributes(from) {
            new.add_attribute(to, attribute);
        }
    }
    if !function.is_declaration() {
        if let Some(personality) = function.personality() {
            new.set_personality(personality);
        }
        new.take_body(function);
        for (old, replacement) in
            function.parameters().into_iter().zip(new.parameters().into_iter().skip(shift as usize))
        {
            old.replace_all_uses_with(replacement);
        }
    }
    function.value().replace_all_uses_with(new.value());
    function.delete();
    new
}

/// Gives a new call what is said of another: calling convention and attributes, those of its first `parameters` parameters moved up by `shift`.
pub fn describe_call(new: Value, call: Value, parameters: usize, shift: u32) {
    new.set_calling_convention(call.calling_convention());
    for (from, to) in places(parameters, new.ty() == call.ty(), shift) {
        for attribute in call.call_attributes(from) {
            new.add_call_attribute(to, attribute);
        }
    }
}

/// What attributes are attached to, before and after.
fn places(parameters: usize, same_result: bool, shift: u32) -> impl Iterator<Item = (Place, Place)> {
    let result = same_result.then_some((Place::Result, Place::Result));
    let parameters =
        (0..parameters as u32).map(move |index| (Place::Parameter(index), Place::Parameter(index + shift)));
    [(Place::Function, Place::Function)].into_iter().chain(result).chain(parameters)
}
