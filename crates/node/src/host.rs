//! One host process: a fresh process of one ISA, and the control socket to the runtime in it.

use crate::error::RunError;
use maize_abi::Isa;
use maize_abi::control::{ATTENTION_SIGNAL, DESCRIPTOR_VARIABLE, Kind, Message};
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use rustix::process::{Pid, PidfdFlags, Signal};
use std::cell::Cell;
use std::ffi::OsString;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// How the code for one ISA is started.
pub(crate) struct Launcher {
    pub(crate) isa: Isa,
    /// The emulator, for foreign ISAs.
    emulator: Option<PathBuf>,
    /// The executable file of this ISA.
    executable: Executable,
    arguments: Vec<OsString>,
}

enum Executable {
    /// The multi-ISA binary itself, which is an x86-64 executable.
    Path(PathBuf),
    /// A composed executable in memory.
    Memory(OwnedFd),
}

impl Launcher {
    /// Prepares to start `program` for `isa` with these arguments (the program's name first).
    pub(crate) fn new(
        image: &maize_image::Image,
        program: &Path,
        isa: Isa,
        arguments: Vec<OsString>,
    ) -> Result<Launcher, RunError> {
        if !image.isas().contains(&isa) {
            return Err(RunError::NoSuchIsa { path: program.to_owned(), isa });
        }
        let emulator = if is_native(isa) { None } else { Some(find_emulator(isa)?) };
        let executable = if isa == Isa::X86_64 {
            Executable::Path(program.to_owned())
        } else {
            let bytes = image.standalone(isa).map_err(|error| RunError::Image(error.to_string()))?;
            Executable::Memory(memory_file(&bytes)?)
        };
        Ok(Launcher { isa, emulator, executable, arguments })
    }

    fn command(&self) -> Command {
        let executable: PathBuf = match &self.executable {
            Executable::Path(path) => path.clone(),
            // By this process's name for it: the program must not inherit the descriptor.
            Executable::Memory(file) => format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()).into(),
        };
        let name = self.arguments.first().cloned().unwrap_or_default();
        let mut command = match &self.emulator {
            Some(emulator) => {
                let mut command = Command::new(emulator);
                command.arg("-0").arg(name).arg(executable);
                command
            }
            None => {
                let mut command = Command::new(executable);
                command.arg0(name);
                command
            }
        };
        command.args(self.arguments.iter().skip(1));
        command
    }
}

/// Whether this machine executes `isa` itself.
pub(crate) fn is_native(isa: Isa) -> bool {
    Isa::from_name(std::env::consts::ARCH) == Some(isa)
}

fn find_emulator(isa: Isa) -> Result<PathBuf, RunError> {
    let names = [format!("qemu-{}-static", isa.name()), format!("qemu-{}", isa.name())];
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .flat_map(|directory| names.iter().map(move |name| directory.join(name)))
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| RunError::NoEmulator { command: names[0].clone() })
}

/// A file in memory, which child processes do not inherit.
fn memory_file(bytes: &[u8]) -> Result<OwnedFd, RunError> {
    let file = rustix::fs::memfd_create("maize-program", rustix::fs::MemfdFlags::CLOEXEC)
        .map_err(RunError::system("creating a memory file"))?;
    let mut rest = bytes;
    while !rest.is_empty() {
        let written = rustix::io::write(&file, rest).map_err(RunError::system("writing a memory file"))?;
        rest = &rest[written..];
    }
    Ok(file)
}

/// A running host process.
pub(crate) struct Host {
    pub(crate) isa: Isa,
    child: Child,
    pidfd: OwnedFd,
    control: OwnedFd,
    /// The runtime has closed its end: nothing more will come.
    hung_up: Cell<bool>,
}

impl Host {
    /// Starts a host process and tells it what to do `first`. One that is to receive a program gets no standard streams: it
    /// receives the program's.
    pub(crate) fn start(launcher: &Launcher, first: &Message) -> Result<Host, RunError> {
        let receive = first.kind() == Some(Kind::Receive);
        let isa = launcher.isa;
        let (control, theirs) = socket_pair()?;
        rustix::io::fcntl_setfd(&theirs, rustix::io::FdFlags::empty())
            .map_err(RunError::system("passing the control socket"))?;
        let mut command = launcher.command();
        command.env(DESCRIPTOR_VARIABLE, theirs.as_raw_fd().to_string());
        if receive {
            command.stdin(Stdio::null()).stdout(Stdio::null());
        }
        let child = command.spawn().map_err(|source| RunError::Spawn { isa, source })?;
        let pid = Pid::from_child(&child);
        let pidfd =
            rustix::process::pidfd_open(pid, PidfdFlags::empty()).map_err(RunError::system("watching a host"))?;
        let host = Host { isa, child, pidfd, control, hung_up: Cell::new(false) };
        // A host that died at once shows as such when it is waited for.
        let _ = host.send(first, None);
        Ok(host)
    }

    /// Becomes readable when the runtime has said something; `None` once it never will again.
    pub(crate) fn control(&self) -> Option<BorrowedFd<'_>> {
        (!self.hung_up.get()).then(|| self.control.as_fd())
    }

    /// Becomes readable when the process has ended.
    pub(crate) fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// The process.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Sends a message, with a descriptor.
    pub(crate) fn send(&self, message: &Message, descriptor: Option<BorrowedFd<'_>>) -> Result<(), RunError> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let descriptors: Vec<BorrowedFd<'_>> = descriptor.into_iter().collect();
        if !descriptors.is_empty() {
            ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
        }
        let parts = [IoSlice::new(message.as_bytes())];
        rustix::net::sendmsg(&self.control, &parts, &mut ancillary, SendFlags::NOSIGNAL)
            .map(|_| ())
            .map_err(RunError::system("sending to a host process"))
    }

    /// The next message, if one is there.
    pub(crate) fn receive(&self) -> Option<Message> {
        let mut bytes = [0_u8; size_of::<Message>()];
        let (length, _) = rustix::net::recv(&self.control, &mut bytes, RecvFlags::DONTWAIT).ok()?;
        self.hung_up.set(length == 0);
        Message::from_bytes(&bytes[..length])
    }

    /// Makes the runtime look at its control socket.
    pub(crate) fn draw_attention(&self) {
        // SAFETY of the signal: ignored by default; the runtime handles it.
        if let Some(signal) = Signal::from_named_raw(ATTENTION_SIGNAL) {
            let _ = rustix::process::kill_process(self.pid(), signal);
        }
    }

    /// Waits for the end of the process.
    pub(crate) fn wait(&mut self) -> Result<std::process::ExitStatus, RunError> {
        self.child.wait().map_err(|source| RunError::System { what: "waiting for a host process", source })
    }

    /// Ends a process that holds no program.
    pub(crate) fn discard(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Two connected packet sockets, closed on exec.
pub(crate) fn socket_pair() -> Result<(OwnedFd, OwnedFd), RunError> {
    rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .map_err(RunError::system("creating a socket pair"))
}
