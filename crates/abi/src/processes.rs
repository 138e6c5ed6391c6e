//! What a program asks its node about processes, while the node keeps the table of them (docs/processes.md).
//!
//! A question is a `Kind::Call` on the control socket, with [`Request`] and its operands in `values`, and as its first descriptor the socket
//! on which a `Kind::Answer` is expected. Results are as those of the system calls: negative for errors.

/// In `values[3]` of `Kind::Run`: the program's processes move one by one, and the node keeps the table of them.
pub const SERVED: u64 = 1;

/// What is asked; `values[0]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Request {
    /// A child is about to be made. Answered with its control socket; signals are held back until `Forked`.
    Forking = 1,
    /// `[whether there is a child]`; answered with its id.
    Forked = 2,
    /// `[P_*, id, options of waitid]`; answered with `[id, CLD_*, status, user us, system us, uid]`, an id of 0 if there is nothing yet.
    Wait = 3,
    /// `[target of kill, signal, si_code, word 2 of siginfo_t, word 3]`.
    Kill = 4,
    /// `[process, group]`.
    SetGroup = 5,
    /// `[process]`
    Group = 6,
    /// Nothing.
    SetSession = 7,
    /// `[process]`
    Session = 8,
    /// Nothing; answered with the parent's id.
    Parent = 9,
    /// `[process]`; answered with the id that the kernel knows it by now.
    Locate = 10,
    /// What is to become of the ends of children: `[bits, see CHILDREN_*]`.
    Children = 11,
    /// Another program is about to be executed, whose file is the second descriptor. Answered with 0 if it is not Maize's; with 1 and
    /// in the text the emulator, if any, and after a newline the executable file.
    Execute = 12,
    /// It was not.
    NotExecuted = 13,
    /// It runs; answered with the path of its file in the text.
    Executed = 14,
    /// `[signal to send when the parent ends, or 0]`
    ParentEnd = 15,
    /// Nothing; answered when no page is missing any more (docs/protocol.md).
    Whole = 16,
}

impl Request {
    /// The request with this number.
    pub const fn from_number(number: u64) -> Option<Request> {
        Some(match number {
            1 => Request::Forking,
            2 => Request::Forked,
            3 => Request::Wait,
            4 => Request::Kill,
            5 => Request::SetGroup,
            6 => Request::Group,
            7 => Request::SetSession,
            8 => Request::Session,
            9 => Request::Parent,
            10 => Request::Locate,
            11 => Request::Children,
            12 => Request::Execute,
            13 => Request::NotExecuted,
            14 => Request::Executed,
            15 => Request::ParentEnd,
            16 => Request::Whole,
            _ => return None,
        })
    }
}

/// Children leave no status behind (`SA_NOCLDWAIT`, or `SIGCHLD` is ignored).
pub const CHILDREN_DISCARDED: u64 = 1;
/// Nothing is said of children that stop (`SA_NOCLDSTOP`).
pub const CHILDREN_STOP_SILENTLY: u64 = 2;

/// What the node takes away from `si_code` of signals that it sends for others: only negative codes can be sent, and emulators keep 16 bits.
const CODE_OFFSET: i32 = 0x4000;

/// `si_code` as it travels.
pub const fn wrap_code(code: i32) -> i32 {
    code - CODE_OFFSET
}

/// The `si_code` that was meant, if this one has come from the node.
pub const fn unwrap_code(code: i32) -> Option<i32> {
    if code < -CODE_OFFSET / 2 && code >= -2 * CODE_OFFSET { Some(code + CODE_OFFSET) } else { None }
}

/// A signal with its information: number, `si_code`, and the words 2 and 3 of `siginfo_t`, which are `[pid, uid]` and the status or value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignalInformation {
    /// The signal.
    pub signal: u32,
    /// `si_code`.
    pub code: i32,
    /// `si_pid` and, in the upper half, `si_uid`.
    pub sender: u64,
    /// `si_status` or `si_value`.
    pub value: u64,
}
