//! How long the parts of a move take.

use crate::syscall::kernel;
use crate::syscall::numbers::{CLOCK_GETTIME, CLOCK_MONOTONIC};

/// Nanoseconds of the host's monotonic clock.
pub fn now() -> u64 {
    let mut time = [0u64; 2];
    // SAFETY: the buffer is a `struct timespec`.
    unsafe { kernel::call(CLOCK_GETTIME, [CLOCK_MONOTONIC, time.as_mut_ptr() as u64]) };
    time[0] * 1_000_000_000 + time[1]
}
