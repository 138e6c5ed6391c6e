//! Terminals that the program has made: both sides have to be the program's, and what is in them is taken out.

use super::{Description, Source, identity};
use crate::terminal::{self, Obstacle, Side, Taken};
use maize_abi::terminals::{MOST, known};
use maize_snapshot::{FileKind, Terminal};
use rustix::fs::Stat;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

/// What is said of one whose other side is somebody else's.
pub(crate) const FOREIGN: &str =
    "a terminal whose other side is not the program's: close it before, or let it be a standard stream";

/// What is said of one that controls a session.
pub(crate) const CONTROLLING: &str =
    "a terminal that is a session's own, which is the kernel's affair on this machine: end the session before";

/// A terminal of which the program has a side.
pub(super) struct Found {
    /// The kernel's.
    number: u32,
    master: Option<OwnedFd>,
    /// Files of the other side.
    slaves: Vec<[u64; 2]>,
    /// Its master side has been closed everywhere, and its number may be another one's.
    is_over: bool,
}

impl Description {
    pub(super) fn terminal(
        &mut self,
        descriptor: BorrowedFd<'_>,
        status: &Stat,
        side: Side,
    ) -> Result<FileKind, String> {
        let unknown = |error: io::Error| format!("a terminal that cannot be looked at: {error}");
        let (number, is_over) = match side {
            Side::Master => (terminal::number(descriptor).map_err(unknown)?, false),
            Side::Slave(number) => (number, terminal::is_hung_up(descriptor)),
        };
        let place = self.terminals_found.iter().position(|found| (found.number, found.is_over) == (number, is_over));
        let index = place.unwrap_or(self.terminals_found.len());
        if place.is_none() {
            self.terminals_found.push(Found { number, master: None, slaves: Vec::new(), is_over });
        }
        let found = &mut self.terminals_found[index];
        match side {
            Side::Master if found.master.is_some() => {
                return Err(String::from(
                    "a terminal of another /dev/pts than one of the same number: close it before",
                ));
            }
            Side::Master => {
                found.master = Some(descriptor.try_clone_to_owned().map_err(unknown)?);
            }
            Side::Slave(_) => found.slaves.push(identity(status)),
        }
        Ok(FileKind::Terminal { terminal: index, master: side == Side::Master })
    }

    /// Takes out what is in them if nothing is in the way of the program.
    pub(super) fn finish_terminals(&mut self) {
        let found = std::mem::take(&mut self.terminals_found);
        if found.len() > MOST {
            self.refused
                .push(format!("the program has made {} terminals, and {MOST} can go along: close some", found.len()));
        }
        for one in found.iter().filter(|one| !one.is_over) {
            let name = format!("/dev/pts/{}", one.number);
            match one.master.as_ref().map(|master| terminal::obstacle(master.as_fd(), &one.slaves)) {
                None => self.refused.push(format!("{name} is {FOREIGN}")),
                Some(Ok(None)) => {}
                Some(Ok(Some(Obstacle::Never(reason)))) => {
                    self.refused.push(format!("{name} is {reason}"));
                }
                Some(Ok(Some(Obstacle::NotNow(reason)))) => self.not_now.push(format!("{name} is {reason}")),
                Some(Err(error)) => self.refused.push(format!("{name} cannot be looked at: {error}")),
            }
        }
        if !self.refused.is_empty() || !self.not_now.is_empty() {
            return;
        }
        for one in found {
            let taken = one.master.map(Taken::take).transpose();
            let taken = match taken {
                Ok(taken) => taken,
                Err(error) => {
                    self.refused.push(format!("/dev/pts/{} cannot be taken along: {error}", one.number));
                    return;
                }
            };
            let (mut terminal, written) = match &taken {
                Some(taken) => (taken.told().0.clone(), taken.told().1.to_vec()),
                None => (Terminal::default(), Vec::new()),
            };
            terminal.number = known(&self.numbers, one.number);
            terminal.content = self.push(Source::Bytes(written.clone()), written.len() as u64);
            self.terminals.push(terminal);
            self.terminals_taken.extend(taken);
        }
    }
}
