//! One host process: a fresh process of one ISA, and the control socket to the runtime in it.

use crate::error::RunError;
use crate::kernel::{self, Ended};
use crate::machine::{Confinement, Machine, emulators};
use crate::userfaultfd;
use maize_abi::Isa;
use maize_abi::control::{ATTENTION_SIGNAL, DESCRIPTOR_VARIABLE, Kind, Message, TEXT_SIZE};
use maize_abi::processes::SignalInformation;
use maize_snapshot::Executable;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType,
};
use rustix::process::{Pid, PidfdFlags, Signal};
use sha2::{Digest as _, Sha256};
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::Arc;

/// How the code for one ISA is started.
pub(crate) struct Launcher {
    pub(crate) isa: Isa,
    /// The emulator, for foreign ISAs.
    emulator: Option<PathBuf>,
    /// The executable file of this ISA.
    executable: Code,
    arguments: Vec<OsString>,
    confinement: Option<Arc<dyn Confinement>>,
}

/// The launchers of one program, for every ISA that a process of it may be on.
pub(crate) struct Launchers {
    pub(crate) program: PathBuf,
    /// The program's file as it was at the start: another one may have taken its name since.
    file: File,
    arguments: Vec<OsString>,
    machine: Machine,
    identity: OnceCell<String>,
    by_isa: RefCell<HashMap<Isa, Rc<Launcher>>>,
}

impl Launchers {
    /// Prepares to start a program for these ISAs; others are prepared when they are asked for.
    pub(crate) fn new(
        program: &Path,
        isas: &[Isa],
        arguments: &[OsString],
        machine: &Machine,
    ) -> Result<Launchers, RunError> {
        let image = maize_image::Image::open(program).map_err(|error| RunError::Image(error.to_string()))?;
        let opened = |source| RunError::System { what: "opening the program's file", source };
        let file = File::open(program).map_err(opened)?;
        let by_isa = RefCell::default();
        let (program, arguments, machine) = (program.to_owned(), arguments.to_owned(), machine.clone());
        let launchers = Launchers { program, file, arguments, machine, identity: OnceCell::new(), by_isa };
        for &isa in isas {
            launchers.prepare(&image, isa)?;
        }
        Ok(launchers)
    }

    fn prepare(&self, image: &maize_image::Image, isa: Isa) -> Result<Rc<Launcher>, RunError> {
        if let Some(launcher) = self.by_isa.borrow().get(&isa) {
            return Ok(Rc::clone(launcher));
        }
        let launcher = Rc::new(Launcher::new(image, &self.program, isa, self.arguments.clone(), &self.machine)?);
        self.by_isa.borrow_mut().insert(isa, Rc::clone(&launcher));
        Ok(launcher)
    }

    /// The file that is executed, by name and content.
    pub(crate) fn identity(&self) -> io::Result<Executable> {
        let sha256 = match self.identity.get() {
            Some(known) => known.clone(),
            None => {
                let found = digest(&self.file)?;
                self.identity.get_or_init(|| found).clone()
            }
        };
        let path = self.program.canonicalize().unwrap_or_else(|_| self.program.clone());
        Ok(Executable { path, size: self.file.metadata()?.len(), sha256 })
    }

    /// The path of the program's file, as the text of a message: empty if it is too long.
    pub(crate) fn described(&self) -> [u8; TEXT_SIZE] {
        let path = self.program.canonicalize().unwrap_or_else(|_| self.program.clone());
        let bytes = path.as_os_str().as_bytes();
        let mut text = [0; TEXT_SIZE];
        if bytes.len() < TEXT_SIZE {
            text[..bytes.len()].copy_from_slice(bytes);
        }
        text
    }

    /// The launcher for an ISA.
    pub(crate) fn of(&self, isa: Isa) -> Result<Rc<Launcher>, RunError> {
        if let Some(launcher) = self.by_isa.borrow().get(&isa) {
            return Ok(Rc::clone(launcher));
        }
        let path = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        let image = maize_image::Image::open(path).map_err(|error| RunError::Image(error.to_string()))?;
        self.prepare(&image, isa)
    }
}

