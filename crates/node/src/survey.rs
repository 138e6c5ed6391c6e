//! What keeps a program from going to another node, and which files it needs there, as far as that shows while it runs. Nothing is stopped for it, so it is
//! a forecast: what is decided is decided when the program waits (`describe`).

use crate::describe::sockets::{self, Connections};
use crate::describe::terminals;
use crate::describe::{Streams, identity};
use crate::network::Address;
use crate::supervisor::Supervisor;
use crate::terminal::{self, Side};
use crate::{devices, kernel};
use rustix::fs::{FileType, OFlags, Stat};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// The runtime's own descriptors have numbers from here on, where the limit allows that.
const KEPT_DESCRIPTORS: u32 = 900;
/// One of these, by which its memory has come (docs/protocol.md).
const USERFAULTFD: &str = "anon_inode:[userfaultfd]";
/// With a lower limit than this they are among the program's.
const ENOUGH_DESCRIPTORS: u64 = 1024;

/// What has no name, and goes along, as the kernel shows it.
const GO_ALONG: [&str; 5] = [
    "anon_inode:[eventfd]",
    "anon_inode:[eventpoll]",
    "anon_inode:[timerfd]",
    "anon_inode:[signalfd]",
    "anon_inode:inotify",
];

/// What is known of a program that runs.
#[derive(Debug, Default)]
pub struct Survey {
    /// What keeps it from going anywhere, for people.
    pub obstacles: BTreeSet<String>,
    /// Record locks of `fcntl`, likewise: in the way for as long as it holds them.
    pub locks: BTreeSet<String>,
    /// What has to be where it goes.
    pub needs: BTreeSet<Need>,
    /// Unix sockets: the inode of each, that of the one that it is connected to, and what it is, for people.
    unix: Vec<(u64, Option<u64>, String)>,
    /// TCP connections: their ends.
    connections: Vec<(SocketAddr, SocketAddr)>,
    /// Terminals of which it has the side that is typed into.
    masters: BTreeSet<u32>,
    /// Other sides of terminals: the number of each, and what it is, for people.
    slaves: Vec<(u32, String)>,
    /// The program's own address.
    address: Option<Address>,
}

/// Something that a program finds by its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Need {
    /// A file that it reads, or executes.
    File {
        /// Its name.
        path: PathBuf,
        /// In bytes.
        size: u64,
        /// When it was last changed, in nanoseconds since 1970; nothing if that does not matter.
        changed_ns: Option<i64>,
    },
    /// A file that it writes: nobody knows what that will be when the program stops.
    Changing(PathBuf),
    /// A directory.
    Directory(PathBuf),
    /// A device.
    Device {
        /// Its name.
        path: PathBuf,
        /// Its major and minor numbers, as the kernel has them.
        number: u64,
    },
    /// Its own address.
    Address(Address),
}

impl Need {
    /// Why this machine does not have it.
    #[must_use]
    pub fn obstacle(&self) -> Option<String> {
        let path = match self {
            Need::Address(address) => return address.obstacle(),
            Need::File { path, .. } | Need::Changing(path) | Need::Directory(path) | Need::Device { path, .. } => path,
        };
        let shown = path.display();
        let found = match fs::metadata(path) {
            Ok(found) => found,
            Err(error) => {
                return Some(format!(
                    "{shown}: {error}; the program has it open: put it there, or start the program with --home-files"
                ));
            }
        };
        let wrong = match self {
            Need::File { size, changed_ns, .. } => {
                let is_same = found.is_file()
                    && found.len() == *size
                    && changed_ns.is_none_or(|changed_ns| changed_ns == nanoseconds(found.mtime(), found.mtime_nsec()));
                (!is_same).then_some("not the file that the program has open: another size or time of change")
            }
            Need::Changing(_) => (!found.is_file()).then_some("no regular file"),
            Need::Directory(_) => (!found.is_dir()).then_some("no directory"),
            Need::Device { number, .. } => {
                let is_device = found.file_type().is_char_device() || found.file_type().is_block_device();
                (!is_device || found.rdev() != *number).then_some("another device")
            }
            Need::Address(_) => None,
        };
        wrong.map(|what| format!("{shown} is {what}"))
    }
}

fn nanoseconds(seconds: i64, nanoseconds: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds)
}

impl Supervisor<'_> {
    /// Looks at the program as it is now.
    pub(crate) fn survey(&self) -> Survey {
        let mut survey = Survey::default();
        if self.job.is_some() {
            survey.obstacles.insert(crate::orders::BUSY.to_owned());
        }
        let own_file = &self.common.options.program;
        survey.address = self.common.options.address.clone();
        survey.needs.extend(survey.address.clone().map(Need::Address));
        for (id, program) in &self.programs {
            let isa = program.current.isa;
            let named = |reason| format!("process {id}: {reason}");
            survey.obstacles.extend(program.never_saved().or_else(|| program.obstacle(isa).map(named)));
            let file = &program.launchers.program;
            if let (true, Ok(found)) = (file != own_file, fs::metadata(file)) {
                let path = file.canonicalize().unwrap_or_else(|_| file.clone());
                survey.needs.insert(Need::File { path, size: found.len(), changed_ns: None });
            }
            survey.look_at(*id, program.current.pid(), &self.streams);
        }
        survey.finish();
        survey
    }
}

