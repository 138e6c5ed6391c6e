//! State transformation: suspending a thread's activations into frame records and resuming them,
//! here or in a process of another ISA.
//!
//! [`unwind`] steps from frame to frame by the site table, [`capture`] copies each frame's live values,
//! [`resume`] starts the chain of resume clones, [`jump`] is `setjmp` and `longjmp` on the same means, and
//! [`exception`] the unwinder of C++ and Rust.
//! The code that reloads values is compiled into the program (crates/passes); here is only what drives it.

pub mod capture;
pub mod exception;
pub mod jump;
pub mod resume;
pub mod unwind;
