//! How much of a program's memory may be on its way to it unasked: so much that the link has enough to do, and so little that what is asked for does not wait long behind it. By what delay
//! the queue adds, as LEDBAT does (RFC 6817).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// So long may something wait behind what is on its way.
const TARGET: Duration = Duration::from_millis(1);
/// Bytes that may be on their way at first and at least, and at most.
const LEAST: u64 = 128 << 10;
const MOST: u64 = 16 << 20;

/// What is on its way.
pub(super) struct Pace {
    /// When each message was sent that has not been confirmed, and its bytes.
    sent: VecDeque<(Instant, u64)>,
    /// Bytes of those.
    under_way: u64,
    /// Bytes that may be.
    window: u64,
    /// How long a message takes there and back if nothing is in its way.
    base: Duration,
    /// No queue has been seen yet.
    is_new: bool,
}

impl Pace {
    pub(super) fn new() -> Pace {
        Pace { sent: VecDeque::new(), under_way: 0, window: LEAST, base: Duration::MAX, is_new: true }
    }

    /// Whether more may be sent unasked.
    pub(super) fn has_room(&self) -> bool {
        self.under_way < self.window
    }

    /// So many bytes are being sent.
    pub(super) fn send(&mut self, bytes: u64, now: Instant) {
        self.sent.push_back((now, bytes));
        self.under_way += bytes;
    }

    /// The oldest message has been confirmed.
    pub(super) fn confirm(&mut self, now: Instant) {
        let Some((sent, bytes)) = self.sent.pop_front() else { return };
        self.under_way -= bytes;
        let took = now.saturating_duration_since(sent);
        self.base = self.base.min(took);
        let queued = took - self.base;
        let (window, bytes) = (self.window as f64, bytes as f64);
        let off_target = (1.0 - queued.as_secs_f64() / TARGET.as_secs_f64()).max(-1.0);
        self.is_new &= off_target > 0.0;
        // Twice as much with each round at first, a message more with each later.
        let change = if self.is_new { bytes } else { off_target * bytes * bytes / window };
        self.window = ((window + change) as u64).clamp(LEAST, MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A link of so many bytes in a second which takes so long there and back; the longest that something waits behind what is on its way once the window has settled, and how much of the link is used.
    fn through(bytes_per_second: f64, trip: Duration) -> (Duration, f64) {
        const PIECE: u64 = 64 << 10;
        let begun = Instant::now();
        let each = Duration::from_secs_f64(PIECE as f64 / bytes_per_second);
        let (mut pace, mut now, mut free) = (Pace::new(), begun, begun);
        let (mut arrivals, mut longest, mut used) = (VecDeque::new(), Duration::ZERO, 0);
        let (settled, end) = (begun + Duration::from_secs(4), begun + Duration::from_secs(8));
        while now < end {
            while pace.has_room() {
                pace.send(PIECE, now);
                free = free.max(now) + each;
                arrivals.push_back(free + trip);
                if now > settled {
                    longest = longest.max(free - now);
                    used += 1;
                }
            }
            now = arrivals.pop_front().unwrap_or(end);
            pace.confirm(now);
        }
        (longest, f64::from(used) * each.as_secs_f64() / (end - settled).as_secs_f64())
    }

    #[test]
    fn a_link_is_used_and_what_is_asked_for_does_not_wait_long() {
        for (speed, trip_us) in [(1e9, 100), (1e9, 1000), (1.25e8, 200), (1.25e8, 10_000), (1.25e7, 2000)] {
            let (longest, used) = through(speed, Duration::from_micros(trip_us));
            let least = Duration::from_secs_f64(LEAST as f64 / speed);
            assert!(longest < (2 * TARGET).max(2 * least), "{speed}, {trip_us} us: {longest:?}");
            assert!(used > 0.8, "{speed}, {trip_us} us: {used}");
        }
    }
}
