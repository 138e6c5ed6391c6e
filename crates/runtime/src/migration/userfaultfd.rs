//! userfaultfd(2): by which the kernel tells the node of pages that the program misses, or has written.

use super::channel::{self, close};
use crate::memory::calls::KEPT_DESCRIPTORS;
use crate::syscall::kernel;
use crate::syscall::numbers::*;
use maize_abi::control::{Kind, Message};

const FLAGS: u64 = O_CLOEXEC | O_NONBLOCK;
/// Anybody may have one that does not stop system calls.
const UFFD_USER_MODE_ONLY: u64 = 1;
const USERFAULTFD_IOC_NEW: u64 = 0xaa00;
const UFFDIO_API: u64 = 0xc018_aa3f;
const UFFD_API: u64 = 0xaa;
const UFFD_FEATURE_EVENT_REMOVE: u64 = 1 << 3;
const UFFD_FEATURE_EVENT_UNMAP: u64 = 1 << 6;
/// Linux 6.7. Nobody waits for who has it: a page that is written is noted, and that is all.
const UFFD_FEATURE_WP_ASYNC: u64 = 1 << 15;

/// One that knows of missing pages, in system calls, too; with a number that is not the program's. `None` where the kernel grants none, or an emulator does not know it.
pub fn make() -> Option<i64> {
    // SAFETY: takes no pointers.
    let made = unsafe { kernel::call(USERFAULTFD, [FLAGS]) };
    let made = if made < 0 { by_device() } else { made };
    if made < 0 {
        return None;
    }
    // SAFETY: takes no pointers; the descriptor is the runtime's.
    let kept = unsafe { kernel::call(FCNTL, [made as u64, F_DUPFD_CLOEXEC, KEPT_DESCRIPTORS]) };
    close(made);
    enabled((kept >= 0).then_some(kept)?, UFFD_FEATURE_EVENT_REMOVE | UFFD_FEATURE_EVENT_UNMAP)
}

/// Gives the node one that knows of pages that are written, if there is one. The node alone has it then.
pub fn offer_watch(control: i64) {
    // SAFETY: takes no pointers.
    let made = unsafe { kernel::call(USERFAULTFD, [FLAGS | UFFD_USER_MODE_ONLY]) };
    let watch = if made < 0 { None } else { enabled(made, UFFD_FEATURE_WP_ASYNC) };
    let descriptor = watch.map(|watch| watch as i32);
    channel::send(control, &Message::new(Kind::Watched, [0; 8]), descriptor.as_slice());
    if let Some(watch) = watch {
        close(watch);
    }
}

/// One whose interface has been enabled. It is closed if it cannot be.
fn enabled(userfaultfd: i64, features: u64) -> Option<i64> {
    // `struct uffdio_api`: version, features, which requests there are.
    let mut api = [UFFD_API, features, 0];
    // SAFETY: the structure is as large as the request says.
    let granted = unsafe { kernel::call(IOCTL, [userfaultfd as u64, UFFDIO_API, api.as_mut_ptr() as u64]) };
    if granted != 0 {
        close(userfaultfd);
        return None;
    }
    Some(userfaultfd)
}

/// One for who may open the device, or a negated error.
fn by_device() -> i64 {
    let path = c"/dev/userfaultfd";
    // SAFETY: the path is a NUL-terminated string.
    let device = unsafe { kernel::call(OPENAT, [AT_FDCWD as u64, path.as_ptr() as u64, O_RDWR | O_CLOEXEC, 0]) };
    if device < 0 {
        return device;
    }
    // SAFETY: takes no pointers.
    let made = unsafe { kernel::call(IOCTL, [device as u64, USERFAULTFD_IOC_NEW, FLAGS]) };
    close(device);
    made
}
