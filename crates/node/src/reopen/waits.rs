//! Making again what a program waits with: `epoll`, `timerfd`, `signalfd`.

use crate::kernel;
use crate::program::{self, monotonic_ns};
use maize_snapshot::{Expiry, File as Described, FileKind, Metadata, Watch};
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fs::OFlags;
use rustix::io::{Errno, dup2, fcntl_dupfd_cloexec};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd as _, FromRawFd as _, OwnedFd};
use std::thread;

/// So often a timer is set that expires meanwhile. More often no timer does whose program could read it.
const TRIES: usize = 10;

fn span(nanoseconds: u64) -> Timespec {
    let seconds = i64::try_from(nanoseconds / 1_000_000_000).unwrap_or(i64::MAX);
    Timespec { tv_sec: seconds, tv_nsec: (nanoseconds % 1_000_000_000).cast_signed() }
}

/// A `timerfd`. `began_ns` is [`Metadata::monotonic_ns`] on this machine's clock.
pub(super) fn timer(
    clock: u32,
    next: Option<Expiry>,
    interval_ns: u64,
    ticks: u64,
    began_ns: u64,
    flags: OFlags,
) -> io::Result<OwnedFd> {
    let mut kinds = TimerfdFlags::CLOEXEC;
    kinds.set(TimerfdFlags::NONBLOCK, flags.contains(OFlags::NONBLOCK));
    let clock = match clock {
        0 => TimerfdClockId::Realtime,
        1 => TimerfdClockId::Monotonic,
        7 => TimerfdClockId::Boottime,
        8 => TimerfdClockId::RealtimeAlarm,
        9 => TimerfdClockId::BoottimeAlarm,
        other => return Err(io::Error::other(format!("clock {other} is not known"))),
    };
    let made = timerfd_create(clock, kinds)?;
    let Some(next) = next else {
        if ticks > 0 {
            kernel::set_ticks(made.as_fd(), ticks)?;
        }
        return Ok(made);
    };
    let (mut how, mut expiry, now): (_, u64, fn() -> u64) = match next {
        Expiry::In { after_ns } => (TimerfdTimerFlags::empty(), began_ns.saturating_add(after_ns), monotonic_ns),
        Expiry::At { since_1970_ns, .. } => (TimerfdTimerFlags::ABSTIME, since_1970_ns, program::since_1970_ns),
    };
    how.set(TimerfdTimerFlags::CANCEL_ON_SET, matches!(next, Expiry::At { cancelled_when_set: true, .. }));
    let mut counted = ticks;
    for _ in 0..TRIES {
        let late = now().checked_sub(expiry);
        if let Some(late) = late.filter(|_| counted > 0 && interval_ns > 0) {
            let passed = 1 + late / interval_ns;
            counted = counted.saturating_add(passed);
            expiry = expiry.saturating_add(passed.saturating_mul(interval_ns));
        }
        let first_ns = if how.contains(TimerfdTimerFlags::ABSTIME) { expiry } else { expiry.saturating_sub(now()) };
        // Setting it forgets what it has counted, and setting that forgets what it has counted since.
        timerfd_settime(&made, how, &Itimerspec { it_interval: span(interval_ns), it_value: span(first_ns.max(1)) })?;
        if counted == 0 {
            break;
        }
        kernel::set_ticks(made.as_fd(), counted)?;
        if now() < expiry {
            break;
        }
    }
    Ok(made)
}

/// A `signalfd`.
pub(super) fn signals(mask: u64, flags: OFlags) -> io::Result<OwnedFd> {
    kernel::signal_descriptor(mask, flags.contains(OFlags::NONBLOCK))
}

