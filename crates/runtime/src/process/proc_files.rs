//! `/proc/self` and `/proc/ID` of the process itself: a program finds there what it would find if its host process were it.
//!
//! Links and most files are right as they are. The executable's name, the command line, the environment and the ids are not: the host
//! process may be an emulator, and was started by the node.

use super::{identity, node};
use crate::sync::Lock;
use crate::syscall::kernel;
use crate::syscall::numbers::*;
use core::sync::atomic::{AtomicU64, Ordering};
use maize_abi::processes::Request;

const PATH_MAX: usize = 4096;
/// Room for a file of the kernel's about one process.
const FILE_SIZE: usize = 8192;

/// The program's file, as the kernel would name it; empty if it is not known.
static EXECUTABLE: Lock<[u8; PATH_MAX]> = Lock::new([0; PATH_MAX]);
/// Where arguments, and after them the environment, start, and where that ends.
static STRINGS: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];

/// Notes the program's file.
pub fn set_executable(path: &[u8]) {
    let mut kept = EXECUTABLE.lock();
    for (to, &from) in kept.iter_mut().zip(path.iter().chain(&[0])) {
        *to = from;
    }
}

/// Notes where the strings of the initial stack are.
pub fn set_strings(addresses: [u64; 3]) {
    for (to, from) in STRINGS.iter().zip(addresses) {
        to.store(from, Ordering::Relaxed);
    }
}

/// Asks the kernel for the program's file, in a process that executes it itself.
pub fn find_executable() {
    let mut kept = EXECUTABLE.lock();
    let path = c"/proc/self/exe";
    let room = (PATH_MAX - 1) as u64;
    // SAFETY: the buffer is as long as said, and zero at its end.
    unsafe { kernel::call(READLINKAT, [AT_FDCWD as u64, path.as_ptr() as u64, kept.as_mut_ptr() as u64, room]) };
}

/// A path of the program's that is answered here.
enum Named {
    /// `/proc/self` itself.
    Process,
    /// Its executable.
    Executable,
    /// The command line, or the environment: the strings from this on.
    Strings(usize),
    /// `stat` or `status`, with ids put right.
    Stat,
    Status,
    /// A file below, by number.
    Other,
}

/// A call with a path as its second argument, if the path is of this kind and the kernel's answer would be another.
///
/// # Safety
/// That of the call.
pub unsafe fn call(number: u64, native: u64, arguments: &[u64; 6]) -> Option<i64> {
    let address = arguments[1];
    if !matches!(number, OPENAT | READLINKAT | NEWFSTATAT | FACCESSAT | FACCESSAT2 | STATX) || address == 0 {
        return None;
    }
    // SAFETY: by the contract above.
    let path = unsafe { core::ffi::CStr::from_ptr(address as *const core::ffi::c_char) }.to_bytes();
    let rest = path.strip_prefix(b"/proc/")?;
    let (process, tail) = rest.split_at(rest.iter().position(|&byte| byte == b'/').unwrap_or(rest.len()));
    let by_number = core::str::from_utf8(process).ok()?.parse::<u64>().ok();
    if process != b"self" && by_number != Some(identity::program_pid()) {
        return None;
    }
    let named = match tail {
        b"" if process == b"self" => Named::Process,
        b"/exe" => Named::Executable,
        b"/cmdline" => Named::Strings(0),
        b"/environ" => Named::Strings(1),
        b"/stat" => Named::Stat,
        b"/status" => Named::Status,
        _ => Named::Other,
    };
    // SAFETY: by the contract above.
    unsafe {
        match (number, named) {
            (READLINKAT, Named::Process) => Some(give_number(arguments[2], arguments[3])),
            (READLINKAT, Named::Executable) => {
                let path = EXECUTABLE.lock();
                let path = path.split(|&byte| byte == 0).next().filter(|path| !path.is_empty())?;
                Some(give(path, arguments[2], arguments[3]))
            }
            (OPENAT, Named::Strings(first)) => {
                let [start, end] = [first, first + 1].map(|index| STRINGS[index].load(Ordering::Relaxed));
                let strings = core::slice::from_raw_parts(start as *const u8, (end - start) as usize);
                Some(file_with(strings, arguments[2]))
            }
            (OPENAT, Named::Stat) => open_edited(c"/proc/self/stat", arguments[2], edit_stat),
            (OPENAT, Named::Status) => open_edited(c"/proc/self/status", arguments[2], edit_status),
            (_, Named::Executable) => {
                let path = EXECUTABLE.lock();
                let is_known = path[0] != 0;
                is_known.then(|| crate::isa::raw_syscall(native, with_path(arguments, path.as_ptr() as u64)))
            }
            _ if by_number.is_some() => {
                let mut own = [0u8; 64];
                for (to, &from) in own.iter_mut().take(63).zip(b"/proc/self".iter().chain(tail)) {
                    *to = from;
                }
                Some(crate::isa::raw_syscall(native, with_path(arguments, own.as_ptr() as u64)))
            }
            _ => None,
        }
    }
}

