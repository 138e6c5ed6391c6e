//! Hosts and the programs that move between them.
//!
//! [`run`] runs a program on one machine: on one ISA, or moving round several while it runs. Each
//! host is a process of its own, native or under qemu-user; the runtime inside does the moving
//! ([`maize_abi::control`] is the language spoken with it).

mod checkpoint;
mod control;
mod departure;
mod describe;
mod error;
mod events;
mod host;
mod kernel;
mod orders;
mod plan;
mod processes;
mod program;
mod reminder;
mod reopen;
mod report;
mod restore;
mod serve;
mod supervisor;
mod survey;
mod write;

pub use control::client::{ControlError, Controlled, running};
pub use control::protocol::{
    Action, Answer, Failure, FailureKind, Happened, Outcome, ProcessStatus, Saved, State, Status,
    VERSION as CONTROL_VERSION,
};
pub use departure::{Captured, Carry, Departure, Departures};
pub use error::RunError;
pub use events::{Draw, EventMoves, EventPlan, Move, MoveList, MoveListError};
pub use plan::HopPlan;
pub use reopen::ChangedFiles;
pub use report::{Activation, Child, Exit, Migration, Place, Report, Stay};
pub use restore::{receive, restore};
pub use supervisor::{Event, Periodic, RunOptions, run};
pub use survey::{Need, Survey};
