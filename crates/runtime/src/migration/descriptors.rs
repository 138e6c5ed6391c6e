//! The program's open files go from process to process as they are: offset, flags and unlinked files included.

use super::channel::{self, MAX_DESCRIPTORS, close};
use crate::memory::calls::KEPT_DESCRIPTORS;
use crate::syscall::kernel;
use crate::syscall::numbers::*;
use maize_abi::control::{Kind, Message};

/// Set in a value of a `Descriptors` message: the descriptor is closed on `exec`.
const CLOSE_ON_EXEC: u64 = 1 << 32;
/// Set instead: the value is the index of a region, whose file this is.
const OF_REGION: u64 = 1 << 63;

/// Calls `each` with the number of every open descriptor but the runtime's own, until it says no.
///
/// # Errors
/// Why that cannot be known, for people.
pub fn each_open(own: &[i64], mut each: impl FnMut(i64) -> bool) -> Result<(), &'static str> {
    // The process itself is a zombie once its first thread has ended.
    let path = c"/proc/thread-self/fd";
    // SAFETY: the path is a NUL-terminated string.
    let directory = unsafe { kernel::call(OPENAT, [AT_FDCWD as u64, path.as_ptr() as u64, O_CLOEXEC, 0]) };
    if directory < 0 {
        return Err("its open files cannot be listed: /proc is not mounted");
    }
    let mut more = true;
    let mut buffer = [0u64; 256];
    while more {
        // SAFETY: the buffer is as long as said.
        let read = unsafe {
            kernel::call(GETDENTS64, [directory as u64, buffer.as_mut_ptr() as u64, size_of_val(&buffer) as u64])
        };
        let Some(length) = usize::try_from(read).ok().filter(|&length| length > 0) else { break };
        // SAFETY: the kernel has filled so many bytes.
        let mut entries = unsafe { core::slice::from_raw_parts(buffer.as_ptr().cast::<u8>(), length) };
        // `struct linux_dirent64`: inode, offset, length (u16), type (u8), name.
        while let Some(&[low, high]) = entries.get(16..18) {
            let length = usize::from(u16::from_le_bytes([low, high]));
            let name = entries.get(19..length).unwrap_or_default();
            if let Some(number) = number(name).filter(|number| *number != directory && !own.contains(number)) {
                more &= each(number);
            }
            entries = entries.get(length..).unwrap_or_default();
        }
    }
    close(directory);
    Ok(())
}

fn number(name: &[u8]) -> Option<i64> {
    let digits = name.split(|&byte| byte == 0).next()?;
    core::str::from_utf8(digits).ok()?.parse().ok()
}

/// A batch of descriptors on its way.
pub struct Sender {
    transfer: i64,
    values: [u64; MAX_DESCRIPTORS],
    descriptors: [i32; MAX_DESCRIPTORS],
    count: usize,
}

impl Sender {
    /// Nothing sent yet.
    pub const fn new(transfer: i64) -> Sender {
        Sender { transfer, values: [0; MAX_DESCRIPTORS], descriptors: [0; MAX_DESCRIPTORS], count: 0 }
    }

    /// Sends a descriptor that is to have the same number.
    pub fn send_as_is(&mut self, descriptor: i64) -> bool {
        // SAFETY: takes no pointers.
        let flags = unsafe { kernel::call(FCNTL, [descriptor as u64, F_GETFD]) };
        self.send(descriptor as u64 | if flags & 1 != 0 { CLOSE_ON_EXEC } else { 0 }, descriptor)
    }

    /// Sends the file of a mapped region.
    pub fn send_for_region(&mut self, index: usize, descriptor: i64) -> bool {
        self.send(index as u64 | OF_REGION, descriptor)
    }

    fn send(&mut self, value: u64, descriptor: i64) -> bool {
        self.values[self.count] = value;
        self.descriptors[self.count] = descriptor as i32;
        self.count += 1;
        self.count < MAX_DESCRIPTORS || self.flush()
    }

    /// Sends what is left, and a message without descriptors, which ends them.
    pub fn finish(&mut self) -> bool {
        self.flush() && channel::send(self.transfer, &Message::new(Kind::Descriptors, [0; 8]), &[])
    }

    /// Sends what is left.
    pub fn flush(&mut self) -> bool {
        let count = core::mem::take(&mut self.count);
        let descriptors = self.descriptors.get(..count).unwrap_or_default();
        count == 0 || channel::send(self.transfer, &Message::new(Kind::Descriptors, self.values), descriptors)
    }
}

/// What has come in: at what number a descriptor is now, and what it is for. A table in host memory.
pub struct Arrived<'a> {
    entries: &'a mut [(u64, i32)],
    count: usize,
}

impl<'a> Arrived<'a> {
    /// An empty table.
    pub fn new(entries: &'a mut [(u64, i32)]) -> Arrived<'a> {
        Arrived { entries, count: 0 }
    }

    /// Takes in what a message brought; whether more may follow.
    ///
    /// # Errors
    /// Why it cannot, for people.
    pub fn take(&mut self, received: &channel::Received) -> Result<bool, &'static str> {
        if received.message.kind() != Some(Kind::Descriptors) {
            return Err("the source does not follow the protocol");
        }
        for (&value, &descriptor) in received.message.values.iter().zip(received.descriptors()) {
            // Out of the way of the numbers that the program uses.
            // SAFETY: takes no pointers.
            let kept = unsafe { kernel::call(FCNTL, [descriptor as u64, F_DUPFD_CLOEXEC, KEPT_DESCRIPTORS]) };
            if kept < 0 {
                return Err("too many files are open in the new process");
            }
            close(descriptor.into());
            let slot = self.entries.get_mut(self.count).ok_or("it has too many files open")?;
            *slot = (value, kept as i32);
            self.count += 1;
        }
        Ok(!received.descriptors().is_empty())
    }

    /// The file of the region with this index, if it came; else -1.
    pub fn of_region(&self, index: usize) -> i64 {
        let entries = self.entries.get(..self.count).unwrap_or_default();
        entries.iter().find(|entry| entry.0 == index as u64 | OF_REGION).map_or(-1, |entry| entry.1.into())
    }

    /// Gives every descriptor its number, and closes all that were open besides.
    ///
    /// # Errors
    /// Why it cannot be done, for people.
    pub fn install(&self, own: &[i64]) -> Result<(), &'static str> {
        let entries = self.entries.get(..self.count).unwrap_or_default();
        let mut failed = false;
        let is_kept = |number: i64| entries.iter().any(|entry| i64::from(entry.1) == number);
        each_open(own, |number| {
            if !is_kept(number) {
                close(number);
            }
            true
        })?;
        for &(value, descriptor) in entries.iter().filter(|entry| entry.0 & OF_REGION == 0) {
            let number = value & (CLOSE_ON_EXEC - 1);
            let flags = if value & CLOSE_ON_EXEC != 0 { O_CLOEXEC } else { 0 };
            // SAFETY: takes no pointers.
            failed |= unsafe { kernel::call(DUP3, [descriptor as u64, number, flags]) } < 0;
        }
        if failed { Err("an open file could not get its number in the new process") } else { Ok(()) }
    }

    /// Closes the numbers at which descriptors came in.
    pub fn close_all(&self) {
        for &(_, descriptor) in self.entries.get(..self.count).unwrap_or_default() {
            close(descriptor.into());
        }
    }
}
