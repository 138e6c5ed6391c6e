//! What a program's open files are, in words that another machine understands: names, offsets, contents of pipes. What cannot be said is
//! named, with its descriptor and what to do.

mod inotify;
pub(crate) mod sockets;
pub(crate) mod terminals;
mod waits;

use crate::file_systems::is_on_another_machine;
use crate::network::Address;
use crate::sockets::option::Kept;
use crate::terminal::{Side, Taken};
use crate::{devices, kernel};
use maize_abi::terminals::Number;
use maize_snapshot::{Content, File as Described, FileKind, Pipe, Terminal};
use rustix::event::{PollFd, PollFlags, poll};

use rustix::fs::{FileType, OFlags, SeekFrom, Stat, fcntl_getfl, fstat, fsync, seek};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Flags that are kept, and their bits on x86-64.
const FLAGS: [(OFlags, u32); 9] = [
    (OFlags::APPEND, 0o2000),
    (OFlags::NONBLOCK, 0o4000),
    (OFlags::DSYNC, 0o1_0000),
    (OFlags::DIRECT, 0o4_0000),
    (OFlags::DIRECTORY, 0o20_0000),
    (OFlags::NOFOLLOW, 0o40_0000),
    (OFlags::NOATIME, 0o100_0000),
    (OFlags::SYNC, 0o401_0000),
    (OFlags::PATH, 0o1000_0000),
];

/// Flags of an open file as a snapshot has them.
fn flags_to_snapshot(flags: OFlags) -> u32 {
    let kept = FLAGS.iter().filter(|(flag, _)| flags.contains(*flag)).fold(0, |all, (_, bits)| all | bits);
    kept | flags.bits() & OFlags::ACCMODE.bits() & 3
}

/// Flags that a snapshot has, for this machine.
pub(crate) fn flags_from_snapshot(bits: u32) -> OFlags {
    let kept = FLAGS.iter().filter(|(_, kept)| bits & kept == *kept);
    kept.fold(OFlags::from_bits_retain(bits & 3), |all, (flag, _)| all | *flag)
}

/// The files that this process was given, by descriptor: standard input, output and error, and other ends of pipes and connections that it has
/// inherited. The program has them from it, and a restored one gets those that its own run is given.
#[derive(Clone, Debug, Default)]
pub(crate) struct Streams(BTreeMap<u32, [u64; 2]>);

impl Streams {
    /// Looks at them before they are given away. What this process has opened itself is closed on exec.
    pub(crate) fn note() -> Streams {
        let entries = fs::read_dir("/proc/self/fd").into_iter().flatten().filter_map(Result::ok);
        let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let given = numbers.filter_map(|number| {
            let descriptor = given(number)?;
            let status = fstat(descriptor).ok()?;
            let kind = FileType::from_raw_mode(status.st_mode);
            (number < 3 || matches!(kind, FileType::Fifo | FileType::Socket)).then(|| (number, identity(&status)))
        });
        Streams(given.collect())
    }

    /// Which of them a file with this identity is: that of the descriptor's own number if it can be.
    pub(crate) fn find(&self, number: u64, identity: [u64; 2]) -> Option<u32> {
        let own = u32::try_from(number).ok().filter(|number| self.0.get(number) == Some(&identity));
        own.or_else(|| self.0.iter().find(|(_, given)| **given == identity).map(|(number, _)| *number))
    }
}

/// A descriptor that this process was given by who started it, if it is open.
pub(crate) fn given(number: u32) -> Option<BorrowedFd<'static>> {
    let raw = i32::try_from(number).ok()?;
    // SAFETY: asks about a number; nothing is done if it is no descriptor.
    let flags = unsafe { libc::fcntl(raw, libc::F_GETFD) };
    // SAFETY: open, and as it was inherited nothing here owns it, so nothing closes it.
    (flags >= 0 && flags & libc::FD_CLOEXEC == 0).then(|| unsafe { BorrowedFd::borrow_raw(raw) })
}

/// Device and inode.
pub(crate) fn identity(status: &Stat) -> [u64; 2] {
    [status.st_dev, status.st_ino]
}

/// Where bytes that are kept come from.
pub(crate) enum Source {
    /// Here they are.
    Bytes(Vec<u8>),
    /// The first so many of a file, which does not change until they have been read.
    File(OwnedFd, u64),
}

