//! The site table of one ISA's linked code (`maize_abi::site_table`), from the site sections and `.eh_frame`.
//!
//! Shapes and location lists repeat: each is stored once.

use crate::object_file::{FUNCTION_HEADER, SITES_SECTION};
use gimli::{
    BaseAddresses, CfaRule, CieOrFde, EhFrame, EndianSlice, LittleEndian, RegisterRule, UnwindContext, UnwindSection,
};
use maize_abi::Isa;
use maize_abi::layout::DESCRIPTOR_BASE;
use maize_abi::site_table::{Descriptor, MAGIC, Point, Site, VERSION, location, shape};
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

type Slice<'a> = EndianSlice<'a, LittleEndian>;

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
    Ok(serialize(isa, text, &table, &points, &words.words))
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

/// The frame descriptions of `.eh_frame`, by address.
struct Frames<'a> {
    section: EhFrame<Slice<'a>>,
    bases: BaseAddresses,
    descriptions: Vec<gimli::FrameDescriptionEntry<Slice<'a>>>,
}

impl<'a> Frames<'a> {
    fn new(data: &'a [u8], address: u64, text: u64) -> Result<Frames<'a>, gimli::Error> {
        let section = EhFrame::new(data, LittleEndian);
        let bases = BaseAddresses::default().set_eh_frame(address).set_text(text);
        let mut descriptions = Vec::new();
        let mut entries = section.entries(&bases);
        while let Some(entry) = entries.next()? {
            if let CieOrFde::Fde(partial) = entry {
                descriptions.push(partial.parse(EhFrame::cie_from_offset)?);
            }
        }
        descriptions.sort_by_key(|description| description.initial_address());
        Ok(Frames { section, bases, descriptions })
    }

    /// How to step over the frame suspended at a return address.
    fn shape(&self, unwind: &mut UnwindContext<usize>, isa: Isa, return_address: u64) -> Result<Vec<u32>, String> {
        // The state at the call itself: the return address may be past the function's end.
        let call = return_address - 1;
        let after = self.descriptions.partition_point(|description| description.initial_address() <= call);
        let description = after.checked_sub(1).and_then(|index| self.descriptions.get(index));
        let description = description.filter(|description| description.contains(call));
        let description = description.ok_or("there is no frame description")?;
        if isa != Isa::X86_64 {
            return self.full_frame(unwind, description, stack_pointer(isa));
        }
        let row = description
            .unwind_info_for_address(&self.section, &self.bases, unwind, call)
            .map_err(|error| error.to_string())?;
        Ok(encode(row, description.cie().return_address_register())?.words)
    }

    /// The frame with its prologue done, as at every call. LLVM describes AArch64 and RISC-V functions wrongly from where a
    /// prologue that was sunk into a branch has been duplicated (only x86-64 has a pass that repairs this); but where it is right, all calls have
    /// the same frame: the largest, with everything saved.
    fn full_frame(
        &self,
        unwind: &mut UnwindContext<usize>,
        description: &gimli::FrameDescriptionEntry<Slice<'a>>,
        stack_pointer: u16,
    ) -> Result<Vec<u32>, String> {
        let failed = |error: gimli::Error| error.to_string();
        let mut rows = description.rows(&self.section, &self.bases, unwind).map_err(failed)?;
        let mut best: Option<Shape> = None;
        while let Some(row) = rows.next_row().map_err(failed)? {
            let shape = encode(row, description.cie().return_address_register())?;
            if best.as_ref().is_none_or(|best| shape.extent(stack_pointer) > best.extent(stack_pointer)) {
                best = Some(shape);
            }
        }
        // A frame with a call in it has saved its return address.
        let shape = best.filter(|shape| shape.saves_return_address).ok_or("the return address is not saved")?;
        Ok(shape.words)
    }
}

/// DWARF number of the stack pointer (psABI of each ISA).
fn stack_pointer(isa: Isa) -> u16 {
    match isa {
        Isa::X86_64 => 7,
        Isa::Aarch64 => 31,
        Isa::Riscv64 => 2,
    }
}

/// One encoded shape, and how much of a frame it describes.
struct Shape {
    words: Vec<u32>,
    cfa_register: u16,
    cfa_offset: i64,
    saves_return_address: bool,
}

impl Shape {
    /// Larger for what holds at more of the calls: a frame pointer stays where it is when the stack pointer moves on.
    fn extent(&self, stack_pointer: u16) -> (usize, bool, i64) {
        (self.words.len(), self.cfa_register != stack_pointer, self.cfa_offset)
    }
}

fn encode(row: &gimli::UnwindTableRow<usize>, return_register: gimli::Register) -> Result<Shape, String> {
    let &CfaRule::RegisterAndOffset { register, offset } = row.cfa() else {
        return Err(String::from("the frame's address is an expression"));
    };
    let mut saved = Vec::new();
    for (register, rule) in row.registers() {
        let offset = match rule {
            RegisterRule::Offset(offset) => *offset,
            RegisterRule::Undefined | RegisterRule::SameValue => continue,
            _ => return Err(format!("register {} is saved in an unknown way", register.0)),
        };
        let number = if *register == return_register { shape::RETURN_ADDRESS } else { u32::from(register.0) };
        saved.push(shape::saved(number, offset).ok_or("the frame is too large")?);
    }
    saved.sort_unstable();
    let saves_return_address = saved.iter().any(|&word| shape::unpack(word).0 == shape::RETURN_ADDRESS);
    let mut words = vec![u32::from(register.0) | (saved.len() as u32) << 16, offset as i32 as u32];
    words.extend(saved);
    Ok(Shape { words, cfa_register: register.0, cfa_offset: offset, saves_return_address })
}

fn serialize(isa: Isa, text: Range<u64>, sites: &[Site], points: &[Point], words: &[u32]) -> Vec<u8> {
    let header = size_of::<Descriptor>();
    let site_bytes = size_of_val(sites).next_multiple_of(8);
    let point_bytes = size_of_val(points);
    let total = header + site_bytes + point_bytes + size_of_val(words);
    let mut bytes = Vec::with_capacity(total);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&isa.number().to_le_bytes());
    let sites_at = DESCRIPTOR_BASE + header as u64;
    let points_at = sites_at + site_bytes as u64;
    let words_at = points_at + point_bytes as u64;
    let (site_count, point_count, word_count) = (sites.len() as u64, points.len() as u64, words.len() as u64);
    let fields =
        [text.start, text.end, sites_at, site_count, points_at, point_count, words_at, word_count, total as u64];
    for field in fields {
        bytes.extend_from_slice(&field.to_le_bytes());
    }
    for site in sites {
        for field in [site.return_address, site.resume, site.number, site.shape, site.locations] {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
    }
    bytes.resize(header + site_bytes, 0);
    for point in points {
        bytes.extend_from_slice(&point.address.to_le_bytes());
        bytes.extend_from_slice(&point.target.to_le_bytes());
    }
    for word in words {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    bytes
}