impl Survey {
    /// Looks at the descriptors of one process. One that is closed meanwhile is none.
    fn look_at(&mut self, id: u32, host: Pid, streams: &Streams) {
        let directory = format!("/proc/{}", host.as_raw_nonzero());
        let process = pidfd_open(host, PidfdFlags::empty()).ok();
        let is_cramped = is_cramped(host);
        let entries = fs::read_dir(format!("{directory}/fd")).into_iter().flatten().flatten();
        for number in entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()) {
            let name = format!("{directory}/fd/{number}");
            let (Ok(status), Ok(path)) = (rustix::fs::stat(&name), fs::read_link(&name)) else { continue };
            let is_runtimes = number >= KEPT_DESCRIPTORS && path == Path::new(USERFAULTFD);
            if is_runtimes || streams.find(number.into(), identity(&status)).is_some() {
                continue;
            }
            let information = fs::read_to_string(format!("{directory}/fdinfo/{number}")).unwrap_or_default();
            let what = match number {
                KEPT_DESCRIPTORS.. => format!("a file that process {id} has mapped"),
                _ => format!("descriptor {number} of process {id}"),
            };
            let locks = lines(&information, "lock:").filter(|lock| lock.contains("POSIX"));
            self.locks.extend(locks.map(|lock| format!("{what} is {}, on which {}", path.display(), held(lock))));
            let copied = || {
                let copy = |process| pidfd_getfd(process, number.cast_signed(), PidfdGetfdFlags::empty());
                // Without permission it shows when the program waits.
                process.as_ref().map(copy).and_then(Result::ok)
            };
            let side = Side::of(&status);
            let looked = match FileType::from_raw_mode(status.st_mode) {
                FileType::CharacterDevice if side.is_some() => {
                    side.zip(copied()).map_or(Ok(()), |(side, end)| self.look_at_terminal(side, end.as_fd(), &what))
                }
                FileType::Socket if number >= KEPT_DESCRIPTORS || is_cramped => Ok(()),
                FileType::Socket => {
                    copied().map_or(Ok(()), |socket| self.look_at_socket(socket.as_fd(), &status, &what))
                }
                _ => self.look_at_file(&status, &path, &information),
            };
            if let Err(reason) = looked {
                self.obstacles.insert(format!("{what} is {reason}"));
            }
        }
    }

    fn look_at_socket(&mut self, socket: BorrowedFd<'_>, status: &Stat, what: &str) -> Result<(), String> {
        // What is closed meanwhile is no obstacle.
        if let Ok(Some(obstacle)) = sockets::obstacle(socket, Connections::Go(self.address.as_ref())) {
            return Err(obstacle);
        }
        self.connections.extend(sockets::tcp_ends(socket));
        if let Some(peer) = sockets::nameless_peer(socket, status.st_ino) {
            self.unix.push((status.st_ino, peer, what.to_owned()));
        }
        Ok(())
    }

    fn look_at_terminal(&mut self, side: Side, end: BorrowedFd<'_>, what: &str) -> Result<(), String> {
        match side {
            Side::Master if terminal::is_controlling(end) => return Err(terminals::CONTROLLING.to_owned()),
            Side::Master => self.masters.extend(terminal::number(end)),
            Side::Slave(_) if terminal::is_hung_up(end) => {}
            Side::Slave(number) => self.slaves.push((number, what.to_owned())),
        }
        Ok(())
    }

    /// All processes have been looked at.
    fn finish(&mut self) {
        self.obstacles.extend(sockets::alone(&self.connections));
        for (number, what) in self.slaves.drain(..).filter(|(number, _)| !self.masters.contains(number)) {
            self.obstacles.insert(format!("{what} is /dev/pts/{number}, {}", terminals::FOREIGN));
        }
        let own: BTreeSet<u64> = self.unix.iter().map(|(inode, ..)| *inode).collect();
        for (_, peer, what) in self.unix.drain(..) {
            if peer.is_some_and(|peer| !own.contains(&peer)) {
                self.obstacles.insert(format!("{what} is a connection, {}", sockets::FOREIGN));
            }
        }
    }

    fn look_at_file(&mut self, status: &Stat, path: &Path, information: &str) -> Result<(), String> {
        let shown = path.display();
        if let Some(lock) = lines(information, "lock:").find(|lock| !lock.contains("POSIX")) {
            return Err(format!("{shown}, on which {}", held(lock)));
        }
        let is_named =
            path.is_absolute() && rustix::fs::stat(path).is_ok_and(|found| identity(&found) == identity(status));
        match FileType::from_raw_mode(status.st_mode) {
            FileType::RegularFile if status.st_nlink == 0 => {}
            FileType::RegularFile if !is_named => {
                return Err(format!("a file that {shown} does not name any more: close it before"));
            }
            FileType::RegularFile => {
                let flags = lines(information, "flags:")
                    .next()
                    .and_then(|digits| u32::from_str_radix(digits, 8).ok())
                    .unwrap_or(0);
                let need = match flags & OFlags::ACCMODE.bits() == OFlags::RDONLY.bits() {
                    true => Need::File {
                        path: path.to_owned(),
                        size: u64::try_from(status.st_size).unwrap_or(0),
                        changed_ns: Some(nanoseconds(status.st_mtime, status.st_mtime_nsec.cast_signed())),
                    },
                    false => Need::Changing(path.to_owned()),
                };
                self.needs.insert(need);
            }
            FileType::Directory if is_named => {
                self.needs.insert(Need::Directory(path.to_owned()));
            }
            FileType::CharacterDevice | FileType::BlockDevice if is_named => {
                devices::obstacle(path, status).map_or(Ok(()), Err)?;
                self.needs.insert(Need::Device { path: path.to_owned(), number: status.st_rdev });
            }
            // Whose other end is elsewhere shows when all of the program waits.
            FileType::Fifo if path.to_string_lossy().starts_with("pipe:") => {}
            FileType::Fifo => {
                return Err(format!("the named pipe {shown}, whose other end is not the program's: close it before"));
            }
            _ if GO_ALONG.contains(&&*path.to_string_lossy()) => {}
            _ => return Err(format!("{shown}, which cannot go along: close it before")),
        }
        Ok(())
    }
}

