//! Finds out whether a program does the same when it moves: it is run without moves and then with moves at points drawn by a seed, and
//! what it prints and how it ends is compared. A difference is shrunk to the moves that make it (docs/chaos.md).
//!
//! [`examine`] is the way in. [`program`] runs the program by `maize run`, [`difference`] compares, [`shrink`] reduces a list of
//! moves, [`place`] names places in the program, [`report`] is the result.

mod difference;
mod error;
mod examine;
mod place;
mod program;
pub mod report;
mod shrink;

pub use difference::{Difference, Stream};
pub use error::ChaosError;
pub use examine::{Expected, Options, Progress, examine};
pub use place::Places;
pub use program::Program;
pub use report::Report;
