//! What a person has decided about programs whose new nodes do not answer: kept until those nodes do, and hear of it.

use crate::directory::{Directory, make_private, read_if_there, write_private};
use crate::error::{NodeError, Result};
use crate::message::Transfer;
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use std::fs;

/// One decision.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Verdict {
    /// The node that has not answered.
    pub(crate) node: String,
    /// The attempt to bring it there.
    pub(crate) transfer: Transfer,
    /// The program is what runs here, and not what that node may have.
    pub(crate) here: bool,
}

impl Verdict {
    /// Writes it down.
    pub(crate) fn keep(&self, directory: &Directory) -> Result<()> {
        let verdicts = directory.verdicts();
        make_private(&verdicts)?;
        let path = verdicts.join(HEXLOWER.encode(&self.transfer));
        let text =
            serde_json::to_vec(self).map_err(|error| NodeError::file("write", &path)(std::io::Error::other(error)))?;
        write_private(&path, &text)
    }
}

/// Whether one has not been carried out.
pub(crate) fn is_kept(directory: &Directory, transfer: &Transfer) -> bool {
    directory.verdicts().join(HEXLOWER.encode(transfer)).exists()
}

/// Does with each what is to be done, and forgets it if that says that it has been done.
pub(crate) fn carry_out(directory: &Directory, mut is_done: impl FnMut(&Verdict) -> bool) {
    for entry in fs::read_dir(directory.verdicts()).into_iter().flatten().flatten() {
        // One that is being written has another name.
        if entry.file_name().as_encoded_bytes().contains(&b'.') {
            continue;
        }
        let text = read_if_there(&entry.path()).ok().flatten();
        let Some(verdict) = text.and_then(|text| serde_json::from_str::<Verdict>(&text).ok()) else { continue };
        if is_done(&verdict) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_kept_until_it_has_been_carried_out() {
        let temporary = tempfile::tempdir().unwrap();
        let directory = Directory::new(Some(temporary.path().join("node"))).unwrap();
        directory.make().unwrap();
        carry_out(&directory, |verdict| panic!("{verdict:?}"));
        let verdict = Verdict { node: "b".into(), transfer: [7; 16], here: true };
        verdict.keep(&directory).unwrap();
        for is_done in [false, true] {
            let mut seen = 0;
            carry_out(&directory, |found| {
                assert_eq!(*found, verdict);
                seen += 1;
                is_done
            });
            assert_eq!(seen, 1);
        }
        carry_out(&directory, |verdict| panic!("{verdict:?}"));
    }
}