/// Where what is described goes.
#[derive(Clone, Debug)]
pub(crate) enum Destination {
    /// To a file.
    File,
    /// To another node. The program has this address of its own.
    Node(Option<Address>),
}

/// Everything that has been described.
pub(crate) struct Description {
    streams: Streams,
    destination: Destination,
    /// The program runs on: what it will change must be copied now.
    runs_on: bool,
    known: Vec<Known>,
    pub(crate) files: Vec<Described>,
    pub(crate) pipes: Vec<Pipe>,
    pipe_identities: Vec<[u64; 2]>,
    /// Numbers of terminals that the program knows by others.
    numbers: Vec<Number>,
    terminals_found: Vec<terminals::Found>,
    pub(crate) terminals: Vec<Terminal>,
    /// What has been taken out of them.
    pub(crate) terminals_taken: Vec<Taken>,
    options: Kept,
    /// Sockets that are connected to others on this machine: index, and inodes of both.
    paired: Vec<(usize, u64, u64)>,
    /// TCP connections that go along, by index.
    pub(crate) connections: Vec<(usize, OwnedFd)>,
    /// When timers were told, on the monotonic clock of this machine, ns. Known when all is finished.
    pub(crate) told_ns: u64,
    pub(crate) contents: Vec<Content>,
    pub(crate) sources: Vec<Source>,
    /// What cannot be described, for people.
    pub(crate) refused: Vec<String>,
    /// What cannot be described now, but may be soon.
    pub(crate) not_now: Vec<String>,
}

/// An open file that has been described: with an identity, for comparison, and as which stream.
struct Known {
    identity: [u64; 2],
    stream: Option<u32>,
    descriptor: OwnedFd,
    file: usize,
}

impl Description {
    /// Nothing described yet.
    pub(crate) fn new(streams: Streams, destination: Destination, numbers: Vec<Number>, runs_on: bool) -> Description {
        Description {
            streams,
            destination,
            runs_on,
            known: Vec::new(),
            options: Kept::default(),
            files: Vec::new(),
            pipes: Vec::new(),
            pipe_identities: Vec::new(),
            numbers,
            terminals_found: Vec::new(),
            terminals: Vec::new(),
            terminals_taken: Vec::new(),
            paired: Vec::new(),
            connections: Vec::new(),
            told_ns: 0,
            contents: Vec::new(),
            sources: Vec::new(),
            refused: Vec::new(),
            not_now: Vec::new(),
        }
    }

    /// Describes an open file; its index among all. `what` names its descriptor for people, `number` is that, if it has one.
    pub(crate) fn add(&mut self, descriptor: BorrowedFd<'_>, what: &str, number: Option<u64>) -> Option<usize> {
        match self.describe(descriptor, number) {
            Ok(index) => Some(index),
            Err(reason) => {
                self.refused.push(format!("{what} is {reason}"));
                None
            }
        }
    }

    fn describe(&mut self, descriptor: BorrowedFd<'_>, number: Option<u64>) -> Result<usize, String> {
        let unknown = |error| format!("not known: {error}");
        let mut status = fstat(descriptor).map_err(unknown)?;
        if is_regular(&status) && is_on_another_machine(descriptor) {
            // What has been written by mappings, too, and with it the time of change.
            match fsync(descriptor) {
                Ok(()) | Err(Errno::BADF) => status = fstat(descriptor).map_err(unknown)?,
                Err(error) => return Err(format!("a file that cannot be written to the machine that has it: {error}")),
            }
        }
        let identity = identity(&status);
        let stream = number.and_then(|number| self.streams.find(number, identity));
        // Descriptors that were copied from each other share offset and flags, and are to share them again.
        let is_same = |known: &&Known| {
            known.identity == identity
                && known.stream == stream
                && kernel::is_same_file(known.descriptor.as_fd(), descriptor)
        };
        if let Some(known) = self.known.iter().find(is_same) {
            return Ok(known.file);
        }
        let flags = fcntl_getfl(descriptor).map_err(|error| format!("not known: {error}"))?;
        let offset = seek(descriptor, SeekFrom::Current(0));
        let path = fs::read_link(format!("/proc/self/fd/{}", descriptor.as_raw_fd())).unwrap_or_default();
        let kind = match stream {
            Some(stream) => FileKind::Standard { stream, seeks: is_regular(&status) && offset.is_ok(), identity },
            None => self.kind(descriptor, &status, &path, flags)?,
        };
        let file = self.files.len();
        self.files.push(Described { flags: flags_to_snapshot(flags), offset: offset.unwrap_or(0), kind });
        let copy = descriptor.try_clone_to_owned().map_err(|error| format!("not to be looked at: {error}"))?;
        self.known.push(Known { identity, stream, descriptor: copy, file });
        Ok(file)
    }

