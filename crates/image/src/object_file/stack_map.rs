//! LLVM's stack maps (version 3, llvm.org/docs/StackMaps.html) turned into one site section per function.
//!
//! LLVM writes one map per object, with the function's address beside its sites' offsets. A site section has
//! what the site table needs, in the table's own encoding, and relocations for two addresses:
//!
//! ```text
//! offset  size  field
//!      0     8  address of the function          (relocated)
//!      8     8  address of its resume clone      (relocated; the function itself if it is one)
//!     16     4  number of sites
//!     20     4  bytes of this section
//!     24        per site: u32 offset of the return address, u32 site number, u32 count, then that many locations
//! ```
//!
//! A location is as in [`maize_abi::site_table::location`], each followed by what that says.

use super::{ObjectError, malformed};
use maize_abi::Isa;
use maize_abi::site_table::location;
use maize_abi::symbols::RESUME_SUFFIX;
use object::build::Id;
use object::build::elf::{Builder, Relocation, SectionData, SectionId, SymbolId};
use object::elf;
use std::collections::HashMap;

/// Name of site sections, in objects and in the linker's output.
pub const SITES_SECTION: &str = ".maize.sites";
/// Bytes before a function's first site.
pub const FUNCTION_HEADER: usize = 24;

const STACK_MAP_SECTION: &[u8] = b".llvm_stackmaps";
const VERSION: u8 = 3;
const HEADER_SIZE: usize = 16;
const FUNCTION_SIZE: usize = 24;
const LOCATION_SIZE: usize = 12;
/// Calling convention, flags and count precede the operands of the bundle.
const FIRST_OPERAND: usize = 3;

/// The sites of one function as the stack map gives them.
struct FunctionSites {
    count: u32,
    encoded: Vec<u8>,
}

/// Index of a section and an offset in it.
type Place = (usize, u64);

/// Replaces the object's stack map, if it has one.
pub fn convert(isa: Isa, builder: &mut Builder<'_>) -> Result<(), ObjectError> {
    let Some(map) = builder.sections.iter().find(|section| section.name.as_slice() == STACK_MAP_SECTION) else {
        return Ok(());
    };
    let map_id = map.id();
    let SectionData::Data(data) = &map.data else { return Err(malformed(isa, "the stack map has no content")) };
    let functions = parse(isa, data.as_slice()).map_err(|message| malformed(isa, message))?;
    let addresses = function_addresses(builder, map_id);

    let places = functions_by_place(builder);
    let names: HashMap<&[u8], SymbolId> =
        builder.symbols.iter().map(|symbol| (symbol.name.as_slice(), symbol.id())).collect();
    let mut sites = Vec::new();
    for (index, function) in functions.iter().enumerate() {
        let place = addresses.get(&(HEADER_SIZE + index * FUNCTION_SIZE));
        let aliases = place.and_then(|place| places.get(place)).map_or(&[][..], Vec::as_slice);
        let Some(&symbol) = aliases.first() else {
            return Err(malformed(isa, "the stack map names an unknown function"));
        };
        let Some(resume) = resume_symbol(builder, &names, aliases) else {
            let name = String::from_utf8_lossy(builder.symbols.get(symbol).name.as_slice());
            return Err(malformed(isa, format!("{name} has sites but no resume clone")));
        };
        sites.push((symbol, resume, function));
    }
    let mut of_sections = section_symbols(builder);
    for (symbol, resume, function) in sites {
        let addresses = [symbol, resume].map(|symbol| place_of(builder, &mut of_sections, symbol));
        add_sites(isa, builder, addresses, function);
    }
    let relocations: Vec<SectionId> = relocations_of(builder, map_id);
    for id in relocations.into_iter().chain([map_id]) {
        builder.sections.get_mut(id).delete = true;
    }
    Ok(())
}

fn relocations_of(builder: &Builder<'_>, target: SectionId) -> Vec<SectionId> {
    builder
        .sections
        .iter()
        .filter(|section| section.sh_info_section == Some(target) && matches!(section.data, SectionData::Relocation(_)))
        .map(|section| section.id())
        .collect()
}

/// By offset in the stack map: the section and offset that is relocated to there.
fn function_addresses(builder: &Builder<'_>, map: SectionId) -> HashMap<usize, Place> {
    let mut addresses = HashMap::new();
    for id in relocations_of(builder, map) {
        let SectionData::Relocation(relocations) = &builder.sections.get(id).data else { continue };
        for relocation in relocations {
            let Some(symbol) = relocation.symbol.map(|symbol| builder.symbols.get(symbol)) else { continue };
            let Some(section) = symbol.section else { continue };
            let offset = symbol.st_value.wrapping_add_signed(relocation.r_addend);
            addresses.insert(relocation.r_offset as usize, (section.index(), offset));
        }
    }
    addresses
}

