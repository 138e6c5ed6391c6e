//! POSIX timers (timer_create(2)). The kernel's belong to a host process, so the program has ids of its own, and its timers are made anew with
//! what is left of them wherever it comes.

use super::identity;
use super::proc_files::in_digits;
use crate::sync::{Guard, Lock};
use crate::syscall::kernel;
use crate::syscall::numbers::*;
use crate::time::{self, monotonic};

/// How many a program can have.
const COUNT: usize = 64;

const SIGEV_SIGNAL: u64 = 0;
const SIGEV_THREAD_ID: u64 = 4;
const SIGALRM: u64 = 14;
/// Clocks that go on while the program is nowhere.
const REAL_CLOCKS: [u64; 5] = [CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, 8, 9];

/// `struct sigevent`: value, signal and kind, thread, and what is not used.
type Event = [u64; 8];
/// `struct itimerspec`: interval and time left, seconds and nanoseconds each.
type Spans = [u64; 4];

#[derive(Clone, Copy)]
struct Timer {
    clock: u64,
    event: Event,
    /// Its id in the kernel of the host process.
    host: i32,
    spans: Spans,
}

struct Timers {
    timers: [Option<Timer>; COUNT],
    saved_at: u64,
}

static TIMERS: Lock<Timers> = Lock::new(Timers { timers: [None; COUNT], saved_at: 0 });

fn find(timers: &Guard<'static, Timers>, id: u64) -> Option<Timer> {
    timers.timers.get(id as u32 as usize).copied().flatten()
}

/// Makes the kernel's timer.
fn create(clock: u64, event: &Event) -> Result<i32, i64> {
    let mut event = *event;
    if event[1] >> 32 == SIGEV_THREAD_ID {
        event[2] = identity::own_to_host(event[2] as u32 as u64);
    }
    let mut id = 0i32;
    // SAFETY: a `struct sigevent`, and room for an id.
    match unsafe { kernel::call(TIMER_CREATE, [clock, event.as_ptr() as u64, &raw mut id as u64]) } {
        result if result < 0 => Err(result),
        _ => Ok(id),
    }
}

/// The answer to one of the calls about timers.
///
/// # Safety
/// That of the call.
pub unsafe fn call(number: u64, [a1, a2, a3, a4, ..]: [u64; 6]) -> i64 {
    let mut timers = TIMERS.lock();
    if number == TIMER_CREATE {
        let Some(index) = timers.timers.iter().position(Option::is_none) else { return -EAGAIN };
        let event = match a2 {
            0 => [index as u64, SIGALRM | SIGEV_SIGNAL << 32, 0, 0, 0, 0, 0, 0],
            // SAFETY: by the contract above.
            address => unsafe { (address as *const Event).read() },
        };
        return match create(a1, &event) {
            Ok(host) => {
                timers.timers[index] = Some(Timer { clock: a1, event, host, spans: [0; 4] });
                // SAFETY: by the contract above.
                unsafe { (a3 as *mut i32).write(index as i32) };
                0
            }
            Err(error) => error,
        };
    }
    let Some(timer) = find(&timers, a1) else { return -EINVAL };
    let host = timer.host as u64;
    // SAFETY: by the contract above.
    unsafe {
        match number {
            TIMER_SETTIME => {
                let mut spans = (a3 != 0).then(|| (a3 as *const Spans).read());
                if let Some(spans) = spans.as_mut().filter(|_| a2 & TIMER_ABSTIME != 0)
                    && let Some(first) = time::argument_to_host(timer.clock, a3 + 16)
                {
                    spans[2..].copy_from_slice(&[first.seconds as u64, first.fraction as u64]);
                }
                let spans = spans.as_ref().map_or(0, |spans| spans.as_ptr() as u64);
                kernel::call(TIMER_SETTIME, [host, a2, spans, a4])
            }
            TIMER_DELETE => {
                timers.timers[a1 as u32 as usize] = None;
                kernel::call(TIMER_DELETE, [host])
            }
            number => kernel::call(number, [host, a2]),
        }
    }
}

