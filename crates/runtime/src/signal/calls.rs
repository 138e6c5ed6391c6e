//! The system calls about signals, and what keeps the kernel in step with the program's view.

use super::state::{Action, Actions};
use super::{
    COUNT, DEFAULT, FAULTS, IGNORE, SA_NOCLDSTOP, SA_NOCLDWAIT, SA_ONSTACK, SA_RESTORER, SA_SIGINFO, SEGMENTATION,
    TRAP, UNBLOCKABLE, bit, host,
};
use crate::isa;
use crate::local;
use crate::migration::closed;
use crate::points;
use crate::process::identity::host_pid;
use crate::process::{Thread, node};
use crate::syscall::kernel;
use crate::syscall::numbers::*;
use core::sync::atomic::Ordering;
use maize_abi::control::ATTENTION_SIGNAL;
use maize_abi::processes::{CHILDREN_DISCARDED, CHILDREN_STOP_SILENTLY, Request};

const ATTENTION: u64 = ATTENTION_SIGNAL as u64;
/// Bytes of a signal set, which every call is told.
const SET_SIZE: u64 = 8;
const SIGCHLD: u64 = 17;
const SIG_BLOCK: u64 = 0;
const SIG_UNBLOCK: u64 = 1;
const SIG_SETMASK: u64 = 2;

/// The program's actions.
static ACTIONS: Actions = Actions::new();

/// The action of a signal, if the program has set it.
pub fn action(signal: u64) -> Option<Action> {
    ACTIONS.get(signal)
}

fn has_control() -> bool {
    local::CONTROL.load(Ordering::Relaxed) >= 0
}

/// A mask as the kernel is to have it: the node's signal always comes through, and so do traps at migration points.
pub fn host_mask(mask: u64) -> u64 {
    let mask = mask & all() & !bit(TRAP);
    if has_control() { mask & !bit(ATTENTION) } else { mask }
}

/// Sets the kernel's mask of the calling thread to exactly this; returns what it was.
fn set_host_mask(mask: u64) -> u64 {
    let mut old = 0u64;
    // SAFETY: both sets are 8 bytes.
    unsafe { kernel::call(RT_SIGPROCMASK, [SIG_SETMASK, &raw const mask as u64, &raw mut old as u64, SET_SIZE]) };
    old
}

/// Every signal that can be kept out of code that may touch the program's memory: not the one by which missing pages are found.
fn all() -> u64 {
    if closed::is_any() { !bit(SEGMENTATION) } else { u64::MAX }
}

/// Keeps every signal out, the node's too, until [`set_mask`].
pub fn block_all() {
    set_host_mask(all());
}

/// Does something while every signal is kept out of the calling thread.
pub fn without_signals<T>(action: impl FnOnce() -> T) -> T {
    within_mask(all(), action)
}

/// As [`without_signals`], with no page missing that the action touches.
pub fn without_any_signal<T>(action: impl FnOnce() -> T) -> T {
    within_mask(u64::MAX, action)
}

fn within_mask<T>(mask: u64, action: impl FnOnce() -> T) -> T {
    let before = set_host_mask(mask);
    let result = action();
    set_host_mask(before);
    result
}

/// Lets signals that wait come to the host's handler, while all others are kept out of the calling thread.
pub fn let_through(signals: u64) {
    within_mask(!signals, || ());
}

/// Sets the calling thread's mask.
pub fn set_mask(mask: u64) {
    let mask = mask & !UNBLOCKABLE;
    Thread::current().signals.set_mask(mask);
    set_host_mask(host_mask(mask));
    // The node may have had to wait for the end of a fault's handler, which ends with this, if only in `siglongjmp`.
    if local::ATTENTION.load(Ordering::Relaxed) != 0 {
        points::want();
    }
}

/// The kernel's `sigaction`; its structure differs between ISAs. Returns the result and what the action was.
///
/// Without a restorer the mask is the third word. QEMU's user mode (7.2) looks for it in the fourth on RISC-V, too, so it is in both; a kernel reads and
/// writes three.
fn host_action(signal: u64, new: Option<Action>) -> (i64, Action) {
    let has_restorer = isa::page().has_restorer != 0;
    let pack = |action: Action| match has_restorer {
        true => [action.handler, action.flags | SA_RESTORER, isa::signal_restorer(), action.mask],
        false => [action.handler, action.flags, action.mask, action.mask],
    };
    let new = new.map(pack);
    let mut old = [0; 4];
    let new_address = new.as_ref().map_or(0, |words| words.as_ptr() as u64);
    // SAFETY: both structures are at most four words.
    let result = unsafe { kernel::call(RT_SIGACTION, [signal, new_address, old.as_mut_ptr() as u64, SET_SIZE]) };
    let [handler, flags, third, fourth] = old;
    (result, Action { handler, flags, restorer: 0, mask: if has_restorer { fourth } else { third | fourth } })
}

