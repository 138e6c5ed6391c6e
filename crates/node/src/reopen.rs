//! Opening a program's files again as a snapshot describes them. [`check`] changes nothing: whatever has become of a file is said before
//! anything is done.

mod inotify;
mod sockets;
mod terminals;
mod waits;

pub(crate) use sockets::Later;

use crate::describe::{self, flags_from_snapshot, given, is_regular};
use maize_abi::terminals::Number;
use maize_snapshot::{File as Described, FileKind, Metadata};
use rustix::event::{EventfdFlags, epoll, eventfd};
use rustix::fs::{MemfdFlags, Mode, OFlags, SeekFrom, Timestamps, fstat, futimens, memfd_create, open, seek};
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

/// What is to be done about files that have changed since the snapshot was taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChangedFiles {
    /// Nothing is restored.
    #[default]
    Refuse,
    /// Those whose content is in the snapshot get it back.
    RollBack,
    /// The program goes on with what they hold now.
    Keep,
}

/// Whether a file is what it was.
fn is_unchanged(metadata: &fs::Metadata, size: u64, changed_ns: i64) -> bool {
    let changed = metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec());
    metadata.is_file() && metadata.len() == size && changed == changed_ns
}

/// What keeps the program from being restored: a line for each file.
pub(crate) fn check(metadata: &Metadata, policy: ChangedFiles) -> Vec<String> {
    // One that is open for writing may be open for reading, too.
    let kept: HashSet<&Path> = metadata.files.iter().filter_map(|file| kept_path(&file.kind)).collect();
    let lines: BTreeSet<String> =
        metadata.files.iter().filter_map(|file| obstacle(&file.kind, &kept, policy)).collect();
    lines.into_iter().collect()
}

/// The path of a file whose content is kept.
fn kept_path(kind: &FileKind) -> Option<&Path> {
    match kind {
        FileKind::Regular { path, content: Some(_), .. } => Some(path),
        _ => None,
    }
}

fn obstacle(kind: &FileKind, kept: &HashSet<&Path>, policy: ChangedFiles) -> Option<String> {
    match kind {
        FileKind::Regular { path, size, changed_ns, .. } => {
            let shown = path.display();
            let found = fs::metadata(path);
            if found.as_ref().is_ok_and(|found| is_unchanged(found, *size, *changed_ns)) {
                return None;
            }
            let change = match &found {
                Ok(_) => String::from("it has changed since the snapshot was taken"),
                Err(error) => error.to_string(),
            };
            match (policy, kept.contains(path.as_path()), found.is_ok()) {
                (ChangedFiles::RollBack, true, _) | (ChangedFiles::Keep, _, true) => None,
                (_, true, true) => Some(format!(
                    "{shown}: {change}; --changed-files=roll-back gives it back what it held then, --changed-files=keep goes on with it \
                     as it is"
                )),
                (_, true, false) => Some(format!("{shown}: {change}; --changed-files=roll-back makes it again")),
                (_, false, true) => Some(format!(
                    "{shown}: {change}, and what it held is not in the snapshot; --changed-files=keep goes on with it as it is"
                )),
                (_, false, false) => Some(format!("{shown}: {change}; put it back")),
            }
        }
        FileKind::Directory { path } => {
            (!path.is_dir()).then(|| format!("{}: there is no such directory any more; make it again", path.display()))
        }
        FileKind::Device { path, number } => match fs::metadata(path) {
            Ok(found) if found.rdev() == *number => None,
            Ok(_) => Some(format!("{}: it is another device now", path.display())),
            Err(error) => Some(format!("{}: {error}", path.display())),
        },
        _ => None,
    }
}

/// What has been opened.
pub(crate) struct Opened {
    /// Each file of the metadata; one that this process was to be given and was not is none.
    pub(crate) files: Vec<Option<OwnedFd>>,
    /// Terminals that the program knows by other numbers than they have now.
    pub(crate) numbers: Vec<Number>,
}

