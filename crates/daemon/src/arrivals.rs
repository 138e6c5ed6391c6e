//! Whether a program has come to this node. It is decided once, by who makes a file first: the program's new shim, when it is told to run the program, or the
//! daemon, when the node that the program left asks and cannot know. So both nodes come to the same answer, whatever was lost between them. A decision is kept for
//! as long as somebody may ask for it, or decide otherwise.

use crate::directory::{Directory, Draft, make_private};
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

/// The attempt with this name.
fn named(name: &str) -> Option<Transfer> {
    HEXLOWER.decode(name.as_bytes()).ok()?.try_into().ok()
}

/// A decision that is written down but for its name, by which it counts.
pub(crate) struct Decision {
    draft: Draft,
    arrivals: PathBuf,
    decided: PathBuf,
}

impl Decision {
    /// Writes down that the program has come, or that it never comes. Nobody else uses `draft`, which is on the same file system as the directory.
    pub(crate) fn prepare(
        directory: &Directory,
        transfer: &Transfer,
        arrived: Option<Arrived>,
        draft: PathBuf,
    ) -> Result<Decision> {
        let (arrivals, decided) = (directory.arrivals(), file(directory, transfer));
        make_private(&arrivals)?;
        let text = arrived.map_or_else(String::new, |Arrived { program, from }| format!("{program} {from}"));
        Ok(Decision { draft: Draft::new(draft, &decided, text.as_bytes())?, arrivals, decided })
    }

    /// Decides so, unless it has been decided; returns what is decided, when that is on disk: the program's number here if it has come.
    pub(crate) fn take(self) -> Result<Option<u32>> {
        let Decision { draft, arrivals, decided } = self;
        // Either none or a whole one has the name.
        draft.place_first()?;
        let read = || -> io::Result<String> {
            File::open(&arrivals)?.sync_all()?;
            fs::read_to_string(&decided)
        };
        let text = read().map_err(NodeError::file("decide", &decided))?;
        Ok(parse(&text).map(|arrived| arrived.program))
    }
}

/// Decides at once that the program has come, or that it never comes, unless that has been decided. As [`Decision::take`].
pub(crate) fn decide(directory: &Directory, transfer: &Transfer, arrived: Option<Arrived>) -> Result<Option<u32>> {
    Decision::prepare(directory, transfer, arrived, draft_in(&directory.arrivals(), transfer))?.take()
}

fn parse(text: &str) -> Option<Arrived> {
    let (program, from) = text.split_once(' ')?;
    Some(Arrived { program: program.parse().ok()?, from: from.parse().ok()? })
}

/// This thread's alone.
fn draft_in(arrivals: &Path, transfer: &Transfer) -> PathBuf {
    let name = format!("{}.{}.{:?}", HEXLOWER.encode(transfer), std::process::id(), std::thread::current().id());
    arrivals.join(name)
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

/// Whether the program of this directory has come, while its shim had not got round to saying so there. For one whose shim is gone.
pub(crate) fn has_come(directory: &Directory, program: &Path) -> bool {
    let find = || {
        let transfer = named(&fs::read_to_string(program.join(ARRIVING)).ok()?)?;
        parse(&fs::read_to_string(file(directory, &transfer)).ok()?)
    };
    find().is_some_and(|arrived| program.ends_with(arrived.program.to_string()))
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
        let is_done = match (named(&name), fs::read_to_string(&path)) {
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
    fn a_program_whose_shim_was_killed_as_it_came_has_come() {
        let (_temporary, directory) = directory();
        make_private(&directory.programs()).unwrap();
        let programs = [17, 18].map(|number: u32| directory.programs().join(number.to_string()));
        let arriving = programs.each_ref().map(|program| {
            make_private(program).unwrap();
            Arriving::new(program, &[1; 16]).unwrap()
        });
        assert!(!has_come(&directory, &programs[0]), "nothing is decided");
        decide(&directory, &[1; 16], Some(arrived(17))).unwrap();
        assert_eq!(programs.each_ref().map(|program| has_come(&directory, program)), [true, false]);
        drop(arriving);
        assert!(!has_come(&directory, &programs[0]), "it has been said");
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
        // However long the disk has taken by now.
        let late = std::time::SystemTime::now() + 1000 * YOUNG;
        File::open(directory.arrivals().join(&came)).unwrap().set_modified(late).unwrap();
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