/// The symbols of each function, by the section and offset where it starts.
fn functions_by_place(builder: &Builder<'_>) -> HashMap<Place, Vec<SymbolId>> {
    let mut places: HashMap<_, Vec<SymbolId>> = HashMap::new();
    for symbol in builder.symbols.iter().filter(|symbol| symbol.st_type() == elf::STT_FUNC) {
        if let Some(section) = symbol.section {
            places.entry((section.index(), symbol.st_value)).or_default().push(symbol.id());
        }
    }
    places
}

/// The function's resume clone; among several names of one function (aliases), the one that has a clone counts.
fn resume_symbol(builder: &Builder<'_>, names: &HashMap<&[u8], SymbolId>, aliases: &[SymbolId]) -> Option<SymbolId> {
    aliases.iter().find_map(|&alias| {
        let name = builder.symbols.get(alias).name.as_slice();
        if name.ends_with(RESUME_SUFFIX.as_bytes()) {
            return Some(alias);
        }
        names.get([name, RESUME_SUFFIX.as_bytes()].concat().as_slice()).copied()
    })
}

/// A function's address, by its section's symbol: its own may mean a copy in another object, if this one's section group is dropped.
fn place_of(
    builder: &mut Builder<'_>,
    of_sections: &mut HashMap<Option<usize>, SymbolId>,
    function: SymbolId,
) -> (SymbolId, i64) {
    let symbol = builder.symbols.get(function);
    let (section, offset) = (symbol.section, symbol.st_value as i64);
    let id = *of_sections.entry(section.map(|section| section.index())).or_insert_with(|| {
        let added = builder.symbols.add();
        added.set_st_info(elf::STB_LOCAL, elf::STT_SECTION);
        added.section = section;
        added.id()
    });
    (id, offset)
}

fn section_symbols(builder: &Builder<'_>) -> HashMap<Option<usize>, SymbolId> {
    let symbols = builder.symbols.iter().filter(|symbol| symbol.st_type() == elf::STT_SECTION);
    symbols.map(|symbol| (symbol.section.map(|section| section.index()), symbol.id())).collect()
}

fn add_sites(isa: Isa, builder: &mut Builder<'_>, addresses: [(SymbolId, i64); 2], function: &FunctionSites) {
    let mut data = vec![0; 16];
    data.extend_from_slice(&function.count.to_le_bytes());
    let size = (FUNCTION_HEADER + function.encoded.len()).next_multiple_of(8);
    data.extend_from_slice(&(size as u32).to_le_bytes());
    data.extend_from_slice(&function.encoded);
    data.resize(size, 0);
    let section = builder.sections.add();
    section.name = SITES_SECTION.into();
    section.sh_type = elf::SHT_PROGBITS;
    section.sh_addralign = 8;
    section.data = SectionData::Data(data.into());
    let target = section.id();

    let r_type = match isa {
        Isa::X86_64 => elf::R_X86_64_64,
        Isa::Aarch64 => elf::R_AARCH64_ABS64,
        Isa::Riscv64 => elf::R_RISCV_64,
    };
    let relocation = |(r_offset, (symbol, r_addend))| Relocation { r_offset, symbol: Some(symbol), r_type, r_addend };
    let relocations = [0, 8].into_iter().zip(addresses).map(relocation).collect();
    let symbol_table = builder.sections.iter().find(|section| matches!(section.data, SectionData::Symbol));
    let symbol_table = symbol_table.map(|section| section.id());
    let section = builder.sections.add();
    section.name = [".rela", SITES_SECTION].concat().into_bytes().into();
    section.sh_type = elf::SHT_RELA;
    section.sh_flags = u64::from(elf::SHF_INFO_LINK);
    section.sh_addralign = 8;
    section.sh_entsize = 24;
    section.sh_link_section = symbol_table;
    section.sh_info_section = Some(target);
    section.data = SectionData::Relocation(relocations);
}

