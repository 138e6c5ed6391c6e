//! Hosts and the programs that move between them.
//!
//! [`run`] runs a program on one machine: on one ISA, or moving round several while it runs. Each
//! host is a process of its own, native or under qemu-user; the runtime inside does the moving
//! ([`maize_abi::control`] is the language spoken with it).

mod absent;
mod chain;
mod checkpoint;
mod control;
mod departure;
mod describe;
mod devices;
mod draft;
mod error;
mod events;
mod file_systems;
mod host;
mod incoming_memory;
#[cfg(target_arch = "x86_64")]
mod injection;
mod kernel;
mod machine;
mod maps;
mod netlink;
mod network;
mod orders;
mod page;
mod pager;
mod plan;
mod precopy;
mod processes;
mod program;
mod remaining;
mod reminder;
mod reopen;
mod report;
mod rest;
mod restore;
mod sent;
mod serve;
mod sockets;
mod stored;
mod supervisor;
mod survey;
mod sync;
mod terminal;
mod tracker;
mod userfaultfd;
mod watching;
mod worker;
mod write;

pub use control::client::{ControlError, Controlled, running, statuses};
pub use control::protocol::{
    Action, Answer, Failure, FailureKind, Happened, Outcome, ProcessStatus, Saved, State, Status,
    VERSION as CONTROL_VERSION,
};
pub use departure::{Captured, Carry, Departure, Departures};
pub use error::RunError;
pub use events::{Draw, EventMoves, EventPlan, Move, MoveList, MoveListError};
pub use machine::{Confinement, Machine};
pub use network::{Address, Connection, Incoming};
pub use plan::HopPlan;
pub use precopy::Precopy;
pub use remaining::{Pages, Remaining};
pub use reopen::{ChangedFiles, seek_standard_streams};
pub use report::{Activation, Child, Exit, Fetched, Migration, Place, Report, Stay};
pub use rest::{Ask, Rest};
pub use restore::{Snapshot, receive, restore};
pub use supervisor::{Event, Memory, Periodic, RunOptions, run};
pub use survey::{Need, Survey};
pub use terminal::line_discipline;
