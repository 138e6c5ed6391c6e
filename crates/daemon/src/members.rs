//! Whom a node trusts: the members of its cluster, each with its public key. The list is a file that people can write, too;
//! nodes tell each other what is new in it. Entries are merged by their revisions, so that all nodes come to the same list in whatever order
//! they hear of changes.

use crate::directory::{Directory, read_if_there, write_private};
use crate::error::{NodeError, Result};
use crate::identity::{PublicKey, check_name, to_toml};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// More are not taken in.
const MOST: usize = 1024;

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// The higher one replaces the lower.
    #[serde(default)]
    pub revision: u64,
    /// No longer trusted. The entry stays, so that nobody brings the member back by an older one.
    #[serde(default)]
    pub removed: bool,
    /// What it is called.
    pub name: String,
    /// Host and port. Empty if it only asks others: nobody connects to it.
    #[serde(default)]
    pub address: String,
    /// What it proves who it is with.
    pub key: PublicKey,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MembersFile {
    #[serde(default)]
    member: Vec<Member>,
}

/// The members of a cluster, oneself among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    by_key: BTreeMap<PublicKey, Member>,
}

impl Members {
    /// Reads the list in a node's directory.
    ///
    /// # Errors
    /// If it is malformed.
    pub fn read(directory: &Directory) -> Result<Members> {
        let path = directory.members();
        let text = read_if_there(&path)?.unwrap_or_default();
        let malformed = |message: String| NodeError::Malformed { path: path.clone(), message };
        let file: MembersFile = toml::from_str(&text).map_err(|error| malformed(error.to_string()))?;
        let mut members = Members::default();
        for member in file.member {
            check_name(&member.name).map_err(|error| malformed(error.to_string()))?;
            members.merge_one(member);
        }
        Ok(members)
    }

    /// Changes the list in a node's directory, and returns the new one. What others have written into it meanwhile is kept.
    ///
    /// # Errors
    /// If it is malformed or cannot be written, or what `change` returns.
    pub fn change(directory: &Directory, change: impl FnOnce(&mut Members) -> Result<()>) -> Result<Members> {
        let _lock = directory.lock()?;
        let before = Members::read(directory)?;
        let mut members = before.clone();
        change(&mut members)?;
        if members != before {
            let file = MembersFile { member: members.by_key.values().cloned().collect() };
            write_private(&directory.members(), to_toml(&file)?.as_bytes())?;
        }
        Ok(members)
    }

    /// Takes over what is newer in `others`. Returns whether anything was.
    pub fn merge(&mut self, others: impl IntoIterator<Item = Member>) -> bool {
        let mut is_news = false;
        for member in others {
            is_news |= self.merge_one(member);
        }
        is_news
    }

    fn merge_one(&mut self, member: Member) -> bool {
        if check_name(&member.name).is_err() {
            return false;
        }
        match self.by_key.get(&member.key) {
            Some(known) if *known >= member => false,
            None if self.by_key.len() >= MOST => false,
            _ => {
                self.by_key.insert(member.key, member);
                true
            }
        }
    }

    /// Replaces an entry by one with a higher revision.
    pub(crate) fn set(&mut self, member: Member) {
        let revision = self.by_key.get(&member.key).map_or(0, |known| known.revision + 1);
        self.by_key.insert(member.key, Member { revision, ..member });
    }

    /// Adds a member, or replaces its entry if it is there with the same key. A name that another member has is refused.
    ///
    /// # Errors
    /// [`NodeError::Invalid`].
    pub fn add(&mut self, name: &str, address: &str, key: PublicKey) -> Result<()> {
        check_name(name)?;
        if self.iter().any(|known| known.name == name && known.key != key) {
            return Err(NodeError::Invalid(format!(
                "there is another node called {name}; choose another name with `maize node init --name`, or remove that one with `maize node remove {name}`"
            )));
        }
        if self.by_key.len() >= MOST {
            return Err(NodeError::Invalid(format!("there are {MOST} members, and no more are taken in")));
        }
        self.set(Member { revision: 0, removed: false, name: name.into(), address: address.into(), key });
        Ok(())
    }

    /// Takes trust away from a member.
    ///
    /// # Errors
    /// [`NodeError::UnknownNode`].
    pub fn remove(&mut self, name: &str) -> Result<()> {
        let member = self.named(name)?.clone();
        self.set(Member { removed: true, ..member });
        Ok(())
    }

