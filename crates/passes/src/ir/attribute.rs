//! Attributes of functions and call sites.

use super::function::Function;
use super::module::Context;
use super::value::Value;
use inkwell::llvm_sys::core::*;
use inkwell::llvm_sys::prelude::*;
use inkwell::llvm_sys::{LLVMAttributeFunctionIndex, LLVMAttributeReturnIndex};

/// What an attribute is attached to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The function as a whole.
    Function,
    /// Its result.
    Result,
    /// A parameter, counted from 0.
    Parameter(u32),
}

impl Place {
    fn index(self) -> u32 {
        match self {
            Place::Function => LLVMAttributeFunctionIndex,
            Place::Result => LLVMAttributeReturnIndex,
            Place::Parameter(number) => number + 1,
        }
    }
}

/// One attribute.
#[derive(Clone, Copy)]
pub struct Attribute(LLVMAttributeRef);

fn kind(name: &str) -> u32 {
    // SAFETY: name is a valid buffer of the given length.
    unsafe { LLVMGetEnumAttributeKindForName(name.as_ptr().cast(), name.len()) }
}

// SAFETY (whole impl): attributes belong to the live context; callers pass functions and call sites
// of a live module.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Attribute {
    /// An enum attribute such as `cold`, with value 0.
    pub fn new(context: Context, name: &str) -> Attribute {
        Attribute(unsafe { LLVMCreateEnumAttribute(context.0, kind(name), 0) })
    }

    /// An integer attribute such as `memory`, `uwtable`.
    pub fn with_value(context: Context, name: &str, value: u64) -> Attribute {
        Attribute(unsafe { LLVMCreateEnumAttribute(context.0, kind(name), value) })
    }

    /// A string attribute.
    pub fn string(context: Context, name: &str, value: &str) -> Attribute {
        Attribute(unsafe {
            let (name_length, value_length) = (name.len() as u32, value.len() as u32);
            LLVMCreateStringAttribute(context.0, name.as_ptr().cast(), name_length, value.as_ptr().cast(), value_length)
        })
    }

    /// The type of a type attribute such as `byval(T)`.
    pub fn type_value(self) -> super::Type {
        super::Type(unsafe { LLVMGetTypeAttributeValue(self.0) })
    }

    /// The value of an integer attribute such as `align`.
    pub fn integer_value(self) -> u64 {
        unsafe { LLVMGetEnumAttributeValue(self.0) }
    }
}

#[allow(clippy::undocumented_unsafe_blocks)]
impl Function {
    /// Every attribute at a place.
    pub fn attributes(self, place: Place) -> Vec<Attribute> {
        unsafe {
            let mut raw = vec![std::ptr::null_mut(); LLVMGetAttributeCountAtIndex(self.0, place.index()) as usize];
            LLVMGetAttributesAtIndex(self.0, place.index(), raw.as_mut_ptr());
            raw.into_iter().map(Attribute).collect()
        }
    }

    /// Adds an attribute.
    pub fn add_attribute(self, place: Place, attribute: Attribute) {
        unsafe { LLVMAddAttributeAtIndex(self.0, place.index(), attribute.0) }
    }

    /// The attribute with this name at a place.
    pub fn attribute(self, place: Place, name: &str) -> Option<Attribute> {
        let attribute = unsafe { LLVMGetEnumAttributeAtIndex(self.0, place.index(), kind(name)) };
        (!attribute.is_null()).then_some(Attribute(attribute))
    }

    /// Removes an enum attribute, if present.
    pub fn remove_attribute(self, place: Place, name: &str) {
        unsafe { LLVMRemoveEnumAttributeAtIndex(self.0, place.index(), kind(name)) }
    }

    /// The value of a string attribute.
    pub fn string_attribute(self, name: &str) -> Option<String> {
        unsafe {
            let (function, length) = (LLVMAttributeFunctionIndex, name.len() as u32);
            let attribute = LLVMGetStringAttributeAtIndex(self.0, function, name.as_ptr().cast(), length);
            if attribute.is_null() {
                return None;
            }
            let mut length = 0;
            let value = LLVMGetStringAttributeValue(attribute, &mut length);
            Some(String::from_utf8_lossy(std::slice::from_raw_parts(value.cast(), length as usize)).into_owned())
        }
    }

    /// Removes a string attribute, if present.
    pub fn remove_string_attribute(self, name: &str) {
        unsafe {
            LLVMRemoveStringAttributeAtIndex(
                self.0,
                LLVMAttributeFunctionIndex,
                name.as_ptr().cast(),
                name.len() as u32,
            )
        }
    }
}

#[allow(clippy::undocumented_unsafe_blocks)]
impl Value {
    /// Every attribute of a call at a place.
    pub fn call_attributes(self, place: Place) -> Vec<Attribute> {
        unsafe {
            let mut raw = vec![std::ptr::null_mut(); LLVMGetCallSiteAttributeCount(self.0, place.index()) as usize];
            LLVMGetCallSiteAttributes(self.0, place.index(), raw.as_mut_ptr());
            raw.into_iter().map(Attribute).collect()
        }
    }

    /// Adds an attribute to a call.
    pub fn add_call_attribute(self, place: Place, attribute: Attribute) {
        unsafe { LLVMAddCallSiteAttribute(self.0, place.index(), attribute.0) }
    }

    /// The attribute of a call with this name at a place.
    pub fn call_attribute(self, place: Place, name: &str) -> Option<Attribute> {
        let attribute = unsafe { LLVMGetCallSiteEnumAttribute(self.0, place.index(), kind(name)) };
        (!attribute.is_null()).then_some(Attribute(attribute))
    }

    /// Removes an attribute of a call, if present.
    pub fn remove_call_attribute(self, place: Place, name: &str) {
        unsafe { LLVMRemoveCallSiteEnumAttribute(self.0, place.index(), kind(name)) }
    }
}