fn with_path(arguments: &[u64; 6], path: u64) -> [u64; 6] {
    let mut arguments = *arguments;
    arguments[1] = path;
    arguments
}

/// # Safety
/// There is room for `size` bytes.
unsafe fn give(bytes: &[u8], address: u64, size: u64) -> i64 {
    let length = bytes.len().min(size as usize);
    // SAFETY: by the contract above.
    unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), address as *mut u8, length) };
    length as i64
}

/// # Safety
/// There is room for `size` bytes.
unsafe fn give_number(address: u64, size: u64) -> i64 {
    let mut digits = [0; 20];
    // SAFETY: by the contract above.
    unsafe { give(in_digits(identity::program_pid(), &mut digits), address, size) }
}

/// A number in decimal.
pub fn in_digits(number: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut start = digits.len();
    let mut rest = number;
    while rest > 0 || start == digits.len() {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    &digits[start..]
}

/// A file in memory with this content, opened with these flags.
fn file_with(content: &[u8], flags: u64) -> i64 {
    let close_on_exec = if flags & O_CLOEXEC != 0 { MFD_CLOEXEC } else { 0 };
    // SAFETY: the name is a string, and the kernel only reads the content.
    unsafe {
        let file = kernel::call(MEMFD_CREATE, [c"maize-proc".as_ptr() as u64, close_on_exec]);
        if file >= 0 {
            kernel::call(PWRITE64, [file as u64, content.as_ptr() as u64, content.len() as u64, 0]);
        }
        file
    }
}

/// What is written into an edited copy of a file.
struct Copy {
    bytes: [u8; FILE_SIZE],
    length: usize,
}

impl Copy {
    fn put(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if let Some(to) = self.bytes.get_mut(self.length) {
                *to = byte;
                self.length += 1;
            }
        }
    }

    fn put_number(&mut self, number: u64) {
        let mut digits = [0; 20];
        self.put(in_digits(number, &mut digits));
    }
}

fn open_edited(path: &core::ffi::CStr, flags: u64, edit: fn(&[u8], &mut Copy)) -> Option<i64> {
    let mut buffer = [0u8; FILE_SIZE];
    let mut length = 0;
    // SAFETY: the path is a string, and the buffer as long as said.
    unsafe {
        let file = kernel::call(OPENAT, [AT_FDCWD as u64, path.as_ptr() as u64, O_CLOEXEC, 0]);
        if file < 0 {
            return None;
        }
        while let Some(rest) = buffer.get_mut(length..).filter(|rest| !rest.is_empty()) {
            let read = kernel::call(READ, [file as u64, rest.as_mut_ptr() as u64, rest.len() as u64]);
            match usize::try_from(read) {
                Ok(read) if read > 0 => length += read,
                _ => break,
            }
        }
        kernel::call(CLOSE, [file as u64]);
    }
    let mut copy = Copy { bytes: [0; FILE_SIZE], length: 0 };
    edit(buffer.get(..length).unwrap_or_default(), &mut copy);
    Some(file_with(copy.bytes.get(..copy.length).unwrap_or_default(), flags))
}

/// The parent's, group's and session's ids.
fn relatives() -> [u64; 3] {
    if node::is_served() {
        [Request::Parent, Request::Group, Request::Session].map(|request| node::number(request, &[]).max(0) as u64)
    } else {
        // SAFETY: takes no pointers.
        [GETPPID, GETPGID, GETSID].map(|number| identity::to_program(unsafe { kernel::call(number, [0]) }) as u64)
    }
}

/// `ID (name) state parent group session ...`
fn edit_stat(content: &[u8], copy: &mut Copy) {
    let Some(opened) = content.iter().position(|&byte| byte == b'(') else { return };
    let Some(closed) = content.iter().rposition(|&byte| byte == b')') else { return };
    copy.put_number(identity::program_pid());
    copy.put(b" ");
    copy.put(content.get(opened..=closed).unwrap_or_default());
    let relatives = relatives();
    for (index, field) in content.get(closed + 2..).unwrap_or_default().split(|&byte| byte == b' ').enumerate() {
        copy.put(b" ");
        match index.checked_sub(1).and_then(|index| relatives.get(index)) {
            Some(&id) => copy.put_number(id),
            None => copy.put(field),
        }
    }
}

/// Lines `Name:\tvalue`.
fn edit_status(content: &[u8], copy: &mut Copy) {
    for line in content.split_inclusive(|&byte| byte == b'\n') {
        let name = line.split(|&byte| byte == b':').next().unwrap_or_default();
        let id = match name {
            b"Tgid" | b"Pid" => identity::program_pid(),
            b"PPid" => relatives()[0],
            _ => {
                copy.put(line);
                continue;
            }
        };
        copy.put(name);
        copy.put(b":\t");
        copy.put_number(id);
        copy.put(b"\n");
    }
}
