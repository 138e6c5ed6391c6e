//! Calling the program's handlers. The assembly function `__maize_deliver` does the calls, in a frame that can be suspended
//! like the program's own; what it needs is in a [`Delivery`] on the shadow stack, which moves with the program.

use super::calls;
use super::state::Information;
use super::{DEFAULT, IGNORE, SA_NODEFER, SA_RESETHAND, bit};
use crate::local;
use crate::process::{self, Thread};
use core::sync::atomic::Ordering;

/// Words of a `ucontext_t` as Linux x86-64 has it, and where its signal mask is.
const UCONTEXT_WORDS: usize = 122;
const UCONTEXT_MASK: usize = 37;

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
        calls::block_all();
        // SAFETY: every signal is blocked.
        let Some((signal, information)) = (unsafe { signals.take(delivery.base_mask) }) else {
            // SAFETY: the handlers' frames are gone.
            unsafe { process::set_shadow_stack(delivery.shadow_stack) };
            calls::set_mask(delivery.final_mask);
            if signals.deliverable(delivery.final_mask) != 0 {
                local::__maize_poll_flag.store(1, Ordering::Relaxed);
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
