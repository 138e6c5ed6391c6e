//! What a program waits with: `epoll`, `timerfd`, `signalfd`. The kernel tells what is in them in `/proc/self/fdinfo` (proc_pid_fdinfo(5)).

use super::{Description, all_information, information};
use crate::kernel;
use crate::program::{monotonic_ns, since_1970_ns};
use maize_snapshot::{Expiry, FileKind, Watch};
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::thread;
use std::time::Duration;

const SECOND: u64 = 1_000_000_000;
const CLOCK_REALTIME: u32 = 0;
/// `TFD_TIMER_*`.
const ABSOLUTE: u64 = 1;
const CANCELLED_WHEN_SET: u64 = 2;
/// So long after its time, at most, a timer is counted.
const LATEST_INTERRUPT: Duration = Duration::from_millis(1);

/// When a timer expires next.
enum Next {
    Never,
    /// On the monotonic clock of this machine, ns.
    At(u64),
    Absolute(Expiry),
}

/// What a `timerfd` is.
struct Timer {
    clock: u32,
    next: Next,
    interval_ns: u64,
    ticks: u64,
}

impl Timer {
    /// As it is at a time after it was looked at, when the program's clock stops: what it has counted by then is what the program is to find.
    fn at(self, told_ns: u64) -> FileKind {
        let Timer { clock, next, interval_ns, mut ticks } = self;
        let next = match next {
            Next::Never => None,
            Next::Absolute(expiry) => Some(expiry),
            Next::At(expiry) => Some(match (told_ns.checked_sub(expiry), interval_ns) {
                (Some(late), 1..) => {
                    ticks = ticks.saturating_add(1 + late / interval_ns);
                    Expiry::In { after_ns: interval_ns - late % interval_ns }
                }
                _ => Expiry::In { after_ns: expiry.saturating_sub(told_ns) },
            }),
        };
        FileKind::Timer { clock, next, interval_ns, ticks }
    }
}

/// A `timerfd`. Nothing if it is either not set or about to be counted, which shows after [`LATEST_INTERRUPT`], when it `was_idle`.
fn timer(descriptor: BorrowedFd<'_>, mut was_idle: bool) -> Result<Option<Timer>, String> {
    let unknown = "a timerfd, of which this kernel does not tell the times: close it before";
    let unread = |error: io::Error| format!("a timerfd that cannot be read: {error}");
    let read = || parse_timer(&all_information(descriptor).map_err(unread)?).ok_or_else(|| unknown.to_owned());
    let (flags, [clock, ticks, left, interval_ns]) = loop {
        // An interval that is over begins anew only when somebody asks.
        rustix::time::timerfd_gettime(descriptor).map_err(|error| unread(error.into()))?;
        let (flags, numbers) = read()?;
        match numbers {
            // It will be counted when the processor takes the interrupt.
            [_, 0, 0, 0] if !was_idle => return Ok(None),
            [_, _, 0, 0] => break (flags, numbers),
            [_, _, 0, _] => (),
            // The kernel looks at what is left before it looks at what has been counted: both tell of an expiration in between.
            _ if read()?.1[2] != 0 => break (flags, numbers),
            _ => was_idle = false,
        }
    };
    let clock = u32::try_from(clock).map_err(|_| unknown)?;
    let next = match left {
        0 => Next::Never,
        left if clock == CLOCK_REALTIME && flags & ABSOLUTE != 0 => {
            let since_1970_ns = since_1970_ns().saturating_add(left);
            Next::Absolute(Expiry::At { since_1970_ns, cancelled_when_set: flags & CANCELLED_WHEN_SET != 0 })
        }
        // Never too early: what has passed since it was read counts as left.
        left => Next::At(monotonic_ns().saturating_add(left)),
    };
    Ok(Some(Timer { clock, next, interval_ns, ticks }))
}

/// Flags with which it was set; clock, ticks, and ns to the next expiration and between all.
fn parse_timer(text: &str) -> Option<(u64, [u64; 4])> {
    let field = |name| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let flags = u64::from_str_radix(field("settime flags:")?, 8).ok()?;
    let (clock, ticks) = (field("clockid:")?.parse().ok()?, field("ticks:")?.parse().ok()?);
    Some((flags, [clock, ticks, parse_span(field("it_value:")?)?, parse_span(field("it_interval:")?)?]))
}

/// `(seconds, nanoseconds)`.
fn parse_span(text: &str) -> Option<u64> {
    let (seconds, nanoseconds) = text.strip_prefix('(')?.strip_suffix(')')?.split_once(", ")?;
    seconds.parse::<u64>().ok()?.checked_mul(SECOND)?.checked_add(nanoseconds.parse().ok()?)
}

