//! The site table of one ISA's linked code (`maize_abi::site_table`), from the site sections and `.eh_frame`.
//!
//! Shapes and location lists repeat: each is stored once.

mod frames;

use crate::object_file::{FUNCTION_HEADER, SITES_SECTION};
use frames::Frames;
use gimli::UnwindContext;
use maize_abi::Isa;
use maize_abi::layout::DESCRIPTOR_BASE;
use maize_abi::site_table::{Descriptor, Function, Handler, MAGIC, Point, Site, VERSION, location};
use maize_abi::symbols::POINTS_SECTION;
use object::read::elf::ElfFile64;
use object::{Object, ObjectSection};
use std::collections::HashMap;
use std::ops::Range;

/// Why no table could be made. Each is a defect of Maize or a damaged object.
#[derive(Debug, thiserror::Error)]
pub enum SiteTableError {
    /// The linked code could not be read.
    #[error("{isa}: the linked code cannot be read: {message}")]
    Malformed {
        /// The ISA.
        isa: &'static str,
        /// What is wrong.
        message: String,
    },
    /// A site that the runtime could not step over.
    #[error("{isa}: the call before {address:#x} cannot be suspended: {message}")]
    Site {
        /// The ISA.
        isa: &'static str,
        /// The call's return address.
        address: u64,
        /// What is wrong.
        message: String,
    },
}

/// Makes the descriptor and the table of a linked executable; `text` is the range of addresses of its code.
///
/// # Errors
/// [`SiteTableError`].
pub fn build(isa: Isa, executable: &[u8], text: Range<u64>) -> Result<Vec<u8>, SiteTableError> {
    let malformed = |message: String| SiteTableError::Malformed { isa: isa.name(), message };
    let file = ElfFile64::<object::LittleEndian>::parse(executable).map_err(|error| malformed(error.to_string()))?;
    let section = |name: &str| match file.section_by_name(name) {
        Some(section) => Ok((section.address(), section.data().map_err(|error| malformed(error.to_string()))?)),
        None => Ok((0, &[][..])),
    };
    let (_, sites) = section(SITES_SECTION)?;
    let (_, points) = section(POINTS_SECTION)?;
    let (frame_address, frames) = section(".eh_frame")?;
    let raw = parse_sites(sites).ok_or_else(|| malformed(String::from("a site section is damaged")))?;
    let frames = Frames::new(frames, frame_address, text.start).map_err(|error| malformed(error.to_string()))?;
    let handlers = frames.handlers(&file).map_err(malformed)?;

    let mut points = parse_points(points).ok_or_else(|| malformed(String::from("the points section is damaged")))?;
    let mut words = Words::default();
    let mut table = Vec::with_capacity(raw.len());
    let mut unwind = UnwindContext::new();
    for site in raw {
        let failed = |message: String| SiteTableError::Site { isa: isa.name(), address: site.return_address, message };
        let shape = frames.shape(&mut unwind, isa, site.return_address).map_err(failed)?;
        let narrow = |address: u64| u32::try_from(address).map_err(|_| failed(String::from("it is above 4 GiB")));
        table.push(Site {
            return_address: narrow(site.return_address)?,
            resume: narrow(site.resume)?,
            number: site.number,
            shape: words.intern(shape),
            locations: words.intern(site.locations),
        });
    }
    table.sort_by_key(|site| site.return_address);
    points.sort_by_key(|point| point.address);
    let functions = frames.functions_with(&points);
    Ok(serialize(isa, text, &Tables { sites: table, points, functions, handlers, words: words.words }))
}

/// A list of words, in which equal runs are stored once.
#[derive(Default)]
struct Words {
    words: Vec<u32>,
    known: HashMap<Vec<u32>, u32>,
}

impl Words {
    fn intern(&mut self, run: Vec<u32>) -> u32 {
        if let Some(&index) = self.known.get(&run) {
            return index;
        }
        let index = self.words.len() as u32;
        self.words.extend_from_slice(&run);
        self.known.insert(run, index);
        index
    }
}

/// A site as the linker left it.
struct RawSite {
    return_address: u64,
    resume: u64,
    number: u32,
    /// Count, then locations.
    locations: Vec<u32>,
}

