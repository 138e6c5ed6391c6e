//! What the table of system calls says about each: plain data.

/// No such call in the generic table; the call is rewritten or emulated.
pub const NONE: u16 = u16::MAX;

/// What happens when a signal handler has interrupted a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocking {
    /// The call does not block for long.
    No,
    /// It goes on if the handler was installed with `SA_RESTART`.
    Restart,
    /// It fails with `EINTR` (signal(7)).
    Never,
}

/// Where an argument of a rewritten call comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// From the original's argument.
    Argument(u8),
    /// It is always this.
    Constant(i32),
}

/// How a relative timeout is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A number; negative is none.
    Milliseconds,
    /// Address of a `struct timespec`; null is none.
    Timespec,
    /// Address of a `struct timeval`; null is none.
    Timeval,
}

/// What of the program's memory the kernel may use in a call. Arguments that are no addresses do not matter: where they would be, nothing is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Nobody has said.
    Everything,
    /// What arguments are addresses of, 4096 bytes each at most, without addresses in it.
    Little,
    /// As [`Reach::Little`], but for an array: the arguments that are its address and how many elements it has, and the size of one.
    Array(u8, u8, u8),
    /// Likewise, an array of `struct iovec`.
    Parts(u8, u8),
    /// Likewise, a `struct msghdr`.
    Header(u8),
    /// Likewise, an array of `struct mmsghdr`.
    Messages(u8, u8),
    /// `ioctl`'s, [`Reach::Little`] for what terminals, pipes and sockets are asked for.
    Request,
    /// `setsockopt`'s.
    SetOption,
    /// `getsockopt`'s.
    GetOption,
    /// `prctl`'s, [`Reach::Little`] for what programs ask of themselves.
    Control,
    /// `pselect6`'s sets of descriptors.
    Sets,
    /// `sigaltstack`'s stack.
    Stack,
    /// Nothing, but what is mapped from the first argument on changes: so many bytes as the second says, if there is one.
    Mapping,
}

/// A call that does the same and that every ISA has.
#[derive(Clone, Copy, Debug)]
pub struct Rewrite {
    /// Its number on x86-64.
    pub number: u16,
    /// Its arguments.
    pub arguments: [Source; 6],
}

/// One system call.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// Number on x86-64.
    pub number: u16,
    /// Number on the others, or [`NONE`].
    generic: u16,
    /// Name, as in strace.
    pub name: &'static str,
    /// How many arguments it has.
    pub arguments: u8,
    /// Whether it can block, and what then.
    pub blocking: Blocking,
    /// What it becomes.
    pub rewrite: Option<Rewrite>,
    /// Which argument, of what it becomes, is a relative timeout.
    pub timeout: Option<(u8, Unit)>,
    /// Which argument is a signal mask for the time of the call.
    pub mask: Option<u8>,
    /// Which arguments are process or thread ids, one bit each.
    pub process_ids: u8,
    /// Which argument has the bits of `open`'s flags.
    pub open_flags: Option<u8>,
    /// What memory it uses.
    pub reach: Reach,
}

impl Call {
    /// The number in this ISA's kernel interface.
    pub const fn native(&self, is_x86_64: bool) -> Option<u16> {
        match self.generic {
            _ if is_x86_64 => Some(self.number),
            NONE => None,
            generic => Some(generic),
        }
    }

    /// It can block, and goes on after a handler with `SA_RESTART`.
    pub(super) const fn restart(self) -> Call {
        Call { blocking: Blocking::Restart, ..self }
    }

    /// It can block, and fails after any handler.
    pub(super) const fn never(self) -> Call {
        Call { blocking: Blocking::Never, ..self }
    }

    /// It is made as another call.
    pub(super) const fn becomes(self, number: u16, arguments: [Source; 6]) -> Call {
        Call { rewrite: Some(Rewrite { number, arguments }), ..self }
    }

    /// An argument, of what it becomes, is a timeout.
    pub(super) const fn timeout(self, argument: u8, unit: Unit) -> Call {
        Call { timeout: Some((argument, unit)), ..self }
    }

    /// An argument is a signal mask.
    pub(super) const fn mask(self, argument: u8) -> Call {
        Call { mask: Some(argument), ..self }
    }

    /// These arguments are process ids.
    pub(super) const fn process_ids(self, arguments: u8) -> Call {
        Call { process_ids: arguments, ..self }
    }

    /// It uses this memory.
    pub(super) const fn reaches(self, reach: Reach) -> Call {
        Call { reach, ..self }
    }

    /// An argument has the flags of `open`.
    pub(super) const fn open_flags(self, argument: u8) -> Call {
        Call { open_flags: Some(argument), ..self }
    }
}

/// A call about which there is nothing else to say.
pub(super) const fn call(number: u16, name: &'static str, generic: u16, arguments: u8) -> Call {
    Call {
        number,
        generic,
        name,
        arguments,
        blocking: Blocking::No,
        rewrite: None,
        timeout: None,
        mask: None,
        process_ids: 0,
        open_flags: None,
        reach: Reach::Everything,
    }
}
