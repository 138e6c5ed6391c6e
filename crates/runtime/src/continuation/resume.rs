//! Resuming: the outermost record's resume clone is called, and calls the next inner one, down to
//! the runtime's own leaf record, which says what the thread was doing in the runtime.

use crate::isa::enter_resumed;
use maize_abi::record::{ALIGN, Header, VALUES};

/// Writes a leaf record: the function `resume` is called in the end with the record's address, and
/// finds `values` there from [`VALUES`] on. Returns the record's size.
///
/// # Safety
/// `record` must be 16-byte aligned writable portable memory with room for the values.
pub unsafe fn write_leaf(record: u64, resume: u64, values: &[u64]) -> u64 {
    let size = (VALUES + 8 * values.len() as u64).next_multiple_of(ALIGN);
    // SAFETY: by the contract above.
    unsafe {
        *(record as *mut Header) = Header { resume, site: 0, size: size as u32, inner: 0 };
        for (index, &value) in values.iter().enumerate() {
            *((record + VALUES) as *mut u64).add(index) = value;
        }
    }
    size
}

/// The value with this index in a leaf record.
///
/// # Safety
/// `record` must be a leaf record with at least `index + 1` values.
pub unsafe fn leaf_value(record: u64, index: usize) -> u64 {
    // SAFETY: by the contract above.
    unsafe { *((record + VALUES) as *const u64).add(index) }
}

/// Starts the thread's stack anew at `stack_top` and resumes the chain of records from its outermost.
///
/// # Safety
/// Nothing on the stack below `stack_top` is used any more; the records are whole.
pub unsafe fn resume(stack_top: u64, outermost: u64) -> ! {
    // SAFETY: the record's first word is the address of its resume clone, by `maize_abi::record`.
    unsafe { enter_resumed(stack_top, (*(outermost as *const Header)).resume, outermost) }
}
