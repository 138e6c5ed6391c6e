//! The connection to the shim that a program goes to, at the side that it leaves.

use super::pace::Pace;
use crate::channel::{Opener, Sealer};
use crate::error::NodeError;
use crate::message::{ToDestination, send};
use crate::poll::is_ready;
use maize_snapshot::CHUNK;
use rustix::event::PollFlags;
use std::collections::VecDeque;
use std::io::{self, Write};
use std::ops::Range;

/// The connection to the shim that the program goes to. What is written goes in messages, unless the other side has said that it takes no more.
pub(super) struct Link {
    /// The node, for people.
    peer: String,
    pub(super) sealer: Sealer,
    pub(super) opener: Opener,
    /// Pages of processes that have been asked for, without the first of each range, which goes at once.
    pub(super) asked: VecDeque<(u32, Range<u64>)>,
    pub(super) pace: Pace,
}

impl Link {
    pub(super) fn new(peer: String, sealer: Sealer, opener: Opener) -> Link {
        Link { peer, sealer, opener, asked: VecDeque::new(), pace: Pace::new() }
    }

    /// Goes on by another connection.
    pub(super) fn renew(&mut self, sealer: Sealer, opener: Opener) {
        *self = Link::new(std::mem::take(&mut self.peer), sealer, opener);
    }

    pub(super) fn has_spoken(&self) -> bool {
        is_ready(self.opener.socket(), PollFlags::IN)
    }

    /// There is enough on its way: while that goes there is time to make smaller what goes next. Where the link is faster than that there never is.
    pub(super) fn is_busy(&self) -> bool {
        !is_ready(self.sealer.socket(), PollFlags::OUT)
    }
}

impl Write for Link {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.has_spoken() {
            return Err(io::Error::other("the other node takes no more"));
        }
        let piece = &bytes[..bytes.len().min(CHUNK)];
        let announced = send(&mut self.sealer, &ToDestination::Piece(piece.len() as u32));
        announced.and_then(|()| self.sealer.write_all(piece)).map_err(|source| {
            let kind = source.kind();
            io::Error::new(kind, NodeError::Lost { peer: self.peer.clone(), source })
        })?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
