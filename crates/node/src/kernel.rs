//! System calls that rustix does not have: waiting for a child with the time that it has used, and signals with information of one's own.

use maize_abi::processes::{SignalInformation, wrap_code};
use rustix::process::Pid;
use std::io;

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
