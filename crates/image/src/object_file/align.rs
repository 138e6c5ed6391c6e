//! Executable sections of the same size and alignment on every ISA.

use super::{ObjectError, malformed};
use maize_abi::Isa;
use object::build::ByteString;
use object::build::elf::{Builder, Section, SectionData, SectionId};
use object::elf;

/// What fills the room after a section's code: instructions that trap.
fn trap(isa: Isa) -> &'static [u8] {
    match isa {
        Isa::X86_64 => &[0xcc],
        Isa::Aarch64 => &[0x00, 0x00, 0x20, 0xd4],
        Isa::Riscv64 => &[0x02, 0x90],
    }
}

/// Pads every executable section to the largest size and alignment that any ISA needs.
pub fn align(objects: &mut [(Isa, Builder<'_>)]) -> Result<(), ObjectError> {
    let mut names: Option<Vec<Vec<u8>>> = None;
    let mut sections = Vec::new();
    for (isa, builder) in objects.iter() {
        let ids: Vec<SectionId> = builder.sections.iter().filter(|section| is_text(section)).map(Section::id).collect();
        let own: Vec<Vec<u8>> = ids.iter().map(|&id| builder.sections.get(id).name.as_slice().to_vec()).collect();
        match &names {
            Some(first) if *first != own => return Err(different(*isa, first, &own)),
            Some(_) => {}
            None => names = Some(own),
        }
        sections.push(ids);
    }
    let count = sections.first().map_or(0, Vec::len);
    for index in 0..count {
        let (mut size, mut alignment) = (0, 1);
        for ((_, builder), ids) in objects.iter().zip(&sections) {
            let section = builder.sections.get(ids[index]);
            size = size.max(data_of(section).len());
            alignment = alignment.max(section.sh_addralign);
        }
        // A multiple of every ISA's instruction size, for the trap instructions.
        let size = size.next_multiple_of(4);
        for ((isa, builder), ids) in objects.iter_mut().zip(&sections) {
            let section = builder.sections.get_mut(ids[index]);
            section.sh_addralign = alignment;
            pad(*isa, section, size)?;
        }
    }
    Ok(())
}

fn is_text(section: &Section<'_>) -> bool {
    section.sh_flags & u64::from(elf::SHF_EXECINSTR) != 0 && section.sh_flags & u64::from(elf::SHF_ALLOC) != 0
}

fn data_of<'a>(section: &'a Section<'_>) -> &'a [u8] {
    match &section.data {
        SectionData::Data(data) => data.as_slice(),
        _ => &[],
    }
}

fn pad(isa: Isa, section: &mut Section<'_>, size: usize) -> Result<(), ObjectError> {
    let mut data = data_of(section).to_vec();
    let trap = trap(isa);
    if !data.len().is_multiple_of(trap.len()) {
        return Err(malformed(isa, format!("{} ends within an instruction", text(section.name.clone()))));
    }
    while data.len() < size {
        data.extend_from_slice(trap);
    }
    section.data = SectionData::Data(data.into());
    Ok(())
}

fn text(name: ByteString<'_>) -> String {
    String::from_utf8_lossy(name.as_slice()).into_owned()
}

fn different(isa: Isa, first: &[Vec<u8>], own: &[Vec<u8>]) -> ObjectError {
    let place = first.iter().zip(own).position(|(left, right)| left != right).unwrap_or(first.len().min(own.len()));
    let name = |list: &[Vec<u8>]| {
        list.get(place).map_or(String::from("no further section"), |name| String::from_utf8_lossy(name).into_owned())
    };
    let message = format!("executable section {place} is {} and {}", name(own), name(first));
    ObjectError::Different { isa: isa.name(), message }
}
