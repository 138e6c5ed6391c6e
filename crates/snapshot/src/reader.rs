//! Reading a snapshot. Nothing is trusted before its checksum is right, and no more memory is asked for than sections may have.

use crate::error::{Place, SnapshotError};
use crate::metadata::Metadata;
use crate::section::{Encoding, FILE_HEAD, HEAD, Head, Kind, MAGIC, Piece, VERSION};
use std::io::{self, Read};
use zstd::bulk::Decompressor;

/// Bytes that are read at a time into memory that grows.
const STEP: usize = 1 << 20;

/// How far the sections of something have come.
#[derive(Clone, Copy)]
struct Progress {
    is: u64,
    of: u64,
}

/// A snapshot being read.
pub struct Reader<R: Read> {
    input: R,
    decompressor: Decompressor<'static>,
    metadata: Metadata,
    offset: u64,
    sections: u64,
    tables: Vec<Progress>,
    pages: Vec<Progress>,
    contents: Vec<Progress>,
    ended: bool,
}

impl<R: Read> Reader<R> {
    /// Reads up to the description of the program.
    ///
    /// # Errors
    /// [`SnapshotError`].
    pub fn new(input: R) -> Result<Reader<R>, SnapshotError> {
        let decompressor = Decompressor::new()?;
        let mut reader = Reader {
            input,
            decompressor,
            metadata: Metadata {
                maize: String::new(),
                taken_ns: 0,
                monotonic_ns: 0,
                main: 0,
                arguments: Vec::new(),
                executables: Vec::new(),
                processes: Vec::new(),
                relations: Vec::new(),
                files: Vec::new(),
                pipes: Vec::new(),
                contents: Vec::new(),
            },
            offset: 0,
            sections: 0,
            tables: Vec::new(),
            pages: Vec::new(),
            contents: Vec::new(),
            ended: false,
        };
        let mut head = [0; FILE_HEAD];
        match reader.fill(&mut head) {
            Err(SnapshotError::Cut(_)) if !head.starts_with(&MAGIC) => return Err(SnapshotError::Other),
            result => result?,
        }
        if !head.starts_with(&MAGIC) {
            return Err(SnapshotError::Other);
        }
        let version = u32::from_le_bytes([head[8], head[9], head[10], head[11]]);
        if version != VERSION || head[12..] != [0; 4] {
            return Err(SnapshotError::Version(version));
        }
        let (first, bytes) = reader.section()?;
        if first.kind != Kind::Metadata {
            return Err(SnapshotError::Contradiction(String::from("it does not begin with metadata")));
        }
        let metadata: Metadata = serde_json::from_slice(&bytes).map_err(SnapshotError::Metadata)?;
        metadata.check()?;
        let progress = |of| Progress { is: 0, of };
        reader.tables = metadata.processes.iter().map(|process| progress(process.tables)).collect();
        reader.pages = metadata.processes.iter().map(|process| progress(process.pages)).collect();
        reader.contents = metadata.contents.iter().map(|content| progress(content.size)).collect();
        reader.metadata = metadata;
        Ok(reader)
    }

    /// The description of the program.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The next section after the metadata. `None` after the last, when all that there should be has been there.
    ///
    /// # Errors
    /// [`SnapshotError`].
    pub fn next_piece(&mut self) -> Result<Option<Piece>, SnapshotError> {
        if self.ended {
            return Ok(None);
        }
        let (head, bytes) = self.section()?;
        let place = self.place(head.kind, bytes.len());
        let owner = head.owner as usize;
        let progress = match head.kind {
            Kind::Metadata => None,
            Kind::Tables => self.tables.get_mut(owner),
            Kind::Pages => self.pages.get_mut(owner),
            Kind::Content => self.contents.get_mut(owner),
            Kind::End => {
                self.end(head.start)?;
                return Ok(None);
            }
        };
        match progress {
            Some(progress) if progress.is == head.start && progress.of - progress.is >= head.size && head.size > 0 => {
                progress.is += head.size;
            }
            _ => return Err(SnapshotError::Contradiction(format!("{place} does not follow from those before it"))),
        }
        Ok(Some(Piece { kind: head.kind, owner, start: head.start, bytes }))
    }

    fn end(&mut self, count: u64) -> Result<(), SnapshotError> {
        let all = self.tables.iter().chain(&self.pages).chain(&self.contents);
        if count != self.sections - 1 || all.into_iter().any(|progress| progress.is != progress.of) {
            return Err(SnapshotError::Contradiction(String::from("sections are missing")));
        }
        self.ended = true;
        match self.fill(&mut [0]) {
            Err(SnapshotError::Cut(_)) => Ok(()),
            Err(error) => Err(error),
            Ok(()) => Err(SnapshotError::Long(self.offset - 1)),
        }
    }

    /// Where the section is that has just been read.
    fn place(&self, kind: Kind, stored: usize) -> Place {
        Place { kind, section: self.sections - 1, offset: self.offset.saturating_sub((HEAD + stored) as u64) }
    }

    /// Reads a section, checks it and expands it.
    fn section(&mut self) -> Result<(Head, Vec<u8>), SnapshotError> {
        let offset = self.offset;
        let mut head = [0; HEAD];
        self.fill(&mut head)?;
        let head = Head::from_bytes(&head).ok_or(SnapshotError::Head(offset))?;
        let place = Place { kind: head.kind, section: self.sections, offset };
        self.sections += 1;
        let stored = self.take(head.stored)?;
        if crc32fast::hash(&stored) != head.checksum {
            return Err(SnapshotError::Checksum(place));
        }
        let bytes = match head.encoding {
            Encoding::Plain => stored,
            Encoding::Zstandard => {
                let size = usize::try_from(head.size).map_err(|_| SnapshotError::Expand(place))?;
                let bytes = self.decompressor.decompress(&stored, size);
                bytes.ok().filter(|bytes| bytes.len() == size).ok_or(SnapshotError::Expand(place))?
            }
        };
        Ok((head, bytes))
    }

    /// Reads so many bytes. A number that is wrong does not take memory.
    fn take(&mut self, count: u64) -> Result<Vec<u8>, SnapshotError> {
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < count {
            let step = usize::try_from(count - bytes.len() as u64).unwrap_or(STEP).min(STEP);
            let filled = bytes.len();
            bytes.resize(filled + step, 0);
            self.fill(&mut bytes[filled..])?;
        }
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), SnapshotError> {
        let mut filled = 0;
        while filled < bytes.len() {
            match self.input.read(&mut bytes[filled..]) {
                Ok(0) => return Err(SnapshotError::Cut(self.offset)),
                Ok(count) => {
                    filled += count;
                    self.offset += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
