//! The handler that the kernel calls. It notes the signal and sees to it that the program comes by soon: at the next migration
//! point ([`points`]), while a system call that is about to block is cancelled.
//!
//! A fault (a bad address, a division by zero) cannot wait. If the program has a handler for it, that runs here, on top of
//! the faulting instruction, with the host's own `ucontext`; the program cannot move until it returns or jumps out of it.

use super::calls;
use super::state::Information;
use super::{DEFAULT, FAULTS, IGNORE, SA_NODEFER, SA_RESETHAND, SEGMENTATION, TRAP, bit};
use crate::isa;
use crate::local;
use crate::migration::{closed, gather, waiting_signals};
use crate::points;
use crate::process::{self, Thread, identity, usage};
use crate::sync::wake;
use core::sync::atomic::Ordering;
use maize_abi::control::ATTENTION_SIGNAL;

/// A program's handler.
type Handler = unsafe extern "C" fn(u64, *const Information, u64);

/// How far below the shadow stack pointer the faulting function may have begun to use memory.
const SHADOW_GAP: u64 = 64 << 10;

/// `si_code` of a signal sent by `kill`.
const SI_USER: i32 = 0;

/// Address of the handler, to install.
pub fn handler() -> u64 {
    handle as *const () as u64
}

/// # Safety
/// Called by the kernel.
unsafe extern "C" fn handle(signal: u64, information: *mut Information, ucontext: u64) {
    let signal = u64::from(signal as u32);
    // SAFETY: as this function.
    if signal == TRAP && unsafe { points::trapped(ucontext) } {
        return;
    }
    // SAFETY: the kernel's structure, 128 bytes.
    let mut information = unsafe { information.read() };
    if FAULTS & bit(signal) != 0 && information.code() > 0 {
        // SAFETY: as this function.
        if signal == SEGMENTATION && unsafe { is_missing(&information, ucontext) } {
            return;
        }
        // SAFETY: as this function.
        unsafe { handle_fault(signal, information, ucontext) };
        return;
    }
    let (is_from_node, is_from_thread) = (is_from_node(signal, &information), gather::is_call(signal, &information));
    identity::name_sender(&mut information);
    let signals = &Thread::current().signals;
    let is_handled = calls::action(signal).is_some_and(|action| !matches!(action.handler, DEFAULT | IGNORE));
    if is_from_thread {
        // It says all that there is to know.
    } else if is_from_node {
        local::CALLED_AT.store(usage::host_time(), Ordering::Relaxed);
        local::ATTENTION.store(1, Ordering::Relaxed);
        local::CALLS.fetch_add(1, Ordering::Release);
        wake(&local::CALLS, u32::MAX >> 1);
    } else if is_handled || signals.mask() & bit(signal) != 0 || waiting_signals::takes(signal) {
        // SAFETY: this is the host's handler.
        unsafe { signals.record(signal, information) };
    } else if matches!(signal, TRAP | SEGMENTATION)
        && calls::action(signal).is_none_or(|action| action.handler == DEFAULT)
    {
        // It came here because the runtime hears of its own, too.
        calls::kill_with(signal);
    }
    signals.interrupted().store(1, Ordering::Relaxed);
    // SAFETY: the offsets are those of this ISA's `ucontext`, which is the kernel's.
    unsafe {
        if is_from_node || is_from_thread {
            points::want_near(ucontext);
        } else {
            points::want();
        }
        let page = isa::page();
        let counter = (ucontext + page.ucontext_program_counter) as *mut u64;
        if (page.window_start..page.window_end).contains(&counter.read()) {
            counter.write(page.window_cancel);
        }
    }
}

/// Whether the node calls. The same signal from others, such as a socket with urgent data, is the program's.
pub fn is_from_node(signal: u64, information: &Information) -> bool {
    signal == ATTENTION_SIGNAL as u64
        && local::CONTROL.load(Ordering::Relaxed) >= 0
        && information.code() == SI_USER
        && information.sender() == local::NODE.load(Ordering::Relaxed)
}

/// Whether a fault was because of a missing page, which is there now; or may have been, if another thread has opened it meanwhile: then the instruction is to be tried once more.
///
/// # Safety
/// Called by the host's handler, with its arguments.
unsafe fn is_missing(information: &Information, ucontext: u64) -> bool {
    if local::CLOSED_ONCE.load(Ordering::Relaxed) == 0 {
        return false;
    }
    // SAFETY: the offset is that of this ISA's `ucontext`.
    let instruction = unsafe { ((ucontext + isa::page().ucontext_program_counter) as *const u64).read() };
    closed::provide_for_access(information.address())
        || Thread::current().is_first_fault([instruction, information.address()])
}

/// Runs the program's handler of a fault.
///
/// # Safety
/// Called by the host's handler, with its arguments.
unsafe fn handle_fault(signal: u64, information: Information, ucontext: u64) {
    let signals = &Thread::current().signals;
    let action = calls::action(signal).filter(|action| !matches!(action.handler, DEFAULT | IGNORE));
    let action = action.filter(|_| signals.mask() & bit(signal) == 0);
    let Some(action) = action else { calls::kill_with(signal) };
    if action.flags & SA_RESETHAND != 0 {
        calls::reset(signal);
    }
    // SAFETY: the offset is that of this ISA's `ucontext`.
    let fault_at = unsafe { ((ucontext + isa::page().ucontext_stack_pointer) as *const u64).read() };
    let here = &raw const signal as u64;
    let [alternate, _, size] = signals.alternate_stack();
    let on_alternate = alternate <= here && here < alternate + size;
    let (outer, mask, shadow_stack) = (signals.fault_stack(), signals.mask(), process::shadow_stack());
    signals.set_fault_stack(if on_alternate { [alternate, alternate + size] } else { [0, fault_at] });
    let own = if action.flags & SA_NODEFER == 0 { bit(signal) } else { 0 };
    calls::set_mask(mask | action.mask | own);
    // SAFETY: the program gave the handler's address; the memory below the gap is unused.
    unsafe {
        process::set_shadow_stack((shadow_stack - SHADOW_GAP) & !15);
        let handler: Handler = core::mem::transmute(action.handler as *const ());
        handler(signal, &information, ucontext);
        process::set_shadow_stack(shadow_stack);
    }
    signals.set_fault_stack(outer);
    calls::set_mask(mask);
}
