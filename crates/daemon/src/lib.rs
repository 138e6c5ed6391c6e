//! Nodes: machines that know each other by their keys, tell each other how they are, and run programs for one another (docs/nodes.md).
//!
//! [`daemon`] is maized, one process a node; it runs no program itself. [`shim`] is the process that does, one for each program, which outlives the daemon.
//! [`client`], [`remote`] and [`drain`] are what the commands do. They speak by [`message`] over [`channel`].

mod addresses;
mod arrivals;
pub mod asked;
pub mod channel;
pub mod client;
pub mod daemon;
mod directory;
pub mod drain;
mod error;
pub mod files;
mod hosts;
mod identity;
mod limits;
mod link;
mod members;
pub mod message;
mod poll;
mod read;
pub mod remote;
mod saved;
pub mod shim;
mod store;
mod sync;
mod token;
mod verdicts;

pub use directory::Directory;
pub use error::{NodeError, Result};
pub use hosts::HostProcess;
pub use identity::{Configuration, Identity, MemoryOrder, PORT, PublicKey};
pub use members::{Member, Members};
pub use token::Token;