    fn kind(
        &mut self,
        descriptor: BorrowedFd<'_>,
        status: &Stat,
        path: &Path,
        flags: OFlags,
    ) -> Result<FileKind, String> {
        let shown = path.display();
        if let Some(lock) = information(descriptor, "lock:") {
            return Err(format!("{shown}, on which it holds a lock ({lock}): try again when it has let go of that"));
        }
        if let Some(side) = Side::of(status) {
            return self.terminal(descriptor, status, side);
        }
        match FileType::from_raw_mode(status.st_mode) {
            FileType::RegularFile => self.regular(descriptor, status, path, flags),
            FileType::Directory if is_named(path, status) => Ok(FileKind::Directory { path: path.to_owned() }),
            FileType::CharacterDevice | FileType::BlockDevice if is_named(path, status) => {
                let device = FileKind::Device { path: path.to_owned(), number: status.st_rdev };
                devices::obstacle(path, status).map_or(Ok(device), Err)
            }
            FileType::Fifo if path.to_string_lossy().starts_with("pipe:") => self.pipe(descriptor, status, flags),
            FileType::Fifo => {
                Err(format!("the named pipe {shown}, whose other end is not the program's: close it before"))
            }
            FileType::Socket => self.socket(descriptor, status),
            _ => match &*path.to_string_lossy() {
                "anon_inode:[eventfd]" => event(descriptor),
                // What it watches is described when everything else has been.
                "anon_inode:[eventpoll]" => Ok(FileKind::Epoll { watches: Vec::new() }),
                // Likewise: one may have to be waited for.
                "anon_inode:[timerfd]" => Ok(FileKind::Timer { clock: 0, next: None, interval_ns: 0, ticks: 0 }),
                "anon_inode:[signalfd]" => waits::signals(descriptor),
                "anon_inode:inotify" => match inotify::describe(descriptor) {
                    Ok(kind) => Ok(kind),
                    Err(inotify::Obstacle::Never(reason)) => Err(reason),
                    Err(inotify::Obstacle::NotNow(reason)) => {
                        self.not_now.push(reason);
                        Ok(FileKind::Inotify { watches: Vec::new() })
                    }
                },
                _ => Err(format!("{shown}, which cannot be saved: close it before")),
            },
        }
    }

    fn regular(
        &mut self,
        descriptor: BorrowedFd<'_>,
        status: &Stat,
        path: &Path,
        flags: OFlags,
    ) -> Result<FileKind, String> {
        let size = u64::try_from(status.st_size).unwrap_or(0);
        let name = path.to_string_lossy();
        let old_name = name.strip_suffix(" (deleted)").map(PathBuf::from);
        let failed = |error: io::Error| format!("{}, which cannot be copied: {error}", path.display());
        if status.st_nlink == 0 {
            let content = self.keep(descriptor, size).map_err(failed)?;
            return Ok(match name.strip_prefix("/memfd:") {
                Some(memory) => FileKind::Memory { name: memory.trim_end_matches(" (deleted)").to_owned(), content },
                None => FileKind::Unlinked { path: old_name.unwrap_or_else(|| path.to_owned()), content },
            });
        }
        if !is_named(path, status) {
            return Err(format!("a file that {} does not name any more: close it before", path.display()));
        }
        let writes = flags.bits() & OFlags::ACCMODE.bits() != OFlags::RDONLY.bits() && !flags.contains(OFlags::PATH);
        let content = if self.runs_on && writes { Some(self.keep(descriptor, size).map_err(failed)?) } else { None };
        Ok(FileKind::Regular {
            path: path.to_owned(),
            identity: identity(status),
            size,
            changed_ns: status
                .st_mtime
                .saturating_mul(1_000_000_000)
                .saturating_add(status.st_mtime_nsec.cast_signed()),
            mode: status.st_mode & 0o7777,
            content,
        })
    }