/// A `signalfd`.
pub(super) fn signals(descriptor: BorrowedFd<'_>) -> Result<FileKind, String> {
    let mask = information(descriptor, "sigmask:").and_then(|digits| u64::from_str_radix(&digits, 16).ok());
    let mask = mask.ok_or("a signalfd, of which this kernel does not tell the signals: close it before")?;
    Ok(FileKind::Signals { mask })
}

/// A line of an `epoll`'s: what it watches, and the inode of that.
struct Line {
    descriptor: u32,
    events: u32,
    data: u64,
    inode: u64,
}

/// `tfd: 5 events: 19 data: 7f00000005 pos:0 ino:812 sdev:9`, numbers but the first in hexadecimal digits.
fn parse_line(line: &str) -> Option<Line> {
    let words: Vec<&str> = line.split([' ', ':']).filter(|word| !word.is_empty()).collect();
    let after = |name| words.iter().position(|word| *word == name).and_then(|index| words.get(index + 1));
    let number = |name| u64::from_str_radix(after(name)?, 16).ok();
    let descriptor = after("tfd")?.parse().ok()?;
    Some(Line { descriptor, events: number("events")? as u32, data: number("data")?, inode: number("ino")? })
}

impl Description {
    /// Describes each `timerfd`, and waits once for those that seem not to be set. The program's clock stops when all have been looked at: what was counted
    /// later than that the program would find too early.
    pub(super) fn finish_timers(&mut self) {
        let timers = self.known.iter().filter(|known| matches!(self.files[known.file].kind, FileKind::Timer { .. }));
        let mut timers: Vec<_> = timers.map(|timer| (timer.file, timer.descriptor.as_fd())).collect();
        let (mut was_idle, mut found) = (false, Vec::new());
        while !timers.is_empty() {
            timers.retain(|&(file, descriptor)| match timer(descriptor, was_idle) {
                Ok(Some(timer)) => {
                    found.push((file, timer));
                    false
                }
                Ok(None) => true,
                Err(reason) => {
                    self.refused.push(reason);
                    false
                }
            });
            if !timers.is_empty() {
                thread::sleep(LATEST_INTERRUPT);
                was_idle = true;
            }
        }
        self.told_ns = monotonic_ns();
        for (file, timer) in found {
            self.files[file].kind = timer.at(self.told_ns);
        }
    }

    /// Describes what each `epoll` watches. All files have been described.
    pub(super) fn finish_epolls(&mut self) {
        let epolls = self.known.iter().filter(|known| matches!(self.files[known.file].kind, FileKind::Epoll { .. }));
        let found: Vec<_> = epolls.map(|epoll| (epoll.file, self.watches(epoll.descriptor.as_fd()))).collect();
        for (file, watches) in found {
            match watches {
                Ok(watches) => self.files[file].kind = FileKind::Epoll { watches },
                Err(reason) => self.refused.push(reason),
            }
        }
    }

    fn watches(&self, epoll: BorrowedFd<'_>) -> Result<Vec<Watch>, String> {
        let text = all_information(epoll).map_err(|error| format!("an epoll cannot be looked into: {error}"))?;
        // A number may have been another file's before, which is still watched by it.
        let mut of_number: HashMap<u32, u32> = HashMap::new();
        let describe = |line: &str| {
            let Line { descriptor, events, data, inode } =
                parse_line(line).ok_or_else(|| format!("an epoll cannot be understood: {line}"))?;
            let count = of_number.entry(descriptor).or_default();
            let index = std::mem::replace(count, *count + 1);
            let is_it = |descriptor_of_file| kernel::is_watched(descriptor_of_file, epoll, descriptor, index);
            let mut candidates = self.known.iter().filter(|known| known.identity[1] == inode);
            let known = candidates.find(|known| is_it(known.descriptor.as_fd())).ok_or_else(|| {
                format!(
                    "an epoll watches what was descriptor {descriptor} when it was added, which no process of the program \
                     has open any more: remove it from the epoll before it is closed"
                )
            })?;
            Ok(Watch { descriptor, file: known.file, events, data })
        };
        text.lines().filter(|line| line.starts_with("tfd:")).map(describe).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_lines_are_those_of_the_kernel() {
        assert_eq!(parse_span("(1, 49406829)"), Some(1_049_406_829));
        assert_eq!(parse_span("(1 49406829)"), None);
        let line = "tfd:       12 events: 8000201d data: ffffffff00000005  pos:0 ino:1a4 sdev:9";
        let Line { descriptor, events, data, inode } = parse_line(line).unwrap();
        assert_eq!((descriptor, events, data, inode), (12, 0x8000_201d, 0xffff_ffff_0000_0005, 0x1a4));
    }
}
