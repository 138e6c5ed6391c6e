//! The host's kernel, for the runtime's own needs: calls by their x86-64 numbers, arguments and structures as
//! the host's ISA has them, no migration points.

use super::table;
use crate::isa;
use maize_abi::Isa;

/// Whether structures and numbers are natively those of Linux x86-64.
pub fn is_x86_64() -> bool {
    isa::page().isa == Isa::X86_64.number() as u64
}

/// The native number of a call that is not rewritten.
pub fn native_number(number: u64) -> Option<u64> {
    table::find(number)?.native(is_x86_64()).map(u64::from)
}

/// Makes a system call. Its number is x86-64's; a call that other ISAs lack fails with `ENOSYS`.
///
/// # Safety
/// That of the call.
pub unsafe fn call<const N: usize>(number: u64, arguments: [u64; N]) -> i64 {
    let mut all = [0; 6];
    for (to, from) in all.iter_mut().zip(arguments) {
        *to = from;
    }
    match native_number(number) {
        // SAFETY: by the contract above.
        Some(native) => unsafe { isa::raw_syscall(native, all) },
        None => -super::numbers::ENOSYS,
    }
}
