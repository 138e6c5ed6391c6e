//! The mounted side: what the kernel asks goes to the home, and what that answers goes to the kernel.

use crate::lock;
use crate::message::{self, ANSWER_HEADER, GETATTR, LONGEST, LOOKUP, Request, answer};
use crate::mounts;
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount};
use rustix::process::{getegid, geteuid};
use std::collections::HashMap;
use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// `FUSE_ROOT_ID`.
const ROOT: u64 = 1;
/// The inode of the directory of our own in the root: none that a home gives.
const OWN: u64 = 1 << 63;
const S_IFDIR: u32 = 0o40_000;

/// Why no more is known of files.
pub type Stopped = io::Error;

/// A file system of a home, mounted.
pub(crate) struct Mount {
    device: File,
}

/// Where the files of all mounts are.
pub(crate) struct Home<W> {
    connection: Arc<Connection<W>>,
    belief: Belief,
}

struct Connection<W> {
    /// The name of a directory in the root that is there for mounts, whatever the home has by that name.
    own: &'static str,
    to_home: Mutex<W>,
    unanswered: Mutex<Unanswered>,
}

/// What the home has not answered, by the ids of requests.
#[derive(Default)]
struct Unanswered {
    asked: HashMap<u64, Asked>,
    /// The home will not answer any more.
    is_lost: bool,
}

/// Who has asked for what.
struct Asked {
    device: Arc<File>,
    operation: u32,
}

/// Whether the kernel is to believe for a while what it has heard of a file. While a program is on its way here, its files are changed where it is still.
#[derive(Clone, Debug, Default)]
pub struct Belief(Arc<AtomicBool>);