/// Makes the kernel do with a signal what the program wants; returns the kernel's result and what it did before.
fn install(signal: u64, action: Action) -> (i64, Action) {
    let is_own = match signal {
        TRAP => true,
        SEGMENTATION => local::CLOSED_ONCE.load(Ordering::Relaxed) != 0,
        _ => signal == ATTENTION && has_control(),
    };
    let mut flags = SA_SIGINFO | action.flags & (SA_NOCLDSTOP | SA_NOCLDWAIT);
    if FAULTS & bit(signal) != 0 {
        flags |= action.flags & SA_ONSTACK;
    }
    let handler = match action.handler {
        DEFAULT | IGNORE if !is_own => action.handler,
        _ => host::handler(),
    };
    host_action(signal, Some(Action { handler, flags, restorer: 0, mask: u64::MAX }))
}

/// A signal that comes to the host's handler for a while, and what the kernel did with it before.
pub struct ToHost(u64, Action);

/// Has the host's handler called for a signal.
pub fn send_to_host(signal: u64) -> ToHost {
    let action = Action { handler: host::handler(), flags: SA_SIGINFO, restorer: 0, mask: u64::MAX };
    ToHost(signal, host_action(signal, Some(action)).1)
}

/// Has the kernel do with the signal what it did before.
pub fn send_as_before(&ToHost(signal, before): &ToHost) {
    host_action(signal, Some(before));
}

/// `rt_sigaction`.
///
/// # Safety
/// The addresses are null or those of `struct sigaction` as Linux x86-64 has it.
pub unsafe fn sigaction([signal, new, old, size, ..]: [u64; 6]) -> i64 {
    if !(1..=COUNT).contains(&signal) || size != SET_SIZE {
        return -EINVAL;
    }
    let known = ACTIONS.get(signal);
    // SAFETY: by the contract above.
    let wanted = (new != 0).then(|| unsafe { (new as *const Action).read() });
    let (result, host_old) = match wanted {
        Some(action) => install(signal, action),
        None if known.is_none() => host_action(signal, None),
        None => (0, Action { handler: 0, flags: 0, restorer: 0, mask: 0 }),
    };
    if result < 0 {
        return result;
    }
    if let Some(action) = wanted {
        ACTIONS.set(signal, action);
        if action.handler == IGNORE {
            Thread::current().signals.forget(bit(signal));
        }
        if signal == SIGCHLD && node::is_served() {
            tell_of_children();
        }
    }
    if old != 0 {
        let is_ours = host_old.handler == host::handler();
        let unset = Action { handler: DEFAULT, flags: 0, restorer: 0, mask: 0 };
        // SAFETY: by the contract above.
        unsafe { (old as *mut Action).write(known.unwrap_or(if is_ours { unset } else { host_old })) };
    }
    0
}

/// The node does for children what the kernel would. Tells it what that is, if the program has said.
pub fn tell_of_children() {
    let Some(action) = ACTIONS.get(SIGCHLD) else { return };
    let is_discarded = action.handler == IGNORE || action.flags & SA_NOCLDWAIT != 0;
    let mut bits = if is_discarded { CHILDREN_DISCARDED } else { 0 };
    if action.flags & SA_NOCLDSTOP != 0 {
        bits |= CHILDREN_STOP_SILENTLY;
    }
    node::ask(Request::Children, &[bits], None);
}

/// Makes a signal's action the default, as `SA_RESETHAND` asks when its handler is about to run.
pub fn reset(signal: u64) {
    let action = Action { handler: DEFAULT, flags: 0, restorer: 0, mask: 0 };
    ACTIONS.set(signal, action);
    install(signal, action);
}

/// `rt_sigprocmask`.
///
/// # Safety
/// The addresses are null or those of signal sets.
pub unsafe fn sigprocmask([how, new, old, size, ..]: [u64; 6]) -> i64 {
    if size != SET_SIZE {
        return -EINVAL;
    }
    let mask = Thread::current().signals.mask();
    // SAFETY: by the contract above.
    let given = (new != 0).then(|| unsafe { (new as *const u64).read_unaligned() });
    if let Some(given) = given {
        set_mask(match how {
            SIG_BLOCK => mask | given,
            SIG_UNBLOCK => mask & !given,
            SIG_SETMASK => given,
            _ => return -EINVAL,
        });
    }
    if old != 0 {
        // SAFETY: by the contract above.
        unsafe { (old as *mut u64).write_unaligned(mask) };
    }
    0
}

