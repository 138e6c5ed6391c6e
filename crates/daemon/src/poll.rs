//! Looking at a pipe or socket without waiting for it.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::fd::AsFd;

/// Whether it is so already.
pub(crate) fn is_ready(stream: impl AsFd, flags: PollFlags) -> bool {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut [PollFd::new(&stream, flags)], Some(&now)).is_ok_and(|ready| ready > 0)
}
