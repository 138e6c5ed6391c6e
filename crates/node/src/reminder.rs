//! Calling again a process that has not stopped yet.
//!
//! A call has the process stop at migration points of the functions that are on its stack, which is quickly prepared. If it is in another
//! function by the time, and stays there, it takes another call (`maize_runtime::points`). One that leaves a call unheard for a while looks at each
//! whether that is over (`maize_runtime::migration::record_locks`).

use std::time::Duration;

/// How long to wait for a process after the first call; twice as long after each other.
const FIRST: Duration = Duration::from_micros(250);
/// More calls make no difference: by then there are traps everywhere, and what is left unheard for 3.2 s at most is heard.
const CALLS: u32 = 14;

/// When a process is to be called again.
#[derive(Default)]
pub(crate) struct Reminder {
    called: u32,
    due: Option<Duration>,
}

impl Reminder {
    /// For a process that is called now.
    pub(crate) fn new(now: Duration) -> Reminder {
        Reminder { called: 0, due: Some(now + FIRST) }
    }

    /// When to call again, from the start of the run.
    pub(crate) fn due(&self) -> Option<Duration> {
        self.due
    }

    /// Whether to call now.
    pub(crate) fn take(&mut self, now: Duration) -> bool {
        let is_due = self.due.is_some_and(|due| due <= now);
        if is_due {
            self.called += 1;
            self.due = (self.called < CALLS).then(|| now + FIRST * 2u32.pow(self.called));
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_come_ever_later_and_end() {
        let mut reminder = Reminder::new(Duration::ZERO);
        let mut times = Vec::new();
        while let Some(due) = reminder.due() {
            assert!(!reminder.take(due - Duration::from_micros(1)));
            assert!(reminder.take(due));
            times.push(due);
        }
        assert_eq!(times.len(), CALLS as usize);
        assert!(times.windows(3).all(|next| next[2] - next[1] == 2 * (next[1] - next[0])));
        assert!(!Reminder::default().take(Duration::MAX));
    }
}
