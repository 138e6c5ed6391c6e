//! Names of terminals: after the program has come from another machine, those that it has made have other numbers than the ones by which it knows them (`maize_abi::terminals`). It goes on
//! seeing those it knows: in `TIOCGPTN`, in the names `/dev/pts/N` that it gives and is given, and in `struct stat`.

use super::proc_files::in_digits;
use crate::sync::Lock;
use crate::syscall::kernel;
use crate::syscall::numbers::*;
use core::sync::atomic::{AtomicUsize, Ordering};
use maize_abi::terminals::{self, MOST, Number};

const TIOCGPTN: u64 = 0x8004_5430;
const DIRECTORY: &[u8] = b"/dev/pts/";
/// The major number of `/dev/pts/N`, and where its inodes begin (devpts).
const MAJOR: u64 = 136;
const FIRST_INODE: u64 = 3;

/// Terminals with other numbers; those beyond [`COUNT`] are none.
static NUMBERS: Lock<[Number; MOST]> = Lock::new([Number { known: 0, here: 0 }; MOST]);
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// What the node says of them to a program that comes.
pub struct Heard {
    words: [u64; MOST],
    count: usize,
    any: bool,
}

impl Default for Heard {
    fn default() -> Heard {
        Heard { words: [terminals::NONE; MOST], count: 0, any: false }
    }
}

impl Heard {
    /// Adds what a message has.
    pub fn add(&mut self, words: [u64; 8]) {
        self.any = true;
        for word in words.into_iter().filter(|&word| word != terminals::NONE) {
            if let Some(to) = self.words.get_mut(self.count) {
                *to = word;
                self.count += 1;
            }
        }
    }

    /// The program, whose memory is in place, knows them by this from now on.
    pub fn apply(&self) {
        if !self.any {
            return;
        }
        let numbers = self.words.iter().take(self.count).filter_map(|&word| Number::from_word(word));
        for (to, number) in NUMBERS.lock().iter_mut().zip(numbers) {
            *to = number;
        }
        COUNT.store(self.count, Ordering::Relaxed);
    }
}

fn with_numbers<T>(find: impl FnOnce(&[Number]) -> T) -> T {
    let numbers = NUMBERS.lock();
    find(numbers.get(..COUNT.load(Ordering::Relaxed)).unwrap_or_default())
}

fn known(here: u32) -> u32 {
    with_numbers(|numbers| terminals::known(numbers, here))
}

/// The number in `/dev/pts/N`, without leading zeros.
fn number_in(path: &[u8]) -> Option<u32> {
    let digits = path.strip_prefix(DIRECTORY)?;
    let number = core::str::from_utf8(digits).ok()?.parse().ok()?;
    let mut own = [0; 20];
    (in_digits(u64::from(number), &mut own) == digits).then_some(number)
}

/// A name of a terminal, with its end.
#[derive(Default)]
pub struct Name([u8; 32]);

impl Name {
    fn set(&mut self, number: u32) -> usize {
        let mut digits = [0; 20];
        let digits = in_digits(u64::from(number), &mut digits);
        self.0 = [0; 32];
        for (to, &from) in self.0.iter_mut().zip(DIRECTORY.iter().chain(digits)) {
            *to = from;
        }
        DIRECTORY.len() + digits.len()
    }
}

/// The arguments of a call with a path as its second one, if that is of a terminal with another name here, which is put into `name`.
///
/// # Safety
/// That of the call.
pub unsafe fn named(number: u64, arguments: &[u64; 6], name: &mut Name) -> Option<[u64; 6]> {
    let address = arguments[1];
    let has_path = matches!(
        number,
        OPENAT | READLINKAT | NEWFSTATAT | FACCESSAT | FACCESSAT2 | STATX | FCHMODAT | FCHOWNAT | UTIMENSAT
    );
    if COUNT.load(Ordering::Relaxed) == 0 || !has_path || address == 0 {
        return None;
    }
    // SAFETY: by the contract above.
    let path = unsafe { core::ffi::CStr::from_ptr(address as *const core::ffi::c_char) }.to_bytes();
    let known = number_in(path)?;
    name.set(with_numbers(|numbers| terminals::here(numbers, known)));
    let mut arguments = *arguments;
    arguments[1] = name.0.as_ptr() as u64;
    Some(arguments)
}