/// Opens all of them; one that this process was to be given and was not is none. `contents` are the metadata's, each a file of its own. The program's clocks are
/// `ahead_ns` ahead of this machine's. If it is still elsewhere, what is that node's until it runs here is left for `later`.
///
/// # Errors
/// Which could not be opened, and why.
pub(crate) fn open_all(
    metadata: &Metadata,
    mut contents: Vec<File>,
    policy: ChangedFiles,
    ahead_ns: u64,
    mut later: Option<&mut Later>,
) -> Result<Opened, String> {
    if policy == ChangedFiles::RollBack {
        for file in &metadata.files {
            roll_back(&file.kind, &mut contents)?;
        }
    }
    let mut pipes = Vec::new();
    for pipe in &metadata.pipes {
        let made = make_pipe(pipe.capacity, &mut contents[pipe.content]);
        pipes.push(made.map_err(|error| format!("a pipe cannot be made again: {error}"))?);
    }
    let began_ns = metadata.monotonic_ns.wrapping_sub(ahead_ns);
    let mut pairs = sockets::make_pairs(metadata, &mut contents)?;
    let terminals = terminals::Made::new(metadata, &mut contents)?;
    let is_elsewhere = later.is_some();
    let open = |(index, file): (usize, &Described)| match &file.kind {
        FileKind::Standard { stream, seeks, identity } => {
            let opened = standard(*stream, seeks.then_some(file.offset), *identity).and_then(|opened| {
                // Those of another node's shim are the program's alone. Others may be a terminal that somebody else uses, too.
                opened.as_ref().filter(|_| is_elsewhere).map_or(Ok(()), |opened| set_blocking(opened, file))?;
                Ok(opened)
            });
            opened.map_err(|error| format!("descriptor {stream} of this process: {error}"))
        }
        FileKind::Socket { socket } => {
            let made = pairs.remove(&index).map_or_else(|| sockets::make(index, socket, later.as_deref_mut()), Ok)?;
            sockets::set_flags(&made, file)?;
            Ok(Some(made))
        }
        FileKind::Terminal { terminal, master } => {
            let opened = terminals.open(*terminal, *master, flags_from_snapshot(file.flags));
            opened.map(Some).map_err(|error| format!("a terminal cannot be opened again: {error}"))
        }
        kind => open_one(file, kind, &pipes, &mut contents, began_ns).map(Some),
    };
    let files = metadata.files.iter().enumerate().map(open).collect::<Result<Vec<_>, _>>()?;
    waits::watch_all(metadata, &files)?;
    Ok(Opened { files, numbers: terminals.settle(metadata)? })
}

/// Gives a file back what it held.
fn roll_back(kind: &FileKind, contents: &mut [File]) -> Result<(), String> {
    let FileKind::Regular { path, size, changed_ns, mode, content: Some(content), .. } = kind else { return Ok(()) };
    if fs::metadata(path).is_ok_and(|found| is_unchanged(&found, *size, *changed_ns)) {
        return Ok(());
    }
    let mut written = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(*mode).open(path)?;
        copy(&mut contents[*content], &mut file)?;
        // As unchanged it can be restored once more.
        let time = rustix::fs::Timespec {
            tv_sec: changed_ns.div_euclid(1_000_000_000),
            tv_nsec: changed_ns.rem_euclid(1_000_000_000),
        };
        Ok(futimens(&file, &Timestamps { last_access: time, last_modification: time })?)
    };
    written().map_err(|error| format!("{}: cannot be given back what it held: {error}", path.display()))
}

fn copy(content: &mut File, to: &mut File) -> io::Result<()> {
    content.rewind()?;
    io::copy(content, to).map(drop)
}

fn make_pipe(capacity: u32, content: &mut File) -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    fcntl_setpipe_size(&writer, usize::try_from(capacity).unwrap_or(usize::MAX))?;
    rustix::io::ioctl_fionbio(&writer, true)?;
    let mut writer = File::from(writer);
    copy(content, &mut writer)?;
    writer.flush()?;
    Ok((reader, writer.into()))
}

/// Another open file of what a descriptor of this process is of.
fn open_again(descriptor: BorrowedFd<'_>, flags: OFlags) -> io::Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", descriptor.as_raw_fd());
    Ok(open(path, flags | OFlags::CLOEXEC | OFlags::NOCTTY, Mode::empty())?)
}

