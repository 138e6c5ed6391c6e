//! Unwinding for exceptions: the interface of the Itanium C++ ABI (Exception Handling, level I) over the site table.
//!
//! Every frame that an exception can pass through is suspended at a site, for what may throw may as well reach a migration point. A program
//! may move while an exception is in flight, in a destructor that a landing pad calls. So nothing of the machine is kept in the exception: the
//! handler is known by how many frames away it is, and when its frame is reached after a landing pad, the
//! personality routine searches it again for what it noted about it.

use crate::continuation::unwind::{Frame, SiteTable};
use crate::isa::{Context, is_bottom, land};
use maize_abi::site_table::Handler;

/// `struct _Unwind_Exception`.
#[repr(C, align(16))]
pub struct Exception {
    class: u64,
    cleanup: Option<unsafe extern "C" fn(u32, *mut Exception)>,
    /// `private_1`: what decides whether forced unwinding goes on; none if there is a handler.
    stop: Option<Stop>,
    /// `private_2`: how many frames from the one that runs a landing pad to the one with the handler; the argument of `stop`.
    left: u64,
}

/// `struct _Unwind_Context`: a frame, as personality routines see it.
pub struct Passed {
    context: Context,
    caller: Context,
    handler: Option<&'static Handler>,
    /// Where to land, and what to have in the two registers.
    target: u64,
    values: [u64; 2],
}

type Personality = unsafe extern "C" fn(i32, u32, u64, *mut Exception, *mut Passed) -> u32;
type Stop = unsafe extern "C" fn(i32, u32, u64, *mut Exception, *mut Passed, u64) -> u32;
type Trace = unsafe extern "C" fn(*mut Passed, u64) -> u32;

/// `_Unwind_Reason_Code`.
const NO_REASON: u32 = 0;
const FOREIGN_EXCEPTION_CAUGHT: u32 = 1;
const FATAL_PHASE2_ERROR: u32 = 2;
const FATAL_PHASE1_ERROR: u32 = 3;
const END_OF_STACK: u32 = 5;
const HANDLER_FOUND: u32 = 6;
const INSTALL_CONTEXT: u32 = 7;
const CONTINUE_UNWIND: u32 = 8;

/// `_Unwind_Action`.
const SEARCH_PHASE: u32 = 1;
const CLEANUP_PHASE: u32 = 2;
const HANDLER_FRAME: u32 = 4;
const FORCE_UNWIND: u32 = 8;
const AT_END: u32 = 16;

/// Version of the interface.
const VERSION: i32 = 1;

/// The frames from one outwards.
struct Frames {
    table: Option<SiteTable>,
    context: Context,
}

impl Frames {
    fn from(context: &Context) -> Frames {
        Frames { table: SiteTable::of_this_image(), context: *context }
    }
}

impl Iterator for Frames {
    type Item = Passed;

    fn next(&mut self) -> Option<Passed> {
        let context = self.context;
        if is_bottom(context.program_counter) {
            return None;
        }
        let table = self.table.as_ref()?;
        let Frame { caller, .. } = table.frame(&context)?;
        self.context = caller;
        Some(Passed { context, caller, handler: table.handler(context.program_counter), target: 0, values: [0; 2] })
    }
}

impl Passed {
    /// What the frame's personality routine says.
    ///
    /// # Safety
    /// The exception is in flight, and the frame live.
    unsafe fn ask(&mut self, actions: u32, exception: *mut Exception) -> u32 {
        let Some(handler) = self.handler else { return CONTINUE_UNWIND };
        // SAFETY: the linker took the address from the function's frame description.
        unsafe {
            let personality = core::mem::transmute::<u64, Personality>(handler.personality.into());
            personality(VERSION, actions, (*exception).class, exception, self)
        }
    }
}

/// `_Unwind_RaiseException`: looks for a handler, and unwinds to it. Returns only if there is none.
///
/// # Safety
/// Called by the assembly entry, with the caller's context.
#[unsafe(no_mangle)]
unsafe extern "C" fn __maize_raise(exception: *mut Exception, _: u64, _: u64, context: &Context) -> u64 {
    let mut frames = 0;
    for mut frame in Frames::from(context) {
        // SAFETY: by the contract above.
        match unsafe { frame.ask(SEARCH_PHASE, exception) } {
            CONTINUE_UNWIND => frames += 1,
            HANDLER_FOUND => {
                // SAFETY: by the contract above.
                unsafe {
                    (*exception).stop = None;
                    return unwind(exception, context, frames, false).into();
                }
            }
            _ => return FATAL_PHASE1_ERROR.into(),
        }
    }
    END_OF_STACK.into()
}

/// `_Unwind_Resume`: a landing pad has cleaned up.
///
/// # Safety
/// As [`__maize_raise`].
#[unsafe(no_mangle)]
unsafe extern "C" fn __maize_resume_unwinding(exception: *mut Exception, _: u64, _: u64, context: &Context) -> ! {
    // SAFETY: by the contract above.
    unsafe {
        match (*exception).stop {
            Some(stop) => force(exception, context, stop, (*exception).left),
            None => unwind(exception, context, (*exception).left, true),
        };
    }
    crate::process::fatal("an exception cannot be handled where its handler was found")
}

