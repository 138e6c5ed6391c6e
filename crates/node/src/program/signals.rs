//! Signals to a process that may be on its way, and its stops.

use super::Program;
use crate::processes::Change;
use maize_abi::control::Message;
use maize_abi::processes::SignalInformation;
use rustix::process::{WaitId, WaitIdOptions, waitid};

const SIGKILL: u32 = 9;
const SIGCONT: u32 = 18;
const SIGSTOP: u32 = 19;

impl Program {
    /// Whether signals that are sent to its host are its own, and find its handlers.
    pub(super) fn is_reachable(&self) -> bool {
        !self.is_between() && !self.arriving && self.forking.is_none()
    }

    /// The process has stopped or goes on, perhaps: the kernel knows.
    pub(crate) fn look_for_stop(&mut self) {
        let options = WaitIdOptions::STOPPED | WaitIdOptions::CONTINUED | WaitIdOptions::NOHANG;
        let Ok(Some(status)) = waitid(WaitId::PidFd(self.current.pidfd()), options) else { return };
        match status.stopping_signal() {
            Some(_) if self.is_between() => self.pass_stop_on(),
            Some(signal) if !std::mem::replace(&mut self.stopped, true) => {
                self.changes.push(Change::Stopped { signal })
            }
            None if status.continued() && !self.is_between() && std::mem::take(&mut self.stopped) => {
                self.changes.push(Change::Continued);
            }
            _ => {}
        }
    }

    /// A source that the process has left has been stopped. It has to end; the destination is stopped in its place.
    pub(super) fn pass_stop_on(&mut self) {
        let signal = |signal| SignalInformation { signal, code: 0, sender: std::process::id().into(), value: 0 };
        self.current.send_signal(&signal(SIGCONT));
        self.held.push(signal(SIGSTOP));
    }

    /// Gives the process a signal, now or when it is in one place. What it has in the kernel's queue when it leaves comes back as
    /// `Undelivered`.
    pub(crate) fn deliver(&mut self, signal: SignalInformation) {
        if signal.signal == SIGKILL {
            // Wherever it is.
            self.current.send_signal(&signal);
            if let (true, Some(next)) = (self.request().is_some(), &self.next) {
                next.host.send_signal(&signal);
            }
        } else if !self.is_reachable() {
            self.held.push(signal);
        } else {
            // It may just have ended; its pidfd will tell.
            self.current.send_signal(&signal);
        }
    }

    /// Delivers what was held back, if that can be.
    pub(crate) fn deliver_held(&mut self) {
        if self.is_reachable() {
            let returned = std::mem::take(&mut self.returned);
            for signal in returned.into_iter().chain(std::mem::take(&mut self.held)) {
                self.deliver(signal);
            }
        }
    }
}

pub(crate) fn undelivered(message: &Message) -> SignalInformation {
    let [signal, code, sender, value, ..] = message.values;
    SignalInformation { signal: signal as u32, code: code as i32, sender, value }
}