fn open_one(
    file: &Described,
    kind: &FileKind,
    pipes: &[(OwnedFd, OwnedFd)],
    contents: &mut [File],
    began_ns: u64,
) -> Result<OwnedFd, String> {
    let flags = flags_from_snapshot(file.flags);
    let named = |path: &Path| -> io::Result<OwnedFd> {
        Ok(open(path, flags | OFlags::CLOEXEC | OFlags::NOCTTY, Mode::empty())?)
    };
    let (what, opened) = match kind {
        FileKind::Regular { path, .. } | FileKind::Directory { path } | FileKind::Device { path, .. } => {
            (path.display().to_string(), named(path))
        }
        FileKind::Unlinked { path, content } => {
            let made = unlinked(path.parent()).and_then(|mut made| {
                copy(&mut contents[*content], &mut made)?;
                open_again(made.as_fd(), flags)
            });
            (path.display().to_string(), made)
        }
        FileKind::Memory { name, content } => {
            let made = memfd_create(name, MemfdFlags::CLOEXEC).map_err(io::Error::from).and_then(|made| {
                let mut made = File::from(made);
                copy(&mut contents[*content], &mut made)?;
                open_again(made.as_fd(), flags)
            });
            (format!("the file in memory {name}"), made)
        }
        FileKind::Pipe { pipe, writes } => {
            let (reader, writer) = &pipes[*pipe];
            let end = if *writes { writer } else { reader };
            return open_again(end.as_fd(), flags).map_err(|error| format!("a pipe cannot be opened again: {error}"));
        }
        FileKind::Event { count, semaphore } => {
            let made = event(*count, *semaphore, flags);
            return made.map_err(|error| format!("an eventfd cannot be made again: {error}"));
        }
        FileKind::Epoll { .. } => {
            let made = epoll::create(epoll::CreateFlags::CLOEXEC);
            return made.map_err(|error| format!("an epoll cannot be made again: {error}"));
        }
        FileKind::Inotify { watches } => {
            let made = inotify::make(watches, flags);
            return made.map_err(|error| format!("an inotify cannot be made again: {error}"));
        }
        FileKind::Signals { mask } => {
            let made = waits::signals(*mask, flags);
            return made.map_err(|error| format!("a signalfd cannot be made again: {error}"));
        }
        FileKind::Timer { clock, next, interval_ns, ticks } => {
            let made = waits::timer(*clock, *next, *interval_ns, *ticks, began_ns, flags);
            return made.map_err(|error| format!("a timerfd cannot be made again: {error}"));
        }
        FileKind::Standard { .. } | FileKind::Socket { .. } | FileKind::Terminal { .. } => {
            return Err(String::from("a stream, socket or terminal is not opened by name"));
        }
    };
    let moved = opened.and_then(|opened| {
        if file.offset > 0 {
            seek(&opened, SeekFrom::Start(file.offset))?;
        }
        Ok(opened)
    });
    moved.map_err(|error| format!("{what} cannot be opened again: {error}"))
}

/// A file without a name, beside where it was if that can be.
fn unlinked(directory: Option<&Path>) -> io::Result<File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR;
    let beside = directory.and_then(|directory| open(directory, flags, mode).ok());
    let made = match beside {
        Some(made) => made,
        None => open(std::env::temp_dir(), flags, mode)?,
    };
    Ok(made.into())
}

fn event(count: u64, semaphore: bool, flags: OFlags) -> io::Result<OwnedFd> {
    let mut kinds = EventfdFlags::CLOEXEC;
    kinds.set(EventfdFlags::SEMAPHORE, semaphore);
    kinds.set(EventfdFlags::NONBLOCK, flags.contains(OFlags::NONBLOCK));
    let made = eventfd(0, kinds)?;
    if count > 0 {
        rustix::io::write(&made, &count.to_ne_bytes())?;
    }
    Ok(made)
}

/// Whether reading and writing waits is as it was.
fn set_blocking(opened: &OwnedFd, file: &Described) -> io::Result<()> {
    let waits = !flags_from_snapshot(file.flags).contains(OFlags::NONBLOCK);
    Ok(rustix::io::ioctl_fionbio(opened, !waits)?)
}

/// What this process was given as the same descriptor; `None` if it was given nothing as one of its own. Input that is a file goes on where
/// the program had got to; so does output that is the same file.
fn standard(stream: u32, offset: Option<u64>, identity: [u64; 2]) -> io::Result<Option<OwnedFd>> {
    let Some(own) = given(stream) else {
        let null = || open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
        return Ok((stream < 3).then(null).transpose()?);
    };
    let status = fstat(own)?;
    let is_same = describe::identity(&status) == identity;
    if let Some(offset) = offset.filter(|_| is_regular(&status) && (stream == 0 || is_same)) {
        seek(own, SeekFrom::Start(offset))?;
    }
    own.try_clone_to_owned().map(Some)
}

/// Has those of this process's standard streams that are files go on where a saved program had got to, which is restored elsewhere and has them by way of this process.
///
/// # Errors
/// If that cannot be.
pub fn seek_standard_streams(metadata: &Metadata) -> io::Result<()> {
    for file in &metadata.files {
        if let FileKind::Standard { stream, seeks: true, identity } = &file.kind {
            standard(*stream, Some(file.offset), *identity)?;
        }
    }
    Ok(())
}

/// Held by tests that copy all of this process's descriptors, and by those whose sockets are to be closed when they close them.
#[cfg(test)]
pub(crate) fn alone_with_descriptors() -> std::sync::MutexGuard<'static, ()> {
    static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    crate::sync::lock(&ALONE)
}

/// What there is of a program that has these files, and nothing else.
#[cfg(test)]
pub(crate) fn metadata_of(files: Vec<Described>) -> Metadata {
    Metadata { main: 1, files, ..Metadata::default() }
}
