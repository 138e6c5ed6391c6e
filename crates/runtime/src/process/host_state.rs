//! What the kernel keeps for a process besides memory, descriptors and signals, and a new process must be given too: working directory,
//! file mode mask, limits, interval timers, and what `prctl` has set. What it keeps for a thread is in `thread::settings`.

use super::control::Settings;
use crate::sync::Lock;
use crate::syscall::kernel;
use crate::syscall::numbers::*;
use crate::time::monotonic;

const PATH_MAX: usize = 4096;
const LIMITS: usize = 16;
const TIMERS: usize = 3;

struct HostState {
    directory: [u8; PATH_MAX],
    mode_mask: u64,
    limits: [[u64; 2]; LIMITS],
    timers: [[u64; 4]; TIMERS],
    settings: Settings,
    saved_at: u64,
}

static STATE: Lock<HostState> = Lock::new(HostState {
    directory: [0; PATH_MAX],
    mode_mask: 0,
    limits: [[0; 2]; LIMITS],
    timers: [[0; 4]; TIMERS],
    settings: Settings::UNKNOWN,
    saved_at: 0,
});

/// Notes the calling process's state.
pub fn save() {
    let mut state = STATE.lock();
    state.saved_at = monotonic();
    // SAFETY: every buffer is as large as the call is told, or as its structure is.
    unsafe {
        let directory = state.directory.as_mut_ptr() as u64;
        if kernel::call(GETCWD, [directory, PATH_MAX as u64]) < 0 {
            state.directory[0] = 0;
        }
        state.mode_mask = kernel::call(UMASK, [0]) as u64;
        kernel::call(UMASK, [state.mode_mask]);
        state.settings = Settings::read();
        for (kind, limit) in state.limits.iter_mut().enumerate() {
            kernel::call(PRLIMIT64, [0, kind as u64, 0, limit.as_mut_ptr() as u64]);
        }
        for (kind, timer) in state.timers.iter_mut().enumerate() {
            kernel::call(GETITIMER, [kind as u64, timer.as_mut_ptr() as u64]);
        }
    }
}

/// Gives the calling process the state noted.
pub fn restore() {
    let state = STATE.lock();
    let passed = monotonic().saturating_sub(state.saved_at) / 1000;
    // SAFETY: every buffer is a whole structure, or a string with its end.
    unsafe {
        if state.directory[0] == b'/' {
            kernel::call(CHDIR, [state.directory.as_ptr() as u64]);
        }
        kernel::call(UMASK, [state.mode_mask]);
        state.settings.write();
        for (kind, limit) in state.limits.iter().enumerate() {
            if *limit != [0; 2] {
                kernel::call(PRLIMIT64, [0, kind as u64, limit.as_ptr() as u64, 0]);
            }
        }
        for (kind, &[interval_seconds, interval, seconds, microseconds]) in state.timers.iter().enumerate() {
            // The kernel starts a periodic timer again when its signal is taken, so one whose signal waits has nothing left.
            let (seconds, microseconds) = match (seconds, microseconds) {
                (0, 0) => (interval_seconds, interval),
                left => left,
            };
            if [seconds, microseconds] == [0, 0] {
                continue;
            }
            // Real time has gone on; the time of a timer that has run out meanwhile comes at once.
            let left = seconds * 1_000_000 + microseconds;
            let left = if kind == 0 { left.saturating_sub(passed).max(1) } else { left };
            let timer = [interval_seconds, interval, left / 1_000_000, left % 1_000_000];
            kernel::call(SETITIMER, [kind as u64, timer.as_ptr() as u64, 0]);
        }
    }
}
