//! What keeps a program from going to another node, and which files it needs there, as far as that shows while it runs. Nothing is stopped for it, so it is
//! a forecast: what is decided is decided when the program waits (`describe`).

use crate::describe::{Streams, identity};
use crate::supervisor::Supervisor;
use rustix::fs::{FileType, OFlags, Stat};
use rustix::process::{Pid, Resource, getrlimit};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// The runtime's own descriptors have numbers from here on, where the limit allows that.
const KEPT_DESCRIPTORS: u32 = 900;
/// With a lower limit than this they are among the program's.
const ENOUGH_DESCRIPTORS: u64 = 1024;

/// What is known of a program that runs.
#[derive(Debug, Default)]
pub struct Survey {
    /// What keeps it from going anywhere, for people.
    pub obstacles: BTreeSet<String>,
    /// What has to be where it goes.
    pub needs: BTreeSet<Need>,
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
}

impl Need {
    /// Why this machine does not have it.
    #[must_use]
    pub fn obstacle(&self) -> Option<String> {
        let (Need::File { path, .. } | Need::Changing(path) | Need::Directory(path) | Need::Device { path, .. }) = self;
        let shown = path.display();
        let found = match fs::metadata(path) {
            Ok(found) => found,
            Err(error) => return Some(format!("{shown}: {error}; the program has it open: put it there")),
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
        survey
    }
}

impl Survey {
    /// Looks at the descriptors of one process. One that is closed meanwhile is none.
    fn look_at(&mut self, id: u32, host: Pid, streams: &Streams) {
        let directory = format!("/proc/{}", host.as_raw_nonzero());
        let entries = fs::read_dir(format!("{directory}/fd")).into_iter().flatten().flatten();
        for number in entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()) {
            let name = format!("{directory}/fd/{number}");
            let (Ok(status), Ok(path)) = (rustix::fs::stat(&name), fs::read_link(&name)) else { continue };
            if streams.find(number.into(), identity(&status)).is_some() {
                continue;
            }
            let information = fs::read_to_string(format!("{directory}/fdinfo/{number}")).unwrap_or_default();
            let what = match number {
                KEPT_DESCRIPTORS.. => format!("a file that process {id} has mapped"),
                _ => format!("descriptor {number} of process {id}"),
            };
            if let Err(reason) = self.look_at_file(number, &status, &path, &information) {
                self.obstacles.insert(format!("{what} is {reason}"));
            }
        }
    }

    fn look_at_file(&mut self, number: u32, status: &Stat, path: &Path, information: &str) -> Result<(), String> {
        let shown = path.display();
        let line = |name| information.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        if let Some(lock) = line("lock:") {
            return Err(format!("{shown}, on which it holds a lock ({lock}): try again when it has let go of that"));
        }
        let is_named =
            path.is_absolute() && rustix::fs::stat(path).is_ok_and(|found| identity(&found) == identity(status));
        match FileType::from_raw_mode(status.st_mode) {
            FileType::RegularFile if status.st_nlink == 0 => {}
            FileType::RegularFile if !is_named => {
                return Err(format!("a file that {shown} does not name any more: close it before"));
            }
            FileType::RegularFile => {
                let flags = line("flags:").and_then(|digits| u32::from_str_radix(digits, 8).ok()).unwrap_or(0);
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
                self.needs.insert(Need::Device { path: path.to_owned(), number: status.st_rdev });
            }
            // Whose other end is elsewhere shows when all of the program waits.
            FileType::Fifo if path.to_string_lossy().starts_with("pipe:") => {}
            FileType::Fifo => {
                return Err(format!("the named pipe {shown}, whose other end is not the program's: close it before"));
            }
            FileType::Socket if number >= KEPT_DESCRIPTORS || is_cramped() => {}
            FileType::Socket => {
                return Err(format!("a connection ({shown}), whose other end is not the program's: close it before"));
            }
            _ if path.to_string_lossy().contains("[eventfd]") => {}
            _ => return Err(format!("{shown}, which cannot go along: close it before")),
        }
        Ok(())
    }
}

/// Whether the runtime's own sockets may be among the program's.
fn is_cramped() -> bool {
    getrlimit(Resource::Nofile).current.is_some_and(|limit| limit < ENOUGH_DESCRIPTORS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::os::fd::AsRawFd as _;

    fn survey_of_this_process() -> Survey {
        let mut survey = Survey::default();
        let own = Pid::from_raw(std::process::id().cast_signed()).unwrap();
        survey.look_at(7, own, &Streams::default());
        survey
    }

    #[test]
    fn connections_and_locks_are_named_and_files_are_needed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().canonicalize().unwrap().join("read");
        fs::write(&path, "text").unwrap();
        let file = fs::File::open(&path).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let survey = survey_of_this_process();
        let socket = format!("descriptor {} of process 7 is a connection", listener.as_raw_fd());
        assert!(survey.obstacles.iter().any(|line| line.starts_with(&socket)), "{survey:?}");
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
        drop(file);
    }
}