impl Belief {
    /// From now on the program is here.
    pub fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn has_begun(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Mount {
    /// Mounts what [`Home::forward`] brings.
    pub(crate) fn new(at: &Path) -> io::Result<Mount> {
        let device = File::from(open("/dev/fuse", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?);
        let options = format!(
            "fd={},rootmode={S_IFDIR:o},user_id={},group_id={},allow_other,default_permissions",
            device.as_raw_fd(),
            geteuid().as_raw(),
            getegid().as_raw()
        );
        let options = CString::new(options).map_err(io::Error::other)?;
        mount("maize", at, "fuse.maize", MountFlags::NOSUID | MountFlags::NODEV, &*options)?;
        Ok(Mount { device })
    }
}

impl<W: Write + Send + 'static> Home<W> {
    /// Begins to hand on answers, in a thread of its own; returns where the home has other file systems than at its root, too. `own` is the name of a directory in
    /// the root that is there for mounts, whatever the home has by that name. When the connection is lost, `stopped` is told why, and from then on what the kernel
    /// asks fails with `EIO`.
    pub(crate) fn new(
        own: &'static str,
        mut from_home: impl Read + Send + 'static,
        to_home: W,
        stopped: impl FnOnce(Stopped) + Send + 'static,
    ) -> io::Result<(Home<W>, Vec<PathBuf>)> {
        let mut told = Vec::new();
        if !message::read(&mut from_home, &mut told)? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let places = mounts::from_bytes(&told[ANSWER_HEADER..]);
        let (to_home, unanswered) = (Mutex::new(to_home), Mutex::default());
        let connection = Arc::new(Connection { own, to_home, unanswered });
        let belief = Belief::default();
        let (shared, believes) = (Arc::clone(&connection), belief.clone());
        thread::Builder::new().name("files".into()).spawn(move || {
            let error = hand_on_answers(&mut from_home, &shared.unanswered, &believes);
            // Before the program hears of it.
            stopped(error);
            let mut unanswered = lock(&shared.unanswered);
            unanswered.is_lost = true;
            for (id, asked) in unanswered.asked.drain() {
                let mut lost = answer(id, Err(libc::EIO));
                message::undirect(&mut lost);
                let _ = say(&asked.device, &lost);
            }
        })?;
        Ok((Home { connection, belief }, places))
    }

    /// Begins to hand on requests about one of the file systems: the root, or one of the others, which are counted from 1 on; in a thread of its own.
    pub(crate) fn forward(&self, mount: Mount, which: u16) -> io::Result<()> {
        let (device, connection) = (Arc::new(mount.device), Arc::clone(&self.connection));
        let hand_on = move || hand_on_requests(&device, which, &connection);
        thread::Builder::new().name("files".into()).spawn(hand_on).map(drop)
    }

    pub(crate) fn belief(&self) -> Belief {
        self.belief.clone()
    }
}

/// Answers the kernel. It takes no answer to what was interrupted, which is nothing to us.
fn say(mut device: &File, answer: &[u8]) -> io::Result<()> {
    match device.write(answer) {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        result => result.map(drop),
    }
}

fn hand_on_answers(from_home: &mut impl Read, unanswered: &Mutex<Unanswered>, belief: &Belief) -> io::Error {
    let mut message = Vec::new();
    loop {
        match message::read(from_home, &mut message) {
            Ok(true) => {}
            Ok(false) => return io::ErrorKind::UnexpectedEof.into(),
            Err(error) => return error,
        }
        // An id that was not asked would be a notice, such as of files that have changed; homes send none.
        let id = message::undirect(&mut message);
        let Some(asked) = lock(unanswered).asked.remove(&id) else {
            return io::Error::new(io::ErrorKind::InvalidData, "an answer to what was not asked");
        };
        if !belief.has_begun() {
            message::is_to_be_asked_again(asked.operation, &mut message);
        }
        if let Err(error) = say(&asked.device, &message) {
            return error;
        }
    }
}

/// Returns when the files are not mounted any more.
fn hand_on_requests(device: &Arc<File>, which: u16, connection: &Connection<impl Write>) {
    let mut buffer = vec![0; LONGEST];
    loop {
        let length = match (&mut &**device).read(&mut buffer) {
            Ok(length) => length,
            // What was to be read has been taken back.
            Err(error) if matches!(Errno::from_io_error(&error), Some(Errno::NOENT | Errno::INTR | Errno::AGAIN)) => {
                continue;
            }
            Err(_) => return,
        };
        let bytes = &mut buffer[..length];
        let Some(request) = Request::new(bytes) else { return };
        let (kernels_id, operation, has_answer) = (request.id(), request.operation(), request.has_answer());
        if which == 0
            && let Some(result) = answer_for_own(request, connection.own)
        {
            if has_answer {
                let _ = say(device, &answer(kernels_id, result.as_deref().map_err(|error| *error)));
            }
            continue;
        }
        let Some(id) = message::direct(bytes, which) else { return };
        if has_answer {
            let mut unanswered = lock(&connection.unanswered);
            if unanswered.is_lost {
                let _ = say(device, &answer(kernels_id, Err(libc::EIO)));
                continue;
            }
            unanswered.asked.insert(id, Asked { device: Arc::clone(device), operation });
        }
        message::to_network(bytes);
        // If the connection is lost, whoever reads from it answers.
        let _ = lock(&connection.to_home).write_all(bytes);
    }
}

/// What is to be said about the directory of our own; `None` if the request is about something else.
fn answer_for_own(request: Request<'_>, own: &str) -> Option<Result<Vec<u8>, i32>> {
    const FOREVER: u64 = 1 << 32;
    let attributes = || {
        let mut attributes = [0; 88];
        attributes[..8].copy_from_slice(&OWN.to_le_bytes());
        attributes[60..64].copy_from_slice(&(S_IFDIR | 0o755).to_le_bytes());
        attributes[64..68].copy_from_slice(&2_u32.to_le_bytes());
        attributes[68..72].copy_from_slice(&geteuid().as_raw().to_le_bytes());
        attributes[72..76].copy_from_slice(&getegid().as_raw().to_le_bytes());
        attributes
    };
    match (request.inode(), request.operation()) {
        (ROOT, LOOKUP) if request.body().strip_suffix(&[0]) == Some(own.as_bytes()) => {
            let entry = [OWN, 0, FOREVER, FOREVER, 0].map(u64::to_le_bytes).concat();
            Some(Ok([&entry[..], &attributes()].concat()))
        }
        (OWN, GETATTR) => {
            let valid = [FOREVER, 0].map(u64::to_le_bytes).concat();
            Some(Ok([&valid[..], &attributes()].concat()))
        }
        (OWN, _) => Some(Err(libc::ENOSYS)),
        _ => None,
    }
}
