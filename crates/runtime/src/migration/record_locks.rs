//! Record locks of `fcntl` belong to a process, and the kernel gives none to another without a moment in which a third can take them. A program that holds
//! some stays until it does not. (Locks of open files, `flock` and `F_OFD_SETLK`, go with their descriptors.)

use super::channel::close;
use crate::process::identity::host_pid;
use crate::syscall::kernel;
use crate::syscall::numbers::*;
use core::sync::atomic::{AtomicU32, Ordering};

/// Whether the program may hold some.
static MAY_HOLD: AtomicU32 = AtomicU32::new(0);

/// Notes that it may: it has asked for one, or was executed by a program that may have.
pub fn may_hold() {
    MAY_HOLD.store(1, Ordering::Relaxed);
}

/// Longest line of `/proc/locks`.
const LINE: usize = 256;

/// Whether this process holds record locks. Lines are `NUMBER: POSIX ADVISORY WRITE PID DEVICE:INODE START END`.
pub fn any_held() -> bool {
    if MAY_HOLD.load(Ordering::Relaxed) == 0 {
        return false;
    }
    let path = c"/proc/locks";
    // SAFETY: the path is a NUL-terminated string.
    let file = unsafe { kernel::call(OPENAT, [AT_FDCWD as u64, path.as_ptr() as u64, O_CLOEXEC, 0]) };
    if file < 0 {
        return false;
    }
    let (mut buffer, mut filled, mut found) = ([0u8; 16 * LINE], 0, false);
    while !found {
        let room = buffer.get_mut(filled..).unwrap_or_default();
        // SAFETY: the buffer is as long as said.
        let read = unsafe { kernel::call(READ, [file as u64, room.as_mut_ptr() as u64, room.len() as u64]) };
        let Some(read) = usize::try_from(read).ok().filter(|&read| read > 0) else { break };
        filled += read;
        let whole =
            buffer.get(..filled).and_then(|text| text.iter().rposition(|&byte| byte == b'\n')).map_or(0, |end| end + 1);
        let lines = buffer.get(..whole).unwrap_or_default();
        found = lines.split(|&byte| byte == b'\n').any(is_own);
        buffer.copy_within(whole..filled, 0);
        filled -= whole;
    }
    close(file);
    found
}

fn is_own(line: &[u8]) -> bool {
    let mut words = line.split(|&byte| byte == b' ').filter(|word| !word.is_empty());
    let [_, kind, _, _, holder] = [(); 5].map(|()| words.next().unwrap_or_default());
    let holder = core::str::from_utf8(holder).ok().and_then(|digits| digits.parse::<u64>().ok());
    kind == b"POSIX" && holder == Some(host_pid())
}
