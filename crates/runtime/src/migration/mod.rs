//! Moving the program to another host process, whose node brings the two together over a socket (docs/protocol.md).
//!
//! [`attend`] is called wherever a thread can be suspended; [`gather`] has the other threads stop, [`depart`] is the source's side, [`arrive`] the
//! destination's. A move that fails for any reason leaves the program running here, and the node is told why.

pub mod absent;
mod arrive;
pub mod channel;
pub mod closed;
mod depart;
pub mod descriptors;
pub mod gather;
mod mapped_files;
mod memory_file;
mod page_map;
pub mod record_locks;
mod userfaultfd;
pub mod waiting_signals;

pub use arrive::receive;

use self::channel::Received;
use self::depart::Order;
use crate::continuation::unwind::{Frame, SiteTable};
use crate::events;
use crate::isa::{Context, RegisterFile};
use crate::local;
use crate::process::node::Line;
use core::sync::atomic::Ordering;
use maize_abi::control::{Kind, LEAVES, Message, NEVER};

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
    while let Some(received) = hear(control) {
        match received.message.kind() {
            Some(Kind::Move) if !received.descriptors().is_empty() => move_by(&received, interrupted, control),
            Some(Kind::Watch) => userfaultfd::offer_watch(control),
            _ => {}
        }
    }
}

/// What the node says, if anything. A child that another thread forks meanwhile must know of the descriptors that come with it.
fn hear(control: i64) -> Option<Received> {
    let _line = Line::take();
    let received = channel::receive(control, false)?;
    let transfer = received.descriptors().first().map_or(-1, |&transfer| i64::from(transfer));
    let destination = received.descriptors().get(1).map_or(-1, |&destination| i64::from(destination));
    local::TRANSFER.store(transfer, Ordering::Relaxed);
    local::DESTINATION.store(destination, Ordering::Relaxed);
    Some(received)
}

/// Moves the program by what has come with `Move`. Returns if it stays, when the node has been told why.
fn move_by(received: &Received, interrupted: &Interrupted<'_>, control: i64) {
    let descriptors = received.descriptors();
    let &[transfer, ..] = descriptors else { return };
    let destination = descriptors.get(1).map(|&one| one.into());
    let leaves = destination.is_some() || received.message.values[1] == LEAVES;
    let order = Order { control, transfer: transfer.into(), destination, leaves };
    let reason = depart::depart(interrupted, &order);
    local::TRANSFER.store(-1, Ordering::Relaxed);
    local::DESTINATION.store(-1, Ordering::Relaxed);
    for &descriptor in descriptors {
        channel::close(descriptor.into());
    }
    channel::send(control, &Message::with_text(Kind::Stayed, reason), &[]);
}

/// The program is at the event at which the node wants it to move (`events`): tells the node, and does what it says. Returns if the program stays.
pub fn reach(interrupted: &Interrupted<'_>) {
    let control = local::CONTROL.load(Ordering::Relaxed);
    send_frames(control, interrupted.context);
    let call = match interrupted.stop {
        Stop::Call([number, ..]) => number & 0xffff_ffff,
        Stop::Point(_) => NEVER,
    };
    channel::send(control, &Message::new(Kind::Reached, [events::passed(), call, 0, 0, 0, 0, 0, 0]), &[]);
    let received = channel::receive(control, true);
    let next = received.as_ref().map_or(NEVER, |received| received.message.values[0]);
    events::set_next(next);
    events::leave();
    if let Some(received) = received {
        move_by(&received, interrupted, control);
    }
    events::stay();
}

/// The innermost activation, for a message; 0 if the table does not know it.
fn innermost(context: &Context) -> u64 {
    SiteTable::of_this_image().and_then(|table| table.frame(context)).map_or(0, |frame| activation(&frame))
}

fn activation(frame: &Frame) -> u64 {
    u64::from(frame.site.resume) << 32 | u64::from(frame.site.number)
}

/// Tells the node which activations there are, as far as the table of sites goes and no more than fit a few messages.
fn send_frames(control: i64, innermost: &Context) {
    const MESSAGES: usize = 4;
    let Some(table) = SiteTable::of_this_image() else { return };
    let mut next = table.frame(innermost);
    for _ in 0..MESSAGES {
        let mut values = [0; 8];
        for value in &mut values {
            if let Some(frame) = next {
                *value = activation(&frame);
                next = table.frame(&frame.caller);
            }
        }
        channel::send(control, &Message::new(Kind::Frames, values), &[]);
        if next.is_none() {
            return;
        }
    }
}

/// The program ends: tells the node how many events there have been.
pub fn report_end() {
    let message = Message::new(Kind::Passed, [events::passed(), 0, 0, 0, 0, 0, 0, 0]);
    channel::send(local::CONTROL.load(Ordering::Relaxed), &message, &[]);
}
