//! What runs inside a Maize program, below its libc: start-up, system calls, memory, signals, clocks, migration.
//!
//! Compiled by rustc to one bitcode module and by `maize sysroot` from that to every ISA, so nothing here may
//! depend on the ISA; what does is in one assembly file per ISA ([`isa`]). Statics are portable data, which moves with
//! the program, unless they are in `.maize.local` ([`local`]). docs/runtime.md is the overview.
#![cfg_attr(not(test), no_std)]
// Host tests cover what only computes; the rest needs the assembly.
#![cfg_attr(test, allow(dead_code, rustdoc::broken_intra_doc_links))]

pub mod memory;
pub mod signal;
pub mod syscall;
pub mod time;

#[cfg(not(test))]
pub mod continuation;
#[cfg(not(test))]
pub mod events;
#[cfg(not(test))]
pub mod isa;
#[cfg(not(test))]
pub mod local;
#[cfg(not(test))]
pub mod migration;
#[cfg(not(test))]
mod panic;
#[cfg(not(test))]
pub mod points;
#[cfg(not(test))]
pub mod process;
#[cfg(not(test))]
pub mod sync;
#[cfg(not(test))]
pub mod trace;