/// Takes the concatenated site sections apart; `None` if they are not whole.
fn parse_sites(mut bytes: &[u8]) -> Option<Vec<RawSite>> {
    let mut sites = Vec::new();
    while !bytes.is_empty() {
        let address = u64::from_le_bytes(bytes.get(0..8)?.try_into().ok()?);
        let resume = u64::from_le_bytes(bytes.get(8..16)?.try_into().ok()?);
        let count = u32::from_le_bytes(bytes.get(16..20)?.try_into().ok()?);
        let size = u32::from_le_bytes(bytes.get(20..24)?.try_into().ok()?) as usize;
        let mut words = bytes
            .get(FUNCTION_HEADER..size)?
            .chunks_exact(4)
            .filter_map(|word| word.try_into().ok())
            .map(u32::from_le_bytes);
        for _ in 0..count {
            let (offset, number, location_count) = (words.next()?, words.next()?, words.next()?);
            let mut locations = vec![location_count];
            for _ in 0..location_count {
                let word = words.next()?;
                locations.push(word);
                if location::unpack(word).0 == location::KIND_CONSTANT {
                    locations.extend([words.next()?, words.next()?]);
                }
            }
            // The linker has dropped the function: another object's copy has taken its place.
            if address == 0 {
                continue;
            }
            let return_address = address + u64::from(offset);
            sites.push(RawSite { return_address, resume, number, locations });
        }
        bytes = bytes.get(size..)?;
    }
    Some(sites)
}

/// The points that inline assembly has listed, as pairs of addresses; `None` if they are not whole or above 4 GiB.
fn parse_points(bytes: &[u8]) -> Option<Vec<Point>> {
    let address = |bytes: &[u8]| u32::try_from(u64::from_le_bytes(bytes.try_into().ok()?)).ok();
    let pairs = bytes.chunks(16);
    let points: Option<Vec<Point>> =
        pairs.map(|pair| Some(Point { address: address(pair.get(..8)?)?, target: address(pair.get(8..)?)? })).collect();
    // Points of functions that the linker has dropped are at 0.
    Some(points?.into_iter().filter(|point| point.address != 0).collect())
}

/// What follows a descriptor.
struct Tables {
    sites: Vec<Site>,
    points: Vec<Point>,
    functions: Vec<Function>,
    handlers: Vec<Handler>,
    words: Vec<u32>,
}

fn serialize(isa: Isa, text: Range<u64>, tables: &Tables) -> Vec<u8> {
    let Tables { sites, points, functions, handlers, words } = tables;
    let mut end = DESCRIPTOR_BASE + size_of::<Descriptor>() as u64;
    // Address and number of entries.
    let mut place = |bytes: usize, count: usize| {
        let start = end;
        end += bytes.next_multiple_of(8) as u64;
        [start, count as u64]
    };
    let places = [
        place(size_of_val(&sites[..]), sites.len()),
        place(size_of_val(&points[..]), points.len()),
        place(size_of_val(&functions[..]), functions.len()),
        place(size_of_val(&handlers[..]), handlers.len()),
        place(size_of_val(&words[..]), words.len()),
    ];
    let mut bytes = Vec::with_capacity((end - DESCRIPTOR_BASE) as usize);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&isa.number().to_le_bytes());
    let total = end - DESCRIPTOR_BASE;
    for field in [text.start, text.end].into_iter().chain(places.into_iter().flatten()).chain([total]) {
        bytes.extend_from_slice(&field.to_le_bytes());
    }
    let site_fields =
        sites.iter().flat_map(|site| [site.return_address, site.resume, site.number, site.shape, site.locations]);
    put(&mut bytes, site_fields);
    put(&mut bytes, points.iter().flat_map(|point| [point.address, point.target]));
    put(&mut bytes, functions.iter().flat_map(|function| [function.start, function.end]));
    let handler_fields = |handler: &Handler| [handler.start, handler.end, handler.language_data, handler.personality];
    put(&mut bytes, handlers.iter().flat_map(handler_fields));
    put(&mut bytes, words.iter().copied());
    bytes
}

/// Appends the fields of one table, and what aligns the next.
fn put(bytes: &mut Vec<u8>, fields: impl Iterator<Item = u32>) {
    fields.for_each(|field| bytes.extend_from_slice(&field.to_le_bytes()));
    bytes.resize(bytes.len().next_multiple_of(8), 0);
}