    /// Keeps what a file holds.
    fn keep(&mut self, descriptor: BorrowedFd<'_>, size: u64) -> io::Result<usize> {
        // It may be open for writing alone.
        let file = File::open(format!("/proc/self/fd/{}", descriptor.as_raw_fd()))?;
        let source = if self.runs_on {
            let memory = rustix::fs::memfd_create("maize-content", rustix::fs::MemfdFlags::CLOEXEC)?;
            let mut copy = File::from(memory);
            let copied = io::copy(&mut file.take(size), &mut copy)?;
            if copied != size {
                return Err(io::Error::other("it changes meanwhile"));
            }
            Source::File(copy.into(), size)
        } else {
            Source::File(file.into(), size)
        };
        Ok(self.push(source, size))
    }

    fn push(&mut self, source: Source, size: u64) -> usize {
        self.sources.push(source);
        self.contents.push(Content { size });
        self.contents.len() - 1
    }

    /// A pipe between processes of the program, or one whose other end is closed.
    fn pipe(&mut self, descriptor: BorrowedFd<'_>, status: &Stat, flags: OFlags) -> Result<FileKind, String> {
        let writes = flags.bits() & OFlags::ACCMODE.bits() == OFlags::WRONLY.bits();
        let identity = identity(status);
        if let Some(pipe) = self.pipe_identities.iter().position(|&known| known == identity) {
            return Ok(FileKind::Pipe { pipe, writes });
        }
        let failed = |error: io::Error| format!("a pipe that cannot be looked into: {error}");
        let (capacity, bytes) = contents_of_pipe(descriptor).map_err(failed)?;
        let content = self.push(Source::Bytes(bytes.clone()), bytes.len() as u64);
        self.pipes.push(Pipe { capacity, content });
        self.pipe_identities.push(identity);
        Ok(FileKind::Pipe { pipe: self.pipes.len() - 1, writes })
    }

    /// Describes what is known only now that all has been described, and refuses pipes that have an end outside of the program.
    pub(crate) fn finish(&mut self) {
        self.finish_timers();
        self.finish_pairs();
        self.finish_connections();
        self.finish_epolls();
        for (pipe, &identity) in self.pipe_identities.iter().enumerate() {
            let has = |end: bool| {
                self.files.iter().any(
                    |file| matches!(file.kind, FileKind::Pipe { pipe: found, writes } if found == pipe && writes == end),
                )
            };
            let Some(known) = self.known.iter().find(|known| known.identity == identity) else { continue };
            let is_open = |writes: bool| has(writes) || !is_hung_up(known.descriptor.as_fd());
            if has(true) != has(false) && is_open(!has(true)) {
                let end = if has(true) { "reads from" } else { "writes to" };
                self.refused.push(format!(
                    "pipe:[{}] is one that a process outside of the program {end}: close it before, or let it be a standard stream",
                    identity[1]
                ));
            }
        }
        // What is in them is not in them any more: nothing else may be in the way by now.
        self.finish_terminals();
    }
}

pub(crate) fn is_regular(status: &Stat) -> bool {
    FileType::from_raw_mode(status.st_mode) == FileType::RegularFile
}

/// Whether a path names this file.
fn is_named(path: &Path, status: &Stat) -> bool {
    path.is_absolute() && rustix::fs::stat(path).is_ok_and(|found| identity(&found) == identity(status))
}

/// Whether nobody holds the other end of a pipe any more.
fn is_hung_up(descriptor: BorrowedFd<'_>) -> bool {
    let mut polled = [PollFd::from_borrowed_fd(descriptor, PollFlags::empty())];
    let now = rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut polled, Some(&now)).is_ok() && polled[0].revents().intersects(PollFlags::HUP | PollFlags::ERR)
}

