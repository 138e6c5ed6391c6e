//! Whether a program has come to this node. It is decided once, by who makes a file first: the program's new shim, when it is told to run the program, or the
//! daemon, when the node that the program left asks and cannot know. So both nodes come to the same answer, whatever was lost between them. A decision is kept for
//! as long as somebody may ask for it, or decide otherwise.

use crate::directory::{Directory, make_private};
use crate::error::{NodeError, Result};
use crate::identity::PublicKey;
use crate::message::Transfer;
use data_encoding::HEXLOWER;
use rustix::fs::{FlockOperation, flock};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// In the directory of a program that is on its way here: the attempt's name. Its shim holds a lock on it.
const ARRIVING: &str = "arriving";
/// As a rule the other node says soon that it knows. It is asked when it has not.
const YOUNG: Duration = Duration::from_secs(2);
/// Drafts are there for moments; older ones were left by processes that were killed.
const OLD: Duration = Duration::from_secs(3600);

/// That a program has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrived {
    /// Its number here.
    pub(crate) program: u32,
    /// The node that it came from.
    pub(crate) from: PublicKey,
}

fn file(directory: &Directory, transfer: &Transfer) -> PathBuf {
    directory.arrivals().join(HEXLOWER.encode(transfer))
}

/// Decides that the program has come, or that it never comes, unless that has been decided; returns what is decided, when that is on disk: its number here if it has come.
pub(crate) fn decide(directory: &Directory, transfer: &Transfer, arrived: Option<Arrived>) -> Result<Option<u32>> {
    let arrivals = directory.arrivals();
    make_private(&arrivals)?;
    let decided = file(directory, transfer);
    let text = arrived.map_or_else(String::new, |Arrived { program, from }| format!("{program} {from}"));
    let attempt = || -> io::Result<Option<u32>> {
        let mut draft = tempfile_in(&arrivals, transfer)?;
        draft.1.write_all(text.as_bytes())?;
        draft.1.sync_all()?;
        // Either none or a whole one has the name.
        let linked = fs::hard_link(&draft.0, &decided);
        fs::remove_file(&draft.0)?;
        match linked {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        File::open(&arrivals)?.sync_all()?;
        Ok(parse(&fs::read_to_string(&decided)?).map(|arrived| arrived.program))
    };
    attempt().map_err(NodeError::file("decide", &decided))
}

fn parse(text: &str) -> Option<Arrived> {
    let (program, from) = text.split_once(' ')?;
    Some(Arrived { program: program.parse().ok()?, from: from.parse().ok()? })
}

/// A file of this thread's alone.
fn tempfile_in(arrivals: &Path, transfer: &Transfer) -> io::Result<(PathBuf, File)> {
    let name = format!("{}.{}.{:?}", HEXLOWER.encode(transfer), std::process::id(), std::thread::current().id());
    let path = arrivals.join(name);
    let _ = fs::remove_file(&path);
    Ok((path.clone(), File::create_new(path)?))
}

/// Nobody will ask any more.
pub(crate) fn forget(directory: &Directory, transfer: &Transfer) {
    let _ = fs::remove_file(file(directory, transfer));
}

/// That a program is on its way here. As long as its shim has this, it may yet decide that the program has come.
pub(crate) struct Arriving {
    path: PathBuf,
    _locked: File,
}

impl Arriving {
    /// Says so in the program's directory.
    pub(crate) fn new(program: &Path, transfer: &Transfer) -> Result<Arriving> {
        let path = program.join(ARRIVING);
        let write = || -> io::Result<File> {
            // By this name it is locked already: one that is not was left by a shim that was killed.
            let draft = path.with_extension("new");
            let mut file = File::create_new(&draft)?;
            flock(&file, FlockOperation::NonBlockingLockExclusive)?;
            file.write_all(HEXLOWER.encode(transfer).as_bytes())?;
            fs::rename(&draft, &path)?;
            Ok(file)
        };
        let locked = write().map_err(NodeError::file("write", &path))?;
        Ok(Arriving { path, _locked: locked })
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// The attempts of programs that are on their way here.
fn under_way(directory: &Directory) -> BTreeSet<String> {
    let programs = fs::read_dir(directory.programs()).into_iter().flatten().flatten();
    let attempt = |path: &Path| {
        let file = File::open(path).ok()?;
        let is_held = flock(&file, FlockOperation::NonBlockingLockExclusive) == Err(rustix::io::Errno::WOULDBLOCK);
        is_held.then(|| fs::read_to_string(path).ok()).flatten()
    };
    programs.filter_map(|program| attempt(&program.path().join(ARRIVING))).collect()
}

/// Removes decisions that nobody will ask for any more: that a program has come, when the node that it came from does not wait for that, as `may_ask` says; that it never
/// comes, when the shim that waited for it is gone. If that is asked again, it is decided again, and likewise, as nobody is there to decide otherwise.
pub(crate) fn clean(directory: &Directory, mut may_ask: impl FnMut(&PublicKey, &Transfer) -> bool) {
    let Ok(entries) = fs::read_dir(directory.arrivals()) else { return };
    // In this order: whoever decides about one of them is there already.
    let decisions: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    if decisions.is_empty() {
        return;
    }
    let under_way = under_way(directory);
    for path in decisions {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let changed = fs::metadata(&path).and_then(|found| found.modified()).ok();
        let age = changed.and_then(|changed| changed.elapsed().ok()).unwrap_or_default();
        let transfer = HEXLOWER.decode(name.as_bytes()).ok().and_then(|bytes| Transfer::try_from(bytes).ok());
        let is_done = match (transfer, fs::read_to_string(&path)) {
            (None, _) => age > OLD,
            (Some(transfer), Ok(text)) => match parse(&text) {
                Some(arrived) => age > YOUNG && !may_ask(&arrived.from, &transfer),
                None => !under_way.contains(&name),
            },
            (Some(_), Err(_)) => false,
        };
        if is_done {
            let _ = fs::remove_file(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> (tempfile::TempDir, Directory) {
        let temporary = tempfile::tempdir().unwrap();
        let directory = Directory::new(Some(temporary.path().join("node"))).unwrap();
        directory.make().unwrap();
        (temporary, directory)
    }

    fn arrived(program: u32) -> Arrived {
        Arrived { program, from: PublicKey::new([7; 32]) }
    }

    fn names(directory: &Directory) -> BTreeSet<String> {
        let entries = fs::read_dir(directory.arrivals()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn what_is_decided_first_stays_decided() {
        let (_temporary, directory) = directory();
        let decide =
            |transfer, program: Option<u32>| decide(&directory, &[transfer; 16], program.map(arrived)).unwrap();
        assert_eq!(decide(1, Some(17)), Some(17));
        assert_eq!(decide(1, None), Some(17));
        assert_eq!(decide(2, None), None);
        assert_eq!(decide(2, Some(18)), None);
        forget(&directory, &[1; 16]);
        assert_eq!(names(&directory), ["02".repeat(16)].into(), "drafts are left");
    }

    #[test]
    fn of_many_at_once_one_decides() {
        let (_temporary, directory) = directory();
        for round in 0..20 {
            let decided: Vec<Option<u32>> = std::thread::scope(|scope| {
                let deciders: Vec<_> = (0..8_u32)
                    .map(|number| {
                        let directory = &directory;
                        let wish = (number % 2 == 0).then(|| arrived(number));
                        scope.spawn(move || decide(directory, &[round; 16], wish).unwrap())
                    })
                    .collect();
                deciders.into_iter().map(|decider| decider.join().unwrap()).collect()
            });
            assert!(decided.windows(2).all(|two| two[0] == two[1]), "{decided:?}");
        }
    }

    #[test]
    fn decisions_are_kept_for_as_long_as_they_matter() {
        let (_temporary, directory) = directory();
        let program = directory.programs().join("17");
        make_private(&directory.programs()).unwrap();
        make_private(&program).unwrap();
        decide(&directory, &[1; 16], Some(arrived(17))).unwrap();
        decide(&directory, &[2; 16], None).unwrap();
        decide(&directory, &[3; 16], None).unwrap();
        let [came, comes, never] = ["01", "02", "03"].map(|byte| byte.repeat(16));
        let arriving = Arriving::new(&program, &[2; 16]).unwrap();
        clean(&directory, |_, _| panic!("it is young"));
        assert_eq!(names(&directory), [came.clone(), comes].into(), "{never} is needed no more");
        drop(arriving);
        let old = std::time::SystemTime::now() - 2 * YOUNG;
        File::open(directory.arrivals().join(&came)).unwrap().set_modified(old).unwrap();
        clean(&directory, |_, _| true);
        assert_eq!(names(&directory), [came].into());
        clean(&directory, |key, transfer| (*key, *transfer) != (PublicKey::new([7; 32]), [1; 16]));
        assert_eq!(names(&directory), BTreeSet::new());
    }
}
