//! The pages that a system call uses, while some are missing that the kernel does not ask for (`migration::closed`): it would fail with `EFAULT`, and making it again is not safe, for what
//! was received into a missing page is lost. So what it reaches is provided first, and more rather than less.

use super::call::{Call, Reach};
use crate::memory;
use crate::migration::{absent, closed};
use crate::syscall::numbers::PROT_READ;

/// What an argument is the address of has at most so many bytes, if nothing else is said of it: a path, with its end.
const LITTLE: u64 = 4096;
/// Words of a `struct msghdr`.
const HEADER: usize = 7;
/// Bytes of a `struct iovec`.
const PART: u64 = 16;
/// `IOV_MAX`.
const MOST_PARTS: u64 = 1024;

/// Returns when all is there that a call uses.
///
/// # Safety
/// That of the call.
pub unsafe fn provide(row: &Call, arguments: [u64; 6]) {
    let argument = |index: u8| arguments.get(usize::from(index)).copied().unwrap_or(0);
    match row.reach {
        Reach::Everything => return absent::await_all(),
        Reach::Mapping => {
            let length = if row.arguments > 1 { arguments[1] } else { 1 };
            if closed::has_part(arguments[0], arguments[0].saturating_add(length)) {
                absent::await_all();
            }
            return;
        }
        _ => {}
    }
    for &address in arguments.iter().take(row.arguments.into()) {
        range(address, LITTLE);
    }
    // SAFETY: by the contract above; what is read has been provided.
    unsafe {
        match row.reach {
            Reach::Everything | Reach::Mapping | Reach::Little => {}
            Reach::Array(address, count, size) => {
                range(argument(address), argument(count).saturating_mul(size.into()));
            }
            Reach::Parts(address, count) => parts(argument(address), argument(count)),
            Reach::Header(address) => {
                let Some([name, name_length, list, count, control, control_length, _]) =
                    words::<HEADER>(argument(address))
                else {
                    return absent::await_all();
                };
                range(name, name_length & u64::from(u32::MAX));
                range(control, control_length);
                parts(list, count);
            }
            Reach::Sets => {
                for set in 1..=3 {
                    range(argument(set), (arguments[0] & u64::from(u32::MAX)).div_ceil(64) * 8);
                }
            }
            Reach::Stack => {
                if arguments[0] != 0 {
                    let Some([stack, _, size]) = words(arguments[0]) else { return absent::await_all() };
                    range(stack, size);
                }
            }
        }
    }
}

fn range(address: u64, length: u64) {
    if length > 0 {
        closed::provide(address, address.saturating_add(length));
    }
}

/// The parts that a list of `struct iovec` names.
///
/// # Safety
/// As for [`words`].
unsafe fn parts(list: u64, count: u64) {
    // More are refused.
    let count = count.min(MOST_PARTS);
    range(list, count * PART);
    for index in 0..count {
        // SAFETY: by the contract above.
        let Some([address, length]) = (unsafe { words(list.saturating_add(index * PART)) }) else {
            return absent::await_all();
        };
        range(address, length);
    }
}

/// Words of the program's; `None` if they are not in memory that it has mapped: in a constant, or nowhere.
///
/// # Safety
/// What is mapped there is the program's.
unsafe fn words<const N: usize>(address: u64) -> Option<[u64; N]> {
    let end = address.checked_add(size_of::<[u64; N]>() as u64)?;
    let mut at = address;
    for region in memory::map().overlapping(address, end) {
        if region.start <= at && u64::from(region.protection) & PROT_READ != 0 {
            at = region.end;
        }
    }
    // SAFETY: it is mapped, and can be read.
    (at >= end).then(|| unsafe { (address as *const [u64; N]).read_unaligned() })
}
