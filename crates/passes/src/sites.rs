//! Pass 17: every call at which an activation can be suspended says where its live values are.
//!
//! ```text
//!   %r = call T @g(...)    =>    %r = call T @g(...) #site [ "deopt"(words of the values live after the call) ]
//! ```
//!
//! The bundle makes back ends write down, in `.llvm_stackmaps`, in which callee-saved register or stack slot each
//! word is while the call runs. No code is added: the values are live across the call in any case. The linker makes
//! the site table of it (crates/image), by which the runtime copies them into a frame record.

use crate::control_flow::ControlFlow;
use crate::error::PassError;
use crate::fault::Fault;
use crate::ir::{Attribute, Block, Builder, Function, Module, Place, Type, Value};
use crate::liveness::Liveness;
use crate::migrating::Migrating;
use crate::setjmp;
use crate::shadow_stack::ShadowFrame;
use crate::signature::describe_call;
use crate::words::{self, WORD};
use maize_abi::record;
use maize_abi::symbols::SETJMP_SAVE;
use std::collections::HashMap;

/// One place at which an activation of a function can be suspended.
pub struct Site {
    /// The number stored in records.
    pub number: u32,
    /// The call; that of the runtime's `__maize_setjmp_save` for a `setjmp`.
    pub call: Value,
    /// The marker of a `setjmp`, which stands for its result.
    pub setjmp: Option<Value>,
    /// Where the function goes on after the call.
    pub next: Block,
    /// Values live after the call, and their offsets in the record.
    pub live: Vec<(Value, u64)>,
    /// The types of the record's words.
    pub words: Vec<Type>,
}

impl Site {
    /// The value that the site's resumption replaces.
    pub fn result(&self) -> Value {
        self.setjmp.unwrap_or(self.call)
    }
}

/// Ends the block after each site, so that its resumption has a block of its own to go on in.
///
/// # Errors
/// [`PassError::Unsupported`] for calls with operand bundles.
pub fn split_blocks(migrating: &Migrating<'_>, function: Function) -> Result<(), PassError> {
    migrating.sites(function).into_iter().try_for_each(split_after)
}

/// Attaches the live values to the sites of one function and returns the sites.
///
/// # Errors
/// [`PassError::Unsupported`] for calls with operand bundles and for frames of over 64 KiB of live values.
pub fn run(
    module: Module,
    migrating: &Migrating<'_>,
    function: Function,
    mut frame: Option<&mut ShadowFrame>,
    fault: Option<&Fault>,
) -> Result<Vec<Site>, PassError> {
    let owner = setjmp::is_used_in(module, function);
    let calls = migrating.sites(function);
    let flow = ControlFlow::of(function);
    let liveness = Liveness::of(function, &flow);
    let mut renewed: HashMap<Value, Value> = HashMap::new();
    let mut sites = Vec::new();
    for (index, &call) in calls.iter().enumerate() {
        // An unreachable block is not in the flow graph; its calls never run.
        let Some(&position) = flow.position.get(&call.block()) else { continue };
        let Some(next) = next_block(call) else { continue };
        let mut values = liveness.at_end(position);
        values.retain(|&value| value != call);
        if let Some(frame) = frame.as_deref().filter(|_| owner) {
            values.retain(|&value| value != frame.base);
            values.insert(0, frame.base);
        }
        let values = values.into_iter().map(|value| renewed.get(&value).copied().unwrap_or(value));
        let (live, size) = lay_out(module, values);
        if size >= record::MAX_SIZE {
            return Err(unsupported(call, "a call with 64 KiB of live values"));
        }
        let number = index as u32 | if owner { record::OWNER_SITE } else { 0 };
        let site = if is_setjmp_marker(call) {
            let record = frame.as_deref_mut().map(|frame| (frame.base, frame.extend(size)));
            save_frame(module, call, number, &live, record)
        } else {
            let (new, words) = renew(module, call, number, &live, fault);
            renewed.insert(call, new);
            Site { number, call: new, setjmp: None, next, live: Vec::new(), words }
        };
        sites.push(Site { live, next, ..site });
    }
    for site in &mut sites {
        for (value, _) in &mut site.live {
            *value = renewed.get(value).copied().unwrap_or(*value);
        }
    }
    strip_untrue_attributes(module, function, &sites);
    Ok(sites)
}

fn unsupported(call: Value, what: &str) -> PassError {
    PassError::Unsupported {
        function: call.block().function().name(),
        what: what.to_owned(),
        remedy: "please report it with the source file",
        location: call.source_location(),
    }
}

