//! `setjmp` and `longjmp` on frame records.
//!
//! `setjmp` saves the record of its frame into room that the compiler has left in the frame's shadow frame, and its caller's machine
//! context into the `jmp_buf`; the second return of `setjmp` is that record's resume clone, run in place of the frame, which it
//! may be any number of times. While the thread has not been resumed elsewhere since, the context says where
//! the frame was. After a move it does not; then the stack is walked for the frame, which its shadow frame's address tells
//! from all others.

use crate::continuation::capture::save_frame;
use crate::continuation::resume::{leaf_value, write_leaf};
use crate::continuation::unwind::{Frame, SiteTable};
use crate::isa::{Context, is_bottom, jump_in_place};
use crate::process::{self, fatal};
use maize_abi::record::{Header, OWNER_SITE, VALUES};

/// What the runtime keeps in a `jmp_buf`.
#[repr(C)]
pub struct JumpBuffer {
    record: u64,
    shadow_stack: u64,
    epoch: u64,
    mask_saved: u64,
    /// First, from the assembly entry, that of the function that called `setjmp`; then that of its caller.
    context: Context,
}

unsafe extern "C" {
    /// In the libc: restores the signal mask that `sigsetjmp` kept.
    fn __maize_siglongjmp_restore(buffer: *mut JumpBuffer);
}

fn table() -> SiteTable {
    SiteTable::of_this_image().unwrap_or_else(|| fatal("this program has no site table; link it again with `maize cc`"))
}

/// Completes `__maize_setjmp_save`, which has stored the context of its caller.
///
/// # Safety
/// Called by the assembly entry with the program's `jmp_buf` and the room for the record.
#[unsafe(no_mangle)]
unsafe extern "C" fn __maize_setjmp_saved(buffer: *mut JumpBuffer, record: u64) {
    let table = table();
    // SAFETY: the buffer is the program's, large enough by the libc's <setjmp.h>; the compiler left room for the
    // record of this very site.
    unsafe {
        let Some(frame) = table.frame(&(*buffer).context) else { fatal("setjmp: called from code without sites") };
        save_frame(&table, frame.site, &(*buffer).context, record, 0);
        (*buffer).context = frame.caller;
        (*buffer).record = record;
        (*buffer).shadow_stack = process::shadow_stack();
        (*buffer).epoch = process::epoch();
        (*buffer).mask_saved = 0;
    }
}

/// `longjmp`, from its assembly entry, which has saved the caller's context.
///
/// # Safety
/// `buffer` was filled by `setjmp` in a function that has not returned since (C17 7.13.2.1).
#[unsafe(no_mangle)]
unsafe extern "C" fn __maize_longjmp_entry(innermost: *const Context, buffer: *mut JumpBuffer, value: i64) -> ! {
    let value = if value as i32 == 0 { 1 } else { value };
    let leaf = process::jump_leaf();
    // SAFETY: the leaf is portable memory of the runtime's, the buffer the program's.
    unsafe {
        write_leaf(leaf, __maize_value_resume as *const () as u64, &[value as u64]);
        if (*buffer).mask_saved != 0 {
            __maize_siglongjmp_restore(buffer);
        }
        let record = (*buffer).record;
        let caller = if (*buffer).epoch == process::epoch() {
            (*buffer).context
        } else {
            let owner = find_owner(&table(), &*innermost, *((record + VALUES) as *const u64));
            let Some(frame) = owner else { fatal("longjmp: the function that called setjmp has returned") };
            frame.caller
        };
        process::set_shadow_stack((*buffer).shadow_stack);
        let header = record as *mut Header;
        (*header).inner = leaf;
        jump_in_place(&caller, (*header).resume, record);
    }
}

/// The frame, at or outside `innermost`, of the activation whose shadow frame is at `owner`.
fn find_owner(table: &SiteTable, innermost: &Context, owner: u64) -> Option<Frame> {
    let mut context = *innermost;
    while !is_bottom(context.program_counter) {
        let frame = table.frame(&context)?;
        if frame.site.number & OWNER_SITE != 0 && table.values(frame.site, &context).next() == Some(owner) {
            return Some(frame);
        }
        context = frame.caller;
    }
    None
}

/// Continues a call that returns the value in the leaf record.
///
/// # Safety
/// `record` is a leaf with one value.
#[unsafe(no_mangle)]
unsafe extern "C" fn __maize_value_resume(record: u64) -> i64 {
    // SAFETY: by the contract above.
    unsafe { leaf_value(record, 0) as i64 }
}
