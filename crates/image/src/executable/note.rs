//! The multi-ISA header: an ELF note that lists the parts and holds the checksums. The layout is in
//! docs/format.md; encoding, finding and checking are here, what parts contain is not.

use crate::ImageError;
use maize_abi::Isa;
use maize_abi::image::{NOTE_NAME, NOTE_TYPE, VERSION};
use object::LittleEndian as Le;
use object::elf;
use object::read::elf::{FileHeader, ProgramHeader};
use std::ops::Range;

/// Bytes of the header before its list of parts.
const FIXED_SIZE: usize = 24;
/// Bytes of one part in the list.
const ENTRY_SIZE: usize = 24;
/// Where the file's checksum is in the header.
const CHECKSUM_OFFSET: usize = 4;
/// Where the file's size is in the header.
const FILE_SIZE_OFFSET: usize = 8;
/// Bytes of an ELF note before its name.
const NOTE_HEADER_SIZE: usize = 12;

/// Where one ISA's part of the file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PartEntry {
    pub(crate) isa: Isa,
    /// CRC-32 of the part's bytes, without those of the header.
    pub(crate) checksum: u32,
    /// Bytes of the file.
    pub(crate) range: Range<usize>,
}

/// What the note says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) checksum: u32,
    pub(crate) file_size: u64,
    pub(crate) parts: Vec<PartEntry>,
}

impl Header {
    /// The whole ELF note for `count` parts with a header of zeros, to be filled by [`Self::encode`].
    pub(crate) fn blank_note(count: usize) -> Vec<u8> {
        let mut note = Vec::new();
        note.extend((NOTE_NAME.len() as u32).to_le_bytes());
        note.extend(((FIXED_SIZE + count * ENTRY_SIZE) as u32).to_le_bytes());
        note.extend(NOTE_TYPE.to_le_bytes());
        note.extend(NOTE_NAME);
        note.resize(Self::header_in_note(), 0);
        note.resize(Self::header_in_note() + FIXED_SIZE + count * ENTRY_SIZE, 0);
        note
    }

    /// Where the header starts in the note.
    pub(crate) const fn header_in_note() -> usize {
        NOTE_HEADER_SIZE + NOTE_NAME.len().next_multiple_of(4)
    }

    /// The header's bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(self.checksum.to_le_bytes());
        bytes.extend(self.file_size.to_le_bytes());
        bytes.extend((self.parts.len() as u32).to_le_bytes());
        bytes.extend([0; 4]);
        for part in &self.parts {
            bytes.extend(part.isa.number().to_le_bytes());
            bytes.extend(part.checksum.to_le_bytes());
            bytes.extend((part.range.start as u64).to_le_bytes());
            bytes.extend((part.range.len() as u64).to_le_bytes());
        }
        bytes
    }

    /// Reads a header of this version.
    fn decode(bytes: &[u8]) -> Result<Header, ImageError> {
        let short = || ImageError::malformed("the header is too short");
        let word =
            |offset: usize| -> Option<u32> { Some(u32::from_le_bytes(bytes.get(offset..)?.first_chunk().copied()?)) };
        let long =
            |offset: usize| -> Option<u64> { Some(u64::from_le_bytes(bytes.get(offset..)?.first_chunk().copied()?)) };
        let version = word(0).ok_or_else(short)?;
        if version != VERSION {
            return Err(ImageError::Version { found: version, supported: VERSION });
        }
        let checksum = word(CHECKSUM_OFFSET).ok_or_else(short)?;
        let file_size = long(FILE_SIZE_OFFSET).ok_or_else(short)?;
        let count = word(16).ok_or_else(short)? as usize;
        let entries = bytes.get(FIXED_SIZE..).ok_or_else(short)?;
        if word(20) != Some(0) || !entries.len().is_multiple_of(ENTRY_SIZE) || entries.len() / ENTRY_SIZE != count {
            return Err(ImageError::malformed("the header's size and its number of parts differ"));
        }
        let mut parts = Vec::new();
        for offset in (FIXED_SIZE..bytes.len()).step_by(ENTRY_SIZE) {
            let number = word(offset).ok_or_else(short)?;
            let isa = Isa::from_number(number)
                .ok_or_else(|| ImageError::malformed(format!("there is no ISA with number {number}")))?;
            let checksum = word(offset + 4).ok_or_else(short)?;
            let (start, size) = (long(offset + 8).ok_or_else(short)?, long(offset + 16).ok_or_else(short)?);
            let end = start.checked_add(size).filter(|end| *end <= file_size);
            let range = end.and_then(|end| Some(usize::try_from(start).ok()?..usize::try_from(end).ok()?));
            let range = range
                .ok_or_else(|| ImageError::malformed(format!("the part for {} is not within the file", isa.name())))?;
            parts.push(PartEntry { isa, checksum, range });
        }
        Ok(Header { checksum, file_size, parts })
    }

    /// Finds and reads the header of a file, and checks the file's size. Also returns which bytes of
    /// the file the header is.
    pub(crate) fn find(file: &[u8]) -> Result<(Header, Range<usize>), ImageError> {
        let range = find_note(file)?.ok_or(ImageError::NotMultiIsa)?;
        let header = Header::decode(file.get(range.clone()).ok_or(ImageError::NotMultiIsa)?)?;
        if header.file_size != file.len() as u64 {
            return Err(ImageError::WrongLength { expected: header.file_size, found: file.len() as u64 });
        }
        Ok((header, range))
    }

    /// Checks the checksums of the file and of each part.
    pub(crate) fn check(&self, file: &[u8], place: &Range<usize>) -> Result<(), ImageError> {
        let found = file_checksum(file, place);
        if found != self.checksum {
            return Err(ImageError::Changed { expected: self.checksum, found });
        }
        for part in &self.parts {
            if part_checksum(file, part, place) != part.checksum {
                return Err(ImageError::malformed(format!("the part for {} has a wrong checksum", part.isa.name())));
            }
        }
        Ok(())
    }
}

