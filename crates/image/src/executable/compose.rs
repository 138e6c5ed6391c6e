//! Makes a multi-ISA executable of the linker's output for each ISA.

use super::descriptor::Head;
use super::note::{Header, PartEntry, seal};
use super::program::{Load, Mark, Place, Program, Section};
use super::{DESCRIPTOR_SECTION, NOTE_SECTION, compression, write};
use crate::ImageError;
use maize_abi::Isa;
use maize_abi::image::IMAGE_SECTION_PREFIX;
use maize_abi::layout::DESCRIPTOR_BASE;
use object::elf;
use std::borrow::Cow;

/// What a multi-ISA executable is made of.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    /// One part per ISA, x86-64 first.
    pub isas: Vec<IsaPart>,
}

/// What the linker made for one ISA.
#[derive(Clone, Debug)]
pub struct IsaPart {
    /// The ISA.
    pub isa: Isa,
    /// A static, position-dependent ELF executable (`ET_EXEC`). That of x86-64 holds all data the
    /// program has; the others hold text, at the same addresses, and read-only data of their own.
    /// Symbol table and debug sections are kept.
    pub executable: Vec<u8>,
    /// The ISA's [`maize_abi::site_table::Descriptor`] with its tables, to be mapped at
    /// [`DESCRIPTOR_BASE`].
    pub descriptor: Vec<u8>,
}

/// Composes a multi-ISA executable, which Linux on x86-64 runs as it is. docs/format.md describes it.
///
/// # Errors
/// [`ImageError::Parts`] if x86-64 is not first or an ISA is given twice, [`ImageError::Linked`] and
/// [`ImageError::Descriptor`] if a part breaks the rules of the format.
pub fn compose(parts: Parts) -> Result<Vec<u8>, ImageError> {
    let wrong = |reason: String| ImageError::Parts { reason };
    let [native, foreign @ ..] = parts.isas.as_slice() else {
        return Err(wrong("there are no parts".into()));
    };
    if native.isa != Isa::X86_64 {
        return Err(wrong(format!("the first part is for {}", native.isa.name())));
    }
    for (index, part) in parts.isas.iter().enumerate() {
        if parts.isas[..index].iter().any(|earlier| earlier.isa == part.isa) {
            return Err(wrong(format!("there are two parts for {}", part.isa.name())));
        }
    }

    let mut file = with_descriptor(native, &Header::blank_note(parts.isas.len()))?;
    let native_loads = file.loads.clone();
    for part in foreign {
        let program = with_descriptor(part, &[])?;
        let linked = |reason| ImageError::Linked { isa: part.isa, reason };
        check_foreign(&program, &native_loads).map_err(linked)?;
        let whole = write(&program).map_err(linked)?.bytes;
        let compressed = compression::compress(&whole).map_err(linked)?;
        file.sections.push(foreign_section(part.isa, compressed));
    }
    finish(&file, &parts.isas)
}

/// Checks the rules that a part other than x86-64's must keep beside that part.
pub(super) fn check_foreign(program: &Program<'_>, native: &[Load<'_>]) -> Result<(), String> {
    if let Some(load) = program.loads.iter().find(|load| load.is_writable()) {
        return Err(format!("the segment at {:#x} is writable, but all variables are in x86_64's part", load.address));
    }
    let mut together = program.clone();
    together.loads.extend(common_loads(native).cloned());
    together.check_loads()
}

/// The loads of x86-64's part that every ISA maps: all data but the descriptor.
pub(super) fn common_loads<'p, 'a>(native: &'p [Load<'a>]) -> impl Iterator<Item = &'p Load<'a>> {
    native.iter().filter(|load| !load.is_text() && load.address != DESCRIPTOR_BASE)
}

