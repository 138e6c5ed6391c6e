//! System calls that another process makes for this one (ptrace(2)): a userfaultfd is of the process that makes it, and an emulator does not know how.
//!
//! The process's first thread is stopped wherever it is, makes the calls with every signal kept out, and goes on as if nothing had been. It finds the instruction in the kernel's vDSO,
//! so nothing is written to its memory. Who traces is a thread, and lets go when it ends.

use crate::maps;
use nix::sys::ptrace;
use nix::unistd::Pid as Traced;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_getfd, pidfd_open, waitid};
use std::cell::Cell;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::thread;
use std::time::{Duration, Instant};

/// `syscall`.
const INSTRUCTION: [u8; 2] = [0x0f, 0x05];
/// No system call is being made that the kernel would have to begin again.
const NO_CALL: u64 = u64::MAX;
/// Of why a thread has stopped, numbers from here on are events and not signals.
const EVENTS: i32 = 1 << 8;
/// The thread stops as soon as the kernel lets it, so longer than this means that it does not, or hardly runs: then it is left alone.
const PATIENCE: Duration = Duration::from_millis(100);
const GLANCE: Duration = Duration::from_micros(20);

/// A userfaultfd of another process, which knows no faults of the kernel (`UFFD_USER_MODE_ONLY`), and which that process has not.
///
/// # Errors
/// If the kernel does not let this process do that, or the other one's first thread does not stop.
pub(crate) fn userfaultfd(process: Pid) -> io::Result<OwnedFd> {
    const FLAGS: i32 = libc::O_CLOEXEC | libc::O_NONBLOCK | 1;
    let trace = move || {
        let stopped = Stopped::new(process)?;
        let made = stopped.call(libc::SYS_userfaultfd, FLAGS.cast_unsigned().into())?;
        let taken = pidfd_open(process, PidfdFlags::empty())
            .and_then(|pidfd| pidfd_getfd(pidfd, made as i32, rustix::process::PidfdGetfdFlags::empty()));
        stopped.call(libc::SYS_close, made)?;
        Ok(taken?)
    };
    thread::Builder::new().spawn(trace)?.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// A thread that is stopped, and goes on where it was when this is dropped.
struct Stopped {
    thread: Traced,
    /// Where the instruction is.
    instruction: u64,
    registers: libc::user_regs_struct,
    mask: u64,
    /// One that cannot be kept out, and is to come to the thread.
    signal: Cell<i32>,
}

impl Stopped {
    fn new(process: Pid) -> io::Result<Stopped> {
        let thread = Traced::from_raw(process.as_raw_nonzero().get());
        ptrace::seize(thread, ptrace::Options::empty())?;
        ptrace::interrupt(thread)?;
        loop {
            match await_stop(process, Some(PATIENCE))? {
                EVENTS.. => break,
                // One that was on its way.
                signal => resume(thread, libc::PTRACE_CONT, signal)?,
            }
        }
        let (instruction, registers) = (find(process)?, ptrace::getregs(thread)?);
        let mut stopped = Stopped { thread, instruction, registers, mask: 0, signal: Cell::default() };
        let mut mask = 0;
        exchange(thread, libc::PTRACE_GETSIGMASK, &mut mask)?;
        stopped.mask = mask;
        exchange(thread, libc::PTRACE_SETSIGMASK, &mut { u64::MAX })?;
        Ok(stopped)
    }

    fn process(&self) -> io::Result<Pid> {
        Pid::from_raw(self.thread.as_raw()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Has the thread make a system call with one argument.
    fn call(&self, number: i64, argument: u64) -> io::Result<u64> {
        let number = number.cast_unsigned();
        let registers = libc::user_regs_struct {
            rip: self.instruction,
            rax: number,
            orig_rax: NO_CALL,
            rdi: argument,
            ..self.registers
        };
        ptrace::setregs(self.thread, registers)?;
        ptrace::step(self.thread, None)?;
        // However long it takes: it cannot go on with these registers.
        let why = await_stop(self.process()?, None)?;
        let after = ptrace::getregs(self.thread)?;
        if after.rip != self.instruction + INSTRUCTION.len() as u64 {
            // It has got no further, since it is being stopped in another way, too.
            self.signal.set(if why < EVENTS { why } else { 0 });
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let result = after.rax;
        let error = i32::try_from(result.cast_signed().wrapping_neg()).ok().filter(|error| (1..4096).contains(error));
        error.map_or(Ok(result), |error| Err(io::Error::from_raw_os_error(error)))
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // It has been killed if any of that fails.
        let _ = ptrace::setregs(self.thread, self.registers);
        let _ = exchange(self.thread, libc::PTRACE_SETSIGMASK, &mut self.mask);
        let _ = resume(self.thread, libc::PTRACE_DETACH, self.signal.get());
    }
}

/// Has a thread that is stopped go on, and gives it a signal.
fn resume(thread: Traced, request: libc::c_uint, signal: i32) -> io::Result<()> {
    // SAFETY: no memory is passed.
    let result = unsafe { libc::ptrace(request, thread.as_raw(), 0_usize, signal as usize) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Reads or sets the mask of a thread that is stopped.
fn exchange(thread: Traced, request: u32, mask: &mut u64) -> io::Result<()> {
    // SAFETY: the mask is as long as is said.
    let result = unsafe { libc::ptrace(request, thread.as_raw(), size_of::<u64>(), core::ptr::from_mut(mask)) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Waits until the thread has stopped, for so long at most if that is said; returns for which signal, or event. That it has ended is left for others to be told.
fn await_stop(process: Pid, patience: Option<Duration>) -> io::Result<i32> {
    let begun = Instant::now();
    let mut options = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    options.set(WaitIdOptions::NOHANG, patience.is_some());
    loop {
        match waitid(WaitId::Pid(process), options) {
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
            Ok(Some(status)) => {
                let why = status.trapping_signal().ok_or(io::ErrorKind::NotFound)?;
                waitid(WaitId::Pid(process), WaitIdOptions::STOPPED | WaitIdOptions::NOHANG)?;
                return Ok(why);
            }
            Ok(None) if patience.is_some_and(|patience| begun.elapsed() > patience) => {
                return Err(io::ErrorKind::TimedOut.into());
            }
            Ok(None) => thread::sleep(GLANCE),
        }
    }
}

/// Where the instruction is in a process's vDSO.
fn find(process: Pid) -> io::Result<u64> {
    let regions = maps::of(process)?;
    let vdso = regions.iter().find(|region| region.is_vdso).ok_or(io::ErrorKind::Unsupported)?;
    let mut bytes = vec![0; usize::try_from(vdso.range.end - vdso.range.start).map_err(io::Error::other)?];
    let memory = File::open(format!("/proc/{}/mem", process.as_raw_nonzero()))?;
    memory.read_exact_at(&mut bytes, vdso.range.start)?;
    let at = bytes.windows(INSTRUCTION.len()).position(|window| window == INSTRUCTION);
    at.map(|at| vdso.range.start + at as u64).ok_or_else(|| io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{Signal, kill_process};
    use std::io::BufRead as _;
    use std::process::{Child, Command, Stdio};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    fn start(line: &str) -> Child {
        Command::new("sh").args(["-c", line]).stdout(Stdio::piped()).spawn().unwrap()
    }

    /// Gets one of a child again and again until the child ends; returns how often, and what it has printed.
    fn interrupt(child: Child, pause: Duration) -> (u32, String) {
        let process = Pid::from_child(&child);
        let mut times = 0;
        let has_ended = || {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
            waitid(WaitId::Pid(process), options).unwrap().is_some()
        };
        while !has_ended() {
            // Not while it executes another program, or ends.
            let Ok(userfaultfd) = userfaultfd(process) else { continue };
            let link = std::fs::read_link(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&userfaultfd)));
            assert_eq!(link.unwrap().to_str(), Some("anon_inode:[userfaultfd]"));
            let theirs = std::fs::read_dir(format!("/proc/{}/fd", process.as_raw_nonzero()));
            let mut links = theirs.into_iter().flatten().filter_map(|entry| entry.ok()?.path().read_link().ok());
            assert!(!links.any(|link| link.to_string_lossy().contains("userfaultfd")));
            times += 1;
            thread::sleep(pause);
        }
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", output.status);
        (times, String::from_utf8(output.stdout).unwrap())
    }

    #[test]
    fn a_process_that_computes_does_not_notice() {
        let child = start("i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; echo $i");
        let (times, printed) = interrupt(child, Duration::ZERO);
        assert!(times > 0 && printed == "300000\n", "{times}: {printed}");
    }

    #[test]
    fn a_process_that_waits_waits_as_long_as_it_wanted() {
        let begun = Instant::now();
        let (times, _) = interrupt(start("exec sleep 0.5"), Duration::from_millis(7));
        assert!(times > 0 && begun.elapsed() >= Duration::from_millis(500), "{times} {:?}", begun.elapsed());
        let (times, printed) = interrupt(start("sleep 0.3 | cat; echo over"), Duration::from_millis(1));
        assert!(times > 0 && printed == "over\n", "{times}: {printed}");
    }

    #[test]
    fn a_process_that_is_stopped_stays_so() {
        let mut child = start("exec sleep 0.1");
        let process = Pid::from_child(&child);
        kill_process(process, Signal::STOP).unwrap();
        assert!(userfaultfd(process).is_err());
        thread::sleep(Duration::from_millis(300));
        assert!(child.try_wait().unwrap().is_none());
        kill_process(process, Signal::CONT).unwrap();
        assert!(child.wait().unwrap().success());
    }

    /// Has a thread, or this one if 0, run on one processor alone, and, if so asked, only when nothing else wants to.
    fn pin(thread: i32, processor: usize, is_idle: bool) {
        let mut processors = [0_u64; 16];
        processors[processor / 64] = 1 << (processor % 64);
        let parameters = libc::sched_param { sched_priority: 0 };
        // SAFETY: both are as long as is said.
        let done = unsafe {
            libc::sched_setaffinity(thread, size_of_val(&processors), processors.as_ptr().cast()) == 0
                && (!is_idle || libc::sched_setscheduler(thread, libc::SCHED_IDLE, &raw const parameters) == 0)
        };
        assert!(done, "{}", io::Error::last_os_error());
    }

    #[test]
    fn a_process_that_hardly_runs_is_waited_for() {
        let mut child = start("while :; do :; done");
        let process = Pid::from_child(&child);
        // SAFETY: only asks.
        let processor = unsafe { libc::sched_getcpu() } as usize;
        pin(process.as_raw_nonzero().get(), processor, true);
        let until = Instant::now() + Duration::from_secs(3);
        let busy = || {
            pin(0, processor, false);
            while Instant::now() < until {}
        };
        let (mut made, mut given_up) = (0, 0);
        thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(busy);
            }
            while Instant::now() < until {
                match userfaultfd(process) {
                    Ok(_) => made += 1,
                    Err(_) => given_up += 1,
                }
            }
        });
        // What was left behind in it shows when it runs again.
        thread::sleep(Duration::from_millis(300));
        assert!(child.try_wait().unwrap().is_none(), "it has ended, {made} and {given_up}");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn signals_come_to_a_process_meanwhile() {
        let mut child = start("trap echo USR1; trap exit TERM; echo; while :; do :; done");
        let mut output = io::BufReader::new(child.stdout.take().unwrap());
        let process = Pid::from_child(&child);
        let is_enough = Arc::new(AtomicBool::new(false));
        let enough = Arc::clone(&is_enough);
        let sender = thread::spawn(move || {
            while !enough.load(Ordering::SeqCst) {
                output.read_line(&mut String::new()).unwrap();
                kill_process(process, Signal::USR1).unwrap();
            }
            output
        });
        let made = (0..1000).filter(|_| userfaultfd(process).is_ok()).count();
        is_enough.store(true, Ordering::SeqCst);
        // If a signal was lost it waits for good.
        let _output = sender.join().unwrap();
        assert!(made > 0);
        kill_process(process, Signal::TERM).unwrap();
        assert!(child.wait().unwrap().success());
    }

    #[test]
    fn of_a_process_that_has_ended_there_is_none() {
        let mut child = start("true");
        thread::sleep(Duration::from_millis(100));
        assert!(userfaultfd(Pid::from_child(&child)).is_err());
        assert!(child.wait().unwrap().success());
    }
}
