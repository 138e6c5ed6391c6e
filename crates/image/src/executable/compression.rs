//! Parts of further ISAs are compressed in the file: they are needed only where a program is about to run on that ISA.
//! The format is that of Zstandard (RFC 8878).

use super::program::LOW_END;
use std::io::Read;

/// Higher levels up to 18 make hardly anything smaller, and take several times as long.
const LEVEL: i32 = 9;
/// What is mapped lies below this address, so no honest part has more bytes.
const LARGEST: u64 = LOW_END;

/// The frame that holds `part`.
pub(super) fn compress(part: &[u8]) -> Result<Vec<u8>, String> {
    zstd::bulk::compress(part, LEVEL).map_err(|error| format!("it cannot be compressed: {error}"))
}

/// What the frames hold.
pub(super) fn expand(frames: &[u8]) -> Result<Vec<u8>, String> {
    expand_up_to(frames, LARGEST)
}

/// Memory is taken as it is needed: the frames may be anything.
fn expand_up_to(frames: &[u8], largest: u64) -> Result<Vec<u8>, String> {
    let mut part = Vec::new();
    let decoder = zstd::Decoder::with_buffer(frames).map_err(|error| error.to_string())?;
    match decoder.take(largest + 1).read_to_end(&mut part) {
        Ok(size) if size as u64 > largest => Err(format!("it has more than {largest} bytes")),
        Ok(_) => Ok(part),
        Err(error) => Err(format!("it cannot be expanded: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_large_is_refused() {
        let frame = compress(&[7; 1000]).unwrap();
        assert_eq!(expand_up_to(&frame, 1000).unwrap(), [7; 1000]);
        assert!(expand_up_to(&frame, 999).unwrap_err().contains("more than 999 bytes"));
    }
}