/// Has each `epoll` watch what it did.
///
/// An `epoll` knows what it watches by open file and number, and the program names it by that number. So everything is added by the program's
/// numbers, in a thread with a table of descriptors of its own.
///
/// # Errors
/// What cannot be watched, and why.
pub(super) fn watch_all(metadata: &Metadata, files: &[Option<OwnedFd>]) -> Result<(), String> {
    let watches: Vec<(usize, &Watch)> =
        metadata.files.iter().enumerate().flat_map(|(epoll, file)| watches_of(epoll, file)).collect();
    let Some(highest) = watches.iter().map(|(_, watch)| watch.descriptor).max() else { return Ok(()) };
    let add = || -> io::Result<()> {
        // SAFETY: nothing that this thread opens or closes is known to others.
        unsafe { unshare_unsafe(UnshareFlags::FILES)? };
        // Their present numbers may be among the program's.
        let beyond = i32::try_from(highest).unwrap_or(i32::MAX).saturating_add(1);
        let copy = |file: &Option<OwnedFd>| file.as_ref().map(|file| fcntl_dupfd_cloexec(file, beyond)).transpose();
        let copies = files.iter().map(copy).collect::<Result<Vec<_>, _>>()?;
        for (epoll, watch) in &watches {
            // What this process was not given is closed in the program, too.
            let (Some(epoll), Some(file)) = (&copies[*epoll], &copies[watch.file]) else { continue };
            let is_stream = matches!(metadata.files[watch.file].kind, FileKind::Standard { .. });
            match watch_one(epoll, file, watch) {
                // What was a pipe may be a file now, which is always ready and cannot be watched.
                Err(Errno::PERM) if is_stream => {}
                result => result?,
            }
        }
        Ok(())
    };
    let added = thread::scope(|scope| scope.spawn(add).join());
    let added = added.unwrap_or_else(|_| Err(io::Error::other("a thread has failed")));
    added.map_err(|error| format!("an epoll cannot be made again: {error}"))
}

fn watches_of(epoll: usize, file: &Described) -> impl Iterator<Item = (usize, &Watch)> {
    let watches = match &file.kind {
        FileKind::Epoll { watches } => watches.as_slice(),
        _ => &[],
    };
    watches.iter().map(move |watch| (epoll, watch))
}

