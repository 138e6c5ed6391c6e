//! Which snapshot a file is, and on which one it builds: the first section.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

/// Bytes of an id.
const ID: usize = 16;

/// The name that a snapshot has by itself, drawn at random; zeros if nothing will build on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Id(pub [u8; ID]);

impl fmt::Display for Id {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

/// The snapshot that another one builds on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// Its id.
    pub id: Id,
    /// The name of its file, which is in the same directory.
    pub name: PathBuf,
}

/// Which snapshot this is. In a section: its id, that of its base (zeros if it has none), and the name of the base's file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lineage {
    /// Its id.
    pub id: Id,
    /// Where pages are that are not in it; nothing if it is whole.
    pub base: Option<Base>,
}

impl Lineage {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let Id(base) = self.base.as_ref().map_or(Id::default(), |base| base.id);
        let name = self.base.as_ref().map_or(&[][..], |base| base.name.as_os_str().as_bytes());
        [&self.id.0, &base, name].concat()
    }

    /// `None` if these bytes are none, or the base would be elsewhere than in the same directory.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Lineage> {
        let (&id, rest) = bytes.split_first_chunk::<ID>()?;
        let (&base, name) = rest.split_first_chunk::<ID>()?;
        let base = match name {
            [] if base == [0; ID] => None,
            _ => Some(Base { id: Id(base), name: file_name(name)? }),
        };
        Some(Lineage { id: Id(id), base })
    }
}

/// A path that is no more than the name of a file.
fn file_name(name: &[u8]) -> Option<PathBuf> {
    let is_plain = !matches!(name, b"" | b"." | b"..") && !name.contains(&b'/') && !name.contains(&0);
    is_plain.then(|| PathBuf::from(OsString::from_vec(name.to_vec())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let base = Base { id: Id([2; ID]), name: PathBuf::from("job.snapshot.base-0") };
        for base in [None, Some(base)] {
            let lineage = Lineage { id: Id([1; ID]), base };
            assert_eq!(Lineage::from_bytes(&lineage.to_bytes()), Some(lineage));
        }
        assert_eq!(Id([0xa0; ID]).to_string(), "a0".repeat(ID));
    }

    #[test]
    fn a_base_is_in_the_same_directory() {
        for name in ["", "/a", "../a", "a/b", ".", "..", "a/", "a\0"] {
            let mut bytes = [[1; ID], [2; ID]].concat();
            bytes.extend(name.bytes());
            assert_eq!(Lineage::from_bytes(&bytes), None, "{name:?}");
        }
        assert_eq!(Lineage::from_bytes(&[1; 2 * ID - 1]), None);
    }
}