enum Code {
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
        machine: &Machine,
    ) -> Result<Launcher, RunError> {
        if !image.isas().contains(&isa) {
            return Err(RunError::NoSuchIsa { path: program.to_owned(), isa });
        }
        let missing = || RunError::NoEmulator { command: emulators(isa)[0].clone() };
        let emulator = (!is_native(isa)).then(|| machine.emulator(isa).ok_or_else(missing)).transpose()?;
        let executable = if isa == Isa::X86_64 {
            Code::Path(program.to_owned())
        } else {
            let bytes = image.standalone(isa).map_err(|error| RunError::Image(error.to_string()))?;
            Code::Memory(memory_file(&bytes)?)
        };
        Ok(Launcher { isa, emulator, executable, arguments, confinement: machine.confinement.clone() })
    }

    /// The emulator, if it needs one, and the executable file.
    pub(crate) fn paths(&self) -> (Option<&Path>, PathBuf) {
        let executable: PathBuf = match &self.executable {
            Code::Path(path) => path.clone(),
            // By this process's name for it: the program must not inherit the descriptor.
            Code::Memory(file) => format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()).into(),
        };
        (self.emulator.as_deref(), executable)
    }

    /// How a process of this ISA executes the program itself: emulator, executable file and, for a script, its interpreter with argument, a
    /// line each. `None` if the kernel does by itself.
    pub(crate) fn described(&self, script: Option<&(PathBuf, String)>) -> Option<String> {
        if matches!(self.executable, Code::Path(_)) {
            return None;
        }
        let (emulator, executable) = self.paths();
        let emulator = emulator.unwrap_or(Path::new("")).display();
        let (interpreter, argument) = script.map_or((Path::new(""), ""), |(path, argument)| (path, argument));
        Some(format!("{emulator}\n{}\n{}\n{argument}", executable.display(), interpreter.display()))
    }

    fn command(&self) -> Command {
        let (_, executable) = self.paths();
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
        if let Some(confinement) = self.confinement.clone() {
            // SAFETY: `confine` does only what may be done between `fork` and `exec`, by its contract.
            unsafe { command.pre_exec(move || confinement.confine()) };
        }
        command
    }
}

/// SHA-256 of a file's content, in hexadecimal digits.
fn digest(file: &File) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut offset = 0;
    loop {
        match file.read_at(&mut buffer, offset)? {
            0 => return Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            length => {
                hasher.update(&buffer[..length]);
                offset += length as u64;
            }
        }
    }
}