fn split_after(call: Value) -> Result<(), PassError> {
    if call.operand_bundle_count() > 0 {
        return Err(unsupported(call, "a call with operand bundles"));
    }
    if call.is_terminator() {
        // One block in which the result is there, and one for the resumption too.
        call.block().split_edge(0).split_edge(0);
        return Ok(());
    }
    let next = call.block();
    let head = next.split_off_head(call);
    Builder::at_end(head).branch(next);
    Ok(())
}

/// Where the function goes on after a site, with its result stored.
pub fn next_block(call: Value) -> Option<Block> {
    let next = call.block().successors().first().copied()?;
    if call.is_terminator() { next.successors().first().copied() } else { Some(next) }
}

fn is_setjmp_marker(call: Value) -> bool {
    call.callee().as_function().is_some_and(|callee| callee.name() == setjmp::MARKER)
}

fn lay_out(module: Module, values: impl Iterator<Item = Value>) -> (Vec<(Value, u64)>, u64) {
    let mut offset = record::VALUES;
    let live = values
        .map(|value| {
            let place = offset;
            offset += WORD * words::count(module, value.ty());
            (value, place)
        })
        .collect();
    (live, offset.next_multiple_of(record::ALIGN))
}

/// Replaces a call by the same with the live values attached.
fn renew(module: Module, call: Value, number: u32, live: &[(Value, u64)], fault: Option<&Fault>) -> (Value, Vec<Type>) {
    let builder = Builder::before(call);
    let mut words = split_all(module, &builder, live);
    if let Some(fault) = fault {
        fault.apply(&mut words);
    }
    let (ty, callee, arguments) = (call.called_type(), call.callee(), call.arguments());
    let new = match call.successors()[..] {
        [normal, unwind] => builder.invoke_with_words(ty, callee, &arguments, &words, [normal, unwind]),
        _ => builder.call_with_words(ty, callee, &arguments, &words),
    };
    describe_call(new, call, call.arguments().len(), 0);
    mark(module, new, number);
    new.copy_debug_location(call);
    call.replace_all_uses_with(new);
    call.erase();
    (new, types(&words))
}

fn split_all(module: Module, builder: &Builder, live: &[(Value, u64)]) -> Vec<Value> {
    let mut words = Vec::new();
    for &(value, _) in live {
        words::split(module, builder, value, &mut words);
    }
    words
}

fn types(words: &[Value]) -> Vec<Type> {
    words.iter().map(|word| word.ty()).collect()
}

/// Gives a call its site number, which the stack map repeats.
pub fn mark(module: Module, call: Value, number: u32) {
    let attribute = Attribute::string(module.context(), "statepoint-id", &number.to_string());
    call.add_call_attribute(Place::Function, attribute);
}

/// At a `setjmp`, a call of the runtime saves the frame into a record in its shadow frame.
fn save_frame(module: Module, marker: Value, number: u32, live: &[(Value, u64)], record: Option<(Value, u64)>) -> Site {
    let pointer = Type::pointer(module.context());
    let ty = Type::function(Type::void(module.context()), &[pointer, pointer]);
    let save = module.declare_function(SETJMP_SAVE, ty);
    let builder = Builder::before(marker);
    let record = record.map_or(pointer.zero(), |(base, offset)| builder.offset_by(base, offset as i64));
    let words = split_all(module, &builder, live);
    let call = builder.call_with_words(ty, save.value(), &[marker.arguments()[0], record], &words);
    mark(module, call, number);
    call.copy_debug_location(marker);
    Site { number, call, setjmp: Some(marker), next: marker.block(), live: Vec::new(), words: types(&words) }
}

/// Attributes that being suspended makes untrue: back ends might move or drop calls that are said to
/// have no effects.
const UNTRUE_ATTRIBUTES: [&str; 5] = ["memory", "willreturn", "speculatable", "norecurse", "nosync"];

fn strip_untrue_attributes(module: Module, function: Function, sites: &[Site]) {
    for name in UNTRUE_ATTRIBUTES {
        function.remove_attribute(Place::Function, name);
        for site in sites {
            site.call.remove_call_attribute(Place::Function, name);
            if let Some(callee) = site.call.callee().as_function() {
                callee.remove_attribute(Place::Function, name);
            }
        }
    }
    // The frame is stepped over by its unwind information; 1 is enough of it for calls.
    function.add_attribute(Place::Function, Attribute::with_value(module.context(), "uwtable", 1));
}