/// Lines of `/proc/PID/fdinfo/NUMBER` that begin so.
fn lines<'a>(information: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    information.lines().filter_map(move |line| line.strip_prefix(name)).map(str::trim)
}

/// What is to be said of a lock. Its number among all of the file's is another one each time.
fn held(lock: &str) -> String {
    let lock = lock.split_once(": ").map_or(lock, |(_, lock)| lock);
    format!("it holds a lock ({lock}): try again when it has let go of that")
}

/// Whether the runtime's own sockets may be among the program's.
fn is_cramped(host: Pid) -> bool {
    kernel::most_open_files(host).is_some_and(|limit| limit < ENOUGH_DESCRIPTORS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::FlockOperation;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd as _;
    use std::os::unix::net::UnixStream;

    fn survey_of_this_process() -> Survey {
        let mut survey = Survey::default();
        let own = Pid::from_raw(std::process::id().cast_signed()).unwrap();
        survey.look_at(7, own, &Streams::default());
        survey.finish();
        survey
    }

    #[test]
    fn connections_and_locks_are_named_and_files_are_needed() {
        let _alone = crate::reopen::alone_with_descriptors();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().canonicalize().unwrap().join("read");
        fs::write(&path, "text").unwrap();
        let file = fs::File::open(&path).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connection = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let pair = UnixStream::pair().unwrap();
        let survey = survey_of_this_process();
        let is_named = |socket: i32| {
            let start = format!("descriptor {socket} of process 7 is ");
            survey.obstacles.iter().any(|line| line.starts_with(&start) && line.contains(sockets::FOREIGN))
        };
        assert!(is_named(connection.as_raw_fd()) && !is_named(listener.as_raw_fd()), "{survey:?}");
        assert!(!is_named(pair.0.as_raw_fd()), "{survey:?}");
        let need = survey.needs.iter().find(|need| matches!(need, Need::File { path: found, .. } if *found == path));
        assert_eq!(need.unwrap().obstacle(), None);
        fs::write(&path, "another").unwrap();
        assert!(need.unwrap().obstacle().unwrap().contains("not the file"), "{need:?}");
        fs::remove_file(&path).unwrap();
        assert!(need.unwrap().obstacle().unwrap().contains("put it there"), "{need:?}");
        let again = fs::File::create(&path).unwrap();
        again.lock().unwrap();
        let locked = format!("descriptor {} of process 7 is {}, on which", again.as_raw_fd(), path.display());
        let survey = survey_of_this_process();
        assert!(survey.obstacles.iter().any(|line| line.starts_with(&locked)), "{survey:?}");
        again.unlock().unwrap();
        rustix::fs::fcntl_lock(&again, FlockOperation::LockExclusive).unwrap();
        let survey = survey_of_this_process();
        assert!(survey.locks.iter().any(|line| line.starts_with(&locked)), "{survey:?}");
        assert!(!survey.obstacles.iter().any(|line| line.starts_with(&locked)), "{survey:?}");
        drop(file);
    }
}