/// Reads little-endian numbers from a stack map.
struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl Reader<'_> {
    fn number<const SIZE: usize>(&mut self) -> Result<[u8; SIZE], String> {
        let bytes = self.bytes.get(self.position..self.position + SIZE);
        self.position += SIZE;
        bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| String::from("the stack map ends early"))
    }

    fn u16(&mut self) -> Result<u16, String> {
        self.number().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, String> {
        self.number().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, String> {
        self.number().map(u64::from_le_bytes)
    }

    fn align(&mut self) {
        self.position = self.position.next_multiple_of(8);
    }
}

fn parse(isa: Isa, bytes: &[u8]) -> Result<Vec<FunctionSites>, String> {
    let mut reader = Reader { bytes, position: 0 };
    let [version, ..] = reader.number::<4>()?;
    if version != VERSION {
        return Err(format!("the stack map has version {version}, not {VERSION}"));
    }
    let (function_count, constant_count, _) = (reader.u32()?, reader.u32()?, reader.u32()?);
    let mut counts = Vec::new();
    for _ in 0..function_count {
        let (_, _) = (reader.u64()?, reader.u64()?);
        counts.push(reader.u64()?);
    }
    let mut constants = Vec::new();
    for _ in 0..constant_count {
        constants.push(reader.u64()?);
    }
    let mut functions = Vec::new();
    for count in counts {
        let mut encoded = Vec::new();
        for _ in 0..count {
            parse_site(isa, &mut reader, &constants, &mut encoded)?;
        }
        functions.push(FunctionSites { count: count as u32, encoded });
    }
    Ok(functions)
}

/// The number of the register that is always zero, where there is one. A value said to be there is a constant; AArch64 gives that number to the
/// stack pointer too, but no value is there.
fn zero_register(isa: Isa) -> Option<u16> {
    match isa {
        Isa::X86_64 => None,
        Isa::Aarch64 => Some(31),
        Isa::Riscv64 => Some(0),
    }
}

fn parse_site(isa: Isa, reader: &mut Reader<'_>, constants: &[u64], encoded: &mut Vec<u8>) -> Result<(), String> {
    let number = reader.u64()? as u32;
    let offset = reader.u32()?;
    let (_, count) = (reader.u16()?, usize::from(reader.u16()?));
    let first = reader.position;
    let mut put = |word: u32| encoded.extend_from_slice(&word.to_le_bytes());
    put(offset);
    put(number);
    put(count.saturating_sub(FIRST_OPERAND) as u32);
    for index in FIRST_OPERAND..count {
        reader.position = first + index * LOCATION_SIZE;
        let [kind, _] = reader.number::<2>()?;
        let (_, register, _) = (reader.u16()?, reader.u16()?, reader.u16()?);
        let offset = reader.u32()? as i32;
        match kind {
            1 if Some(register) == zero_register(isa) => [location::CONSTANT, 0, 0].into_iter().for_each(&mut put),
            1 => put(location::register(register.into())),
            3 => put(location::memory(register.into(), offset).ok_or("a stack frame is too large")?),
            4 | 5 => {
                let constant =
                    if kind == 4 { Some(i64::from(offset) as u64) } else { constants.get(offset as usize).copied() };
                let constant = constant.ok_or("a constant is missing")?;
                put(location::CONSTANT);
                put(constant as u32);
                put((constant >> 32) as u32);
            }
            kind => return Err(format!("a live value has a location of kind {kind}")),
        }
    }
    reader.position = first + count * LOCATION_SIZE;
    reader.align();
    let (_, live_outs) = (reader.u16()?, usize::from(reader.u16()?));
    reader.position += 4 * live_outs;
    reader.align();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stack map of one function with one site, whose only value is in a register.
    fn map(register: u16) -> Vec<u8> {
        let mut bytes = vec![VERSION, 0, 0, 0];
        [1u32, 0, 1].iter().for_each(|number| bytes.extend(number.to_le_bytes()));
        [0u64, 0, 1].iter().for_each(|number| bytes.extend(number.to_le_bytes()));
        bytes.extend(7u64.to_le_bytes());
        bytes.extend(20u32.to_le_bytes());
        [0u16, 4].iter().for_each(|number| bytes.extend(number.to_le_bytes()));
        for (kind, register) in [(4, 0), (4, 0), (4, 0), (1, register)] {
            bytes.extend([kind, 0]);
            [8u16, register, 0].iter().for_each(|number| bytes.extend(number.to_le_bytes()));
            bytes.extend(0i32.to_le_bytes());
        }
        bytes.extend([0; 8]);
        bytes
    }

    #[test]
    fn what_is_in_a_zero_register_is_zero() {
        let zero = [location::CONSTANT, 0, 0];
        for (isa, register, expected) in [
            (Isa::Aarch64, 31, &zero[..]),
            (Isa::Riscv64, 0, &zero),
            (Isa::X86_64, 0, &[location::register(0)]),
            (Isa::Aarch64, 0, &[location::register(0)]),
            (Isa::Riscv64, 31, &[location::register(31)]),
        ] {
            let functions = parse(isa, &map(register)).unwrap();
            let words = functions[0].encoded.chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().unwrap()));
            assert_eq!(words.collect::<Vec<_>>(), [&[20, 7, 1], expected].concat(), "{} {register}", isa.name());
        }
    }
}