/// Fills in the checksums of a file whose header is otherwise right. [`crate::compose`] has done so;
/// meant for tests that change a file and want it to be looked into.
///
/// # Errors
/// The file has no header, one of another version, or one that contradicts itself or the file's size.
pub fn seal(file: &mut [u8]) -> Result<(), ImageError> {
    let (mut header, place) = Header::find(file)?;
    for part in &mut header.parts {
        part.checksum = part_checksum(file, part, &place);
    }
    file[place.clone()].copy_from_slice(&header.encode());
    header.checksum = file_checksum(file, &place);
    file[place].copy_from_slice(&header.encode());
    Ok(())
}

/// CRC-32 of all bytes but those of the field that holds it.
fn file_checksum(file: &[u8], header: &Range<usize>) -> u32 {
    let field = header.start + CHECKSUM_OFFSET;
    checksum_without(file, field..field + size_of::<u32>())
}

/// CRC-32 of a part, without the header, which holds the checksums themselves.
fn part_checksum(file: &[u8], part: &PartEntry, header: &Range<usize>) -> u32 {
    let bytes = file.get(part.range.clone()).unwrap_or_default();
    let within = |position: usize| position.clamp(part.range.start, part.range.end) - part.range.start;
    checksum_without(bytes, within(header.start)..within(header.end))
}

fn checksum_without(bytes: &[u8], gap: Range<usize>) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(bytes.get(..gap.start).unwrap_or_default());
    hasher.update(bytes.get(gap.end..).unwrap_or_default());
    hasher.finalize()
}

/// Which bytes of the file are the header. `None` if there is no such note, also when the file is
/// no executable or its program headers are cut off.
fn find_note(file: &[u8]) -> Result<Option<Range<usize>>, ImageError> {
    if !file.starts_with(&elf::ELFMAG) {
        return Err(ImageError::NotElf);
    }
    let cut_off = ImageError::CutOff { found: file.len() as u64 };
    if file.len() < size_of::<elf::FileHeader64<Le>>() {
        return Err(cut_off);
    }
    let Ok(header) = elf::FileHeader64::<Le>::parse(file) else { return Ok(None) };
    if header.endian().is_err() {
        return Ok(None);
    }
    let Ok(segments) = header.program_headers(Le, file) else { return Err(cut_off) };
    for segment in segments {
        let Ok(Some(mut notes)) = segment.notes(Le, file) else { continue };
        while let Ok(Some(note)) = notes.next() {
            // The reader takes the terminating NUL off a name.
            if note.name() == &NOTE_NAME[..NOTE_NAME.len() - 1] && note.n_type(Le) == NOTE_TYPE {
                let start = (note.desc().as_ptr() as usize).checked_sub(file.as_ptr() as usize);
                return Ok(start.map(|start| start..start + note.desc().len()));
            }
        }
    }
    let ends = segments.iter().map(|segment| segment.p_offset(Le).saturating_add(segment.p_filesz(Le)));
    if ends.max().is_some_and(|end| end > file.len() as u64) {
        return Err(cut_off);
    }
    Ok(None)
}
