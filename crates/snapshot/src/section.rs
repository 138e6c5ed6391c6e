//! Heads of sections, and the limits that readers hold them to.

/// How a snapshot begins.
pub const MAGIC: [u8; 8] = *b"MAIZESNP";
/// Version of the format.
pub const VERSION: u32 = 7;
/// Bytes of the head of a file.
pub(crate) const FILE_HEAD: usize = 16;
/// Bytes of the head of a section.
pub(crate) const HEAD: usize = 40;
/// Bytes of pages or content in one section at most, expanded. Damage is located to so many, and so many are compressed at a time.
pub const CHUNK: usize = 1 << 20;
/// Bytes of metadata or tables at most, expanded.
pub(crate) const LARGEST: u64 = 256 << 20;
/// Bytes of what a snapshot and its base are called at most.
const NAMES: u64 = 1 << 10;

/// What a section holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Kind {
    /// [`crate::Metadata`], as JSON.
    Metadata = 1,
    /// Tables of a process's memory: regions, and runs of pages.
    Tables = 2,
    /// Pages of a process.
    Pages = 3,
    /// A part of a file's or a pipe's content.
    Content = 4,
    /// The last section.
    End = 5,
    /// Pages of a process by their addresses ([`crate::Image`]). Before the metadata.
    Image = 6,
    /// [`crate::Lineage`]. The first section.
    Lineage = 7,
}

impl Kind {
    pub(crate) const fn from_number(number: u16) -> Option<Kind> {
        Some(match number {
            1 => Kind::Metadata,
            2 => Kind::Tables,
            3 => Kind::Pages,
            4 => Kind::Content,
            5 => Kind::End,
            6 => Kind::Image,
            7 => Kind::Lineage,
            _ => return None,
        })
    }

    /// For people.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Metadata => "metadata",
            Kind::Tables => "tables of memory",
            Kind::Pages => "pages",
            Kind::Content => "content of files",
            Kind::End => "end",
            Kind::Image => "pages by address",
            Kind::Lineage => "lineage",
        }
    }

    /// Bytes that it may expand to.
    pub(crate) const fn largest(self) -> u64 {
        match self {
            Kind::Metadata | Kind::Tables => LARGEST,
            Kind::Pages | Kind::Content => CHUNK as u64,
            Kind::Image => 2 * CHUNK as u64,
            Kind::Lineage => NAMES,
            Kind::End => 0,
        }
    }
}

/// How the bytes of a section are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum Encoding {
    /// As they are.
    Plain = 0,
    /// As one frame of Zstandard (RFC 8878).
    Zstandard = 1,
}

impl Encoding {
    const fn from_number(number: u16) -> Option<Encoding> {
        match number {
            0 => Some(Encoding::Plain),
            1 => Some(Encoding::Zstandard),
            _ => None,
        }
    }
}

/// The head of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) kind: Kind,
    pub(crate) encoding: Encoding,
    /// Index of the process or content that it belongs to; id of the process whose image it is.
    pub(crate) owner: u32,
    /// Where in that the section starts; of metadata and of the last section the number of those before it.
    pub(crate) start: u64,
    /// Bytes when expanded.
    pub(crate) size: u64,
    /// Bytes in the file.
    pub(crate) stored: u64,
    /// CRC-32 of these.
    pub(crate) checksum: u32,
}

impl Head {
    pub(crate) fn to_bytes(self) -> [u8; HEAD] {
        let mut bytes = [0; HEAD];
        bytes[0..2].copy_from_slice(&(self.kind as u16).to_le_bytes());
        bytes[2..4].copy_from_slice(&(self.encoding as u16).to_le_bytes());
        bytes[4..8].copy_from_slice(&self.owner.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.start.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.size.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.stored.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.checksum.to_le_bytes());
        let checksum = crc32fast::hash(&bytes[..36]);
        bytes[36..40].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The head in these bytes, if it has its checksum and its numbers are possible.
    pub(crate) fn from_bytes(bytes: &[u8; HEAD]) -> Option<Head> {
        let number = |range: std::ops::Range<usize>| {
            bytes[range].iter().rev().fold(0_u64, |number, &byte| number << 8 | u64::from(byte))
        };
        if number(36..40) != u64::from(crc32fast::hash(&bytes[..36])) {
            return None;
        }
        let head = Head {
            kind: Kind::from_number(number(0..2) as u16)?,
            encoding: Encoding::from_number(number(2..4) as u16)?,
            owner: number(4..8) as u32,
            start: number(8..16),
            size: number(16..24),
            stored: number(24..32),
            checksum: number(32..36) as u32,
        };
        // What does not get smaller is stored plainly.
        let is_possible = head.size <= head.kind.largest()
            && match head.encoding {
                Encoding::Plain => head.stored == head.size,
                Encoding::Zstandard => head.stored < head.size,
            };
        is_possible.then_some(head)
    }
}

/// A section, expanded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// What it holds.
    pub kind: Kind,
    /// Index of the process or content that it belongs to.
    pub owner: usize,
    /// Where in that it starts.
    pub start: u64,
    /// The bytes.
    pub bytes: &'a [u8],
}