/// `rt_sigpending`: what waits in the kernel, and what was noted before it was blocked.
///
/// # Safety
/// `set` is the address of a signal set.
pub unsafe fn sigpending(set: u64, size: u64) -> i64 {
    // SAFETY: by the contract above.
    unsafe {
        let result = kernel::call(RT_SIGPENDING, [set, size]);
        if result == 0 {
            let signals = &Thread::current().signals;
            let all = (set as *const u64).read_unaligned() | signals.pending() & signals.mask();
            (set as *mut u64).write_unaligned(all);
        }
        result
    }
}

/// `sigaltstack`. The kernel is told too: a fault's handler runs there.
///
/// # Safety
/// The addresses are null or those of `stack_t`; the memory named stays.
pub unsafe fn sigaltstack(new: u64, old: u64) -> i64 {
    // SAFETY: by the contract above.
    let result = unsafe { kernel::call(SIGALTSTACK, [new, old]) };
    if result == 0 && new != 0 {
        // SAFETY: the kernel has read it.
        Thread::current().signals.set_alternate_stack(unsafe { (new as *const [u64; 3]).read() });
    }
    result
}

/// The program starts with the mask it was given, and can be called on by the node.
pub fn begin() {
    let mut mask = 0u64;
    // SAFETY: the set is 8 bytes.
    unsafe { kernel::call(RT_SIGPROCMASK, [SIG_BLOCK, 0, &raw mut mask as u64, SET_SIZE]) };
    listen();
    set_mask(mask);
}

/// Has the runtime's own signals handled.
fn listen() {
    install(TRAP, ACTIONS.get(TRAP).unwrap_or(Action { handler: DEFAULT, flags: 0, restorer: 0, mask: 0 }));
    if has_control() {
        install(ATTENTION, Action { handler: DEFAULT, flags: 0, restorer: 0, mask: 0 });
    }
}

/// Has faults handled by which missing pages are found, for as long as the process is: a thread may be about to tell of one when none is missing any more.
pub fn hear_faults() {
    local::CLOSED_ONCE.store(1, Ordering::Relaxed);
    let unset = Action { handler: DEFAULT, flags: 0, restorer: 0, mask: 0 };
    install(SEGMENTATION, ACTIONS.get(SEGMENTATION).unwrap_or(unset));
}

/// Another program is about to be executed, which keeps what is ignored: leaves such faults to the kernel.
pub fn leave_ignored_faults() {
    let action = ACTIONS.get(SEGMENTATION).filter(|action| action.handler == IGNORE);
    if let Some(action) = action.filter(|_| local::CLOSED_ONCE.load(Ordering::Relaxed) != 0) {
        host_action(SEGMENTATION, Some(action));
    }
}

/// The program has come to this process, whose kernel does not know yet what it wants done with signals.
pub fn install_all() {
    for signal in 1..=COUNT {
        if let Some(action) = ACTIONS.get(signal) {
            install(signal, action);
        }
    }
    listen();
}

/// In the child of a `fork`: nothing has come to it, and the node's signal is the program's again if no node knows it.
pub fn begin_child() {
    let signals = &Thread::current().signals;
    signals.forget(u64::MAX);
    if has_control() {
        listen();
    } else if let Some(action) = ACTIONS.get(ATTENTION) {
        install(ATTENTION, action);
    } else {
        host_action(ATTENTION, Some(Action { handler: DEFAULT, flags: 0, restorer: 0, mask: 0 }));
    }
    set_mask(signals.mask());
}

/// Sends the calling thread a signal.
pub fn raise(signal: u64) {
    // SAFETY: takes no pointers.
    unsafe { kernel::call(TGKILL, [host_pid(), kernel::call(GETTID, []) as u64, signal]) };
}

/// Ends the process by a signal's default action.
pub fn kill_with(signal: u64) -> ! {
    host_action(signal, Some(Action { handler: DEFAULT, flags: 0, restorer: 0, mask: 0 }));
    set_host_mask(!bit(signal));
    raise(signal);
    loop {
        // SAFETY: takes no pointers.
        unsafe { kernel::call(EXIT_GROUP, [128 + signal]) };
    }
}
