//! Reading a snapshot. Nothing is trusted before its checksum is right, and no more memory is asked for than sections may have.

use crate::error::{Place, SnapshotError};
use crate::image::ImageRef;
use crate::link::Link;
use crate::metadata::Metadata;
use crate::section::{Encoding, FILE_HEAD, HEAD, Head, Kind, MAGIC, Piece, VERSION};
use std::io::{self, Read};
use std::path::Path;
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
    sections: Sections<R>,
    metadata: Metadata,
    tables: Vec<Progress>,
    pages: Vec<Progress>,
    contents: Vec<Progress>,
    ended: bool,
}

impl<R: Read> Reader<R> {
    /// Reads up to the description of the program. `open` opens the file with this name, which is beside this one, if the snapshot builds on that. `image` gets the pages that
    /// come before the description, first those of the snapshots that this one builds on, and the ids of the processes that they are of; what comes later replaces what has the same address.
    /// Of these other snapshots nothing else is read.
    ///
    /// # Errors
    /// [`SnapshotError`].
    pub fn new(
        input: R,
        open: impl FnMut(&Path) -> io::Result<R>,
        mut image: impl FnMut(u32, &ImageRef<'_>) -> Result<(), SnapshotError>,
    ) -> Result<Reader<R>, SnapshotError> {
        let mut links = Link::open_all(input, open)?;
        let newest = links.remove(0);
        while let Some(link) = links.pop() {
            link.read(&mut image)?;
        }
        let (bytes, sections) = newest.read(&mut image)?;
        let metadata: Metadata = serde_json::from_slice(&bytes).map_err(SnapshotError::Metadata)?;
        metadata.check()?;
        let progress = |of| Progress { is: 0, of };
        Ok(Reader {
            sections,
            tables: metadata.processes.iter().map(|process| progress(process.tables)).collect(),
            pages: metadata.processes.iter().map(|process| progress(process.pages)).collect(),
            contents: metadata.contents.iter().map(|content| progress(content.size)).collect(),
            metadata,
            ended: false,
        })
    }

    /// The description of the program.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The next section after the metadata. `None` after the last, when all that there should be has been there.
    ///
    /// # Errors
    /// [`SnapshotError`].
    pub fn next_piece(&mut self) -> Result<Option<Piece<'_>>, SnapshotError> {
        if self.ended {
            return Ok(None);
        }
        let before = self.sections.count();
        let (head, place) = self.sections.next()?;
        let owner = head.owner as usize;
        let progress = match head.kind {
            Kind::Lineage | Kind::Metadata | Kind::Image => None,
            Kind::Tables => self.tables.get_mut(owner),
            Kind::Pages => self.pages.get_mut(owner),
            Kind::Content => self.contents.get_mut(owner),
            Kind::End => {
                self.end(head.start == before)?;
                return Ok(None);
            }
        };
        match progress {
            Some(progress) if progress.is == head.start && progress.of - progress.is >= head.size && head.size > 0 => {
                progress.is += head.size;
            }
            _ => return Err(SnapshotError::Contradiction(format!("{place} does not follow from those before it"))),
        }
        Ok(Some(Piece { kind: head.kind, owner, start: head.start, bytes: self.sections.bytes() }))
    }

    fn end(&mut self, is_right: bool) -> Result<(), SnapshotError> {
        let all = self.tables.iter().chain(&self.pages).chain(&self.contents);
        if !is_right || all.into_iter().any(|progress| progress.is != progress.of) {
            return Err(SnapshotError::Contradiction(String::from("sections are missing")));
        }
        self.ended = true;
        match self.sections.fill(&mut [0]) {
            Err(SnapshotError::Cut(_)) => Ok(()),
            Err(error) => Err(error),
            Ok(()) => Err(SnapshotError::Long(self.sections.offset - 1)),
        }
    }
}

/// The sections of a snapshot, one after the other.
pub(crate) struct Sections<R: Read> {
    input: R,
    decompressor: Decompressor<'static>,
    offset: u64,
    /// How many have been read.
    count: u64,
    /// Where sections are read to, and how long the last one is in the file. The same memory serves for all.
    buffer: Vec<u8>,
    stored: usize,
    /// What it holds, if that had to be expanded.
    expanded: Vec<u8>,
    is_expanded: bool,
}

impl<R: Read> Sections<R> {
    /// Reads the head of a file.
    pub(crate) fn new(input: R) -> Result<Sections<R>, SnapshotError> {
        let mut sections = Sections {
            input,
            decompressor: Decompressor::new()?,
            offset: 0,
            count: 0,
            buffer: Vec::new(),
            stored: 0,
            expanded: Vec::new(),
            is_expanded: false,
        };
        let mut head = [0; FILE_HEAD];
        match sections.fill(&mut head) {
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
        Ok(sections)
    }

    /// How many have been read.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Reads a section, checks it and expands it. Returns where it is, too; [`Sections::bytes`] are what it holds.
    pub(crate) fn next(&mut self) -> Result<(Head, Place), SnapshotError> {
        let offset = self.offset;
        let mut head = [0; HEAD];
        self.fill(&mut head)?;
        let head = Head::from_bytes(&head).ok_or(SnapshotError::Head(offset))?;
        let place = Place { kind: head.kind, section: self.count, offset };
        self.count += 1;
        self.take(head.stored)?;
        let stored = &self.buffer[..self.stored];
        if crc32fast::hash(stored) != head.checksum {
            return Err(SnapshotError::Checksum(place));
        }
        self.is_expanded = head.encoding != Encoding::Plain;
        if !self.is_expanded {
            return Ok((head, place));
        }
        let size = usize::try_from(head.size).map_err(|_| SnapshotError::Expand(place))?;
        self.expanded.clear();
        self.expanded.reserve(size);
        match self.decompressor.decompress_to_buffer(stored, &mut self.expanded) {
            Ok(expanded) if expanded == size => Ok((head, place)),
            _ => Err(SnapshotError::Expand(place)),
        }
    }

    /// Where in the file the last section's bytes are, if they are there as they are.
    pub(crate) fn stored_at(&self, head: &Head) -> Option<u64> {
        (head.encoding == Encoding::Plain).then(|| self.offset - head.stored)
    }

    /// What the last section holds.
    pub(crate) fn bytes(&self) -> &[u8] {
        if self.is_expanded { &self.expanded } else { &self.buffer[..self.stored] }
    }

    /// Reads so many bytes. A number that is wrong does not take memory.
    fn take(&mut self, count: u64) -> Result<(), SnapshotError> {
        self.stored = 0;
        let (mut buffer, mut filled) = (std::mem::take(&mut self.buffer), 0);
        while (filled as u64) < count {
            let end = filled + (count - filled as u64).min(STEP as u64) as usize;
            if buffer.len() < end {
                buffer.resize(end, 0);
            }
            self.fill(&mut buffer[filled..end])?;
            filled = end;
        }
        self.stored = filled;
        self.buffer = buffer;
        Ok(())
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
