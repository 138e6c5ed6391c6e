//! The home's side: this node's files, for a program elsewhere.

use crate::lock;
use crate::message::{self, LONGEST, Request};
use crate::mounts;
use crate::numbers::Files;
use fuse_backend_rs::api::filesystem::FsOptions;
use fuse_backend_rs::api::server::Server;
use fuse_backend_rs::passthrough::{CachePolicy, Config};
use fuse_backend_rs::transport::{FuseBuf, FuseDevWriter, Reader};
use rustix::fs::{MemfdFlags, Mode, SeekFrom, memfd_create, seek};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, umask};
use std::fs::File;
use std::io::{self, Read, Write};
use std::iter;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

/// Requests that are answered at a time: more than a disk has use for.
const WORKERS: usize = 8;
/// How long the program's kernel believes what it knows of a name or a file's size and times: others at the home may change them.
const BELIEVED: Duration = Duration::from_secs(1);

/// What is asked of the program's kernel. Files that others have changed are read again, and what is written goes to the home at once.
const OPTIONS: FsOptions = FsOptions::ASYNC_READ
    .union(FsOptions::PARALLEL_DIROPS)
    .union(FsOptions::BIG_WRITES)
    .union(FsOptions::ASYNC_DIO)
    .union(FsOptions::AUTO_INVAL_DATA)
    .union(FsOptions::HAS_IOCTL_DIR)
    .union(FsOptions::MAX_PAGES)
    .union(FsOptions::ATOMIC_O_TRUNC)
    .union(FsOptions::CACHE_SYMLINKS)
    .union(FsOptions::DO_READDIRPLUS)
    .union(FsOptions::READDIRPLUS_AUTO);

/// Says which file systems are mounted below `root`, and answers requests of a program's kernel about these and the root until it says no more. Changes this
/// process's umask and limits.
///
/// # Errors
/// If `root` cannot be served, or the connection is lost.
pub fn serve(root: &Path, mut requests: impl Read, mut answers: impl Write + Send) -> io::Result<()> {
    // The program's own has been applied where it is.
    umask(Mode::empty());
    // Each file that the program's kernel knows takes a descriptor where there are no handles of files.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?;
    let places = mounts::below(root)?;
    let roots = iter::once(root.to_owned()).chain(places.iter().map(|place| root.join(place)));
    let files = roots.map(|root| files(&root)).collect::<io::Result<Vec<_>>>()?;
    files[0].opened()?;
    let files: Vec<_> = files.into_iter().map(Server::new).collect();
    answers.write_all(&message::answer(0, Ok(&mounts::to_bytes(&places))))?;
    let answers = Mutex::new(answers);
    let (to_workers, queue) = channel::<Vec<u8>>();
    let queue = Mutex::new(queue);
    let (give_back, used) = channel::<Vec<u8>>();
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            let (files, queue, answers, give_back) = (&files, &queue, &answers, give_back.clone());
            thread::Builder::new().spawn_scoped(scope, move || work(files, queue, answers, &give_back))?;
        }
        loop {
            let mut request = used.try_recv().unwrap_or_default();
            if !message::read(&mut requests, &mut request)? {
                // The workers end with the queue.
                drop(to_workers);
                return Ok(());
            }
            if to_workers.send(request).is_err() {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
        }
    })
}

fn files(root: &Path) -> io::Result<Files> {
    let root_dir = root.to_str().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    let config = Config {
        root_dir,
        cache_policy: CachePolicy::Auto,
        entry_timeout: BELIEVED,
        attr_timeout: BELIEVED,
        xattr: true,
        // That is said by what is above it.
        do_import: false,
        inode_file_handles: rustix::thread::capability_is_in_bounding_set(
            rustix::thread::CapabilitySet::DAC_READ_SEARCH,
        )
        .unwrap_or(false)
            && rustix::process::geteuid().is_root(),
        ..Config::default()
    };
    Files::new(config, OPTIONS)
}

fn work(
    files: &[Server<Files>],
    queue: &Mutex<Receiver<Vec<u8>>>,
    answers: &Mutex<impl Write>,
    give_back: &Sender<Vec<u8>>,
) {
    let Ok(mut worker) = Worker::new() else { return };
    loop {
        let Ok(mut request) = lock(queue).recv() else { return };
        if let Some(answer) = worker.answer(files, &mut request) {
            // If the connection is lost, whoever reads from it knows.
            if lock(answers).write_all(answer).is_err() {
                return;
            }
        }
        let _ = give_back.send(request);
    }
}

/// What one thread answers with.
struct Worker {
    /// The library writes answers to a file, each at once.
    file: File,
    /// It composes them in here.
    buffer: Vec<u8>,
    answer: Vec<u8>,
}

impl Worker {
    fn new() -> io::Result<Worker> {
        let file = File::from(memfd_create("answer", MemfdFlags::CLOEXEC)?);
        Ok(Worker { file, buffer: vec![0; LONGEST], answer: Vec::new() })
    }

