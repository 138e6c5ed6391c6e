//! Whether it is known which pages a process changes. It is asked for what is needed to know (`Kind::Watch`) when somebody wants to, and not before.

use super::Program;
use crate::host::Heard;
use crate::reminder::Reminder;
use crate::tracker::Tracker;
use maize_abi::control::{Kind, Message};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// What is known of it in the present host.
#[derive(Default)]
pub(super) enum Watch {
    /// Nobody has asked.
    #[default]
    No,
    /// The process has been asked.
    Asked,
    /// It has answered.
    Granted(Arc<Tracker>),
    /// Somebody knows it, for as long as they want to.
    Yes(Weak<Tracker>),
    /// It cannot be known here.
    Never,
}

impl Program {
    /// Asks the process for what is needed to know which pages it changes, if it has not been asked; whether it has still to answer.
    pub(crate) fn ask_to_watch(&mut self, now: Duration) -> bool {
        match &self.watch {
            Watch::Yes(tracker) if tracker.strong_count() == 0 => self.watch = Watch::No,
            Watch::Asked => return true,
            Watch::Yes(_) | Watch::Granted(_) | Watch::Never => return false,
            Watch::No => {}
        }
        if self.may_be_asked() && !self.is_asked() {
            // It may just have ended; its pidfd will tell.
            let _ = self.current.send(&Message::new(Kind::Watch, [0; 8]), None);
            self.current.draw_attention();
            self.reminder = Reminder::new(now);
            self.watch = Watch::Asked;
        }
        true
    }

    /// What knows which pages it changes, if that is known and nobody else has it: what one has been told of, the other would miss.
    pub(crate) fn take_tracker(&mut self) -> Option<Arc<Tracker>> {
        let Watch::Granted(tracker) = &self.watch else { return None };
        let tracker = Arc::clone(tracker);
        self.watch = Watch::Yes(Arc::downgrade(&tracker));
        Some(tracker)
    }

    /// The tracker of its present host, if there is one.
    pub(crate) fn tracker(&self) -> Option<Arc<Tracker>> {
        match &self.watch {
            Watch::Yes(tracker) => tracker.upgrade(),
            _ => None,
        }
    }

    /// It has answered.
    pub(super) fn hear_watched(&mut self, heard: &Heard) {
        self.reminder = Reminder::default();
        let given = heard.descriptors.first().and_then(|descriptor| descriptor.try_clone().ok());
        let userfaultfd = given.or_else(|| self.current.watch_emulator());
        self.watch = match Tracker::new(self.current.pid(), userfaultfd) {
            Ok(tracker) => Watch::Granted(Arc::new(tracker)),
            Err(_) => Watch::Never,
        };
    }
}
