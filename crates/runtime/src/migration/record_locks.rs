//! Record locks of `fcntl` belong to a process, and the kernel gives none to another without a moment in which a third can take them. A program that holds
//! some stays until it does not. (Locks of open files, `flock` and `F_OFD_SETLK`, go with their descriptors.)
//!
//! A database holds some for all but moments, so that to ask it now and then would hardly ever find one of these. Therefore the node's order is left unheard
//! for a while, and heard as soon as the last lock is gone.

use super::channel::close;
use crate::local;
use crate::process::Thread;
use crate::process::identity::host_pid;
use crate::syscall::kernel;
use crate::syscall::numbers::*;
use crate::time::monotonic;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// How long an order is left unheard at first, ns, and at most. Other processes of the program may wait meanwhile, perhaps those that this one needs to go on.
/// Twice as long each time that was in vain: where the program waits long for a disk, orders that come and go at a steady pace may miss each moment.
const PATIENCE: u64 = 100_000_000;
const LONGEST_PATIENCE: u64 = 32 * PATIENCE;

/// How long the present one is, or the next.
#[unsafe(link_section = ".maize.local")]
static UNHEARD_FOR: AtomicU64 = AtomicU64::new(PATIENCE);

/// Since when an order is left unheard, ns of the monotonic clock; 0 if none is.
#[unsafe(link_section = ".maize.local")]
static UNHEARD_SINCE: AtomicU64 = AtomicU64::new(0);

/// Whether the program may hold some.
static MAY_HOLD: AtomicU32 = AtomicU32::new(0);

/// Notes that it may: it has asked for one, or was executed by a program that may have.
pub fn may_hold() {
    MAY_HOLD.store(1, Ordering::Relaxed);
}

/// Whether what the node orders is to wait until the program has let go of its record locks.
pub fn postpone() -> bool {
    if !any_held() {
        UNHEARD_SINCE.store(0, Ordering::Relaxed);
        UNHEARD_FOR.store(PATIENCE, Ordering::Relaxed);
        return false;
    }
    let now = monotonic();
    let since = match UNHEARD_SINCE.load(Ordering::Relaxed) {
        0 => now,
        since => since,
    };
    let patience = UNHEARD_FOR.load(Ordering::Relaxed);
    let waits = now.saturating_sub(since) < patience;
    UNHEARD_SINCE.store(if waits { since } else { 0 }, Ordering::Relaxed);
    if !waits {
        UNHEARD_FOR.store(LONGEST_PATIENCE.min(2 * patience), Ordering::Relaxed);
    }
    waits
}

/// After a system call that may have let go of the last record lock: if an order waits for that, the calling thread is to hear it.
pub fn look_after(call: u64) {
    let may_let_go = matches!(call, FCNTL | CLOSE);
    if may_let_go && UNHEARD_SINCE.load(Ordering::Relaxed) != 0 && !any_held() {
        UNHEARD_SINCE.store(0, Ordering::Relaxed);
        local::ATTENTION.store(1, Ordering::Relaxed);
        Thread::current().wanted.note();
    }
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
