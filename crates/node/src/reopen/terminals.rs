//! Terminals that the program has made are made again, with what was in them.

use super::open_again;
use crate::terminal;
use maize_abi::terminals::Number;
use maize_snapshot::Metadata;
use rustix::fs::{OFlags, fcntl_setfl};
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::fd::{AsFd as _, OwnedFd};

/// Both sides of each. Those that the program does not have are closed when it is dropped.
pub(super) struct Made(Vec<(OwnedFd, OwnedFd)>);

impl Made {
    pub(super) fn new(metadata: &Metadata, contents: &mut [File]) -> Result<Made, String> {
        let make = |terminal: &maize_snapshot::Terminal| {
            let mut written = Vec::new();
            let content = &mut contents[terminal.content];
            content.rewind()?;
            content.read_to_end(&mut written)?;
            terminal::make(terminal, &written)
        };
        let made: io::Result<Vec<_>> = metadata.terminals.iter().map(make).collect();
        Ok(Made(made.map_err(|error| format!("a terminal cannot be made again: {error}"))?))
    }

    /// An open file of one side. Of the master there is one.
    pub(super) fn open(&self, terminal: usize, master: bool, flags: OFlags) -> io::Result<OwnedFd> {
        let (ours, theirs) = &self.0[terminal];
        if master {
            let opened = ours.try_clone()?;
            fcntl_setfl(&opened, flags)?;
            return Ok(opened);
        }
        open_again(theirs.as_fd(), flags)
    }

    /// All have been opened. Which of them the program knows by other numbers.
    pub(super) fn settle(self, metadata: &Metadata) -> Result<Vec<Number>, String> {
        let settle = || {
            let mut here = Vec::new();
            for (terminal, (master, slave)) in metadata.terminals.iter().zip(&self.0) {
                terminal::settle(master, slave, terminal)?;
                here.push(terminal::number(master)?);
            }
            Ok(terminal::renumbered(&metadata.terminals, here.into_iter()))
        };
        settle().map_err(|error: io::Error| format!("a terminal cannot be made again: {error}"))
    }
}
