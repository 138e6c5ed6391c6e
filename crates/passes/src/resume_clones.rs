//! Pass 18: the resume clone of each function that can be suspended.
//!
//! `f.resume(record)` continues an activation of `f` from its record: it switches on the site, reloads the live
//! values, runs the record of the inner activation in place of the original call, and goes on in a
//! copy of `f`'s body.
//!
//! A call that must not leave a frame behind (`musttail`) is an ordinary one in the clone, whose type differs from that of the function.
//! The clone can be suspended there, and has nothing left to do then but to hand over the result.
//!
//! The live values are first demoted to stack slots in the copy, so that entering it in the middle needs no SSA
//! repair by hand; `mem2reg` then promotes them again.

use crate::error::PassError;
use crate::ir::{Block, Builder, Function, Module, Opcode, Place, Type, Value, clone_into};
use crate::points;
use crate::signature::describe_call;
use crate::sites::{self, Site};
use crate::words::{self, WORD};
use maize_abi::record;
use std::collections::{HashMap, HashSet};

/// Adds the resume clone, without a body, of `function`.
pub fn declare(module: Module, function: Function, name: &str) -> Function {
    let ty = Type::function(function.function_type().result(), &[Type::pointer(module.context())]);
    let clone = module.add_function(name, ty);
    for attribute in function.attributes(Place::Result) {
        clone.add_attribute(Place::Result, attribute);
    }
    clone
}

/// Fills in the resume clone of `function`, whose sites are final.
///
/// # Errors
/// None today; the signature is that of every pass.
pub fn run(module: Module, function: Function, clone: Function, sites: &[Site]) -> Result<(), PassError> {
    let context = module.context();
    let entry = clone.append_block("");
    let mut copies: HashMap<Value, Value> = HashMap::new();
    for parameter in function.parameters() {
        copies.insert(parameter, parameter.ty().poison());
    }
    let blocks = clone_into(function, clone, &mut copies);
    if let Some(personality) = function.personality() {
        clone.set_personality(personality);
    }

    let slots = demote(&Demotion { entry, function, sites, copies: &copies });
    let record = clone.parameters()[0];
    let int32 = Type::integer(context, 32);
    let builder = Builder::at_end(entry);
    let number = builder.load(int32, builder.offset_by(record, record::SITE as i64), 4);
    let impossible = clone.append_block("");
    Builder::at_end(impossible).unreachable();
    let switch = builder.switch(number, impossible, sites.len() as u32);
    let tests = points::tests(module, function);
    let tests = tests.into_iter().map(|(call, test)| (call, (test, copies[&test]))).collect();
    let body = CloneBody { module, clone, record, slots, blocks, tests };
    let tail_calls = function.instructions().into_iter().filter(|instruction| is_must_tail_call(*instruction));
    // After the numbers of the sites that the function itself has.
    let first = sites.iter().map(|site| (site.number & !record::OWNER_SITE) + 1).max().unwrap_or(0);
    for (number, call) in (first..).zip(tail_calls) {
        body.make_ordinary(copies[&call], number);
        switch.add_case(int32.constant(u64::from(number)), body.hand_over(call.ty()));
    }
    for site in sites {
        switch.add_case(int32.constant(u64::from(site.number)), body.resume_at(site));
    }
    // Within a run of code setjmp returns 0; other values come through records.
    for marker in sites.iter().filter_map(|site| site.setjmp).flat_map(|marker| [marker, copies[&marker]]) {
        marker.replace_all_uses_with(marker.ty().zero());
        marker.erase();
    }
    Ok(())
}

/// The copied body and what it was copied with.
struct CloneBody {
    module: Module,
    clone: Function,
    record: Value,
    slots: HashMap<Value, Value>,
    blocks: HashMap<Block, Block>,
    /// The tests of migration points, in the function and in its copy, by the blocks of the points' calls.
    tests: HashMap<Block, (Value, Value)>,
}

struct Demotion<'a> {
    entry: Block,
    function: Function,
    sites: &'a [Site],
    copies: &'a HashMap<Value, Value>,
}

