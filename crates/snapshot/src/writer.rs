//! Writing a snapshot, from its start to its end.

use crate::error::SnapshotError;
use crate::image::Image;
use crate::lineage::Lineage;
use crate::metadata::Metadata;
use crate::section::{CHUNK, Encoding, Head, Kind, MAGIC, VERSION};
use std::io::{self, Write};
use zstd::bulk::Compressor;

/// Zstandard's level: memory of programs gets little smaller at higher ones, and the program may have to wait.
const LEVEL: i32 = 1;

/// Sections of fewer bytes are made smaller by whatever they can be.
const LARGE: usize = 64 << 10;
/// So many parts of a larger one are looked at, of so many bytes.
const SAMPLES: usize = 8;
const SAMPLE: usize = 2 << 10;

/// Which sections are made smaller.
pub enum Packs<W> {
    /// Those that get half as large, by a sample of them. A disk takes, and gives back, what does not in less time than Zstandard does.
    WhatShrinks,
    /// Those before which this says so.
    When(fn(&W) -> bool),
}

/// A snapshot being written.
pub struct Writer<W: Write> {
    output: W,
    compressor: Compressor<'static>,
    packs: Packs<W>,
    sections: u64,
    written: u64,
}

impl<W: Write> Writer<W> {
    /// Begins a snapshot. If it has a base, images of pages that have not changed since are left out.
    ///
    /// # Errors
    /// [`SnapshotError::System`].
    pub fn new(mut output: W, lineage: &Lineage, packs: Packs<W>) -> Result<Writer<W>, SnapshotError> {
        let mut head = [0; 16];
        head[..8].copy_from_slice(&MAGIC);
        head[8..12].copy_from_slice(&VERSION.to_le_bytes());
        output.write_all(&head)?;
        let compressor = Compressor::new(LEVEL)?;
        let mut writer = Writer { output, compressor, packs, sections: 0, written: head.len() as u64 };
        writer.section(Kind::Lineage, 0, 0, [&[], &lineage.to_bytes()])?;
        Ok(writer)
    }

    /// What it is written to.
    pub fn output(&mut self) -> &mut W {
        &mut self.output
    }

    /// Pages of the process with this id, before [`Writer::metadata`]. Those that come later replace those with the same addresses.
    ///
    /// # Errors
    /// [`SnapshotError::System`].
    pub fn image(&mut self, process: u32, image: &Image) -> Result<(), SnapshotError> {
        self.section(Kind::Image, process as usize, 0, [&image.head(), image.bytes()])
    }

    /// What the program is.
    ///
    /// # Errors
    /// [`SnapshotError::System`].
    pub fn metadata(&mut self, metadata: &Metadata) -> Result<(), SnapshotError> {
        let json = serde_json::to_vec(metadata).map_err(SnapshotError::Metadata)?;
        self.section(Kind::Metadata, 0, self.sections, [&[], &json])
    }

    /// The tables of a process's memory.
    ///
    /// # Errors
    /// [`SnapshotError::System`].
    pub fn tables(&mut self, process: usize, bytes: &[u8]) -> Result<(), SnapshotError> {
        self.section(Kind::Tables, process, 0, [&[], bytes])
    }

    /// Pages of a process, [`CHUNK`] bytes at most, which start at this byte of all its pages. They come in order.
    ///
    /// # Errors
    /// [`SnapshotError::System`].
    pub fn pages(&mut self, process: usize, start: u64, bytes: &[u8]) -> Result<(), SnapshotError> {
        self.section(Kind::Pages, process, start, [&[], bytes])
    }

    /// A part of a content, likewise.
    ///
    /// # Errors
    /// [`SnapshotError::System`].
    pub fn content(&mut self, index: usize, start: u64, bytes: &[u8]) -> Result<(), SnapshotError> {
        self.section(Kind::Content, index, start, [&[], bytes])
    }

    /// Ends it. Returns how many bytes it has.
    ///
    /// # Errors
    /// [`SnapshotError::System`].
    pub fn end(&mut self) -> Result<u64, SnapshotError> {
        self.section(Kind::End, 0, self.sections, [&[]; 2])?;
        Ok(self.written)
    }

    /// What it was written to.
    pub fn into_output(self) -> W {
        self.output
    }

    /// Whether a section of these bytes is to be made smaller.
    fn packs(&mut self, bytes: &[u8]) -> io::Result<bool> {
        match &self.packs {
            Packs::WhatShrinks if bytes.len() >= LARGE => {
                let sample: Vec<u8> = bytes
                    .chunks(bytes.len() / SAMPLES)
                    .flat_map(|part| &part[..SAMPLE.min(part.len())])
                    .copied()
                    .collect();
                Ok(self.compressor.compress(&sample)?.len() <= sample.len() / 2)
            }
            Packs::WhatShrinks => Ok(true),
            Packs::When(packs) => Ok(packs(&self.output)),
        }
    }

    /// A section of two parts, the second of which is by far the larger one if one is large: they are not put together to be written.
    fn section(&mut self, kind: Kind, owner: usize, start: u64, parts: [&[u8]; 2]) -> Result<(), SnapshotError> {
        let size: usize = parts.iter().map(|part| part.len()).sum();
        if size as u64 > kind.largest() {
            return Err(SnapshotError::Contradiction(format!("{size} bytes are too many for {}", kind.name())));
        }
        let packed = match size > 0 && self.packs(parts[1])? {
            true => self.compressor.compress(&parts.concat())?,
            false => Vec::new(),
        };
        let (encoding, stored) = if !packed.is_empty() && packed.len() < size {
            (Encoding::Zstandard, [&[], packed.as_slice()])
        } else {
            (Encoding::Plain, parts)
        };
        let owner = u32::try_from(owner).unwrap_or(u32::MAX);
        let mut checksum = crc32fast::Hasher::new();
        stored.iter().for_each(|part| checksum.update(part));
        let [size, stored_size] = [size, stored.iter().map(|part| part.len()).sum()].map(|size: usize| size as u64);
        let head = Head { kind, encoding, owner, start, size, stored: stored_size, checksum: checksum.finalize() };
        let head = head.to_bytes();
        self.output.write_all(&head)?;
        for part in stored {
            self.output.write_all(part)?;
        }
        self.sections += 1;
        self.written += head.len() as u64 + stored_size;
        Ok(())
    }
}

const _: () = assert!(CHUNK.is_multiple_of(4096));
