//! Tokens: who shows one that a member has made may join, once and within its time. A token tells the member's public key, too, so that the new node
//! knows that it speaks to the right one. Members keep only hashes of them.

use crate::directory::{Directory, read_if_there, write_private};
use crate::error::{NodeError, Result};
use crate::identity::PublicKey;
use data_encoding::BASE64URL_NOPAD;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const PREFIX: &str = "maize1-";
const SECRET: usize = 16;

/// A token, as it is handed on.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// The member that made it.
    pub member: PublicKey,
    /// What only who has the token knows.
    pub secret: [u8; SECRET],
}

#[derive(Serialize, Deserialize)]
struct Kept {
    hash: String,
    /// Seconds since 1970.
    expires: u64,
}

impl Token {
    /// Makes a token and notes its hash in the directory of the member.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn create(directory: &Directory, member: PublicKey, valid: Duration) -> Result<Token> {
        let mut secret = [0; SECRET];
        SystemRandom::new()
            .fill(&mut secret)
            .map_err(|_| NodeError::Invalid("no random numbers from the kernel".into()))?;
        change(directory, |kept| {
            kept.push(Kept { hash: hash(&secret), expires: now().saturating_add(valid.as_secs()) })
        })?;
        Ok(Token { member, secret })
    }

    /// Uses a token up. Returns whether there was one with this secret that has not expired.
    ///
    /// # Errors
    /// If the list cannot be read or written.
    pub(crate) fn redeem(directory: &Directory, secret: &[u8; SECRET]) -> Result<bool> {
        let hash = hash(secret);
        change(directory, |kept| {
            let position = kept.iter().position(|kept| kept.hash == hash);
            position.map(|position| kept.swap_remove(position)).is_some()
        })
    }
}

/// Changes the list of tokens, without those that have expired.
fn change<T>(directory: &Directory, change: impl FnOnce(&mut Vec<Kept>) -> T) -> Result<T> {
    let _lock = directory.lock()?;
    let path = directory.tokens();
    let malformed = |error: serde_json::Error| NodeError::Malformed { path: path.clone(), message: error.to_string() };
    let mut kept: Vec<Kept> = read_if_there(&path)?
        .map(|text| serde_json::from_str(&text))
        .transpose()
        .map_err(malformed)?
        .unwrap_or_default();
    let now = now();
    kept.retain(|kept| kept.expires > now);
    let result = change(&mut kept);
    write_private(&path, &serde_json::to_vec(&kept).map_err(malformed)?)?;
    Ok(result)
}

fn hash(secret: &[u8]) -> String {
    BASE64URL_NOPAD.encode(digest(&SHA256, secret).as_ref())
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl fmt::Display for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&self.member.as_bytes()[..], &self.secret].concat();
        write!(formatter, "{PREFIX}{}", BASE64URL_NOPAD.encode(&bytes))
    }
}

/// Without the secret.
impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Token of {}", self.member)
    }
}

impl FromStr for Token {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Token, String> {
        let wrong = || String::from("not a token; `maize node token` on a member prints one");
        let bytes = text
            .strip_prefix(PREFIX)
            .and_then(|text| BASE64URL_NOPAD.decode(text.as_bytes()).ok())
            .ok_or_else(wrong)?;
        let (member, secret) = bytes.split_first_chunk::<32>().ok_or_else(wrong)?;
        Ok(Token { member: PublicKey::new(*member), secret: secret.try_into().map_err(|_| wrong())? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> (tempfile::TempDir, Directory) {
        let temporary = tempfile::tempdir().unwrap();
        let directory = Directory::new(Some(temporary.path().join("a"))).unwrap();
        directory.make().unwrap();
        (temporary, directory)
    }

    #[test]
    fn a_token_serves_once_and_within_its_time() {
        let (_temporary, directory) = directory();
        let member = PublicKey::new([7; 32]);
        let token = Token::create(&directory, member, Duration::from_secs(3600)).unwrap();
        let other = Token::create(&directory, member, Duration::from_secs(3600)).unwrap();
        let expired = Token::create(&directory, member, Duration::ZERO).unwrap();
        assert_eq!(token.to_string().parse(), Ok(token.clone()));
        assert!(!Token::redeem(&directory, &expired.secret).unwrap(), "expired");
        assert!(!Token::redeem(&directory, &[0; SECRET]).unwrap(), "guessed");
        assert!(Token::redeem(&directory, &token.secret).unwrap());
        assert!(!Token::redeem(&directory, &token.secret).unwrap(), "a second time");
        assert!(Token::redeem(&directory, &other.secret).unwrap());
    }

    #[test]
    fn the_file_of_tokens_does_not_tell_them() {
        let (_temporary, directory) = directory();
        let token = Token::create(&directory, PublicKey::new([7; 32]), Duration::from_secs(60)).unwrap();
        let file = std::fs::read_to_string(directory.tokens()).unwrap();
        assert!(!file.contains(&BASE64URL_NOPAD.encode(&token.secret)));
        for wrong in ["", "maize1-", "maize1-abc", &token.to_string()[1..], &format!("{token}A")] {
            assert!(wrong.parse::<Token>().is_err(), "{wrong}");
        }
    }
}
