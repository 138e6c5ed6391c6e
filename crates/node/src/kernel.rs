//! System calls that rustix does not have: waiting for a child with the time that it has used, signals with information of one's own, and leases.

use maize_abi::processes::{SignalInformation, wrap_code};
use rustix::process::Pid;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
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

/// Has whoever opens a file to write to it wait until all that have this open file have closed it, or for as long as the system lets them wait (`fs.lease-break-time`, 45 s).
/// Fails if somebody has it open so.
pub(crate) fn lease(file: BorrowedFd<'_>) -> io::Result<()> {
    /// fcntl(2).
    const F_SETSIG: i32 = 10;
    // Nobody is to be sent a signal: the owner of those is set with the lease, and one that came before that is changed would be ignored.
    for (command, value) in [(F_SETSIG, libc::SIGURG), (libc::F_SETLEASE, libc::F_RDLCK), (libc::F_SETOWN, 0)] {
        // SAFETY: no memory is passed.
        if unsafe { libc::fcntl(file.as_raw_fd(), command, value) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
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

/// What the kernel says of a process (proc_pid_status(5)); nothing if it has ended.
struct Told(String);

impl Told {
    fn of(pid: Pid) -> Told {
        Told(std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).unwrap_or_default())
    }

    /// The number behind a name, which may have a unit; 0 if there is none.
    fn number(&self, name: &str) -> u64 {
        let value = self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.and_then(|value| value.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    }

    fn kilobytes(&self, name: &str) -> u64 {
        self.number(name) << 10
    }
}

/// Bytes of memory without files that a process has; none if it has ended.
pub(crate) fn own_memory(pid: Pid) -> u64 {
    Told::of(pid).kilobytes("RssAnon")
}

/// What a process has of its machine, but for the processor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resources {
    /// Its threads.
    pub(crate) threads: u32,
    /// Bytes of memory that are resident, those that it shares with others, too.
    pub(crate) resident: u64,
}

/// What a process has now; nothing if it has ended.
pub(crate) fn resources(pid: Pid) -> Resources {
    let told = Told::of(pid);
    let threads = u32::try_from(told.number("Threads")).unwrap_or(u32::MAX);
    Resources { threads, resident: told.kilobytes("VmRSS") }
}

/// The soft limit on a process's open files (proc_pid_limits(5)); none if it has no limit, or has ended.
pub(crate) fn most_open_files(pid: Pid) -> Option<u64> {
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", pid.as_raw_nonzero())).ok()?;
    limits.lines().find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().next()?.parse().ok())
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

/// The `index`th of what an `epoll` watches by a descriptor of this number.
#[repr(C)]
struct Watched {
    epoll: u32,
    descriptor: u32,
    index: u32,
}

/// Whether a descriptor is of the open file that an `epoll` watches by a number: of several by the same number the `index`th.
pub(crate) fn is_watched(file: BorrowedFd<'_>, epoll: BorrowedFd<'_>, descriptor: u32, index: u32) -> bool {
    const KCMP_EPOLL_TFD: libc::c_int = 7;
    let own = std::process::id();
    let watched = Watched { epoll: epoll.as_raw_fd().cast_unsigned(), descriptor, index };
    // SAFETY: the kernel reads the structure (`struct kcmp_epoll_slot`), which outlives the call.
    unsafe { libc::syscall(libc::SYS_kcmp, own, own, KCMP_EPOLL_TFD, file.as_raw_fd(), &raw const watched) == 0 }
}

/// Whether two descriptors are of one open file, so that they share offset and flags.
pub(crate) fn is_same_file(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> bool {
    const KCMP_FILE: libc::c_int = 0;
    let own = std::process::id();
    // SAFETY: takes no pointers.
    unsafe { libc::syscall(libc::SYS_kcmp, own, own, KCMP_FILE, one.as_raw_fd(), other.as_raw_fd()) == 0 }
}

/// Has a `timerfd` say that it has expired so often and not been read since.
pub(crate) fn set_ticks(timer: BorrowedFd<'_>, ticks: u64) -> io::Result<()> {
    const TFD_IOC_SET_TICKS: libc::Ioctl = 0x4008_5400;
    // SAFETY: the kernel reads 8 bytes there.
    let result = unsafe { libc::ioctl(timer.as_raw_fd(), TFD_IOC_SET_TICKS, &raw const ticks) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A `signalfd`, closed on exec. Bit n of the mask is of signal n + 1.
pub(crate) fn signal_descriptor(mask: u64, nonblocking: bool) -> io::Result<OwnedFd> {
    let flags = libc::SFD_CLOEXEC | if nonblocking { libc::SFD_NONBLOCK } else { 0 };
    // SAFETY: the kernel's own set of signals has 8 bytes, which it reads.
    let made = unsafe { libc::syscall(libc::SYS_signalfd4, -1, &raw const mask, size_of_val(&mask), flags) };
    match i32::try_from(made) {
        // SAFETY: it is new, and nobody else's.
        Ok(made) if made >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(made) }),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_has_is_told_while_it_is_there() {
        let own = rustix::process::getpid();
        let Resources { threads, resident } = resources(own);
        assert!(threads >= 1 && resident >= own_memory(own) && own_memory(own) > 0, "{threads} {resident}");
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let ended = Pid::from_child(&child);
        child.wait().unwrap();
        let Resources { threads, resident } = resources(ended);
        assert_eq!((threads, resident), (0, 0));
    }
}