/// How much a pipe can hold, and what is in it, which stays there.
fn contents_of_pipe(descriptor: BorrowedFd<'_>) -> io::Result<(u32, Vec<u8>)> {
    let capacity = rustix::pipe::fcntl_getpipe_size(descriptor)?;
    let filled = rustix::io::ioctl_fionread(descriptor)?;
    let mut bytes = Vec::new();
    if filled > 0 {
        // Another open file of the same pipe, whatever end this is.
        let mode = rustix::fs::Mode::empty();
        let name = format!("/proc/self/fd/{}", descriptor.as_raw_fd());
        let reader = rustix::fs::open(name, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, mode)?;
        let (copy, into) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        rustix::pipe::fcntl_setpipe_size(&into, capacity)?;
        rustix::pipe::tee(&reader, &into, capacity, rustix::pipe::SpliceFlags::NONBLOCK)?;
        drop(into);
        File::from(copy).read_to_end(&mut bytes)?;
    }
    if bytes.len() as u64 != filled {
        return Err(io::Error::other("not all that is in it can be read"));
    }
    Ok((u32::try_from(capacity).unwrap_or(u32::MAX), bytes))
}

/// What the kernel tells of an open file (proc_pid_fdinfo(5)).
fn all_information(descriptor: BorrowedFd<'_>) -> io::Result<String> {
    fs::read_to_string(format!("/proc/self/fdinfo/{}", descriptor.as_raw_fd()))
}

/// What `/proc/self/fdinfo` says of a descriptor under a name.
fn information(descriptor: BorrowedFd<'_>, name: &str) -> Option<String> {
    let text = all_information(descriptor).ok()?;
    text.lines().find_map(|line| line.strip_prefix(name)).map(|rest| rest.trim().to_owned())
}

fn event(descriptor: BorrowedFd<'_>) -> Result<FileKind, String> {
    let number = |name| information(descriptor, name).and_then(|digits| u64::from_str_radix(&digits, 16).ok());
    let count =
        number("eventfd-count:").ok_or("an eventfd, of which this kernel does not tell the count: close it before")?;
    // Kernels before 6.9 do not say; a semaphore is then taken for none.
    Ok(FileKind::Event { count, semaphore: number("eventfd-semaphore:") == Some(1) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn description() -> Description {
        Description::new(Streams::default(), Destination::File, Vec::new(), false)
    }

    #[test]
    fn flags_are_those_of_x86_64() {
        let flags = OFlags::RDWR | OFlags::APPEND | OFlags::NONBLOCK | OFlags::SYNC;
        assert_eq!(flags_to_snapshot(flags), 0o401_6002);
        assert_eq!(flags_from_snapshot(0o401_6002), flags);
    }

    #[test]
    fn descriptors_of_one_open_file_are_one() {
        let mut description = description();
        let file = File::open("/proc/self/exe").unwrap();
        let copy = file.try_clone().unwrap();
        let other = File::open("/proc/self/exe").unwrap();
        let mut add = |file: &File| description.add(file.as_fd(), "a file", Some(9));
        assert_eq!([add(&file), add(&copy), add(&other)], [Some(0), Some(0), Some(1)]);
        assert!(description.refused.is_empty(), "{:?}", description.refused);
    }

    #[test]
    fn what_is_in_a_pipe_stays_there_and_is_kept() {
        let mut description = description();
        let (mut reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"text").unwrap();
        description.add(writer.as_fd(), "the end to write to", Some(4));
        description.finish();
        assert!(description.refused[0].contains("reads from"), "{:?}", description.refused);
        description.refused.clear();
        description.add(reader.as_fd(), "the end to read from", Some(3));
        description.finish();
        assert!(description.refused.is_empty(), "{:?}", description.refused);
        let Source::Bytes(bytes) = &description.sources[0] else { panic!("no bytes") };
        assert_eq!(bytes, b"text");
        let mut buffer = [0; 9];
        assert_eq!(reader.read(&mut buffer).unwrap(), 4);
    }

    #[test]
    fn what_cannot_be_saved_is_named() {
        let mut description = description();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert_eq!(description.add(socket.as_fd(), "descriptor 5 of process 6", Some(5)), None);
        assert!(
            description.refused[0].starts_with("descriptor 5 of process 6 is a connection"),
            "{:?}",
            description.refused
        );
        let (socket, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        description.add(socket.as_fd(), "descriptor 6 of process 6", Some(6));
        description.finish();
        assert!(description.refused[1].contains("whose other end is not the program's"), "{:?}", description.refused);
    }
}
