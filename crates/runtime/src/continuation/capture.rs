//! Suspending: from the innermost frame outwards, each frame's live values are copied into a record.
//!
//! Nothing on the stack changes, so a thread that could not move after all just returns and runs on.

use crate::continuation::unwind::SiteTable;
use crate::isa::{Context, RegisterFile, Registers, is_bottom};
use maize_abi::record::{ALIGN, Header, MAX_SIZE, VALUES};
use maize_abi::site_table::Site;

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
    /// A frame on the stack belongs to code without sites, at this return address.
    Unprepared(u64),
    /// The records would not fit their area.
    TooDeep,
}

/// Writes the records of a thread suspended at `innermost`. `leaf` is the address of the innermost record,
/// already written; the frames' records follow it, up to `end`. At a migration point, values of the innermost frame may be
/// in any of the `registers`.
///
/// # Safety
/// Memory is mapped from the leaf to `end`, and the thread's stack is as `innermost` says.
///
/// # Errors
/// [`NotNow`].
pub unsafe fn capture(
    table: &SiteTable,
    innermost: &Context,
    mut registers: Option<&RegisterFile>,
    leaf: u64,
    end: u64,
) -> Result<Captured, NotNow> {
    let mut context = *innermost;
    let mut inner = leaf;
    // SAFETY: `leaf` is a record the caller has just written.
    let mut record = leaf + u64::from(unsafe { (*(leaf as *const Header)).size });
    let mut frames = 1;
    while !is_bottom(context.program_counter) {
        let frame = table.frame(&context).ok_or(NotNow::Unprepared(context.program_counter))?;
        if record + MAX_SIZE > end {
            return Err(NotNow::TooDeep);
        }
        // SAFETY: there is room for any record, and `context` describes the frame.
        let size = unsafe {
            match registers.take() {
                Some(registers) => save_frame(table, frame.site, registers, record, inner),
                None => save_frame(table, frame.site, &context, record, inner),
            }
        };
        inner = record;
        record += size;
        frames += 1;
        context = frame.caller;
    }
    Ok(Captured { outermost: inner, frames, bytes: record - leaf })
}

/// Writes the record of one frame and returns its size.
///
/// # Safety
/// `record` has room for the site's record; `registers` are those of the live frame suspended at `site`.
pub unsafe fn save_frame(table: &SiteTable, site: &Site, registers: &impl Registers, record: u64, inner: u64) -> u64 {
    let mut end = record + VALUES;
    for value in table.values(site, registers) {
        // SAFETY: by the contract above.
        unsafe { *(end as *mut u64) = value };
        end += 8;
    }
    let size = (end - record).next_multiple_of(ALIGN);
    let header = Header { resume: site.resume.into(), site: site.number, size: size as u32, inner };
    // SAFETY: by the contract above.
    unsafe { *(record as *mut Header) = header };
    size
}
