//! Writing a snapshot, from its start to its end.

use crate::error::SnapshotError;
use crate::metadata::Metadata;
use crate::section::{CHUNK, Encoding, Head, Kind, MAGIC, VERSION};
use std::io::Write;
use zstd::bulk::Compressor;

/// A snapshot being written.
pub struct Writer<W: Write> {
    output: W,
    compressor: Compressor<'static>,
    sections: u64,
    written: u64,
}

impl<W: Write> Writer<W> {
    /// Begins a snapshot. `level` is Zstandard's.
    ///
    /// # Errors
    /// [`SnapshotError::System`].
    pub fn new(mut output: W, level: i32, metadata: &Metadata) -> Result<Writer<W>, SnapshotError> {
        let mut head = [0; 16];
        head[..8].copy_from_slice(&MAGIC);
        head[8..12].copy_from_slice(&VERSION.to_le_bytes());
        output.write_all(&head)?;
        let compressor = Compressor::new(level)?;
        let mut writer = Writer { output, compressor, sections: 0, written: head.len() as u64 };
        let json = serde_json::to_vec(metadata).map_err(SnapshotError::Metadata)?;
        writer.section(Kind::Metadata, 0, 0, &json)?;
        Ok(writer)
    }

    /// The tables of a process's memory.
    ///
    /// # Errors
    /// [`SnapshotError::System`].
    pub fn tables(&mut self, process: usize, bytes: &[u8]) -> Result<(), SnapshotError> {
        self.section(Kind::Tables, process, 0, bytes)
    }

    /// Pages of a process, [`CHUNK`] bytes at most, which start at this byte of all its pages. They come in order.
    ///
    /// # Errors
    /// [`SnapshotError::System`].
    pub fn pages(&mut self, process: usize, start: u64, bytes: &[u8]) -> Result<(), SnapshotError> {
        self.section(Kind::Pages, process, start, bytes)
    }

    /// A part of a content, likewise.
    ///
    /// # Errors
    /// [`SnapshotError::System`].
    pub fn content(&mut self, index: usize, start: u64, bytes: &[u8]) -> Result<(), SnapshotError> {
        self.section(Kind::Content, index, start, bytes)
    }

    /// Ends it. Returns what it was written to, and how many bytes it has.
    ///
    /// # Errors
    /// [`SnapshotError::System`].
    pub fn finish(mut self) -> Result<(W, u64), SnapshotError> {
        self.section(Kind::End, 0, self.sections, &[])?;
        Ok((self.output, self.written))
    }

    fn section(&mut self, kind: Kind, owner: usize, start: u64, bytes: &[u8]) -> Result<(), SnapshotError> {
        let size = bytes.len() as u64;
        if size > kind.largest() {
            return Err(SnapshotError::Contradiction(format!("{size} bytes are too many for {}", kind.name())));
        }
        let packed = if size > 0 { self.compressor.compress(bytes)? } else { Vec::new() };
        let (encoding, stored) = if !packed.is_empty() && packed.len() < bytes.len() {
            (Encoding::Zstandard, packed.as_slice())
        } else {
            (Encoding::Plain, bytes)
        };
        let owner = u32::try_from(owner).unwrap_or(u32::MAX);
        let checksum = crc32fast::hash(stored);
        let head = Head { kind, encoding, owner, start, size, stored: stored.len() as u64, checksum };
        let head = head.to_bytes();
        self.output.write_all(&head)?;
        self.output.write_all(stored)?;
        self.sections += 1;
        self.written += (head.len() + stored.len()) as u64;
        Ok(())
    }
}

const _: () = assert!(CHUNK.is_multiple_of(4096));
