//! Calls whose arguments are structures or flags that differ between ISAs.

use super::call::Call;
use super::kernel;
use super::numbers::*;
use super::structures::{
    EPOLL_EVENT, EPOLL_EVENT_SIZE, Field, HOST_EPOLL_EVENT_SIZE, SEMID, SEMID_SIZE, STAT, STAT_SIZE,
};
use super::structures::{OPEN_FLAGS, exchange_flags, to_host, to_program};
use crate::isa;
use crate::process::identity;
use core::mem::MaybeUninit;

/// Room for a structure of the host's.
const ROOM: usize = 144;
/// At most so many events at a time are taken from `epoll` where they have to be converted.
const EVENTS: usize = 64;

/// A call's ids and flags as the host has them.
pub fn arguments_to_host(row: &Call, mut arguments: [u64; 6]) -> [u64; 6] {
    for (index, argument) in arguments.iter_mut().enumerate() {
        if row.process_ids & 1 << index != 0 {
            *argument = match u64::from(row.number) {
                TKILL | TGKILL => identity::own_to_host(*argument),
                _ => identity::to_host(*argument),
            };
        }
        if row.open_flags == Some(index as u8) {
            *argument = open_flags_to_host(*argument);
        }
    }
    match (u64::from(row.number), arguments[1]) {
        (FCNTL, F_SETFL) => arguments[2] = open_flags_to_host(arguments[2]),
        (FCNTL, F_SETOWN) => arguments[2] = identity::to_host(arguments[2]),
        _ => {}
    }
    arguments
}

fn open_flags_to_host(flags: u64) -> u64 {
    exchange_flags(flags, &OPEN_FLAGS, &isa::page().open_flags)
}

fn open_flags_to_program(flags: u64) -> u64 {
    exchange_flags(flags, &isa::page().open_flags, &OPEN_FLAGS)
}

/// The program's memory as bytes.
///
/// # Safety
/// `size` bytes are there, used by nothing else for now.
unsafe fn memory<'a>(address: u64, size: usize) -> &'a mut [u8] {
    // SAFETY: by the contract above.
    unsafe { core::slice::from_raw_parts_mut(address as *mut u8, size) }
}

/// Makes a call that does not block, with ids and flags as the host has them; its structures are converted here.
///
/// # Safety
/// That of the call.
pub unsafe fn call(row: &Call, native: u64, arguments: [u64; 6]) -> i64 {
    let raw = |arguments| {
        // SAFETY: as this function.
        unsafe { isa::raw_syscall(native, arguments) }
    };
    let is_x86_64 = kernel::is_x86_64();
    // SAFETY: by the contract above; the addresses are those of the structures that the calls are defined with.
    unsafe {
        match u64::from(row.number) {
            FSTAT if !is_x86_64 => structure_from_host(STAT, STAT_SIZE, arguments, 1, raw),
            NEWFSTATAT if !is_x86_64 => structure_from_host(STAT, STAT_SIZE, arguments, 2, raw),
            EPOLL_CTL if !is_x86_64 => structure_to_host(EPOLL_EVENT, EPOLL_EVENT_SIZE, arguments, 3, raw),
            SEMCTL if !is_x86_64 => semaphore_control(arguments, raw),
            GETPGID | GETSID => identity::to_program(raw(arguments)),
            _ => raw(arguments),
        }
    }
}

/// A call that fills in a structure.
///
/// # Safety
/// That of the call; `size` is the structure's for the program.
unsafe fn structure_from_host(
    fields: &[Field],
    size: usize,
    mut arguments: [u64; 6],
    index: usize,
    raw: impl Fn([u64; 6]) -> i64,
) -> i64 {
    let mut host = [0u8; ROOM];
    let address = core::mem::replace(&mut arguments[index], host.as_mut_ptr() as u64);
    let result = raw(arguments);
    if result >= 0 {
        // SAFETY: by the contract above.
        to_program(fields, &host, unsafe { memory(address, size) });
    }
    result
}

/// A call that reads a structure, if there is one.
///
/// # Safety
/// As for [`structure_from_host`].
unsafe fn structure_to_host(
    fields: &[Field],
    size: usize,
    mut arguments: [u64; 6],
    index: usize,
    raw: impl Fn([u64; 6]) -> i64,
) -> i64 {
    let mut host = [0u8; ROOM];
    if arguments[index] != 0 {
        // SAFETY: by the contract above.
        to_host(fields, unsafe { memory(arguments[index], size) }, &mut host);
        arguments[index] = host.as_ptr() as u64;
    }
    raw(arguments)
}

/// # Safety
/// That of `semctl`.
unsafe fn semaphore_control(arguments: [u64; 6], raw: impl Fn([u64; 6]) -> i64) -> i64 {
    const IPC_SET: u64 = 1;
    const IPC_STAT: u64 = 2;
    const SEM_STAT: u64 = 18;
    const SEM_STAT_ANY: u64 = 20;
    // SAFETY: by the contract above.
    unsafe {
        match arguments[2] {
            IPC_STAT | SEM_STAT | SEM_STAT_ANY => structure_from_host(SEMID, SEMID_SIZE, arguments, 3, raw),
            IPC_SET => structure_to_host(SEMID, SEMID_SIZE, arguments, 3, raw),
            _ => raw(arguments),
        }
    }
}

/// What `fcntl` returned, as the program knows it.
pub fn control_to_program(command: u64, result: i64) -> i64 {
    match command {
        _ if result < 0 => result,
        F_GETFL => open_flags_to_program(result as u64) as i64,
        F_GETOWN => identity::to_program(result),
        _ => result,
    }
}

/// Room for events as the host has them, which it fills.
pub struct Events(MaybeUninit<[u8; EVENTS * HOST_EPOLL_EVENT_SIZE]>);

impl Default for Events {
    fn default() -> Events {
        Events(MaybeUninit::uninit())
    }
}

impl Events {
    /// Has the host put events here; the program may be given fewer than it has room for.
    pub fn replace(&mut self, arguments: &mut [u64; 6]) {
        arguments[1] = self.0.as_mut_ptr() as u64;
        arguments[2] = arguments[2].min(EVENTS as u64);
    }

    /// Gives the program its events.
    ///
    /// # Safety
    /// The host has given `count` events, and there is room for them at `address`.
    pub unsafe fn give(&self, count: usize, address: u64) {
        let size = count.min(EVENTS) * HOST_EPOLL_EVENT_SIZE;
        // SAFETY: by the contract above, that much has been filled in.
        let hosts = unsafe { core::slice::from_raw_parts(self.0.as_ptr().cast::<u8>(), size) };
        for (host, at) in hosts.chunks_exact(HOST_EPOLL_EVENT_SIZE).zip((address..).step_by(EPOLL_EVENT_SIZE)) {
            // SAFETY: by the contract above.
            to_program(EPOLL_EVENT, host, unsafe { memory(at, EPOLL_EVENT_SIZE) });
        }
    }
}