/// `_Unwind_Resume_or_Rethrow`: from a handler that rethrows.
///
/// # Safety
/// As [`__maize_raise`].
#[unsafe(no_mangle)]
unsafe extern "C" fn __maize_rethrow(exception: *mut Exception, a: u64, b: u64, context: &Context) -> u64 {
    // SAFETY: by the contract above.
    unsafe {
        match (*exception).stop {
            Some(stop) => force(exception, context, stop, (*exception).left).into(),
            None => __maize_raise(exception, a, b, context),
        }
    }
}

/// `_Unwind_ForcedUnwind`: unwinds until `stop` takes over.
///
/// # Safety
/// As [`__maize_raise`].
#[unsafe(no_mangle)]
unsafe extern "C" fn __maize_force_unwinding(
    exception: *mut Exception,
    stop: Stop,
    argument: u64,
    context: &Context,
) -> u64 {
    // SAFETY: by the contract above.
    unsafe {
        (*exception).stop = Some(stop);
        (*exception).left = argument;
        force(exception, context, stop, argument).into()
    }
}

/// `_Unwind_Backtrace`: calls `trace` with each frame.
///
/// # Safety
/// As [`__maize_raise`].
#[unsafe(no_mangle)]
unsafe extern "C" fn __maize_backtrace(trace: Trace, argument: u64, _: u64, context: &Context) -> u64 {
    for mut frame in Frames::from(context) {
        // SAFETY: by the contract above.
        if unsafe { trace(&mut frame, argument) } != NO_REASON {
            return FATAL_PHASE1_ERROR.into();
        }
    }
    END_OF_STACK.into()
}

/// Goes through `left` frames to that of the handler, or to a landing pad on the way.
unsafe fn unwind(exception: *mut Exception, context: &Context, mut left: u64, resumed: bool) -> u32 {
    for mut frame in Frames::from(context) {
        // SAFETY: the callers' contracts.
        unsafe {
            if left == 0 && resumed {
                frame.ask(SEARCH_PHASE, exception);
            }
            let actions = if left == 0 { CLEANUP_PHASE | HANDLER_FRAME } else { CLEANUP_PHASE };
            match frame.ask(actions, exception) {
                INSTALL_CONTEXT => {
                    (*exception).left = left;
                    land(&frame.context, frame.target, frame.values)
                }
                CONTINUE_UNWIND if left > 0 => left -= 1,
                _ => break,
            }
        }
    }
    FATAL_PHASE2_ERROR
}

/// Goes through all frames until `stop`, which need not return, takes over.
unsafe fn force(exception: *mut Exception, context: &Context, stop: Stop, argument: u64) -> u32 {
    let actions = FORCE_UNWIND | CLEANUP_PHASE;
    let mut outermost = None;
    for mut frame in Frames::from(context) {
        // SAFETY: the callers' contracts.
        unsafe {
            if stop(VERSION, actions, (*exception).class, exception, &mut frame, argument) != NO_REASON {
                return FATAL_PHASE2_ERROR;
            }
            match frame.ask(actions, exception) {
                INSTALL_CONTEXT => land(&frame.context, frame.target, frame.values),
                CONTINUE_UNWIND => outermost = Some(frame),
                _ => return FATAL_PHASE2_ERROR,
            }
        }
    }
    if let Some(mut frame) = outermost {
        // SAFETY: the callers' contracts.
        unsafe { stop(VERSION, actions | AT_END, (*exception).class, exception, &mut frame, argument) };
    }
    END_OF_STACK
}

/// Ends an exception that a handler of another language has caught.
///
/// # Safety
/// Nothing uses the exception any more.
#[unsafe(no_mangle)]
unsafe extern "C" fn _Unwind_DeleteException(exception: *mut Exception) {
    // SAFETY: by the contract above.
    unsafe {
        if let Some(cleanup) = (*exception).cleanup {
            cleanup(FOREIGN_EXCEPTION_CAUGHT, exception);
        }
    }
}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_GetIP(frame: &Passed) -> u64 {
    frame.context.program_counter
}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_GetIPInfo(frame: &Passed, before_instruction: &mut i32) -> u64 {
    *before_instruction = 0;
    frame.context.program_counter
}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_SetIP(frame: &mut Passed, address: u64) {
    frame.target = address;
}

/// In portable code `__builtin_eh_return_data_regno` is 0 or 1 on every ISA.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_GetGR(frame: &Passed, index: i32) -> u64 {
    frame.values.get(index as usize).copied().unwrap_or(0)
}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_SetGR(frame: &mut Passed, index: i32, value: u64) {
    if let Some(place) = frame.values.get_mut(index as usize) {
        *place = value;
    }
}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_GetLanguageSpecificData(frame: &Passed) -> u64 {
    frame.handler.map_or(0, |handler| handler.language_data.into())
}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_GetRegionStart(frame: &Passed) -> u64 {
    frame.handler.map_or(0, |handler| handler.start.into())
}

/// The frame's canonical address: the stack pointer before its function was called.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_GetCFA(frame: &Passed) -> u64 {
    frame.caller.stack_pointer
}

/// Programs are linked at fixed addresses.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_GetTextRelBase(_: &Passed) -> u64 {
    0
}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_GetDataRelBase(_: &Passed) -> u64 {
    0
}
