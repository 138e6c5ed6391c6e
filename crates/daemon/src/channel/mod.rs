//! Connections between nodes: encrypted, with both sides known to each other by their keys (docs/security.md). First a handshake
//! ([`handshake`]), then a stream of sealed records ([`sealed`]) that carries messages ([`crate::message`]).
//!
//! A connection after its handshake is two keys, two counters and a socket, so that one process can hand it to another.

mod alive;
mod gather;
mod handshake;
mod sealed;

pub use handshake::{Authenticated, accept, connect};
pub(crate) use handshake::{generate, public_of};
pub use sealed::{Handover, Opener, Sealer};
