//! `setjmp` and `longjmp` on frame records.
//!
//! The compiler writes the record of the calling frame inline and passes it to
//! `__maize_setjmp_save`; the second return of `setjmp` is that record's resume clone, run in place of the frame. While the
//! thread has not been resumed elsewhere since, the machine context kept beside the record says where the frame is. After a
//! move it does not; then the whole thread is suspended, the frame is found among the records by the address of
//! its shadow frame, and the thread is resumed from there.
//!
//! The `jmp_buf`'s words: record, shadow stack pointer, epoch, whether the signal mask was saved, machine context.

use crate::continuation::capture::{Captured, suspend};
use crate::continuation::resume::{resume, write_leaf};
use crate::continuation::unwind::SiteTable;
use crate::isa::{Context, jump_in_place, run_on_runtime_stack};
use crate::process::{self, fatal};
use maize_abi::layout::RECORDS_START;
use maize_abi::record::{Header, OWNER_SITE, VALUES};

/// Words of a `jmp_buf` before the machine context.
pub const CONTEXT_OFFSET: usize = 32;

/// What the runtime keeps in a `jmp_buf`.
#[repr(C)]
pub struct JumpBuffer {
    record: u64,
    shadow_stack: u64,
    epoch: u64,
    mask_saved: u64,
    context: Context,
}

unsafe extern "C" {
    /// In the libc: restores the signal mask that `sigsetjmp` kept.
    fn __maize_siglongjmp_restore(buffer: *mut JumpBuffer);
}

/// Completes `__maize_setjmp_save`, which has stored the context.
///
/// # Safety
/// Called by the assembly entry with the program's `jmp_buf` and record.
#[unsafe(no_mangle)]
unsafe extern "C" fn __maize_setjmp_saved(buffer: *mut JumpBuffer, record: u64) {
    // SAFETY: the buffer is the program's, large enough by the libc's <setjmp.h>.
    unsafe {
        (*buffer).record = record;
        (*buffer).shadow_stack = process::shadow_stack();
        (*buffer).epoch = process::epoch();
        (*buffer).mask_saved = 0;
    }
}

/// A pending slow `longjmp`, for the code on the runtime's stack.
#[repr(C)]
struct SlowJump {
    innermost: *const Context,
    buffer: *const JumpBuffer,
    leaf: u64,
}

/// `longjmp`, from its assembly entry, which has saved the caller's context.
///
/// # Safety
/// `buffer` was filled by `setjmp` in a function that has not returned since (C17 7.13.2.1).
#[unsafe(no_mangle)]
unsafe extern "C" fn __maize_longjmp_entry(innermost: *const Context, buffer: *mut JumpBuffer, value: i64) -> ! {
    let value = if value as i32 == 0 { 1 } else { value };
    let leaf = process::jump_leaf();
    let resume_value = __maize_value_resume as *const () as u64;
    // SAFETY: the leaf is portable memory of the runtime's, the buffer the program's.
    unsafe {
        write_leaf(leaf, resume_value, &[value as u64]);
        if (*buffer).mask_saved != 0 {
            __maize_siglongjmp_restore(buffer);
        }
        process::set_shadow_stack((*buffer).shadow_stack);
        let record = (*buffer).record;
        if (*buffer).epoch == process::epoch() {
            let frame = SiteTable::of_this_image().and_then(|table| table.frame(&(*buffer).context));
            let Some(frame) = frame else { fatal("longjmp: the jmp_buf does not belong to a frame of this program") };
            let header = record as *mut Header;
            (*header).inner = leaf;
            jump_in_place(&frame.caller, (*header).resume, record);
        }
        let mut jump = SlowJump { innermost, buffer, leaf };
        run_on_runtime_stack(jump_by_records, (&raw mut jump).cast())
    }
}

/// Suspends the thread, puts the `setjmp`'s record in place of its frame's, and resumes.
unsafe extern "C" fn jump_by_records(argument: *mut u8) -> ! {
    // SAFETY: the argument is the SlowJump of `__maize_longjmp_entry`, whose stack lies untouched until it is read.
    unsafe {
        let SlowJump { innermost, buffer, leaf } = argument.cast::<SlowJump>().read();
        let (context, record) = (innermost.read(), (*buffer).record);
        let Some(table) = SiteTable::of_this_image() else { fatal("longjmp: this program has no site table") };
        let start = RECORDS_START;
        write_leaf(start, __maize_value_resume as *const () as u64, &[0]);
        let Ok(captured) = suspend(&table, &context, start) else {
            fatal("longjmp: a frame of code that was not compiled by maize cc is in the way")
        };
        let Some(outermost) = replace_frame(captured, start, record) else {
            fatal("longjmp: the function that called setjmp has returned")
        };
        (*(record as *mut Header)).inner = leaf;
        process::next_epoch();
        resume(process::stack_top(), outermost)
    }
}

/// Makes the frame outside that of `record` continue with `record`; returns the outermost record.
///
/// # Safety
/// The records from `first` on are whole.
unsafe fn replace_frame(captured: Captured, first: u64, record: u64) -> Option<u64> {
    // SAFETY: records lie one after the other, the innermost first.
    unsafe {
        let owner = *((record + VALUES) as *const u64);
        let mut current = first;
        loop {
            let header = &*(current as *const Header);
            let next = current + u64::from(header.size);
            let is_owner = header.site & OWNER_SITE != 0 && *((current + VALUES) as *const u64) == owner;
            if is_owner && current == captured.outermost {
                return Some(record);
            }
            if is_owner {
                (*(next as *mut Header)).inner = record;
                return Some(captured.outermost);
            }
            if current == captured.outermost {
                return None;
            }
            current = next;
        }
    }
}

/// Continues a call that returns the value in the leaf record.
///
/// # Safety
/// `record` is a leaf with one value.
#[unsafe(no_mangle)]
unsafe extern "C" fn __maize_value_resume(record: u64) -> i64 {
    // SAFETY: by the contract above.
    unsafe { crate::continuation::resume::leaf_value(record, 0) as i64 }
}
