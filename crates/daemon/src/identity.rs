//! Who a node is: a name, a key pair, and the address it listens at.

use crate::directory::{Directory, read_if_there, write_private};
use crate::error::{NodeError, Result};
use data_encoding::BASE64_NOPAD;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

/// The port that nodes listen at unless told otherwise.
pub const PORT: u16 = 7310;
/// The longest name of a node, in bytes, as of a host's label.
const LONGEST_NAME: usize = 63;

/// A node's public key (X25519), by which others know it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// The key with these bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> PublicKey {
        PublicKey(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Base64 without the `-` of its variant for URLs, which would make one key of 64 look like an option.
impl fmt::Display for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&BASE64_NOPAD.encode(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for PublicKey {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<PublicKey, String> {
        let bytes = BASE64_NOPAD.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(PublicKey).ok_or_else(|| format!("{text}: not a public key, which has 43 letters, digits, + and /"))
    }
}

impl Serialize for PublicKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { self.0.serialize(serializer) }
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<PublicKey, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
        } else {
            Deserialize::deserialize(deserializer).map(PublicKey)
        }
    }
}

/// What `node.toml` says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// What the node is called.
    pub name: String,
    /// Where it listens.
    #[serde(default = "everywhere")]
    pub listen: SocketAddr,
    /// ISAs it offers, if not all it can run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub isas: Vec<String>,
    /// What programs that leave do about memory, if who moves them does not say.
    #[serde(default, skip_serializing_if = "MemoryOrder::is_usual")]
    pub memory: MemoryOrder,
}

/// When memory goes to another node that a program changes faster than it can be sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemoryOrder {
    /// Before the program, which waits for it.
    #[default]
    Ahead,
    /// After it, if it would wait for long: if the node that it leaves is lost before all has come, the program is lost.
    After,
}

impl MemoryOrder {
    fn is_usual(&self) -> bool {
        *self == MemoryOrder::default()
    }
}

fn everywhere() -> SocketAddr {
    SocketAddr::from(([0, 0, 0, 0], PORT))
}

/// A node's own identity, with its private key.
pub struct Identity {
    /// What `node.toml` says.
    pub configuration: Configuration,
    private: [u8; 32],
    public: PublicKey,
}

impl Identity {
    /// Makes the keys of a node and writes them into its directory.
    ///
    /// # Errors
    /// [`NodeError::Initialised`], or if a file cannot be written.
    pub fn create(directory: &Directory, name: Option<String>, listen: Option<SocketAddr>) -> Result<Identity> {
        let name = name.map_or_else(host_name, Ok)?;
        check_name(&name)?;
        directory.make()?;
        let _lock = directory.lock()?;
        if directory.key().exists() {
            return Err(NodeError::Initialised { path: directory.path().to_owned() });
        }
        let pair = crate::channel::generate()?;
        let configuration = Configuration {
            name,
            listen: listen.unwrap_or_else(everywhere),
            isas: Vec::new(),
            memory: MemoryOrder::default(),
        };
        write_private(&directory.configuration(), to_toml(&configuration)?.as_bytes())?;
        write_private(&directory.key(), format!("{}\n", BASE64_NOPAD.encode(&pair.private)).as_bytes())?;
        Ok(Identity { configuration, private: pair.private, public: pair.public })
    }

    /// Reads a node's identity from its directory.
    ///
    /// # Errors
    /// If there is none, others get at it, or it is malformed.
    pub fn read(directory: &Directory) -> Result<Identity> {
        directory.check()?;
        let text = read_if_there(&directory.key())?.unwrap_or_default();
        let private: [u8; 32] = BASE64_NOPAD
            .decode(text.trim().as_bytes())
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| NodeError::Malformed {
                path: directory.key(),
                message: "not a private key; remove the directory and run `maize node init`, then join again".into(),
            })?;
        let path = directory.configuration();
        let text = read_if_there(&path)?.unwrap_or_default();
        let malformed = |message| NodeError::Malformed { path: path.clone(), message };
        let configuration: Configuration = toml::from_str(&text).map_err(|error| malformed(error.to_string()))?;
        check_name(&configuration.name)?;
        let public = crate::channel::public_of(&private)?;
        Ok(Identity { configuration, private, public })
    }

    /// Gives the node another name, and writes it down.
    ///
    /// # Errors
    /// If it cannot be a name, or cannot be written.
    pub(crate) fn rename(&mut self, directory: &Directory, name: &str) -> Result<()> {
        check_name(name)?;
        name.clone_into(&mut self.configuration.name);
        write_private(&directory.configuration(), to_toml(&self.configuration)?.as_bytes())
    }

    /// What others know it by.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        self.public
    }

    pub(crate) fn private(&self) -> &[u8; 32] {
        &self.private
    }
}

pub(crate) fn to_toml<T: Serialize>(value: &T) -> Result<String> {
    toml::to_string(value).map_err(|error| NodeError::Invalid(error.to_string()))
}

fn host_name() -> Result<String> {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    Ok(name.split('.').next().unwrap_or_default().to_ascii_lowercase())
}

/// Names are as labels of hosts, so that they can stand in commands and files.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(good) || name.starts_with('-') {
        return Err(NodeError::Invalid(format!(
            "{name:?} cannot be a node's name: letters, digits, - and _, {LONGEST_NAME} at most; choose one with --name"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_read_as_it_was_made_and_is_not_made_twice() {
        let temporary = tempfile::tempdir().unwrap();
        let directory = Directory::new(Some(temporary.path().join("a"))).unwrap();
        let made = Identity::create(&directory, Some("a".into()), None).unwrap();
        let read = Identity::read(&directory).unwrap();
        assert_eq!((made.public, made.private), (read.public, read.private));
        assert_eq!(read.configuration.name, "a");
        assert_eq!(made.public.to_string().parse(), Ok(made.public));
        let again = Identity::create(&directory, Some("b".into()), None);
        assert!(matches!(again, Err(NodeError::Initialised { .. })));
        assert_eq!(Identity::read(&directory).unwrap().private, made.private);
    }

    #[test]
    fn keys_can_stand_in_commands() {
        assert!((0..=u8::MAX).all(|byte| !PublicKey::new([byte; 32]).to_string().starts_with('-')));
    }

    #[test]
    fn names_can_stand_in_commands() {
        for good in ["a", "node-1", "x_Y9"] {
            check_name(good).unwrap();
        }
        for wrong in ["", "-a", "a b", "a:1", "a/b", "ä", &"a".repeat(64)] {
            assert!(check_name(wrong).is_err(), "{wrong}");
        }
    }
}
