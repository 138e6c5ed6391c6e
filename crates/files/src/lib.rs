//! The files of the node that a program was started from, wherever it is: its *home*.
//!
//! Where the program is, the kernel's FUSE mounts them as the program's root ([`enter`]): each of the home's file systems as one, where the home has it, so that
//! files have the numbers that they have there, and are on one device only if they are there. Its requests go as they are to the home, where passthrough file
//! systems answer them ([`serve`]). So the kernel caches what it may, and nothing between the two knows what the requests mean, but for three things
//! (`message`): the flags of `open`, which differ between ISAs, which file system they are about, and a directory that is this crate's own.

mod message;
mod mount;
mod mounts;
mod numbers;
mod root;
mod server;

pub use mount::{Belief, Stopped};
pub use root::{EnterError, Kept, OWN, enter};
pub use server::serve;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a panic of another thread leaves is still whole.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
