//! COMDAT groups (gABI, "Section Groups") of an object that is taken apart and written anew.
//!
//! The library that edits objects does not know groups: before, their sections become ordinary ones; in what it has written, they
//! become groups again, with the numbers that sections and symbols have by then.

use super::{ObjectError, malformed};
use maize_abi::Isa;
use object::build::Id;
use object::build::elf::Builder;
use object::elf::{self, FileHeader64, SectionHeader64};
use object::read::elf::{FileHeader, SectionHeader};
use object::{LittleEndian, pod};
use std::collections::HashMap;
use std::mem::{offset_of, size_of};

type Header = FileHeader64<LittleEndian>;
type Section = SectionHeader64<LittleEndian>;

/// One group, by the numbers of the object as it was.
struct Group {
    section: usize,
    signature: usize,
    flags: u32,
    members: Vec<usize>,
}

/// An object whose groups are put aside.
pub struct Ungrouped {
    isa: Isa,
    /// The object, with sections that the library can edit.
    pub bytes: Vec<u8>,
    groups: Vec<Group>,
}

impl Ungrouped {
    /// Puts an object's groups aside.
    pub fn new(isa: Isa, object: &[u8]) -> Result<Ungrouped, ObjectError> {
        let failed = |error: object::read::Error| malformed(isa, error);
        let header = Header::parse(object).map_err(failed)?;
        let table = header.e_shoff.get(LittleEndian) as usize;
        let mut bytes = object.to_vec();
        let mut groups = Vec::new();
        for (index, section) in header.section_headers(LittleEndian, object).map_err(failed)?.iter().enumerate() {
            let mut changed = *section;
            if let Some((flags, members)) = section.group(LittleEndian, object).map_err(failed)? {
                let members = members.iter().map(|member| member.get(LittleEndian) as usize).collect();
                let signature = section.sh_info(LittleEndian) as usize;
                groups.push(Group { section: index, signature, flags, members });
                changed.sh_type.set(LittleEndian, elf::SHT_PROGBITS);
            } else if section.sh_type(LittleEndian) == elf::SHT_RELA {
                // LLVM leaves this out in groups.
                let flags = section.sh_flags(LittleEndian) | u64::from(elf::SHF_INFO_LINK);
                changed.sh_flags.set(LittleEndian, flags);
            }
            let at = table + index * size_of::<Section>();
            bytes[at..at + size_of::<Section>()].copy_from_slice(pod::bytes_of(&changed));
        }
        Ok(Ungrouped { isa, bytes, groups })
    }

    /// Writes the edited object, with its groups.
    pub fn write(&self, mut builder: Builder<'_>) -> Result<Vec<u8>, ObjectError> {
        builder.delete_orphans();
        // Sections and symbols get their numbers in order, from 1, local symbols first.
        let numbers = |ids: Vec<usize>| -> HashMap<usize, u32> { ids.into_iter().zip(1..).collect() };
        let sections = numbers(builder.sections.iter().map(|section| section.id().index()).collect());
        let (local, global): (Vec<_>, Vec<_>) =
            builder.symbols.iter().partition(|symbol| symbol.st_bind() == elf::STB_LOCAL);
        let symbols = numbers(local.into_iter().chain(global).map(|symbol| symbol.id().index()).collect());
        let mut bytes = Vec::new();
        builder.write(&mut bytes).map_err(|error| malformed(self.isa, error))?;
        for group in &self.groups {
            let written = write_group(&mut bytes, group, &sections, &symbols);
            written.ok_or_else(|| malformed(self.isa, "a section group names what is not there"))?;
        }
        Ok(bytes)
    }
}

fn write_group(
    bytes: &mut [u8],
    group: &Group,
    sections: &HashMap<usize, u32>,
    symbols: &HashMap<usize, u32>,
) -> Option<()> {
    let number = |numbers: &HashMap<usize, u32>, index: usize| numbers.get(&index.checked_sub(1)?).copied();
    let (section, signature) = (number(sections, group.section)?, number(symbols, group.signature)?);
    let table = Header::parse(&*bytes).ok()?.e_shoff.get(LittleEndian) as usize;
    let at = table + section as usize * size_of::<Section>();
    let header = bytes.get(at..at + size_of::<Section>())?;
    let (header, _) = pod::from_bytes::<Section>(header).ok()?;
    let content = header.sh_offset.get(LittleEndian) as usize;

    let mut put = |at: usize, value: u32| {
        bytes.get_mut(at..at + 4)?.copy_from_slice(&value.to_le_bytes());
        Some(())
    };
    put(at + offset_of!(Section, sh_type), elf::SHT_GROUP)?;
    put(at + offset_of!(Section, sh_info), signature)?;
    put(content, group.flags)?;
    for (place, &member) in (1..).zip(&group.members) {
        put(content + 4 * place, number(sections, member)?)?;
    }
    Some(())
}
