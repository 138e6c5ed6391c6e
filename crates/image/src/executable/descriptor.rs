//! The head of an ISA's descriptor (`maize_abi::site_table`), as far as the format needs it. What
//! the table says belongs to `site_table`.

use super::program::Program;
use maize_abi::Isa;
use maize_abi::layout::DESCRIPTOR_BASE;
use maize_abi::site_table::{Descriptor, MAGIC, VERSION};
use std::mem::offset_of;
use std::ops::Range;

/// What a descriptor says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Addresses of text.
    pub(crate) text: Range<u64>,
    /// Calls at which an activation can be suspended.
    pub(crate) site_count: u64,
    /// Bytes of descriptor and tables.
    pub(crate) total_size: u64,
}

impl Head {
    /// The head of a program's descriptor.
    pub(crate) fn of(program: &Program<'_>) -> Result<Head, String> {
        let load = program.loads.iter().find(|load| load.address == DESCRIPTOR_BASE);
        Head::read(&load.ok_or("it has no descriptor")?.data, program.isa)
    }

    /// Reads the head of the descriptor at the start of `bytes`, which must be one for `isa` and be
    /// in `bytes` completely.
    pub(crate) fn read(bytes: &[u8], isa: Isa) -> Result<Head, String> {
        let long = |offset: usize| -> Result<u64, String> {
            let field = bytes.get(offset..).and_then(<[u8]>::first_chunk).ok_or("it is cut off")?;
            Ok(u64::from_le_bytes(*field))
        };
        // Little-endian halves: `version` is the lower half of the eight bytes, `isa` the higher.
        let numbers = long(offset_of!(Descriptor, version))?;
        const { assert!(offset_of!(Descriptor, isa) == offset_of!(Descriptor, version) + 4) };
        let (version, number) = (numbers as u32, (numbers >> 32) as u32);
        if !bytes.starts_with(&MAGIC) {
            return Err("it does not start with the descriptor's magic bytes".into());
        }
        if version != VERSION {
            return Err(format!("it has version {version}, not {VERSION}"));
        }
        if number != isa.number() {
            return Err(format!("it is for the ISA with number {number}, not {}", isa.number()));
        }
        let head = Head {
            text: long(offset_of!(Descriptor, text_start))?..long(offset_of!(Descriptor, text_end))?,
            site_count: long(offset_of!(Descriptor, site_count))?,
            total_size: long(offset_of!(Descriptor, total_size))?,
        };
        if head.total_size < size_of::<Descriptor>() as u64 || head.total_size > bytes.len() as u64 {
            return Err(format!("it says it has {} bytes, but has {}", head.total_size, bytes.len()));
        }
        Ok(head)
    }
}
