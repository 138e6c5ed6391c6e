//! Whether a program has come to this node. It is decided once, by who makes a file first: the program's new shim, when it is told to run the program, or the
//! daemon, when the node that the program left asks and cannot know. So both nodes come to the same answer, whatever was lost between them.

use crate::directory::{Directory, make_private};
use crate::error::{NodeError, Result};
use crate::message::Transfer;
use data_encoding::HEXLOWER;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::PathBuf;

fn file(directory: &Directory, transfer: &Transfer) -> PathBuf {
    directory.arrivals().join(HEXLOWER.encode(transfer))
}

/// Decides that the program has come and has this number, or that it never comes, unless that has been decided; returns what is decided, when that is on disk.
pub(crate) fn decide(directory: &Directory, transfer: &Transfer, program: Option<u32>) -> Result<Option<u32>> {
    let arrivals = directory.arrivals();
    make_private(&arrivals)?;
    let decided = file(directory, transfer);
    let text = program.map_or_else(String::new, |program| program.to_string());
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
        Ok(fs::read_to_string(&decided)?.parse().ok())
    };
    attempt().map_err(NodeError::file("decide", &decided))
}

/// A file of this thread's alone.
fn tempfile_in(arrivals: &std::path::Path, transfer: &Transfer) -> io::Result<(PathBuf, File)> {
    let name = format!("{}.{}.{:?}", HEXLOWER.encode(transfer), std::process::id(), std::thread::current().id());
    let path = arrivals.join(name);
    let _ = fs::remove_file(&path);
    Ok((path.clone(), File::create_new(path)?))
}

/// Nobody will ask any more.
pub(crate) fn forget(directory: &Directory, transfer: &Transfer) {
    let _ = fs::remove_file(file(directory, transfer));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_decided_first_stays_decided() {
        let temporary = tempfile::tempdir().unwrap();
        let directory = Directory::new(Some(temporary.path().join("node"))).unwrap();
        directory.make().unwrap();
        let decide = |transfer, program| decide(&directory, &[transfer; 16], program).unwrap();
        assert_eq!(decide(1, Some(17)), Some(17));
        assert_eq!(decide(1, None), Some(17));
        assert_eq!(decide(2, None), None);
        assert_eq!(decide(2, Some(18)), None);
        forget(&directory, &[1; 16]);
        let names: Vec<String> = fs::read_dir(directory.arrivals())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(names, ["02".repeat(16)], "drafts are left");
    }

    #[test]
    fn of_many_at_once_one_decides() {
        let temporary = tempfile::tempdir().unwrap();
        let directory = Directory::new(Some(temporary.path().join("node"))).unwrap();
        directory.make().unwrap();
        for round in 0..20 {
            let decided: Vec<Option<u32>> = std::thread::scope(|scope| {
                let deciders: Vec<_> = (0..8_u32)
                    .map(|number| {
                        let directory = &directory;
                        let wish = (number % 2 == 0).then_some(number);
                        scope.spawn(move || decide(directory, &[round; 16], wish).unwrap())
                    })
                    .collect();
                deciders.into_iter().map(|decider| decider.join().unwrap()).collect()
            });
            assert!(decided.windows(2).all(|two| two[0] == two[1]), "{decided:?}");
        }
    }
}
