//! Calls that the runtime answers itself, with the kernel's help: what concerns memory, signals, identity and time, and
//! what must be put together from other calls.

use super::kernel;
use super::numbers::*;
use super::structures::to_old_directory_entries;
use crate::local::CONTROL;
use crate::memory::calls as memory;
use crate::migration::closed;
use crate::process::thread::{Thread, life};
use crate::process::{self, identity, usage};
use crate::signal::calls as signals;
use crate::signal::watched;
use crate::time::{self, Timespec};
use core::sync::atomic::Ordering;

/// The answer to a call, or `None` if the kernel is to be asked.
///
/// # Safety
/// That of the call.
pub unsafe fn call(number: u64, arguments: &[u64; 6]) -> Option<i64> {
    let [a1, a2, a3, ..] = *arguments;
    // SAFETY: by the contract above.
    Some(unsafe {
        match number {
            MMAP => memory::mmap(*arguments),
            MPROTECT => memory::mprotect(a1, a2, a3),
            MUNMAP => memory::munmap(a1, a2),
            BRK => memory::set_break(a1),
            MREMAP => memory::mremap(*arguments),
            SHMAT => memory::attach_segment(a1, a2, a3),
            SHMDT => memory::detach_segment(a1),
            // It would put pages of files into an order that the map cannot tell.
            REMAP_FILE_PAGES => -ENOSYS,

            RT_SIGACTION => signals::sigaction(*arguments),
            RT_SIGPROCMASK => signals::sigprocmask(*arguments),
            RT_SIGPENDING => signals::sigpending(a1, a2),
            SIGALTSTACK => signals::sigaltstack(a1, a2),
            ALARM => alarm(a1),

            GETPID => identity::program_pid() as i64,
            GETTID => Thread::current().id() as i64,
            SET_TID_ADDRESS => {
                Thread::current().set_cleared_at_end(a1);
                Thread::current().id() as i64
            }
            CLONE => process::fork::clone(*arguments),
            FUTEX if FUTEX_WITH_OWNER.contains(&(a2 & FUTEX_COMMAND)) => {
                identity::give_host_ids();
                return None;
            }
            EXIT => life::exit_thread(a1),
            UNAME => name_system(a1),
            ARCH_PRCTL => control_architecture(a1, a2),

            CLOCK_GETTIME => read_clock(a1, a2),
            GETRUSAGE => usage::getrusage(a1, a2),
            TIMES => usage::times(a1),
            TIMER_CREATE | TIMER_SETTIME | TIMER_GETTIME | TIMER_GETOVERRUN | TIMER_DELETE => {
                process::timers::call(number, *arguments)
            }
            TIMERFD_SETTIME => process::timers::set_descriptor(*arguments)?,
            SIGNALFD4 => {
                watched::note();
                return None;
            }
            PRCTL => process::control::call(a1, a2)?,
            GETTIMEOFDAY => time_of_day(a1, a2),
            TIME => seconds(a1),

            GETDENTS => old_directory_entries(a1, a2, a3),
            UTIME => set_times(AT_FDCWD as u64, a1, a2, seconds_only),
            UTIMES => set_times(AT_FDCWD as u64, a1, a2, microseconds),
            FUTIMESAT => set_times(a1, a2, a3, microseconds),
            DUP2 if a1 as u32 == a2 as u32 => match kernel::call(FCNTL, [a1, F_GETFD]) {
                result if result < 0 => result,
                _ => a2 as i64,
            },
            CLOSE | DUP2 | DUP3 | CLOSE_RANGE => change_descriptors(number, arguments)?,
            EXECVE | EXECVEAT => {
                signals::leave_ignored_faults();
                match process::node::is_served() {
                    true => process::execute::execute(number, *arguments),
                    false => return None,
                }
            }
            _ if process::node::is_served() => process::family::call(number, arguments)?,
            _ => return None,
        }
    })
}

/// Whether a descriptor is the runtime's: the control socket, or kept for a mapping.
fn is_hidden(descriptor: u64) -> bool {
    let descriptor = descriptor as u32;
    i64::from(descriptor) == CONTROL.load(Ordering::Relaxed)
        || closed::needs(descriptor.into())
        || u64::from(descriptor) >= memory::KEPT_DESCRIPTORS
            && crate::memory::map().regions().iter().any(|region| region.descriptor == descriptor as i32)
}

/// Keeps the runtime's descriptors out of the program's reach.
///
/// # Safety
/// That of the call.
unsafe fn change_descriptors(number: u64, arguments: &[u64; 6]) -> Option<i64> {
    let [first, second, flags, ..] = *arguments;
    let control = u64::try_from(CONTROL.load(Ordering::Relaxed)).ok();
    // SAFETY: by the contract above.
    unsafe {
        match number {
            CLOSE if is_hidden(first) => Some(-EBADF),
            DUP2 | DUP3 if is_hidden(second) => Some(-EBADF),
            DUP2 => Some(kernel::call(DUP3, [first, second, 0])),
            CLOSE_RANGE => {
                let control = control.filter(|&control| (first..=second).contains(&control))?;
                let below = if first < control { kernel::call(CLOSE_RANGE, [first, control - 1, flags]) } else { 0 };
                let above = if second > control { kernel::call(CLOSE_RANGE, [control + 1, second, flags]) } else { 0 };
                Some(below.min(above))
            }
            _ => None,
        }
    }
}

