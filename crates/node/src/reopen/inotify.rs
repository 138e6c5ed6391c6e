//! Making an `inotify` again. Its watches get the numbers that the program knows them by. What happens to files while the program is nowhere it is not told.

use maize_snapshot::FileWatch;
use rustix::fs::OFlags;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::ioctl_fionread;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

/// Is always there, and nobody removes it.
const ANY: &str = "/proc/self";

pub(super) fn make(watches: &[FileWatch], flags: OFlags) -> io::Result<OwnedFd> {
    let mut kinds = CreateFlags::CLOEXEC;
    kinds.set(CreateFlags::NONBLOCK, flags.contains(OFlags::NONBLOCK));
    let made = inotify::init(kinds)?;
    // The kernel counts up. A number that is to be left out is used, and given back.
    let mut next = 1;
    for watch in watches {
        while next < watch.number {
            let given = inotify::add_watch(&made, ANY, WatchFlags::ATTRIB)?;
            next = given.cast_unsigned() + 1;
            inotify::remove_watch(&made, given)?;
        }
        let given = add(&made, watch)?;
        if given != watch.number {
            let path = watch.path.display();
            return Err(io::Error::other(format!(
                "the watch of {path} has the number {given} instead of {}",
                watch.number
            )));
        }
        next = given + 1;
    }
    // What was given back is told of.
    let waiting = usize::try_from(ioctl_fionread(&made)?).unwrap_or(0);
    if waiting > 0 {
        rustix::io::read(&made, &mut *vec![0; waiting])?;
    }
    Ok(made)
}

fn add(made: &OwnedFd, watch: &FileWatch) -> io::Result<u32> {
    let add = |path: &Path| inotify::add_watch(made, path, WatchFlags::from_bits_retain(watch.events));
    let given = add(&watch.path);
    let given =
        given.map_err(|error| io::Error::other(format!("{}: {}", watch.path.display(), io::Error::from(error))))?;
    Ok(given.cast_unsigned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn watches_have_their_numbers_and_nothing_waits() {
        let directory = tempfile::tempdir().unwrap();
        let watch = |number, path: &Path| FileWatch { number, path: path.into(), events: 0x100 };
        let (one, other) = (directory.path().join("one"), directory.path().join("other"));
        fs::create_dir(&one).unwrap();
        fs::create_dir(&other).unwrap();
        let made = make(&[watch(3, &one), watch(40, &other)], OFlags::NONBLOCK).unwrap();
        assert_eq!(ioctl_fionread(&made).unwrap(), 0);
        fs::write(other.join("file"), "").unwrap();
        let mut event = [0; 64];
        rustix::io::read(&made, &mut event).unwrap();
        assert_eq!(event[..4], 40_u32.to_ne_bytes());
        assert!(make(&[watch(1, &directory.path().join("none"))], OFlags::empty()).is_err());
    }
}
