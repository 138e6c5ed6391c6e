//! The pages that a system call uses, while some are missing that the kernel does not ask for (`migration::closed`): it would fail with `EFAULT`, and making it again is not safe, for what
//! was received into a missing page is lost. So what it reaches is provided first, and more rather than less.

use super::call::{Call, Reach};
use super::plain::{is_plain_control, is_plain_option, is_plain_request};
use crate::memory;
use crate::migration::{absent, closed};
use crate::syscall::numbers::PROT_READ;

/// What an argument is the address of has at most so many bytes, if nothing else is said of it: a path, with its end.
const LITTLE: u64 = 4096;
/// Words of a `struct msghdr`.
const HEADER: usize = 7;
/// Bytes of a `struct mmsghdr`.
const MESSAGE: u64 = 64;
/// Bytes of a `struct iovec`.
const PART: u64 = 16;
/// `IOV_MAX`, and as many messages.
const MOST_PARTS: u64 = 1024;

/// Returns when all is there that a call uses.
///
/// # Safety
/// That of the call.
pub unsafe fn provide(row: &Call, arguments: [u64; 6]) {
    let argument = |index: u8| arguments.get(usize::from(index)).copied().unwrap_or(0);
    match row.reach {
        Reach::Everything => return absent::await_all(),
        Reach::Request if !is_plain_request(arguments[1] as u32) => return absent::await_all(),
        Reach::SetOption | Reach::GetOption if !is_plain_option(arguments[1] as u32, arguments[2] as u32) => {
            return absent::await_all();
        }
        Reach::Control if !is_plain_control(arguments[0] as u32) => return absent::await_all(),
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
            Reach::Everything | Reach::Mapping | Reach::Little | Reach::Request | Reach::Control => {}
            Reach::Array(address, count, size) => {
                range(argument(address), argument(count).saturating_mul(size.into()));
            }
            Reach::Parts(address, count) => parts(argument(address), argument(count)),
            Reach::Header(address) => header(argument(address)),
            Reach::Messages(address, count) => {
                let count = argument(count).min(MOST_PARTS);
                range(argument(address), count * MESSAGE);
                (0..count).for_each(|index| header(argument(address).saturating_add(index * MESSAGE)));
            }
            Reach::SetOption => range(arguments[3], arguments[4] & u64::from(u32::MAX)),
            Reach::GetOption => {
                let Some(length) = read::<u32>(arguments[4]) else { return absent::await_all() };
                range(arguments[3], length.into());
            }
            Reach::Sets => {
                for set in 1..=3 {
                    range(argument(set), (arguments[0] & u64::from(u32::MAX)).div_ceil(64) * 8);
                }
            }
            Reach::Stack => {
                if arguments[0] != 0 {
                    let Some([stack, _, size]) = read::<[u64; 3]>(arguments[0]) else { return absent::await_all() };
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

/// What a `struct msghdr` names.
///
/// # Safety
/// As for [`read`].
unsafe fn header(address: u64) {
    // SAFETY: by the contract above.
    let words = unsafe { read::<[u64; HEADER]>(address) };
    let Some([name, name_length, list, count, control, control_length, _]) = words else {
        return absent::await_all();
    };
    range(name, name_length & u64::from(u32::MAX));
    range(control, control_length);
    // SAFETY: by the contract above.
    unsafe { parts(list, count) };
}

/// The parts that a list of `struct iovec` names.
///
/// # Safety
/// As for [`read`].
unsafe fn parts(list: u64, count: u64) {
    // More are refused.
    let count = count.min(MOST_PARTS);
    range(list, count * PART);
    for index in 0..count {
        // SAFETY: by the contract above.
        let Some([address, length]) = (unsafe { read::<[u64; 2]>(list.saturating_add(index * PART)) }) else {
            return absent::await_all();
        };
        range(address, length);
    }
}

/// Something of the program's; `None` if it is not in memory that it has mapped: in a constant, or nowhere.
///
/// # Safety
/// What is mapped there is the program's, and any bytes are a `T`.
unsafe fn read<T: Copy>(address: u64) -> Option<T> {
    let end = address.checked_add(size_of::<T>() as u64)?;
    let mut at = address;
    for region in memory::map().overlapping(address, end) {
        if region.start <= at && u64::from(region.protection) & PROT_READ != 0 {
            at = region.end;
        }
    }
    // SAFETY: it is mapped, and can be read.
    (at >= end).then(|| unsafe { (address as *const T).read_unaligned() })
}