/// Adds a file by a number, which becomes the file's in this thread's table.
fn watch_one(epoll: &OwnedFd, file: &OwnedFd, watch: &Watch) -> rustix::io::Result<()> {
    let number = i32::try_from(watch.descriptor).map_err(|_| Errno::BADF)?;
    // SAFETY: whatever has this number in this thread's table, nothing uses it there.
    let mut named = ManuallyDrop::new(unsafe { OwnedFd::from_raw_fd(number) });
    dup2(file, &mut named)?;
    let flags = EventFlags::from_bits_retain(watch.events);
    epoll::add(epoll, &*named, EventData::new_u64(watch.data), flags)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::describe::{Description, Destination, Streams};
    use rustix::event::epoll::{CreateFlags, Event};
    use std::io::Write as _;
    use std::os::fd::{AsRawFd as _, BorrowedFd};

    #[test]
    fn an_epoll_watches_by_the_numbers_that_the_program_knows() {
        let _alone = crate::reopen::alone_with_descriptors();
        let (reader, mut writer) = io::pipe().unwrap();
        let reader = OwnedFd::from(reader);
        let original = epoll::create(CreateFlags::CLOEXEC).unwrap();
        let flags = EventFlags::IN | EventFlags::ET;
        epoll::add(&original, &reader, EventData::new_u64(0x1_0000_0007), flags).unwrap();
        // The number by which it was added is another file's later.
        let copy = reader.try_clone().unwrap();
        let number = copy.as_raw_fd().cast_unsigned();
        epoll::add(&original, &copy, EventData::new_u64(8), EventFlags::IN).unwrap();
        let other = rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC).unwrap();
        let mut named = copy;
        dup2(&other, &mut named).unwrap();
        epoll::add(&original, &named, EventData::new_u64(9), EventFlags::IN).unwrap();

        let mut description = Description::new(Streams::default(), Destination::File, Vec::new(), false);
        let mut add = |file: &OwnedFd| description.add(file.as_fd(), "a file", None);
        let indices = [add(&original), add(&reader), add(&other)];
        assert_eq!(indices, [Some(0), Some(1), Some(2)]);
        description.add(OwnedFd::from(writer.try_clone().unwrap()).as_fd(), "a pipe", None);
        description.finish();
        assert!(description.refused.is_empty(), "{:?}", description.refused);
        let FileKind::Epoll { watches } = &description.files[0].kind else { panic!("no epoll") };
        let mut found: Vec<_> = watches.iter().map(|watch| (watch.descriptor, watch.file, watch.data)).collect();
        found.sort_unstable();
        let mut expected = vec![(reader.as_raw_fd().cast_unsigned(), 1, 0x1_0000_0007), (number, 1, 8), (number, 2, 9)];
        expected.sort_unstable();
        assert_eq!(found, expected);

        let again = epoll::create(CreateFlags::CLOEXEC).unwrap();
        let files = [Some(again), Some(reader), Some(other), None];
        watch_all(&crate::reopen::metadata_of(description.files), &files).unwrap();
        writer.write_all(b"x").unwrap();
        let mut events = [Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }; 4];
        let again = files[0].as_ref().unwrap();
        let count = epoll::wait(again, &mut events[..], None).unwrap();
        let mut data: Vec<u64> = events[..count].iter().map(|event| event.data.u64()).collect();
        data.sort_unstable();
        assert_eq!(data, [8, 0x1_0000_0007]);
        // By its number it can be changed.
        epoll::modify(again, files[1].as_ref().unwrap(), EventData::new_u64(5), EventFlags::IN).unwrap();
    }

    /// What a timer is, and when it was that.
    fn described_timer(timer: BorrowedFd<'_>) -> (FileKind, u64) {
        let mut description = Description::new(Streams::default(), Destination::File, Vec::new(), false);
        description.add(timer, "a timer", None);
        description.finish();
        assert!(description.refused.is_empty(), "{:?}", description.refused);
        (description.files.swap_remove(0).kind, description.told_ns)
    }

    #[test]
    fn a_timer_goes_on_with_what_it_has_counted_and_what_it_has_left() {
        let began = monotonic_ns();
        let next = Some(Expiry::In { after_ns: 3_600_000_000_000 });
        let made = timer(1, next, 5_000_000_000, 3, began, OFlags::NONBLOCK).unwrap();
        let (described, told) = described_timer(made.as_fd());
        let FileKind::Timer { clock: 1, next: Some(Expiry::In { after_ns }), interval_ns, ticks } = described else {
            panic!("{described:?}")
        };
        assert_eq!((interval_ns, ticks), (5_000_000_000, 3));
        // Never earlier than it was to, and not much later.
        let expires = told - began + after_ns;
        assert!((3_600_000_000_000..3_660_000_000_000).contains(&expires), "{expires}");
        let mut count = [0; 8];
        assert_eq!(rustix::io::read(&made, &mut count), Ok(8));
        assert_eq!(u64::from_ne_bytes(count), 3);
        assert_eq!(rustix::io::read(&made, &mut count), Err(Errno::AGAIN));
    }

    #[test]
    fn a_timer_that_is_overdue_has_counted_each_time_that_has_passed() {
        let began = monotonic_ns() - 12_500_000;
        for ticks in [1, 7] {
            let next = Some(Expiry::In { after_ns: 2_000_000 });
            let made = timer(1, next, 5_000_000_000_000, ticks, began, OFlags::NONBLOCK).unwrap();
            let (described, told) = described_timer(made.as_fd());
            let FileKind::Timer { next: Some(Expiry::In { after_ns }), ticks: counted, .. } = described else {
                panic!("{described:?}")
            };
            assert_eq!(counted, ticks + 1);
            let expires = told - began + after_ns;
            assert!((5_000_002_000_000..5_060_002_000_000).contains(&expires), "{expires}");
        }
    }

    #[test]
    fn a_timer_that_is_not_set_stays_so_and_keeps_what_it_has_counted() {
        for ticks in [0, 3] {
            let made = timer(0, None, 0, ticks, monotonic_ns(), OFlags::NONBLOCK).unwrap();
            let expected = FileKind::Timer { clock: 0, next: None, interval_ns: 0, ticks };
            assert_eq!(described_timer(made.as_fd()).0, expected);
        }
    }

    /// Described again and again, also while it expires, it has never counted one that is still to come, neither of its own nor of the clock's that goes on from there.
    #[test]
    fn a_timer_that_expires_while_it_is_described_counts_once() {
        const INTERVAL: u64 = 50_000;
        let began = monotonic_ns();
        let next = Some(Expiry::In { after_ns: INTERVAL });
        let made = timer(1, next, INTERVAL, 0, began, OFlags::NONBLOCK).unwrap();
        for _ in 0..40_000 {
            let (described, told) = described_timer(made.as_fd());
            let FileKind::Timer { next: Some(Expiry::In { after_ns }), ticks, .. } = described else {
                panic!("{described:?}")
            };
            let passed = told - began;
            assert!(ticks * INTERVAL <= passed, "{ticks} ticks in {passed} ns");
            assert!(
                (ticks + 1) * INTERVAL <= passed + after_ns,
                "{ticks} ticks in {passed} ns, and {after_ns} ns to the next"
            );
        }
    }
}