/// `timerfd_settime` with a time of the program's clock; none if the kernel's own is the same.
///
/// # Safety
/// That of the call.
pub unsafe fn set_descriptor([descriptor, flags, spans, old, ..]: [u64; 6]) -> Option<i64> {
    if flags & TIMER_ABSTIME == 0 || spans == 0 || !time::are_ahead() {
        return None;
    }
    // SAFETY: by the contract above.
    unsafe {
        let first = time::argument_to_host(clock_of(descriptor)?, spans + 16)?;
        let [interval_seconds, interval, ..] = (spans as *const Spans).read();
        let spans: Spans = [interval_seconds, interval, first.seconds as u64, first.fraction as u64];
        Some(kernel::call(TIMERFD_SETTIME, [descriptor, flags, spans.as_ptr() as u64, old]))
    }
}

/// The clock of a `timerfd`, which only `/proc` tells.
fn clock_of(descriptor: u64) -> Option<u64> {
    let (mut path, mut text, mut digits) = ([0u8; 48], [0u8; 512], [0; 20]);
    let name = b"/proc/thread-self/fdinfo/".iter().chain(in_digits(u64::from(descriptor as u32), &mut digits));
    for (to, &from) in path.iter_mut().zip(name) {
        *to = from;
    }
    // SAFETY: the path ends with NUL, and the buffer is as long as said.
    let length = unsafe {
        let file = kernel::call(OPENAT, [AT_FDCWD as u64, path.as_ptr() as u64, O_CLOEXEC, 0]);
        let file = u64::try_from(file).ok()?;
        let length = kernel::call(READ, [file, text.as_mut_ptr() as u64, text.len() as u64]);
        kernel::call(CLOSE, [file]);
        length
    };
    let text = core::str::from_utf8(text.get(..usize::try_from(length).ok()?)?).ok()?;
    text.lines().find_map(|line| line.strip_prefix("clockid:"))?.trim().parse().ok()
}

/// The id of the thread that a timer's signal is for that this thread has taken; 0 if it is for the whole process. None if the timer has been deleted meanwhile: what it has sent need not
/// come any more (POSIX, timer_delete). (Timers' ids in `siginfo_t` are the host's even under an emulator.)
pub fn receiver(signal: u64, thread: u64) -> Option<u64> {
    let timers = TIMERS.lock();
    let sends = |kind: u64| timers.timers.iter().flatten().filter(move |timer| timer.event[1] == signal | kind << 32);
    if sends(SIGEV_THREAD_ID).any(|timer| timer.event[2] as u32 as u64 == thread) {
        return Some(thread);
    }
    sends(SIGEV_SIGNAL).next().map(|_| 0)
}

/// Notes what is left of each.
pub fn save() {
    let mut timers = TIMERS.lock();
    timers.saved_at = monotonic();
    for timer in timers.timers.iter_mut().flatten() {
        // SAFETY: the buffer is a `struct itimerspec`.
        unsafe { kernel::call(TIMER_GETTIME, [timer.host as u64, timer.spans.as_mut_ptr() as u64]) };
    }
}

/// Makes them anew in this host process.
pub fn restore() {
    let mut timers = TIMERS.lock();
    let passed = monotonic().saturating_sub(timers.saved_at);
    for timer in timers.timers.iter_mut().flatten() {
        let Ok(host) = create(timer.clock, &timer.event) else { continue };
        timer.host = host;
        let [interval_seconds, interval, seconds, nanoseconds] = timer.spans;
        if [seconds, nanoseconds] == [0, 0] {
            continue;
        }
        // What has run out meanwhile comes at once.
        let left = seconds * 1_000_000_000 + nanoseconds;
        let left = if REAL_CLOCKS.contains(&timer.clock) { left.saturating_sub(passed).max(1) } else { left };
        let spans: Spans = [interval_seconds, interval, left / 1_000_000_000, left % 1_000_000_000];
        // SAFETY: a `struct itimerspec`.
        unsafe { kernel::call(TIMER_SETTIME, [host as u64, 0, spans.as_ptr() as u64, 0]) };
    }
}

/// A child of `fork` has none.
pub fn begin_child() {
    TIMERS.reopen();
    TIMERS.lock().timers = [None; COUNT];
}