/// `alarm` by way of `setitimer`.
///
/// # Safety
/// None; both structures are here.
unsafe fn alarm(seconds: u64) -> i64 {
    const ITIMER_REAL: u64 = 0;
    let (new, mut old) = ([0, 0, u64::from(seconds as u32), 0], [0u64; 4]);
    // SAFETY: both are `struct itimerval`.
    unsafe { kernel::call(SETITIMER, [ITIMER_REAL, new.as_ptr() as u64, old.as_mut_ptr() as u64]) };
    let [_, _, seconds, microseconds] = old;
    // As the kernel rounds: to the nearest second, but not to none.
    let rounded = seconds + u64::from(microseconds >= 500_000 || seconds == 0 && microseconds > 0);
    rounded as i64
}

/// `uname`: the machine is the one whose interface programs see.
///
/// # Safety
/// That of the call.
unsafe fn name_system(address: u64) -> i64 {
    const FIELD: u64 = 65;
    const MACHINE: u64 = 4;
    // SAFETY: by the contract above.
    unsafe {
        let result = kernel::call(UNAME, [address]);
        if result == 0 {
            let machine = (address + MACHINE * FIELD) as *mut u8;
            core::ptr::copy_nonoverlapping(c"x86_64".as_ptr().cast(), machine, 7);
        }
        result
    }
}

/// `arch_prctl`: the thread pointer, which is all that it can set on any ISA.
///
/// # Safety
/// That of the call.
unsafe fn control_architecture(code: u64, address: u64) -> i64 {
    const ARCH_SET_FS: u64 = 0x1002;
    const ARCH_GET_FS: u64 = 0x1003;
    // SAFETY: by the contract above.
    unsafe {
        match code {
            ARCH_SET_FS => process::__maize_set_thread_pointer(address),
            ARCH_GET_FS => (address as *mut u64).write(crate::isa::thread_pointer()),
            _ => return -EINVAL,
        }
    }
    0
}

/// `clock_gettime`: processor time is the program's or the thread's, not only what was used in this host process.
///
/// # Safety
/// That of the call.
unsafe fn read_clock(clock: u64, address: u64) -> i64 {
    // SAFETY: by the contract above.
    unsafe {
        let result = time::read_clock(usage::clock_to_host(clock), address);
        let before = usage::time_before(clock);
        if result == 0 && before != 0 {
            let time = &mut *(address as *mut Timespec);
            let all = time.seconds as u64 * 1_000_000_000 + time.fraction as u64 + before;
            *time = Timespec::from_nanoseconds(all);
        }
        result
    }
}

/// `gettimeofday`.
///
/// # Safety
/// That of the call.
unsafe fn time_of_day(value: u64, zone: u64) -> i64 {
    // SAFETY: by the contract above.
    unsafe {
        if value != 0 {
            let time = time::now(CLOCK_REALTIME);
            (value as *mut Timespec).write(Timespec { fraction: time.fraction / 1000, ..time });
        }
        if zone != 0 {
            (zone as *mut u64).write(0);
        }
    }
    0
}

/// `time`.
///
/// # Safety
/// That of the call.
unsafe fn seconds(address: u64) -> i64 {
    let now = time::now(CLOCK_REALTIME).seconds;
    if address != 0 {
        // SAFETY: by the contract above.
        unsafe { (address as *mut i64).write(now) };
    }
    now
}

/// `getdents`.
///
/// # Safety
/// That of the call.
unsafe fn old_directory_entries(descriptor: u64, address: u64, size: u64) -> i64 {
    // SAFETY: by the contract above; the kernel has written that many bytes.
    unsafe {
        let result = kernel::call(GETDENTS64, [descriptor, address, size]);
        if result > 0 {
            to_old_directory_entries(core::slice::from_raw_parts_mut(address as *mut u8, result as usize));
        }
        result
    }
}

/// The times of `struct utimbuf`: whole seconds.
unsafe fn seconds_only(address: u64) -> [Timespec; 2] {
    // SAFETY: the address is that of the structure.
    unsafe { (address as *const [i64; 2]).read() }.map(|seconds| Timespec { seconds, fraction: 0 })
}

/// The times of two `struct timeval`.
unsafe fn microseconds(address: u64) -> [Timespec; 2] {
    // SAFETY: the address is that of the structures.
    unsafe { (address as *const [Timespec; 2]).read() }
        .map(|time| Timespec { fraction: time.fraction.saturating_mul(1000), ..time })
}

/// `utime`, `utimes` and `futimesat` by way of `utimensat`.
///
/// # Safety
/// That of the call.
unsafe fn set_times(directory: u64, path: u64, times: u64, read: unsafe fn(u64) -> [Timespec; 2]) -> i64 {
    // SAFETY: by the contract above.
    unsafe {
        let values = if times == 0 { [Timespec::default(); 2] } else { read(times) };
        let address = if times == 0 { 0 } else { values.as_ptr() as u64 };
        kernel::call(UTIMENSAT, [directory, path, address, 0])
    }
}
