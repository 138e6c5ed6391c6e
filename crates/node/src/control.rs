//! The control socket of a running program: how other commands find it and what they can ask (docs/control.md).
//!
//! [`directory`] says where sockets are, [`protocol`] what is said, [`door`] is the program's end of it and [`client`] the other one.

pub(crate) mod client;
pub(crate) mod directory;
pub(crate) mod door;
pub(crate) mod protocol;
