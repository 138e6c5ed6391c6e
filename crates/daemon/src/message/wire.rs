//! How messages are sent.

use crate::read::read_some;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, Read, Write};

/// The longest message among members: arguments and environment of a program are the largest part of one.
pub const LIMIT: usize = 4 << 20;
/// The longest message of somebody who is no member.
pub const STRANGERS_LIMIT: usize = 1024;

/// Sends a message.
///
/// # Errors
/// If the connection fails, or the message is longer than [`LIMIT`].
pub fn send<T: Serialize>(stream: &mut impl Write, message: &T) -> io::Result<()> {
    let mut bytes = postcard::to_extend(message, vec![0; 4]).map_err(io::Error::other)?;
    let length = bytes.len() - 4;
    if length > LIMIT {
        let message = format!("{length} bytes of arguments and environment; {LIMIT} at most go to another node");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    bytes[..4].copy_from_slice(&u32::try_from(length).unwrap_or(0).to_le_bytes());
    stream.write_all(&bytes)
}

/// Receives a message of at most `limit` bytes; `None` if the connection has been closed before one.
///
/// # Errors
/// If the connection fails, or there is something else than a message.
pub fn receive<T: DeserializeOwned>(stream: &mut impl Read, limit: usize) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    if read_some(stream, &mut length[..1])? == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut length[1..])?;
    let length = u32::from_le_bytes(length) as usize;
    let wrong = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    if length > limit {
        return Err(wrong(format!("a message of {length} bytes; {limit} at most are read")));
    }
    let mut bytes = Vec::new();
    // Memory grows with what comes, not with what is announced.
    stream.by_ref().take(length as u64).read_to_end(&mut bytes)?;
    if bytes.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    decode(&bytes).map(Some).map_err(|error| wrong(format!("not a message: {error}")))
}

/// Reads a message from all of these bytes.
///
/// # Errors
/// If they are not one.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> postcard::Result<T> {
    match postcard::take_from_bytes(bytes)? {
        (message, []) => Ok(message),
        _ => Err(postcard::Error::DeserializeBadEncoding),
    }
}