/// Whether this machine executes `isa` itself.
pub(crate) fn is_native(isa: Isa) -> bool {
    Isa::from_name(std::env::consts::ARCH) == Some(isa)
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

/// Descriptors that come with one message at most.
pub(crate) const MAX_DESCRIPTORS: usize = 8;

/// Real-time signals are numbered from here.
const FIRST_REAL_TIME: u32 = 32;
/// How many of them qemu-user keeps for its own libc: its program's are so much higher for the kernel.
const EMULATORS_OWN: u32 = 2;

/// A running host process.
pub(crate) struct Host {
    pub(crate) isa: Isa,
    pid: Pid,
    pidfd: OwnedFd,
    control: OwnedFd,
    /// The runtime has closed its end: nothing more will come.
    hung_up: Cell<bool>,
}

/// A message, and the descriptors that came with it.
pub(crate) struct Heard {
    pub(crate) message: Message,
    pub(crate) descriptors: Vec<OwnedFd>,
}

impl Host {
    /// Starts a host process. Its first message is `first`. One that is to receive a program gets no standard streams: it
    /// receives the program's.
    pub(crate) fn start(launcher: &Launcher, first: &Message) -> Result<Host, RunError> {
        let isa = launcher.isa;
        let (control, theirs) = socket_pair()?;
        rustix::io::fcntl_setfd(&theirs, rustix::io::FdFlags::empty())
            .map_err(RunError::system("passing the control socket"))?;
        let mut command = launcher.command();
        command.env(DESCRIPTOR_VARIABLE, theirs.as_raw_fd().to_string());
        if first.kind() == Some(Kind::Receive) {
            command.stdin(Stdio::null()).stdout(Stdio::null());
        }
        let child = command.spawn().map_err(|source| RunError::Spawn { isa, source })?;
        let host = Host::of(isa, Pid::from_child(&child), control)?;
        // A host that died at once shows as such when it is waited for.
        let _ = host.send(first, None);
        Ok(host)
    }

    /// A host process that another one has forked, and that says so on `control`. `None` if it is gone already.
    pub(crate) fn adopt(isa: Isa, control: OwnedFd) -> Result<Option<Host>, RunError> {
        let mut bytes = [0_u8; size_of::<Message>()];
        let length = loop {
            match rustix::net::recv(&control, &mut bytes, RecvFlags::empty()) {
                Err(rustix::io::Errno::INTR) => {}
                result => break result.map_or(0, |(length, _)| length),
            }
        };
        let born = Message::from_bytes(&bytes[..length]).filter(|message| message.kind() == Some(Kind::Born));
        let pid = born.and_then(|message| i32::try_from(message.values[0]).ok()).and_then(Pid::from_raw);
        pid.map(|pid| Host::of(isa, pid, control)).transpose()
    }

    fn of(isa: Isa, pid: Pid, control: OwnedFd) -> Result<Host, RunError> {
        let pidfd =
            rustix::process::pidfd_open(pid, PidfdFlags::empty()).map_err(RunError::system("watching a host"))?;
        Ok(Host { isa, pid, pidfd, control, hung_up: Cell::new(false) })
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
        self.pid
    }

    /// Sends a message, with a descriptor.
    pub(crate) fn send(&self, message: &Message, descriptor: Option<BorrowedFd<'_>>) -> Result<(), RunError> {
        send(self.control.as_fd(), message, descriptor)
    }

    /// Sends a message, with descriptors.
    pub(crate) fn send_all(&self, message: &Message, descriptors: &[BorrowedFd<'_>]) -> Result<(), RunError> {
        send_all(self.control.as_fd(), message, descriptors)
    }

    /// The next message, if one is there.
    pub(crate) fn receive(&self) -> Option<Heard> {
        let received = receive(self.control.as_fd(), RecvFlags::DONTWAIT);
        self.hung_up.set(matches!(received, Err(Silence::End)));
        received.ok()
    }

    /// Waits for the next message. `None` if there will be none.
    pub(crate) fn await_message(&self) -> Option<Heard> {
        receive_from(self.control.as_fd())
    }

    /// Sends the process a signal in the name of another.
    pub(crate) fn send_signal(&self, signal: &SignalInformation) {
        let signal = match signal.signal {
            number if is_native(self.isa) || number < FIRST_REAL_TIME => *signal,
            number => SignalInformation { signal: number + EMULATORS_OWN, ..*signal },
        };
        let _ = kernel::send(self.pid, &signal);
    }

    /// Makes the runtime look at its control socket.
    pub(crate) fn draw_attention(&self) {
        // SAFETY of the signal: ignored by default; the runtime handles it.
        if let Some(signal) = Signal::from_named_raw(ATTENTION_SIGNAL) {
            let _ = rustix::process::kill_process(self.pid, signal);
        }
    }

    /// A userfaultfd of an emulator, which does not make one itself, that knows which pages are written.
    pub(crate) fn watch_emulator(&self) -> Option<OwnedFd> {
        #[cfg(target_arch = "x86_64")]
        if !is_native(self.isa) {
            let made = crate::injection::userfaultfd(self.pid).ok()?;
            return userfaultfd::knows_writes(&made).then_some(made);
        }
        None
    }

    /// Ends the process.
    pub(crate) fn kill(&self) {
        // One that has ended needs none; it has not been waited for, so no other has its id.
        let _ = rustix::process::kill_process(self.pid, Signal::KILL);
    }

    /// Waits for the end of the process.
    pub(crate) fn wait(&self) -> Result<Ended, RunError> {
        let mut ended =
            kernel::wait(self.pid).map_err(|source| RunError::System { what: "waiting for a host process", source })?;
        let signal = (ended.status & 0x7f).cast_unsigned();
        if !is_native(self.isa) && signal >= FIRST_REAL_TIME + EMULATORS_OWN {
            ended.status -= EMULATORS_OWN.cast_signed();
        }
        Ok(ended)
    }

    /// Ends a process that holds no program.
    pub(crate) fn discard(self) {
        self.kill();
        let _ = self.wait();
    }
}

/// Why no message has come on a socket.
enum Silence {
    /// There is nothing, or nothing that is understood.
    Nothing,
    /// The other end is closed.
    End,
}

fn receive(socket: BorrowedFd<'_>, flags: RecvFlags) -> Result<Heard, Silence> {
    let mut bytes = [0_u8; size_of::<Message>()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut bytes)];
    let length = loop {
        match rustix::net::recvmsg(socket, &mut parts, &mut ancillary, flags | RecvFlags::CMSG_CLOEXEC) {
            Ok(received) => break received.bytes,
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return Err(Silence::Nothing),
        }
    };
    if length == 0 {
        return Err(Silence::End);
    }
    let descriptors = ancillary
        .drain()
        .filter_map(|message| if let RecvAncillaryMessage::ScmRights(rights) = message { Some(rights) } else { None })
        .flatten()
        .collect();
    let message = Message::from_bytes(&bytes[..length]).ok_or(Silence::Nothing)?;
    Ok(Heard { message, descriptors })
}

/// Waits for the next message on a socket. `None` if there will be none.
pub(crate) fn receive_from(socket: BorrowedFd<'_>) -> Option<Heard> {
    receive(socket, RecvFlags::empty()).ok()
}

/// Sends a message over a socket, with descriptors, [`MAX_DESCRIPTORS`] at most.
pub(crate) fn send_all(
    socket: BorrowedFd<'_>,
    message: &Message,
    descriptors: &[BorrowedFd<'_>],
) -> Result<(), RunError> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        ancillary.push(SendAncillaryMessage::ScmRights(descriptors));
    }
    let parts = [IoSlice::new(message.as_bytes())];
    rustix::net::sendmsg(socket, &parts, &mut ancillary, SendFlags::NOSIGNAL)
        .map(|_| ())
        .map_err(RunError::system("sending to a host process"))
}

/// Sends a message over a socket, with a descriptor.
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    message: &Message,
    descriptor: Option<BorrowedFd<'_>>,
) -> Result<(), RunError> {
    send_all(socket, message, descriptor.as_slice())
}

/// Two connected packet sockets, closed on exec.
pub(crate) fn socket_pair() -> Result<(OwnedFd, OwnedFd), RunError> {
    rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .map_err(RunError::system("creating a socket pair"))
}