/// Gives each value that is live at some site, and each site's result, a stack slot in the clone's
/// entry; definitions store to it and uses load from it. Returns the slots by original value.
fn demote(demotion: &Demotion<'_>) -> HashMap<Value, Value> {
    let Demotion { entry, function, sites, copies } = demotion;
    let results = sites.iter().map(Site::result).filter(|result| result.ty().is_storable());
    let live: Vec<Value> =
        sites.iter().flat_map(|site| site.live.iter().map(|&(value, _)| value)).chain(results).collect();
    let builder = Builder::at_end(*entry);
    let mut slots = HashMap::new();
    for &value in &live {
        slots.entry(value).or_insert_with(|| builder.alloca(value.ty(), record::ALIGN));
    }
    // Uses first, while originals and copies still correspond one to one.
    for instruction in function.instructions() {
        let copy = copies[&instruction];
        if instruction.is(Opcode::LLVMPHI) {
            demote_phi_uses(instruction, copy, &slots);
            continue;
        }
        for (index, operand) in instruction.operands().into_iter().enumerate() {
            if let Some(&slot) = slots.get(&operand) {
                let load = Builder::before(copy).load(operand.ty(), slot, record::ALIGN);
                copy.set_operand(index as u32, load);
            }
        }
    }
    let mut stored = HashSet::new();
    // Parameters arrive by records only.
    for value in live.into_iter().filter(|value| !value.is_argument()) {
        if !stored.insert(value) {
            continue;
        }
        let copy = copies[&value];
        let place = if value.is(Opcode::LLVMPHI) {
            copy.block().first_insertion_point()
        } else if copy.is(Opcode::LLVMInvoke) {
            // The block on the way on is the invoke's own.
            copy.successors()[0].first_instruction()
        } else {
            copy.next()
        };
        if let Some(place) = place {
            Builder::before(place).store(copy, slots[&value], record::ALIGN);
        }
    }
    slots
}

/// A phi's operand is loaded at the end of the predecessor it comes from.
fn demote_phi_uses(original: Value, copy: Value, slots: &HashMap<Value, Value>) {
    let mut loaded: HashMap<(Value, Block), Value> = HashMap::new();
    let pairs = original.incoming().into_iter().zip(copy.incoming());
    for (index, ((value, _), (_, predecessor))) in pairs.enumerate() {
        let Some(&slot) = slots.get(&value) else {
            continue;
        };
        let Some(terminator) = predecessor.terminator() else {
            continue;
        };
        // Two edges from one predecessor must bring the same value.
        let load = *loaded
            .entry((value, predecessor))
            .or_insert_with(|| Builder::before(terminator).load(value.ty(), slot, record::ALIGN));
        copy.set_operand(index as u32, load);
    }
}

/// Whether the block of `test` begins, in the clone, with storing the result of the invoke that leads to it: not to be done again by who does not come from there.
fn takes_result_before(test: Value) -> bool {
    let before = test.block().instructions().into_iter().take_while(|&instruction| instruction != test);
    before
        .filter(|instruction| instruction.is(Opcode::LLVMStore))
        .any(|store| store.operands()[0].is(Opcode::LLVMInvoke))
}

fn is_must_tail_call(instruction: Value) -> bool {
    instruction.is(Opcode::LLVMCall) && instruction.is_must_tail_call()
}

impl CloneBody {
    /// Replaces a `musttail` call by one at which the clone can be suspended.
    fn make_ordinary(&self, call: Value, number: u32) {
        let builder = Builder::before(call);
        let new = builder.call_with_words(call.called_type(), call.callee(), &call.arguments(), &[]);
        describe_call(new, call, call.arguments().len(), 0);
        sites::mark(self.module, new, number);
        new.copy_debug_location(call);
        call.replace_all_uses_with(new);
        call.erase();
    }

    /// The block that goes on after such a call with a result of type `ty`: the inner activation takes this one's place.
    fn hand_over(&self, ty: Type) -> Block {
        let pointer = Type::pointer(self.module.context());
        let target = self.clone.append_block("");
        let builder = Builder::at_end(target);
        let inner = builder.load(pointer, builder.offset_by(self.record, record::INNER as i64), 8);
        let continuation = builder.load(pointer, builder.offset_by(inner, record::RESUME as i64), 8);
        let call = builder.call(Type::function(ty, &[pointer]), continuation, &[inner]);
        call.set_must_tail_call();
        if ty.is_void() {
            builder.return_void()
        } else {
            builder.return_value(call)
        };
        target
    }

