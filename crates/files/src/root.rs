//! A root directory of a process's own: its home's files, and of this machine what is the kernel's, and what is to be kept.

use crate::mount::{Belief, Home, Mount, Stopped};
use crate::mounts::KERNELS;
use rustix::mount::{
    MountFlags, MountPropagationFlags, mount, mount_bind, mount_bind_recursive, mount_change, mount_move,
};
use rustix::process::{chdir, chroot, getegid, geteuid};
use rustix::thread::{CapabilitySet, CapabilitySets, UnshareFlags, set_capabilities, unshare_unsafe};
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// The directory for what is kept.
pub const OWN: &str = "/.maize";

/// Why a process cannot be where its home's files are.
#[derive(Debug, thiserror::Error)]
pub enum EnterError {
    /// It may not have mounts of its own.
    #[error(
        "this node cannot show a program another node's files: {what}: {source}; it takes root, or user namespaces and /dev/fuse"
    )]
    System {
        /// What was tried.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The home has no such directory.
    #[error("{path} of the home is not there: {source}")]
    Missing {
        /// The directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

fn system(what: &'static str) -> impl FnOnce(rustix::io::Errno) -> EnterError {
    move |error| EnterError::System { what, source: error.into() }
}

/// What of this machine is kept, and how: as `/.maize/NAME`.
pub struct Kept {
    /// Its name then, which may have directories in it.
    pub name: PathBuf,
    /// A file or directory.
    pub path: PathBuf,
}

/// Makes a home's files this process's root, for itself and what it starts: `/proc`, `/sys` and `/dev` stay this machine's, and what is `kept`. `mount_point` is
/// an empty directory. When the connection to the home is lost, `stopped` is told why, and files fail with `EIO`.
///
/// # Errors
/// If that cannot be; then this process is as good as lost.
///
/// # Safety
/// This process must have one thread.
pub unsafe fn enter(
    mount_point: &Path,
    kept: &[Kept],
    from_home: impl Read + Send + 'static,
    to_home: impl Write + Send + 'static,
    stopped: impl FnOnce(Stopped) + Send + 'static,
) -> Result<Belief, EnterError> {
    // SAFETY: there are no other threads, and no descriptors are unshared.
    let rights = unsafe { mounts_of_its_own()? };
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).map_err(system("keeping mounts private"))?;
    let mounted = |source| EnterError::System { what: "mounting by /dev/fuse", source };
    let own = OWN.trim_start_matches('/');
    let root = Mount::new(mount_point).map_err(mounted)?;
    let (home, places) = Home::new(own, from_home, to_home, stopped).map_err(mounted)?;
    home.forward(root, 0).map_err(mounted)?;
    for (which, place) in (1..=u16::MAX).zip(places) {
        // What cannot be reached, or is a file, is shown as part of what it is in.
        if let Ok(mount) = Mount::new(&mount_point.join(place)) {
            home.forward(mount, which).map_err(mounted)?;
        }
    }
    for name in KERNELS {
        let at = mount_point.join(name);
        let missing =
            |error: rustix::io::Errno| EnterError::Missing { path: Path::new("/").join(name), source: error.into() };
        mount_bind_recursive(Path::new("/").join(name), &at).map_err(missing)?;
    }
    let at = mount_point.join(own);
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    mount("maize", &at, "tmpfs", flags, c"mode=0755,size=64k").map_err(system("mounting a tmpfs"))?;
    for Kept { name, path } in kept {
        keep(path, &at.join(name)).map_err(|source| EnterError::Missing { path: path.clone(), source })?;
    }
    chdir(mount_point).map_err(system("changing the root"))?;
    mount_move(".", "/").map_err(system("changing the root"))?;
    chroot(".").map_err(system("changing the root"))?;
    chdir("/").map_err(system("changing the root"))?;
    if matches!(rights, Rights::Borrowed) {
        let none = CapabilitySet::empty();
        let none = CapabilitySets { effective: none, permitted: none, inheritable: none };
        set_capabilities(None, none).map_err(system("giving up the rights to mount"))?;
    }
    Ok(home.belief())
}

/// What this process has mounts by.
enum Rights {
    Own,
    /// Of a namespace of users. Whoever does not have them, as what this process starts, cannot look into it (ptrace(2)): emulators open their program there.
    Borrowed,
}

/// A namespace of mounts; where that takes rights that this process does not have, in a namespace of users in which it has them.
///
/// # Safety
/// There must be no other threads.
unsafe fn mounts_of_its_own() -> Result<Rights, EnterError> {
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    // SAFETY: no descriptors are unshared.
    if unsafe { unshare_unsafe(UnshareFlags::NEWNS) }.is_ok() {
        return Ok(Rights::Own);
    }
    // SAFETY: as above.
    unsafe { unshare_unsafe(UnshareFlags::NEWUSER | UnshareFlags::NEWNS) }
        .map_err(system("a namespace of users and mounts"))?;
    let maps = [
        ("setgroups", "deny".to_owned()),
        ("uid_map", format!("{user} {user} 1")),
        ("gid_map", format!("{group} {group} 1")),
    ];
    for (name, content) in maps {
        fs::write(format!("/proc/self/{name}"), content)
            .map_err(|source| EnterError::System { what: "a namespace of users", source })?;
    }
    Ok(Rights::Borrowed)
}

fn keep(path: &Path, at: &Path) -> io::Result<()> {
    if fs::metadata(path)?.is_dir() {
        fs::create_dir_all(at)?;
    } else {
        at.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::File::create(at)?;
    }
    Ok(mount_bind(path, at)?)
}
