//! Reads an ISA's site table: where activations can be suspended (`maize_abi::site_table`).

use super::image::Image;
use crate::ImageError;
use maize_abi::Isa;
use maize_abi::layout::DESCRIPTOR_BASE;
use maize_abi::site_table::{Descriptor, Point, Site};
use std::mem::offset_of;

impl Image {
    /// The calls at which an activation can be suspended, by rising return address.
    ///
    /// # Errors
    /// [`ImageError::NoSuchIsa`], or [`ImageError::Malformed`] if the table does not have as many as its descriptor says.
    pub fn sites(&self, isa: Isa) -> Result<Vec<Site>, ImageError> {
        let at = (offset_of!(Descriptor, sites), offset_of!(Descriptor, site_count));
        let site = |[return_address, resume, number, shape, locations]: [u32; 5]| Site {
            return_address,
            resume,
            number,
            shape,
            locations,
        };
        Ok(self.table(isa, at)?.into_iter().map(site).collect())
    }

    /// The migration points, by rising address.
    ///
    /// # Errors
    /// As [`Image::sites`].
    pub fn points(&self, isa: Isa) -> Result<Vec<Point>, ImageError> {
        let at = (offset_of!(Descriptor, points), offset_of!(Descriptor, point_count));
        let point = |[address, target]: [u32; 2]| Point { address, target };
        Ok(self.table(isa, at)?.into_iter().map(point).collect())
    }

    /// Entries of so many words, whose address and number are in the descriptor at these offsets.
    fn table<const WORDS: usize>(&self, isa: Isa, at: (usize, usize)) -> Result<Vec<[u32; WORDS]>, ImageError> {
        let cut_off = || ImageError::malformed(format!("part for {}: its site table is cut off", isa.name()));
        let program = self.program(isa)?;
        let load = program.loads.iter().find(|load| load.address == DESCRIPTOR_BASE).ok_or_else(cut_off)?;
        let long = |offset: usize| {
            load.data.get(offset..).and_then(<[u8]>::first_chunk).map(|field| u64::from_le_bytes(*field))
        };
        let (address, count) = (long(at.0).ok_or_else(cut_off)?, long(at.1).ok_or_else(cut_off)?);
        let size = count.checked_mul(WORDS as u64 * 4).ok_or_else(cut_off)?;
        let bytes = load.bytes_at(address, size).ok_or_else(cut_off)?;
        let word = |bytes: &[u8]| bytes.first_chunk().map_or(0, |word| u32::from_le_bytes(*word));
        let entry = |bytes: &[u8]| std::array::from_fn(|index| word(&bytes[4 * index..]));
        Ok(bytes.chunks_exact(WORDS * 4).map(entry).collect())
    }
}
