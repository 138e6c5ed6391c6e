//! Plain static executables for one ISA, made from a multi-ISA executable.

use super::compose::common_loads;
use super::descriptor::Head;
use super::program::{Mark, Place, Program, Section};
use super::{DESCRIPTOR_SECTION, NOTE_SECTION, write};
use maize_abi::image::IMAGE_SECTION_PREFIX;
use maize_abi::layout::DESCRIPTOR_BASE;
use object::elf;
use std::borrow::Cow;

/// x86-64's part alone: the file without its header and the other parts.
pub(super) fn native(mut program: Program<'_>) -> Result<Vec<u8>, String> {
    let size = Head::of(&program)?.total_size;
    let descriptor = program.loads.iter().find(|load| load.address == DESCRIPTOR_BASE).cloned();
    let is_in_descriptor = |mark: &Mark| descriptor.as_ref().is_some_and(|load| mark.is_in(load));
    program.marks.retain(|mark| !(mark.kind == elf::PT_NOTE && is_in_descriptor(mark)));
    for load in program.loads.iter_mut().filter(|load| load.address == DESCRIPTOR_BASE) {
        // The header follows the descriptor in the same segment.
        let kept = usize::try_from(size).map_err(|error| error.to_string())?.min(load.data.len());
        load.data = Cow::Owned(load.data[..kept].to_vec());
        load.memory_size = kept as u64;
    }
    // Only sections after all that symbols refer to go, so that section indices stay right.
    program
        .sections
        .retain(|section| section.name != NOTE_SECTION && !section.name.starts_with(IMAGE_SECTION_PREFIX.as_bytes()));
    Ok(write(&program)?.bytes)
}

/// The part of an ISA other than x86-64, with the data it shares with x86-64.
pub(super) fn foreign<'a>(mut program: Program<'a>, native: &Program<'a>) -> Result<Vec<u8>, String> {
    let common: Vec<_> = common_loads(&native.loads).cloned().collect();
    for mark in &native.marks {
        let describes_data = match mark.kind {
            elf::PT_TLS => true,
            elf::PT_GNU_RELRO => common.iter().any(|load| mark.is_in(load)),
            elf::PT_GNU_STACK => true,
            _ => false,
        };
        // What the ISA's own linker run said goes first.
        if describes_data && !program.marks.iter().any(|own| own.kind == mark.kind) {
            program.marks.push(*mark);
        }
    }
    for section in &native.sections {
        let shared = common.iter().any(|load| load.covers(section.address, section.size.max(1)));
        if shared && section.flags & u64::from(elf::SHF_ALLOC) != 0 && is_data(section) {
            let flags = section.flags & !u64::from(elf::SHF_LINK_ORDER | elf::SHF_INFO_LINK | elf::SHF_GROUP);
            program.sections.push(Section { link: 0, info: 0, flags, ..section.clone() });
        }
    }
    program.loads.extend(common);
    program.check_loads()?;
    Ok(write(&program)?.bytes)
}

/// Whether a section speaks of data, not of x86-64's code: debuggers would take x86-64's unwind
/// tables for this ISA's.
fn is_data(section: &Section<'_>) -> bool {
    const ABOUT_CODE: [&[u8]; 3] = [b".eh_frame", b".gcc_except_table", b".note"];
    !matches!(section.place, Place::Names | Place::Loose(_))
        && section.name != DESCRIPTOR_SECTION
        && !ABOUT_CODE.iter().any(|prefix| section.name.starts_with(prefix))
}
