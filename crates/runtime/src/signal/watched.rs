//! `signalfd`s that an `epoll` watches. The kernel wakes the `epoll` for signals of the process that has added the descriptor, and of no other; so after a move what was
//! added before is added once more.

use crate::migration::descriptors::each_open;
use crate::process::proc_files::in_digits;
use crate::syscall::kernel;
use crate::syscall::numbers::*;
use core::sync::atomic::{AtomicBool, Ordering};

const EPOLL_CTL_ADD: u64 = 1;
const EPOLL_CTL_DEL: u64 = 2;
/// Room for a line about a watched descriptor, and more.
const ROOM: usize = 1024;
/// How many `signalfd`s one `epoll` watches at most.
const MOST: usize = 8;

/// The program has made a `signalfd`; few do.
static MADE: AtomicBool = AtomicBool::new(false);

/// Notes that the program makes one.
pub fn note() {
    MADE.store(true, Ordering::Relaxed);
}

/// Has each `epoll` watch its `signalfd`s for this process.
pub fn renew() {
    if MADE.load(Ordering::Relaxed) {
        // Without /proc the program could not have come.
        let _ = each_open(&[], |descriptor| {
            if is_a(b"anon_inode:[eventpoll]", descriptor as u64) {
                renew_in(descriptor as u64);
            }
            true
        });
    }
}

/// `/proc/thread-self/DIRECTORY/NUMBER`, ending with NUL.
fn path(directory: &[u8], number: u64) -> [u8; 64] {
    let (mut path, mut digits) = ([0; 64], [0; 20]);
    let parts = [b"/proc/thread-self/", directory, b"/", in_digits(number, &mut digits)];
    for (to, &from) in path.iter_mut().take(63).zip(parts.into_iter().flatten()) {
        *to = from;
    }
    path
}

/// Whether a descriptor is of something that the kernel calls so.
fn is_a(name: &[u8], descriptor: u64) -> bool {
    let (path, mut link) = (path(b"fd", descriptor), [0u8; 64]);
    // SAFETY: the path ends with NUL, and the buffer is as long as said.
    let length = unsafe {
        kernel::call(READLINKAT, [AT_FDCWD as u64, path.as_ptr() as u64, link.as_mut_ptr() as u64, link.len() as u64])
    };
    usize::try_from(length).ok().and_then(|length| link.get(..length)) == Some(name)
}

fn renew_in(epoll: u64) {
    let mut found = [None; MOST];
    let mut free = found.iter_mut();
    each_line(epoll, |line| {
        let watch = parse(line).filter(|(descriptor, ..)| is_a(b"anon_inode:[signalfd]", *descriptor));
        if let Some(watch) = watch
            && let Some(free) = free.next()
        {
            *free = Some(watch);
        }
    });
    for (descriptor, events, data) in found.into_iter().flatten() {
        let (events, data) = (events.to_le_bytes(), data.to_le_bytes());
        // `struct epoll_event`, which is packed on x86-64.
        let (mut event, data_at) = ([0; 16], if kernel::is_x86_64() { 4 } else { 8 });
        event[..4].copy_from_slice(&events);
        event[data_at..data_at + 8].copy_from_slice(&data);
        let event = event.as_ptr() as u64;
        // SAFETY: the structure outlives both calls. A number that is another file's now is not known to the epoll, and stays so.
        unsafe {
            if kernel::call(EPOLL_CTL, [epoll, EPOLL_CTL_DEL, descriptor, event]) == 0 {
                kernel::call(EPOLL_CTL, [epoll, EPOLL_CTL_ADD, descriptor, event]);
            }
        }
    }
}

/// Calls `each` with every line about what an `epoll` watches.
fn each_line(epoll: u64, mut each: impl FnMut(&str)) {
    let path = path(b"fdinfo", epoll);
    // SAFETY: the path ends with NUL.
    let file = unsafe { kernel::call(OPENAT, [AT_FDCWD as u64, path.as_ptr() as u64, O_CLOEXEC, 0]) };
    let Ok(file) = u64::try_from(file) else { return };
    let (mut text, mut filled) = ([0u8; ROOM], 0);
    loop {
        let room = text.get_mut(filled..).unwrap_or_default();
        // SAFETY: the buffer is as long as said.
        let read = unsafe { kernel::call(READ, [file, room.as_mut_ptr() as u64, room.len() as u64]) };
        let Some(read) = usize::try_from(read).ok().filter(|&read| read > 0) else { break };
        filled += read;
        let mut start = 0;
        while let Some(length) = text.get(start..filled).and_then(|rest| rest.iter().position(|&byte| byte == b'\n')) {
            each(core::str::from_utf8(text.get(start..start + length).unwrap_or_default()).unwrap_or_default());
            start += length + 1;
        }
        text.copy_within(start..filled, 0);
        filled -= start;
    }
    // SAFETY: takes no pointers.
    unsafe { kernel::call(CLOSE, [file]) };
}

/// Number, events and data of `tfd: 5 events: 19 data: 7f00000005 pos:0 ino:812 sdev:9`; the last two are in hexadecimal digits.
fn parse(line: &str) -> Option<(u64, u32, u64)> {
    let rest = line.strip_prefix("tfd:")?;
    let (descriptor, rest) = rest.split_once("events:")?;
    let (events, rest) = rest.split_once("data:")?;
    let data = rest.split_ascii_whitespace().next()?;
    let events = u32::from_str_radix(events.trim(), 16).ok()?;
    Some((descriptor.trim().parse().ok()?, events, u64::from_str_radix(data, 16).ok()?))
}
