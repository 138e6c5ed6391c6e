//! Messages and descriptors over packet sockets (`maize_abi::control`).

use crate::syscall::kernel;
use crate::syscall::numbers::*;
use maize_abi::control::Message;

/// Descriptors that fit one message.
pub const MAX_DESCRIPTORS: usize = 8;

const SOL_SOCKET: i32 = 1;
const SCM_RIGHTS: i32 = 1;
const MSG_DONTWAIT: u64 = 0x40;
const MSG_NOSIGNAL: u64 = 0x4000;
const MSG_CMSG_CLOEXEC: u64 = 0x4000_0000;

/// `struct msghdr` of every 64-bit Linux.
#[repr(C)]
struct MessageHeader {
    name: u64,
    name_length: u64,
    parts: u64,
    part_count: u64,
    control: u64,
    control_length: u64,
    flags: u64,
}

#[repr(C)]
struct Part {
    base: u64,
    length: u64,
}

/// `struct cmsghdr` and the descriptors it carries.
#[repr(C, align(8))]
struct Rights {
    length: u64,
    level: i32,
    kind: i32,
    descriptors: [i32; MAX_DESCRIPTORS],
}

const RIGHTS_HEADER: usize = 16;

/// A message that has come in.
pub struct Received {
    /// The message.
    pub message: Message,
    descriptors: [i32; MAX_DESCRIPTORS],
    count: usize,
}

impl Received {
    /// The descriptors that came with it, closed on `exec`.
    pub fn descriptors(&self) -> &[i32] {
        self.descriptors.get(..self.count).unwrap_or_default()
    }
}

/// Sends a message with descriptors; whether it has gone.
pub fn send(socket: i64, message: &Message, descriptors: &[i32]) -> bool {
    let mut rights = Rights { length: 0, level: SOL_SOCKET, kind: SCM_RIGHTS, descriptors: [0; MAX_DESCRIPTORS] };
    for (to, &from) in rights.descriptors.iter_mut().zip(descriptors) {
        *to = from;
    }
    rights.length = (RIGHTS_HEADER + size_of_val(descriptors)) as u64;
    let bytes = message.as_bytes();
    let part = Part { base: bytes.as_ptr() as u64, length: bytes.len() as u64 };
    let has_rights = !descriptors.is_empty();
    let header = MessageHeader {
        name: 0,
        name_length: 0,
        parts: &raw const part as u64,
        part_count: 1,
        control: if has_rights { &raw const rights as u64 } else { 0 },
        control_length: if has_rights { rights.length.next_multiple_of(8) } else { 0 },
        flags: 0,
    };
    // SAFETY: the header describes buffers that live until the call returns.
    let sent = unsafe { kernel::call(SENDMSG, [socket as u64, &raw const header as u64, MSG_NOSIGNAL]) };
    sent == bytes.len() as i64
}

/// The next message. `None` if the other end is gone, or speaks another version, or, unless told to `wait`, if
/// there is none.
pub fn receive(socket: i64, wait: bool) -> Option<Received> {
    let mut packet = [0u8; size_of::<Message>()];
    let mut rights = Rights { length: 0, level: 0, kind: 0, descriptors: [-1; MAX_DESCRIPTORS] };
    let part = Part { base: packet.as_mut_ptr() as u64, length: packet.len() as u64 };
    let mut header = MessageHeader {
        name: 0,
        name_length: 0,
        parts: &raw const part as u64,
        part_count: 1,
        control: &raw mut rights as u64,
        control_length: size_of::<Rights>() as u64,
        flags: 0,
    };
    let flags = MSG_CMSG_CLOEXEC | if wait { 0 } else { MSG_DONTWAIT };
    let length = loop {
        // SAFETY: the header describes buffers that live until the call returns.
        let result = unsafe { kernel::call(RECVMSG, [socket as u64, &raw mut header as u64, flags]) };
        if result != -EINTR {
            break usize::try_from(result).ok()?;
        }
    };
    let message = Message::from_bytes(packet.get(..length)?)?;
    message.kind()?;
    let carries =
        header.control_length >= RIGHTS_HEADER as u64 && rights.level == SOL_SOCKET && rights.kind == SCM_RIGHTS;
    let count = if carries { (rights.length as usize).saturating_sub(RIGHTS_HEADER) / size_of::<i32>() } else { 0 };
    Some(Received { message, descriptors: rights.descriptors, count: count.min(MAX_DESCRIPTORS) })
}

/// Closes a descriptor of the runtime's.
pub fn close(descriptor: i64) {
    // SAFETY: the descriptor belongs to the caller.
    unsafe { kernel::call(CLOSE, [descriptor as u64]) };
}
