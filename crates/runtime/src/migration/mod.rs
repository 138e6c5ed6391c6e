//! Moving the program to another host process, whose node brings the two together over a socket (docs/protocol.md).
//!
//! [`attend`] is called wherever a thread can be suspended; [`depart`] is the source's side, [`arrive`] the
//! destination's. A move that fails for any reason leaves the program running here, and the node is told why.

mod arrive;
pub mod channel;
mod depart;
mod descriptors;
mod mapped_files;
mod memory_file;
mod page_map;
pub mod record_locks;

pub use arrive::receive;

use crate::isa::{Context, RegisterFile};
use crate::local;
use core::sync::atomic::Ordering;
use maize_abi::control::{Kind, Message};

/// Where a thread is when it looks whether it should move.
pub struct Interrupted<'a> {
    /// The program's frame that called the runtime.
    pub context: &'a Context,
    /// What it is doing there.
    pub stop: Stop<'a>,
}

/// Where a thread can be suspended.
#[derive(Clone, Copy)]
pub enum Stop<'a> {
    /// At a system call, number and arguments, to be issued again wherever the thread goes on.
    Call([u64; 7]),
    /// At a migration point, with values in any of these registers.
    Point(&'a RegisterFile),
}

/// Does what the node asks for, if anything. Returns if the program stays.
pub fn attend(interrupted: &Interrupted<'_>) {
    let control = local::CONTROL.load(Ordering::Relaxed);
    if control < 0 {
        return;
    }
    while let Some(received) = channel::receive(control, false) {
        let transfer = received.descriptors().first().copied();
        if let (Some(Kind::Move), Some(transfer)) = (received.message.kind(), transfer) {
            let reason = depart::depart(interrupted, control, transfer.into());
            channel::close(transfer.into());
            channel::send(control, &Message::with_text(Kind::Stayed, reason), &[]);
        }
    }
}