    /// The block that continues the activation from a record of `site`.
    fn resume_at(&self, site: &Site) -> Block {
        let CloneBody { module, clone, record, slots, blocks, tests } = self;
        let module = *module;
        let pointer = Type::pointer(module.context());
        let target = clone.append_block("");
        let builder = Builder::at_end(target);
        let mut live = HashMap::new();
        for &(value, offset) in &site.live {
            let loaded = words::load(module, &builder, value.ty(), builder.offset_by(*record, offset as i64));
            builder.store(loaded, slots[&value], record::ALIGN);
            live.insert(value, loaded);
        }
        let inner = builder.load(pointer, builder.offset_by(*record, record::INNER as i64), 8);
        let continuation = builder.load(pointer, builder.offset_by(inner, record::RESUME as i64), 8);
        let ty = Type::function(site.result().ty(), &[pointer]);
        let result = if site.setjmp.is_some() {
            // What continues a setjmp only hands over longjmp's value; it is never suspended itself.
            builder.call(ty, continuation, &[inner])
        } else {
            let words: Vec<Value> = (0..)
                .zip(&site.words)
                .map(|(index, &ty)| {
                    builder.load(ty, builder.offset_by(*record, (record::VALUES + WORD * index) as i64), WORD)
                })
                .collect();
            let call = match site.call.successors()[..] {
                [_, unwind] => {
                    let normal = clone.append_block("");
                    let unwind = self.landing_pad(unwind);
                    let call = builder.invoke_with_words(ty, continuation, &[inner], &words, [normal, unwind]);
                    builder.position_at_end(normal);
                    call
                }
                _ => builder.call_with_words(ty, continuation, &[inner], &words),
            };
            sites::mark(module, call, site.number);
            call
        };
        if let Some(&slot) = slots.get(&site.result()) {
            builder.store(result, slot, record::ALIGN);
        }
        match tests.get(&site.call.block()) {
            Some(&test) => self.pass_again(test, &live, target),
            None => drop(builder.branch(blocks[&site.next])),
        }
        target
    }

    /// Goes on before the point, which does nothing the second time: a loop that the point is at the head of is entered there and stays a
    /// natural one, whose invariants LLVM keeps in registers.
    fn pass_again(&self, (original, test): (Value, Value), live: &HashMap<Value, Value>, from: Block) {
        let phis = original.block().phis();
        let is_at_head = original.block().first_insertion_point() == Some(original) && !takes_result_before(test);
        if is_at_head && phis.iter().all(|phi| live.contains_key(phi) || !phi.has_uses()) {
            let head = test.block();
            for (phi, copy) in phis.into_iter().zip(head.phis()) {
                copy.add_incoming(live.get(&phi).copied().unwrap_or(phi.ty().poison()), from);
            }
            Builder::at_end(from).branch(head);
        } else {
            if let Some(before) = test.previous() {
                let rest = test.block();
                let head = rest.split_off_head(before);
                Builder::at_end(head).branch(rest);
            }
            Builder::at_end(from).branch(test.block());
        }
    }

    /// One more copy of a site's landing pad, for the resumption's own call. It joins the other at its end.
    fn landing_pad(&self, unwind: Block) -> Block {
        let pad = self.blocks[&unwind];
        let own = self.clone.append_block("");
        let builder = Builder::at_end(own);
        let mut copies: HashMap<Value, Value> = HashMap::new();
        let originals = pad.instructions();
        for &instruction in &originals {
            let copy = instruction.duplicate();
            builder.insert(copy);
            for (index, operand) in copy.operands().into_iter().enumerate() {
                if let Some(&mapped) = copies.get(&operand) {
                    copy.set_operand(index as u32, mapped);
                }
            }
            copies.insert(instruction, copy);
        }
        for phi in pad.successors().into_iter().flat_map(Block::phis) {
            if let Some((value, _)) = phi.incoming().into_iter().find(|(_, predecessor)| *predecessor == pad) {
                phi.add_incoming(copies.get(&value).copied().unwrap_or(value), own);
            }
        }
        for instruction in originals.into_iter().filter(|instruction| instruction.ty().is_storable()) {
            self.join(instruction, copies[&instruction]);
        }
        own
    }

    /// Where a value that the pad has computed is used after both pads, it comes through a stack slot.
    fn join(&self, value: Value, copy: Value) {
        let home = value.block();
        let users: Vec<Value> = value.users().into_iter().filter(|user| user.block() != home).collect();
        let mut slot = None;
        for user in users {
            let incoming = if user.is(Opcode::LLVMPHI) { user.incoming() } else { Vec::new() };
            for (index, operand) in user.operands().into_iter().enumerate().filter(|(_, operand)| *operand == value) {
                let place = match incoming.get(index) {
                    Some((_, predecessor)) if *predecessor == home => continue,
                    Some((_, predecessor)) => predecessor.terminator().unwrap_or(user),
                    None => user,
                };
                let slot = *slot.get_or_insert_with(|| self.slot_of_both(value, copy));
                let load = Builder::before(place).load(operand.ty(), slot, record::ALIGN);
                user.set_operand(index as u32, load);
            }
        }
    }

    fn slot_of_both(&self, value: Value, copy: Value) -> Value {
        let first = self.clone.entry().first_instruction().unwrap_or(value);
        let slot = Builder::before(first).alloca(value.ty(), record::ALIGN);
        for value in [value, copy] {
            Builder::before(value.next().unwrap_or(value)).store(value, slot, record::ALIGN);
        }
        slot
    }
}
