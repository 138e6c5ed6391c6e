//! Signals. What the program sets up is kept in portable memory; the host's handler only notes what has come, and the program's
//! handlers run at its migration points and interrupted system calls, as ordinary calls that can themselves be suspended.
//!
//! [`state`] is what is kept, [`calls`] the system calls, [`host`] the host's handler, [`delivery`] how the
//! program's handlers are called, [`watched`] descriptors of signals. Faults are the exception: their handlers run on the host (see [`host`]).

#[cfg(not(test))]
pub mod calls;
#[cfg(not(test))]
pub mod delivery;
#[cfg(not(test))]
pub mod host;
pub mod state;
#[cfg(not(test))]
pub mod watched;

/// Signals are numbered from 1 to this.
pub const COUNT: u64 = 64;
/// `SIGTRAP`.
pub const TRAP: u64 = 5;
/// `SIGABRT`.
pub const ABORT: u64 = 6;
/// `SIGBUS`.
pub const BUS: u64 = 7;
/// `SIGSEGV`.
pub const SEGMENTATION: u64 = 11;
/// `SIGILL`, `SIGTRAP`, `SIGBUS`, `SIGFPE`, `SIGSEGV`, `SIGSYS`: what an instruction can cause.
pub const FAULTS: u64 = bit(4) | bit(5) | bit(7) | bit(8) | bit(11) | bit(31);
/// `SIGKILL` and `SIGSTOP`, which cannot be blocked.
pub const UNBLOCKABLE: u64 = bit(9) | bit(19);

/// Disposition `SIG_DFL`.
pub const DEFAULT: u64 = 0;
/// Disposition `SIG_IGN`.
pub const IGNORE: u64 = 1;

/// `SA_NOCLDSTOP`
pub const SA_NOCLDSTOP: u64 = 1;
/// `SA_NOCLDWAIT`
pub const SA_NOCLDWAIT: u64 = 2;
/// `SA_SIGINFO`
pub const SA_SIGINFO: u64 = 4;
/// `SA_RESTORER`
pub const SA_RESTORER: u64 = 0x0400_0000;
/// `SA_ONSTACK`
pub const SA_ONSTACK: u64 = 0x0800_0000;
/// `SA_RESTART`
pub const SA_RESTART: u64 = 0x1000_0000;
/// `SA_NODEFER`
pub const SA_NODEFER: u64 = 0x4000_0000;
/// `SA_RESETHAND`
pub const SA_RESETHAND: u64 = 0x8000_0000;

/// A signal in a set.
pub const fn bit(signal: u64) -> u64 {
    1 << (signal - 1)
}