    /// `None` for what has no answer.
    fn answer(&mut self, files: &[Server<Files>], request: &mut [u8]) -> Option<&[u8]> {
        message::from_network(request);
        let (id, has_answer) = Request::new(request).map(|request| (request.id(), request.has_answer()))?;
        if self.handle(files, request).is_err() {
            self.answer = message::answer(id, Err(libc::EIO));
        }
        has_answer.then_some(&self.answer)
    }

    fn handle(&mut self, files: &[Server<Files>], request: &mut [u8]) -> io::Result<()> {
        seek(&self.file, SeekFrom::Start(0))?;
        let which = Request::new(request).map_or(0, Request::which);
        let files = files.get(usize::from(which)).ok_or(io::ErrorKind::NotFound)?;
        let reader = Reader::<()>::from_fuse_buffer(FuseBuf::new(request)).map_err(io::Error::other)?;
        let writer = FuseDevWriter::new(self.file.as_raw_fd(), &mut self.buffer).map_err(io::Error::other)?;
        // Errors of files are answers; others of those are none.
        let handled = files.handle_message(reader, writer.into(), None, None);
        let length = seek(&self.file, SeekFrom::Current(0))?;
        if length == 0 {
            handled.map_err(io::Error::other)?;
        }
        self.answer.resize(length as usize, 0);
        self.file.read_exact_at(&mut self.answer, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{ANSWER_HEADER, INTERRUPT, LOOKUP, REQUEST_HEADER};
    use std::collections::BTreeSet;

    const INIT: u32 = 26;

    fn request(operation: u32, id: u64, inode: u64, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; REQUEST_HEADER];
        bytes[..4].copy_from_slice(&((REQUEST_HEADER + body.len()) as u32).to_le_bytes());
        bytes[4..8].copy_from_slice(&operation.to_le_bytes());
        bytes[8..16].copy_from_slice(&id.to_le_bytes());
        bytes[16..24].copy_from_slice(&inode.to_le_bytes());
        bytes.extend_from_slice(body);
        bytes
    }

    /// What is answered: ids, errors and bodies.
    fn answers(root: &Path, requests: &[u8]) -> Vec<(u64, i32, Vec<u8>)> {
        let mut answered = Vec::new();
        serve(root, requests, &mut answered).unwrap();
        let (mut rest, mut message, mut found) = (&answered[..], Vec::new(), Vec::new());
        // Nothing is mounted below.
        assert!(message::read(&mut rest, &mut message).unwrap());
        assert_eq!(message, message::answer(0, Ok(&[])));
        while message::read(&mut rest, &mut message).unwrap() {
            let error = i32::from_le_bytes(message[4..8].try_into().unwrap());
            let id = u64::from_le_bytes(message[8..16].try_into().unwrap());
            found.push((id, error, message[ANSWER_HEADER..].to_vec()));
        }
        found
    }

    fn begin() -> Vec<u8> {
        request(INIT, 1, 0, &[7_u32, 38, 1 << 17, 0].map(u32::to_le_bytes).concat())
    }

    #[test]
    fn files_are_found_and_those_outside_are_not() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("file"), "12345").unwrap();
        let mut requests = begin();
        for (id, name) in [(2, "file"), (3, "missing"), (4, "../etc"), (5, "..")] {
            requests.extend(request(LOOKUP, id, 1, format!("{name}\0").as_bytes()));
        }
        requests.extend(request(INTERRUPT, 6, 0, &2_u64.to_le_bytes()));
        let mut found = answers(root.path(), &requests);
        found.sort();
        let [started, file, missing, outside, above] = &found[..] else { panic!("{found:?}") };
        assert_eq!((started.0, started.1), (1, 0));
        // The size in `struct fuse_entry_out`.
        assert_eq!((file.0, file.1, &file.2[48..56]), (2, 0, &5_u64.to_le_bytes()[..]));
        assert_eq!((missing.0, missing.1), (3, -libc::ENOENT));
        assert_eq!(outside.1, -libc::EINVAL);
        // Above the root there is the root.
        assert!(above.1 != 0 || above.2[..7] == 1_u64.to_le_bytes()[..7], "{above:?}");
    }

    /// Messages of a kernel that has lost its mind: each is answered once, with its id.
    #[test]
    fn damaged_requests_are_answered_too() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("file"), "12345").unwrap();
        let mut random = fastrand::Rng::with_seed(1);
        let mut requests = begin();
        let mut expected = BTreeSet::from([1]);
        for id in 2..4000 {
            // Not what ends the file system, nor `FALLOCATE` of who knows how much.
            let operation = [LOOKUP, random.u32(..60)][random.usize(..2)];
            if [INIT, message::DESTROY, 43].contains(&operation) {
                continue;
            }
            let length = random.usize(..120);
            let mut body: Vec<u8> = (0..length).map(|_| random.u8(..) * u8::from(random.u8(..3) > 0)).collect();
            if random.bool() {
                body.splice(..0, *b"file\0");
            }
            let bytes = request(operation, id, random.u64(..6), &body);
            if Request::new(&bytes).is_some_and(Request::has_answer) {
                expected.insert(id);
            }
            requests.extend(bytes);
        }
        let found = answers(root.path(), &requests);
        assert_eq!(found.len(), expected.len());
        assert_eq!(found.into_iter().map(|(id, ..)| id).collect::<BTreeSet<_>>(), expected);
    }
}