    /// Those that are trusted.
    pub fn iter(&self) -> impl Iterator<Item = &Member> {
        self.by_key.values().filter(|member| !member.removed)
    }

    /// All entries, to tell others.
    #[must_use]
    pub fn entries(&self) -> Vec<Member> {
        self.by_key.values().cloned().collect()
    }

    /// The member with this key, if it is trusted.
    #[must_use]
    pub fn trusted(&self, key: &PublicKey) -> Option<&Member> {
        self.by_key.get(key).filter(|member| !member.removed)
    }

    /// The member with this name.
    ///
    /// # Errors
    /// [`NodeError::UnknownNode`].
    pub fn named(&self, name: &str) -> Result<&Member> {
        self.iter().find(|member| member.name == name).ok_or_else(|| {
            let mut names: Vec<&str> = self.iter().map(|member| member.name.as_str()).collect();
            names.sort_unstable();
            let known =
                if names.is_empty() { "none; join a cluster with `maize node join`".into() } else { names.join(", ") };
            NodeError::UnknownNode { name: name.into(), known }
        })
    }

    /// A number that is the same for the same lists.
    #[must_use]
    pub fn digest(&self) -> [u8; 16] {
        let mut context = ring::digest::Context::new(&ring::digest::SHA256);
        for Member { revision, removed, name, address, key } in self.by_key.values() {
            context.update(format!("{revision} {removed} {name} {address} {key}\n").as_bytes());
        }
        let mut digest = [0; 16];
        digest.copy_from_slice(&context.finish().as_ref()[..16]);
        digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u8) -> PublicKey {
        PublicKey::new([number; 32])
    }

    #[test]
    fn lists_are_the_same_in_whatever_order_changes_are_heard_of() {
        let mut members = Members::default();
        let mut history = Vec::new();
        for (name, number) in [("a", 1), ("b", 2), ("c", 3)] {
            members.add(name, "10.0.0.1:7310", key(number)).unwrap();
            history.extend(members.entries());
        }
        members.remove("b").unwrap();
        history.extend(members.entries());
        members.add("c", "10.0.0.3:7310", key(3)).unwrap();
        history.extend(members.entries());
        let mut backwards = Members::default();
        assert!(backwards.merge(history.iter().rev().cloned()));
        let mut forwards = Members::default();
        assert!(forwards.merge(history.clone()));
        assert_eq!(forwards, backwards);
        assert_eq!(forwards.digest(), members.digest());
        assert!(!forwards.merge(history), "nothing new");
        assert!(forwards.trusted(&key(2)).is_none(), "removed for good");
        assert_eq!(forwards.named("c").unwrap().address, "10.0.0.3:7310");
    }

    #[test]
    fn a_name_is_one_members_and_a_removed_one_frees_it() {
        let mut members = Members::default();
        members.add("a", "", key(1)).unwrap();
        assert!(members.add("a", "", key(2)).is_err());
        members.add("a", "elsewhere:1", key(1)).unwrap();
        members.remove("a").unwrap();
        members.add("a", "", key(2)).unwrap();
        assert!(matches!(members.named("b"), Err(NodeError::UnknownNode { .. })));
    }

    #[test]
    fn the_file_is_read_as_people_write_it() {
        let temporary = tempfile::tempdir().unwrap();
        let directory = Directory::new(Some(temporary.path().join("a"))).unwrap();
        directory.make().unwrap();
        let text = format!("[[member]]\nname = \"b\"\naddress = \"b.example:7310\"\nkey = \"{}\"\n", key(2));
        write_private(&directory.members(), text.as_bytes()).unwrap();
        assert_eq!(Members::read(&directory).unwrap().trusted(&key(2)).unwrap().address, "b.example:7310");
        let changed = Members::change(&directory, |members| members.add("c", "", key(3))).unwrap();
        assert_eq!(Members::read(&directory).unwrap(), changed);
        write_private(&directory.members(), b"[[member]]\nname = \"b\"\nkey = \"x\"\n").unwrap();
        let message = Members::read(&directory).unwrap_err().to_string();
        assert!(message.contains("members.toml") && message.contains("not a public key"), "{message}");
    }
}
