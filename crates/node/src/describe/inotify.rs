//! What an `inotify` watches. The kernel names files by their handles (proc_pid_fdinfo(5)), from which their names can be found by who may open any file (`CAP_DAC_READ_SEARCH`).

use super::all_information;
use maize_snapshot::{FileKind, FileWatch};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::ioctl_fionread;
use std::fs;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::path::PathBuf;

/// Bytes of a handle at most (`MAX_HANDLE_SZ`).
const LONGEST: usize = 128;
/// Watches with higher numbers take too long to be made again.
const HIGHEST: u32 = 1 << 18;

/// Why an `inotify` cannot be described.
pub(super) enum Obstacle {
    /// It can when the program has read what waits in it.
    NotNow(String),
    /// It never can.
    Never(String),
}

/// An `inotify`.
pub(super) fn describe(descriptor: BorrowedFd<'_>) -> Result<FileKind, Obstacle> {
    let never = |reason: String| Obstacle::Never(format!("an inotify {reason}"));
    if ioctl_fionread(descriptor).map_err(|error| never(format!("that cannot be read: {error}")))? > 0 {
        return Err(Obstacle::NotNow("an inotify, in which events wait that the program has not read".to_owned()));
    }
    let text = all_information(descriptor).map_err(|error| never(format!("that cannot be looked into: {error}")))?;
    let lines = text.lines().filter(|line| line.starts_with("inotify "));
    let mut watches = Vec::new();
    for line in lines {
        let Line { number, events, device, handle } =
            parse(line).ok_or_else(|| never(format!("that cannot be understood: {line}")))?;
        if number > HIGHEST {
            return Err(never(format!("whose watches have numbers above {HIGHEST}: close it before")));
        }
        let path = name(device, &handle).map_err(|error| {
            never(format!("of which the names of watched files cannot be found ({error}): close it before"))
        })?;
        watches.push(FileWatch { number, path, events });
    }
    watches.sort_by_key(|watch| watch.number);
    Ok(FileKind::Inotify { watches })
}

/// A watched file: number, events, device, and handle: its kind and bytes.
struct Line {
    number: u32,
    events: u32,
    device: (u32, u32),
    handle: (i32, Vec<u8>),
}

/// `inotify wd:1 ino:2a sdev:fe00001 mask:800afce ignored_mask:0 fhandle-bytes:8 fhandle-type:1 f_handle:2a000000d3b1a4f0`, in hexadecimal digits.
fn parse(line: &str) -> Option<Line> {
    let text = |name: &str| line.split(' ').find_map(|word| word.strip_prefix(name));
    let number = |name| u32::from_str_radix(text(name)?, 16).ok();
    let digits = text("f_handle:")?;
    let bytes = (0..digits.len() / 2).map(|at| u8::from_str_radix(digits.get(2 * at..2 * at + 2)?, 16).ok());
    let device = number("sdev:")?;
    Some(Line {
        number: number("wd:")?,
        events: number("mask:")?,
        // The kernel's own form of a device's number.
        device: (device >> 20, device & 0xf_ffff),
        handle: (number("fhandle-type:")?.cast_signed(), bytes.collect::<Option<_>>()?),
    })
}

/// The name of a file.
fn name(device: (u32, u32), handle: &(i32, Vec<u8>)) -> io::Result<PathBuf> {
    let mount = open(mount_point(device)?, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let file = open_by_handle(mount.as_fd(), handle)?;
    let path = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    let (found, named) = (rustix::fs::fstat(&file)?, rustix::fs::stat(&path)?);
    match (found.st_dev, found.st_ino) == (named.st_dev, named.st_ino) {
        true => Ok(path),
        false => Err(io::Error::other(format!("{} is another file now", path.display()))),
    }
}

/// Where a file system is mounted.
fn mount_point((major, minor): (u32, u32)) -> io::Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let wanted = format!("{major}:{minor}");
    let mut mounts = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let mount = mounts.find(|fields| fields.get(2) == Some(&wanted.as_str()) && fields.get(3) == Some(&"/"));
    let mount = mount.ok_or_else(|| io::Error::other(format!("device {wanted} is not mounted here")))?;
    Ok(PathBuf::from(mount[4].replace("\\040", " ")))
}

/// `open_by_handle_at`.
fn open_by_handle(mount: BorrowedFd<'_>, (kind, bytes): &(i32, Vec<u8>)) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Handle {
        size: u32,
        kind: i32,
        bytes: [u8; LONGEST],
    }
    let mut handle = Handle { size: bytes.len() as u32, kind: *kind, bytes: [0; LONGEST] };
    handle.bytes.get_mut(..bytes.len()).ok_or(io::ErrorKind::InvalidData)?.copy_from_slice(bytes);
    // SAFETY: the handle is as long as it says, and the kernel reads it only.
    let file = unsafe {
        libc::syscall(libc::SYS_open_by_handle_at, mount.as_raw_fd(), &raw mut handle, libc::O_PATH | libc::O_CLOEXEC)
    };
    match i32::try_from(file) {
        // SAFETY: the descriptor is new, and nobody else's.
        Ok(file) if file >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(file) }),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_understood() {
        let line = "inotify wd:1f ino:2a sdev:fe00001 mask:800afce ignored_mask:0 fhandle-bytes:8 fhandle-type:1 \
                    f_handle:2a000000d3b1a4f0";
        let Line { number, events, device, handle } = parse(line).unwrap();
        assert_eq!((number, events, device), (0x1f, 0x0800_afce, (254, 1)));
        assert_eq!(handle, (1, vec![0x2a, 0, 0, 0, 0xd3, 0xb1, 0xa4, 0xf0]));
        assert!(parse("inotify wd:1f ino:2a").is_none());
    }
}
