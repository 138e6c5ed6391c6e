//! System calls that rustix does not have: waiting for a child with the time that it has used, and signals with information of one's own.

use maize_abi::processes::{SignalInformation, wrap_code};
use rustix::process::Pid;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::time::Duration;

/// How a child ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    /// As `wait4` gives it.
    pub(crate) status: i32,
    /// Processor time, user and system, microseconds.
    pub(crate) times: [u64; 2],
}

/// Waits for the end of a child.
pub(crate) fn wait(pid: Pid) -> io::Result<Ended> {
    let mut status = 0;
    // SAFETY: zeros are a valid `struct rusage`.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: both structures outlive the call.
        let result = unsafe { libc::wait4(pid.as_raw_nonzero().get(), &raw mut status, 0, &raw mut usage) };
        if result >= 0 {
            let microseconds = |time: libc::timeval| u64::try_from(time.tv_sec * 1_000_000 + time.tv_usec).unwrap_or(0);
            return Ok(Ended { status, times: [microseconds(usage.ru_utime), microseconds(usage.ru_stime)] });
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Sends a process a signal in the name of another.
pub(crate) fn send(pid: Pid, signal: &SignalInformation) -> io::Result<()> {
    let (signo, code) = (u64::from(signal.signal), u64::from(wrap_code(signal.code).cast_unsigned()));
    let mut information = [0_u64; 16];
    information[..4].copy_from_slice(&[signo, code, signal.sender, signal.value]);
    // SAFETY: the kernel reads a `siginfo_t`, 128 bytes: number, error, code, padding, then what depends on the code.
    let result = unsafe {
        libc::syscall(libc::SYS_rt_sigqueueinfo, pid.as_raw_nonzero().get(), signal.signal, information.as_ptr())
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The kernel's letter for what a process does (proc_pid_stat(5)).
pub(crate) fn state(pid: Pid) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    // The name before it is in parentheses, and may hold anything.
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Processor time that a process has used so far, with all its threads; none if it has ended.
pub(crate) fn processor_time(pid: Pid) -> Duration {
    let mut clock = 0;
    // SAFETY: room for a clock's id.
    if unsafe { libc::clock_getcpuclockid(pid.as_raw_nonzero().get(), &raw mut clock) } != 0 {
        return Duration::ZERO;
    }
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: room for a time.
    if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
        return Duration::ZERO;
    }
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Whether two descriptors are of one open file, so that they share offset and flags.
pub(crate) fn is_same_file(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> bool {
    const KCMP_FILE: libc::c_int = 0;
    let own = std::process::id();
    // SAFETY: takes no pointers.
    unsafe { libc::syscall(libc::SYS_kcmp, own, own, KCMP_FILE, one.as_raw_fd(), other.as_raw_fd()) == 0 }
}
