//! Pass 11: every call at which an activation can be suspended gets a save pad.
//!
//! ```text
//!   %r = call T @g(...)            =>    %r = invoke T @g(...) to label %on unwind label %pad
//! pad:  %p = landingpad cleanup         ; the runtime passes the record's address as exception pointer
//!       store each live value into the record; jump to the function's common tail
//! tail: store the resume clone's address and the site; call __maize_pad_done(end of record)
//! ```
//!
//! Pads run only while a thread is being suspended; on the normal path an invoke costs what a call
//! costs. `setjmp` markers get the same stores inline, into a record on the shadow stack.

use crate::control_flow::ControlFlow;
use crate::error::PassError;
use crate::ir::{Attribute, Block, Builder, Function, Module, Place, Type, Value};
use crate::liveness::Liveness;
use crate::migrating::Migrating;
use crate::setjmp;
use crate::shadow_stack::ShadowFrame;
use maize_abi::record;
use maize_abi::symbols::{PAD_DONE, PERSONALITY, SETJMP_SAVE};

/// One place at which an activation of a function can be suspended.
pub struct Site {
    /// The number stored in records.
    pub number: u32,
    /// The invoke, or the marker of a `setjmp`.
    pub call: Value,
    /// Whether `call` is the marker of a `setjmp`.
    pub is_setjmp: bool,
    /// Where the function goes on after the call.
    pub next: Block,
    /// The pad.
    pub pad: Block,
    /// Values live after the call, and their offsets in the record.
    pub live: Vec<(Value, u64)>,
    /// Bytes of the record.
    pub size: u64,
}