/// Puts right what a call has given the program, by its number, its arguments and its result, which is returned.
///
/// # Safety
/// The call has been made with these arguments.
pub unsafe fn answered(number: u64, arguments: &[u64; 6], result: i64) -> i64 {
    if COUNT.load(Ordering::Relaxed) == 0 || result < 0 {
        return result;
    }
    // SAFETY: by the contract above, structures of the call's, or so many bytes as it says.
    unsafe {
        match number {
            IOCTL if arguments[1] as u32 as u64 == TIOCGPTN => {
                let to = arguments[2] as *mut u32;
                to.write_unaligned(known(to.read_unaligned()));
            }
            FSTAT => rename_status(arguments[1]),
            NEWFSTATAT => rename_status(arguments[2]),
            STATX => rename_extended_status(arguments[4]),
            READLINKAT => {
                let room = arguments[3] as usize;
                let given = core::slice::from_raw_parts(arguments[2] as *const u8, result as usize);
                let Some(here) = number_in(given) else { return result };
                let mut name = Name::default();
                let length = name.set(known(here)).min(room);
                core::ptr::copy_nonoverlapping(name.0.as_ptr(), arguments[2] as *mut u8, length);
                return length as i64;
            }
            _ => {}
        }
    }
    result
}

/// In `struct stat`: the inode, and which device it is.
///
/// # Safety
/// There is one at this address.
unsafe fn rename_status(address: u64) {
    let [inode, device] = [8, 40].map(|offset| (address + offset) as *mut u64);
    // SAFETY: by the contract above.
    unsafe {
        let number = device.read_unaligned();
        // `makedev`: the lower 12 bits of the major number are from bit 8 on, the lower 8 and the upper 12 of the minor one from 0 and 20 on.
        let (major, here) = (number >> 8 & 0xfff, (number & 0xff | number >> 12 & 0xf_ff00) as u32);
        if major != MAJOR || number >> 32 != 0 || inode.read_unaligned() != u64::from(here) + FIRST_INODE {
            return;
        }
        let known = u64::from(known(here));
        inode.write_unaligned(known + FIRST_INODE);
        device.write_unaligned(known & 0xff | MAJOR << 8 | (known & 0xffff_ff00) << 12);
    }
}

/// In `struct statx`.
///
/// # Safety
/// There is one at this address.
unsafe fn rename_extended_status(address: u64) {
    let inode = (address + 0x20) as *mut u64;
    let [major, minor] = [0x80, 0x84].map(|offset| (address + offset) as *mut u32);
    // SAFETY: by the contract above.
    unsafe {
        let here = minor.read_unaligned();
        if u64::from(major.read_unaligned()) == MAJOR && inode.read_unaligned() == u64::from(here) + FIRST_INODE {
            let known = known(here);
            inode.write_unaligned(u64::from(known) + FIRST_INODE);
            minor.write_unaligned(known);
        }
    }
}

/// Asks the kernel at once: of the calls that may wait, those that are answered here do not.
///
/// # Safety
/// That of the call.
pub unsafe fn control(number: u64, arguments: &[u64; 6]) -> Option<i64> {
    if number != IOCTL || arguments[1] as u32 as u64 != TIOCGPTN || COUNT.load(Ordering::Relaxed) == 0 {
        return None;
    }
    // SAFETY: by the contract above.
    Some(unsafe { answered(number, arguments, kernel::call(IOCTL, [arguments[0], TIOCGPTN, arguments[2]])) })
}
