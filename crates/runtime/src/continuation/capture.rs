//! Suspending: from the innermost frame outwards, each frame's save pad writes its record.
//!
//! Pads run with their frame's stack pointer and may use the stack below it, which overwrites frames
//! already captured. So the capture itself runs on a stack of its own, and once the first pad has
//! run, the way on is through the records, whether at the destination or here.

use crate::continuation::unwind::SiteTable;
use crate::isa::{Context, enter_pad, is_bottom};
use maize_abi::layout::{RECORDS_END, RECORDS_START};
use maize_abi::record::{ALIGN, Header, MAX_SIZE};

/// A suspended thread.
#[derive(Clone, Copy)]
pub struct Captured {
    /// Address of the outermost frame's record.
    pub outermost: u64,
    /// Number of records, the innermost of the runtime's own included.
    pub frames: u64,
    /// Bytes of all records.
    pub bytes: u64,
}

/// Why a thread cannot be suspended at this point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotNow {
    /// A frame on the stack belongs to code without a save pad, at this return address.
    Unprepared(u64),
    /// The records would not fit their area.
    TooDeep,
}

/// Walks the stack without changing anything: whether every frame up to the bottom can be suspended.
///
/// # Errors
/// [`NotNow`].
pub fn check(table: &SiteTable, innermost: &Context) -> Result<u64, NotNow> {
    let mut context = *innermost;
    let mut frames = 0;
    while !is_bottom(context.program_counter) {
        let frame = table.frame(&context).ok_or(NotNow::Unprepared(context.program_counter))?;
        context = frame.caller;
        frames += 1;
    }
    if (frames + 1) * MAX_SIZE > RECORDS_END - RECORDS_START && frames > 1 << 20 {
        return Err(NotNow::TooDeep);
    }
    Ok(frames)
}

/// Suspends a thread whose stack [`check`] has passed. `leaf` is the address of the innermost record, already
/// written at the start of the record area; the frames' records follow it.
///
/// # Safety
/// Runs on a stack other than the thread's. After it returns, the thread's frames are gone and only the
/// records are left to resume from.
pub unsafe fn suspend(table: &SiteTable, innermost: &Context, leaf: u64) -> Result<Captured, NotNow> {
    let mut context = *innermost;
    let mut inner = leaf;
    // SAFETY: `leaf` is a record the caller has just written.
    let mut record = leaf + u64::from(unsafe { (*(leaf as *const Header)).size });
    let mut frames = 1;
    while !is_bottom(context.program_counter) {
        let frame = table.frame(&context).ok_or(NotNow::Unprepared(context.program_counter))?;
        if record + MAX_SIZE > RECORDS_END {
            return Err(NotNow::TooDeep);
        }
        context.stack_pointer = frame.stack_pointer;
        // SAFETY: the pad belongs to the frame that `context` describes, and there is room for any record.
        let end = unsafe { enter_pad(&context, frame.pad, record) };
        let size = (end - record).next_multiple_of(ALIGN);
        // SAFETY: the pad has written a record here; these two fields are the runtime's.
        unsafe {
            let header = record as *mut Header;
            (*header).size = size as u32;
            (*header).inner = inner;
        }
        inner = record;
        record += size;
        frames += 1;
        context = frame.caller;
    }
    Ok(Captured { outermost: inner, frames, bytes: record - leaf })
}
