//! Calling the program's handlers. The assembly function `__maize_deliver` does the calls, in a frame that can be suspended
//! like the program's own; what it needs is in a [`Delivery`] on the shadow stack, which moves with the program.

use super::calls;
use super::state::Information;
use super::{DEFAULT, IGNORE, SA_NODEFER, SA_RESETHAND, bit};
use crate::continuation::capture::save_frame;
use crate::continuation::resume::write_leaf;
use crate::continuation::unwind::SiteTable;
use crate::isa::{self, Context, RegisterFile, jump_in_place};
use crate::migration::closed;
use crate::points;
use crate::process::{self, Thread};
use maize_abi::record::{ALIGN, Header, VALUES};

/// Words of a `ucontext_t` as Linux x86-64 has it, and where its signal mask is.
const UCONTEXT_WORDS: usize = 122;
const UCONTEXT_MASK: usize = 37;

/// Bytes of the leaf record of a delivery.
const LEAF_SIZE: u64 = 32;

/// Signal handlers to be run before a call returns. The assembly knows the fields up to `ucontext`.
#[repr(C, align(16))]
pub struct Delivery {
    /// What the call returns afterwards,
    result: i64,
    /// unless it is to be issued again,
    restart: u64,
    /// which is this call.
    call: [u64; 7],
    /// The handler's arguments.
    signal: u64,
    information_address: u64,
    ucontext_address: u64,
    /// The mask by which it is decided what may be delivered.
    base_mask: u64,
    /// The mask afterwards.
    final_mask: u64,
    /// The shadow stack pointer afterwards.
    shadow_stack: u64,
    information: Information,
    ucontext: [u64; UCONTEXT_WORDS],
}

/// What happens after the handlers.
#[derive(Clone, Copy)]
pub enum Afterwards {
    /// The interrupted function returns this.
    Return(i64),
    /// The system call is issued again.
    Again([u64; 7]),
}

/// Prepares the delivery of what `base_mask` lets through; returns the address for `Entry::delivery`.
pub fn prepare(afterwards: Afterwards, base_mask: u64) -> u64 {
    let shadow_stack = process::shadow_stack();
    let address = (shadow_stack - size_of::<Delivery>() as u64) & !15;
    let (result, restart, call) = match afterwards {
        Afterwards::Return(result) => (result, 0, [0; 7]),
        Afterwards::Again(call) => (0, 1, call),
    };
    // SAFETY: the memory is the shadow stack's unused part.
    unsafe {
        let delivery = address as *mut Delivery;
        core::ptr::write_bytes(delivery, 0, 1);
        (*delivery).result = result;
        (*delivery).restart = restart;
        (*delivery).call = call;
        (*delivery).base_mask = base_mask;
        (*delivery).final_mask = Thread::current().signals.mask();
        (*delivery).shadow_stack = shadow_stack;
        (*delivery).information_address = &raw const (*delivery).information as u64;
        (*delivery).ucontext_address = &raw const (*delivery).ucontext as u64;
        process::set_shadow_stack(address);
    }
    address
}

/// Runs the handlers of what `mask` lets through at a migration point: the innermost activation is resumed from its record, in its place, as after
/// a move, with the handlers as what it called. Returns if it cannot be.
///
/// # Safety
/// `context` and `registers` are those of the point, and nothing above its frame is needed any more.
pub unsafe fn deliver_at_point(context: &Context, registers: &RegisterFile, mask: u64) {
    let Some(table) = SiteTable::of_this_image() else { return };
    let Some(frame) = table.frame(context) else { return };
    let delivery = prepare(Afterwards::Return(0), mask);
    let leaf = (delivery - LEAF_SIZE) & !(ALIGN - 1);
    let words = u64::from(table.value_count(frame.site));
    let record = leaf - (VALUES + 8 * words).next_multiple_of(ALIGN);
    // SAFETY: the memory is the shadow stack's unused part. The record is read before anything else uses it.
    unsafe {
        write_leaf(leaf, isa::delivery_resume(), &[delivery]);
        save_frame(&table, frame.site, registers, record, leaf);
        jump_in_place(&frame.caller, (*(record as *const Header)).resume, record)
    }
}

/// Ends the handler that has run, if any, and gets the next one ready. Returns its address, or 0 if there is none left.
///
/// # Safety
/// Called by the assembly with the address that [`prepare`] gave.
#[unsafe(no_mangle)]
unsafe extern "C" fn __maize_delivery_next(delivery: *mut Delivery) -> u64 {
    // SAFETY: by the contract above.
    let delivery = unsafe { &mut *delivery };
    let signals = &Thread::current().signals;
    loop {
        let base_mask = delivery.base_mask;
        // SAFETY: every signal is blocked.
        let take = || unsafe { signals.take(base_mask) };
        let may_miss_pages = closed::is_any();
        calls::block_all();
        let taken = if may_miss_pages { calls::without_any_signal(take) } else { take() };
        let Some((signal, information)) = taken else {
            // SAFETY: the handlers' frames are gone.
            unsafe { process::set_shadow_stack(delivery.shadow_stack) };
            calls::set_mask(delivery.final_mask);
            if signals.deliverable(delivery.final_mask) != 0 {
                points::want();
            }
            return 0;
        };
        let action = calls::action(signal);
        match action {
            Some(action) if !matches!(action.handler, DEFAULT | IGNORE) => {
                if action.flags & SA_RESETHAND != 0 {
                    calls::reset(signal);
                }
                let own = if action.flags & SA_NODEFER == 0 { bit(signal) } else { 0 };
                delivery.signal = signal;
                delivery.information = information;
                if let Some(word) = delivery.ucontext.get_mut(UCONTEXT_MASK) {
                    *word = delivery.final_mask;
                }
                calls::set_mask(delivery.base_mask | action.mask | own);
                return action.handler;
            }
            Some(action) if action.handler == IGNORE => {}
            _ => {
                // The handler was removed in the meantime: the kernel does what is to be done.
                calls::set_mask(delivery.base_mask & !bit(signal));
                calls::raise(signal);
            }
        }
    }
}