/// Turns the sites of one function into invokes with pads and returns them. `resume` is the function's
/// resume clone, still without a body.
///
/// # Errors
/// [`PassError::Unsupported`] for calls with operand bundles and for frames of over 64 KiB of live values.
pub fn run(
    module: Module,
    migrating: &Migrating<'_>,
    function: Function,
    resume: Function,
    mut frame: Option<&mut ShadowFrame>,
) -> Result<Vec<Site>, PassError> {
    let context = module.context();
    let calls = migrating.sites(function);
    let owner = setjmp::is_used_in(module, function);
    let personality_type = Type::function(Type::integer(context, 32), &[]);
    function.set_personality(module.declare_function(PERSONALITY, personality_type).value());

    let mut split = Vec::new();
    for call in calls {
        split.push(split_at(call)?);
    }
    let flow = ControlFlow::of(function);
    let liveness = Liveness::of(function, &flow);
    let tail = PadTail::new(module, function, resume);
    let mut sites = Vec::new();
    for (index, (call, pad)) in split.into_iter().enumerate() {
        let is_setjmp = is_setjmp_marker(call);
        // The first successor: an invoke's normal destination, or where a marker's block branches to.
        let Some(&next) = call.block().successors().first() else {
            continue;
        };
        let Some(&position) = flow.position.get(&next) else {
            continue;
        };
        let number = index as u32 | if owner { record::OWNER_SITE } else { 0 };
        let mut values = liveness.at_start(position);
        values.retain(|&value| value != call);
        if let Some(frame) = frame.as_deref().filter(|_| owner) {
            values.retain(|&value| value != frame.base);
            values.insert(0, frame.base);
        }
        let (live, size) = lay_out(module, values);
        if size >= record::MAX_SIZE || index >> SITE_BITS != 0 {
            return Err(unsupported(call, "a call with 64 KiB of live values, or the 524,289th call,"));
        }
        let site = Site { number, call, is_setjmp, next, pad, live, size };
        if let Some(frame) = frame.as_deref_mut().filter(|_| is_setjmp) {
            save_inline(module, &site, frame, resume);
        }
        tail.fill_pad(module, &site);
        sites.push(site);
    }
    tail.finish(module, owner);
    strip_untrue_attributes(function, &sites);
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

/// Ends the block after the call. Calls become invokes with an empty pad; markers stay calls.
fn split_at(call: Value) -> Result<(Value, Block), PassError> {
    if call.operand_bundle_count() > 0 {
        return Err(unsupported(call, "a call with operand bundles"));
    }
    let next = call.block();
    let head = next.split_off_head(call);
    let pad = next.function().append_block("");
    if is_setjmp_marker(call) {
        Builder::at_end(head).branch(next);
        return Ok((call, pad));
    }
    let invoke = invoke_like(call, head, next, pad);
    call.replace_all_uses_with(invoke);
    call.erase();
    Ok((invoke, pad))
}

fn is_setjmp_marker(call: Value) -> bool {
    call.callee().as_function().is_some_and(|callee| callee.name() == setjmp::MARKER)
}

/// Ends `block` with an invoke that does what `call` does.
fn invoke_like(call: Value, block: Block, next: Block, pad: Block) -> Value {
    let builder = Builder::at_end(block);
    let invoke = builder.invoke(call.called_type(), call.callee(), &call.arguments(), next, pad);
    invoke.set_calling_convention(call.calling_convention());
    let parameters = call.arguments().len() as u32;
    for place in [Place::Function, Place::Result].into_iter().chain((0..parameters).map(Place::Parameter)) {
        for attribute in call.call_attributes(place) {
            invoke.add_call_attribute(place, attribute);
        }
    }
    invoke.copy_debug_location(call);
    invoke
}

fn lay_out(module: Module, values: Vec<Value>) -> (Vec<(Value, u64)>, u64) {
    let mut offset = record::VALUES;
    let live = values
        .into_iter()
        .map(|value| {
            let ty = value.ty();
            offset = offset.next_multiple_of(ty.alignment(module.raw()).clamp(1, record::ALIGN));
            let place = offset;
            offset += ty.size(module.raw());
            (value, place)
        })
        .collect();
    (live, offset.next_multiple_of(record::ALIGN))
}

/// Alignment of the value at `offset` in a record.
pub fn alignment_at(offset: u64) -> u64 {
    1 << offset.trailing_zeros().min(record::ALIGN.trailing_zeros())
}

/// Bits of the number in which a pad passes its site to the tail; the record's size in units of 16 bytes is above them.
const SITE_BITS: u32 = 19;

/// What all pads of a function end with: one block instead of a copy per pad. A pad tells it site
/// and size in one number, which is one short instruction.
struct PadTail {
    block: Block,
    record: Value,
    site_and_size: Value,
    resume: Function,
    builder: Builder,
}

impl PadTail {
    fn new(module: Module, function: Function, resume: Function) -> PadTail {
        let context = module.context();
        let block = function.append_block("");
        let builder = Builder::at_end(block);
        let record = builder.phi(Type::pointer(context));
        let site_and_size = builder.phi(Type::integer(context, 32));
        PadTail { block, record, site_and_size, resume, builder }
    }

    fn fill_pad(&self, module: Module, site: &Site) {
        let context = module.context();
        let builder = Builder::at_end(site.pad);
        let pad_type = Type::structure(context, &[Type::pointer(context), Type::integer(context, 32)]);
        let landing = builder.cleanup_landing_pad(pad_type);
        let record = builder.extract_value(landing, 0);
        store_values(&builder, site, record);
        builder.branch(self.block);
        let number = u64::from(site.number & !record::OWNER_SITE);
        let packed = (site.size / record::ALIGN) << SITE_BITS | number;
        self.record.add_incoming(record, site.pad);
        self.site_and_size.add_incoming(Type::integer(context, 32).constant(packed), site.pad);
    }

    fn finish(self, module: Module, owner: bool) {
        if self.record.incoming().is_empty() {
            self.block.delete();
            return;
        }
        let context = module.context();
        let (int32, int64) = (Type::integer(context, 32), Type::integer(context, 64));
        let builder = self.builder;
        let mut site = builder.and(self.site_and_size, int32.constant((1 << SITE_BITS) - 1));
        if owner {
            site = builder.add(site, int32.constant(u64::from(record::OWNER_SITE)));
        }
        store_identity(&builder, self.record, self.resume, site);
        let units = builder.shift_right(self.site_and_size, int32.constant(u64::from(SITE_BITS)));
        let size = builder.mul(builder.integer_cast(units, int64), int64.constant(record::ALIGN));
        let end = builder.offset(self.record, size);
        let ty = Type::function(Type::void(context), &[Type::pointer(context)]);
        let done = module.declare_function(PAD_DONE, ty);
        let call = builder.call(ty, done.value(), &[end]);
        for name in ["noreturn", "nounwind", "cold"] {
            call.add_call_attribute(Place::Function, Attribute::new(context, name));
        }
        builder.unreachable();
    }
}

fn store_values(builder: &Builder, site: &Site, record: Value) {
    for &(value, offset) in &site.live {
        builder.store(value, builder.offset_by(record, offset as i64), alignment_at(offset));
    }
}

fn store_identity(builder: &Builder, record: Value, resume: Function, site: Value) {
    builder.store(resume.value(), builder.offset_by(record, record::RESUME as i64), 8);
    builder.store(site, builder.offset_by(record, record::SITE as i64), 4);
}

/// Saves the frame at a `setjmp`, into a record in its shadow frame, and hands the record to the
/// runtime. That call is an invoke, so that the site table tells `longjmp` how to step out of the frame.
fn save_inline(module: Module, site: &Site, frame: &mut ShadowFrame, resume: Function) {
    let context = module.context();
    let offset = frame.extend(site.size);
    let builder = Builder::before(site.call);
    let record = builder.offset_by(frame.base, offset as i64);
    store_values(&builder, site, record);
    store_identity(&builder, record, resume, Type::integer(context, 32).constant(u64::from(site.number)));
    let pointer = Type::pointer(context);
    let ty = Type::function(Type::void(context), &[pointer, pointer]);
    let save = module.declare_function(SETJMP_SAVE, ty);
    let call = builder.call(ty, save.value(), &[site.call.arguments()[0], record]);
    call.copy_debug_location(site.call);
    let rest = site.call.block();
    let head = rest.split_off_head(call);
    invoke_like(call, head, rest, site.pad);
    call.erase();
}

/// Attributes that saving a frame makes untrue. The back ends drop the pads of calls that are said
/// not to unwind, and might move or drop calls that are said to have no effects.
const UNTRUE_ATTRIBUTES: [&str; 6] = ["nounwind", "memory", "willreturn", "speculatable", "norecurse", "nosync"];

fn strip_untrue_attributes(function: Function, sites: &[Site]) {
    for name in UNTRUE_ATTRIBUTES {
        function.remove_attribute(Place::Function, name);
        for site in sites {
            site.call.remove_call_attribute(Place::Function, name);
            if let Some(callee) = site.call.callee().as_function() {
                callee.remove_attribute(Place::Function, name);
            }
        }
    }
}