/// The linker's output with the descriptor as a further segment, after which `note` follows.
fn with_descriptor<'a>(part: &'a IsaPart, note: &[u8]) -> Result<Program<'a>, ImageError> {
    let isa = part.isa;
    let linked = |reason| ImageError::Linked { isa, reason };
    let head = Head::read(&part.descriptor, isa).map_err(|reason| ImageError::Descriptor { isa, reason })?;
    if head.total_size != part.descriptor.len() as u64 {
        let reason = format!("it says it has {} bytes, but has {}", head.total_size, part.descriptor.len());
        return Err(ImageError::Descriptor { isa, reason });
    }
    let mut program = Program::read(&part.executable, isa).map_err(linked)?;
    let reserved = |s: &&Section<'_>| {
        [DESCRIPTOR_SECTION, NOTE_SECTION].iter().any(|name| *name == &*s.name)
            || s.name.starts_with(IMAGE_SECTION_PREFIX.as_bytes())
    };
    if let Some(section) = program.sections.iter().find(reserved) {
        return Err(linked(format!("it has a section {} already", String::from_utf8_lossy(&section.name))));
    }

    let mut data = part.descriptor.clone();
    program.sections.push(mapped_section(DESCRIPTOR_SECTION, elf::SHT_PROGBITS, 8, DESCRIPTOR_BASE, head.total_size));
    if !note.is_empty() {
        data.resize(data.len().next_multiple_of(8), 0);
        let (address, size) = (DESCRIPTOR_BASE + data.len() as u64, note.len() as u64);
        data.extend(note);
        program.sections.push(mapped_section(NOTE_SECTION, elf::SHT_NOTE, 4, address, size));
        let (kind, flags) = (elf::PT_NOTE, elf::PF_R);
        program.marks.push(Mark { kind, flags, address, file_size: size, memory_size: size, align: 4 });
    }
    let memory_size = data.len() as u64;
    program.loads.push(Load { flags: elf::PF_R, address: DESCRIPTOR_BASE, data: Cow::Owned(data), memory_size });
    program.check_loads().map_err(linked)?;
    Ok(program)
}

/// A read-only section that is mapped.
fn mapped_section(name: &'static [u8], kind: u32, align: u64, address: u64, size: u64) -> Section<'static> {
    Section {
        name: Cow::Borrowed(name),
        kind,
        flags: elf::SHF_ALLOC.into(),
        address,
        size,
        link: 0,
        info: 0,
        align,
        entry_size: 0,
        place: Place::Mapped,
    }
}

/// The section that holds the part of one further ISA, compressed.
fn foreign_section(isa: Isa, compressed: Vec<u8>) -> Section<'static> {
    Section {
        name: Cow::Owned(format!("{IMAGE_SECTION_PREFIX}{}", isa.name()).into_bytes()),
        kind: elf::SHT_PROGBITS,
        flags: 0,
        address: 0,
        size: compressed.len() as u64,
        link: 0,
        info: 0,
        align: 1,
        entry_size: 0,
        place: Place::Loose(Cow::Owned(compressed)),
    }
}

/// Writes the file and fills in its header.
fn finish(file: &Program<'_>, isas: &[IsaPart]) -> Result<Vec<u8>, ImageError> {
    let linked = |reason: String| ImageError::Linked { isa: Isa::X86_64, reason };
    let written = write(file).map_err(linked)?;
    let end_of = |offset: &u64, size: u64| (*offset + size) as usize;
    let loads = file.loads.iter().zip(&written.loads);
    let mut native_end = loads.map(|(load, offset)| end_of(offset, load.data.len() as u64)).max().unwrap_or(0);
    let (mut note, mut parts) = (None, Vec::new());
    for (section, offset) in file.sections.iter().zip(&written.sections) {
        let range = *offset as usize..end_of(offset, section.size);
        let foreign = section.name.strip_prefix(IMAGE_SECTION_PREFIX.as_bytes());
        if let Some(part) = foreign.and_then(|name| isas.iter().find(|part| part.isa.name().as_bytes() == name)) {
            parts.push(PartEntry { isa: part.isa, checksum: 0, range });
        } else if matches!(section.place, Place::Loose(_)) {
            native_end = native_end.max(range.end);
        } else if section.name == NOTE_SECTION {
            note = Some(range.start + Header::header_in_note());
        }
    }
    parts.insert(0, PartEntry { isa: Isa::X86_64, checksum: 0, range: 0..native_end });
    let mut bytes = written.bytes;
    let header = Header { checksum: 0, file_size: bytes.len() as u64, parts }.encode();
    let place = note.and_then(|start| bytes.get_mut(start..start + header.len()));
    place.ok_or_else(|| linked("its note has no place".into()))?.copy_from_slice(&header);
    seal(&mut bytes)?;
    Ok(bytes)
}
