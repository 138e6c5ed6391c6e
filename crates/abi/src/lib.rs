//! What compiled programs, the runtime inside them, the node that hosts them and the image
//! writer must agree on: addresses, record and table layouts, wire messages, versions.
//!
//! Constants and plain-old-data only; no policy, no I/O. Everything is little-endian and has the
//! same layout on every ISA. The documents are docs/format.md and docs/protocol.md.
#![no_std]

pub mod board;
pub mod control;
pub mod image;
pub mod isa;
pub mod layout;
pub mod processes;
pub mod record;
pub mod site_table;
pub mod symbols;
pub mod terminals;

pub use isa::Isa;
