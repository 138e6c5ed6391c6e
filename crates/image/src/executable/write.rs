//! Puts a `Program` together as an ELF file.
//!
//! The file starts with a read-only segment of its own for ELF header and program headers, in the
//! page below the lowest load. Kernels before 5.18 and qemu-user compute `AT_PHDR` from the lowest
//! load, newer kernels from the load that holds the table: this place is right for all.

use super::program::{Place, Program, Section};
use maize_abi::layout::PAGE_SIZE;
use object::elf;
use object::write::StringId;
use object::write::elf::{FileHeader, ProgramHeader, SectionHeader, Writer};
use std::borrow::Cow;

const FILE_HEADER_SIZE: u64 = 64;
const PROGRAM_HEADER_SIZE: u64 = 56;
/// Sections that are not mapped need no more; larger wishes only make holes.
const LARGEST_LOOSE_ALIGNMENT: u64 = 16;

/// A finished file, and where things are in it.
pub(crate) struct Written {
    pub(crate) bytes: Vec<u8>,
    /// File offset of each load's data, in the order of `Program::loads`.
    pub(crate) loads: Vec<u64>,
    /// File offset of each section, in the order of `Program::sections`.
    pub(crate) sections: Vec<u64>,
}

/// Writes `program`, whose loads have been checked.
pub(crate) fn write(program: &Program<'_>) -> Result<Written, String> {
    let sections = with_names(&program.sections);
    let layout = Layout::of(program, &sections)?;
    let mut bytes = Vec::new();
    let mut writer = Writer::new(object::Endianness::Little, true, &mut bytes);
    let names = reserve(&mut writer, &sections, &layout)?;

    let text = |error: object::write::Error| error.to_string();
    writer
        .write_file_header(&FileHeader {
            os_abi: program.os_abi,
            abi_version: 0,
            e_type: elf::ET_EXEC,
            e_machine: program.isa.elf_machine(),
            e_entry: program.entry,
            e_flags: program.flags,
        })
        .map_err(text)?;
    writer.write_align_program_headers();
    write_program_headers(&mut writer, program, &layout);
    for (load, offset) in program.loads.iter().zip(&layout.loads) {
        writer.pad_until(position(*offset)?);
        writer.write(&load.data);
    }
    for (section, offset) in sections.iter().zip(&layout.sections) {
        if let Place::Loose(data) = &section.place {
            writer.pad_until(position(*offset)?);
            writer.write(data);
        }
    }
    writer.write_shstrtab();
    writer.write_null_section_header();
    for ((section, offset), name) in sections.iter().zip(&layout.sections).zip(names) {
        match section.place {
            Place::Names => writer.write_shstrtab_section_header(),
            _ => writer.write_section_header(&header(section, *offset, name)),
        }
    }
    Ok(Written { bytes, loads: layout.loads, sections: layout.sections })
}

/// File offsets.
struct Layout {
    /// Address of the headers' segment.
    headers: u64,
    headers_size: u64,
    program_headers: u32,
    loads: Vec<u64>,
    sections: Vec<u64>,
    /// Where section names may start.
    end: u64,
}

impl Layout {
    fn of(program: &Program<'_>, sections: &[Section<'_>]) -> Result<Layout, String> {
        // One each for PT_PHDR and the headers' own PT_LOAD.
        let count = program.loads.len() + program.marks.len() + 2;
        let headers_size = FILE_HEADER_SIZE + PROGRAM_HEADER_SIZE * count as u64;
        let lowest = program.loads.first().ok_or("it has nothing to load")?.address;
        let headers = (lowest / PAGE_SIZE * PAGE_SIZE)
            .checked_sub(headers_size.next_multiple_of(PAGE_SIZE))
            .filter(|address| *address > 0 && count < usize::from(elf::PN_XNUM))
            .ok_or("it has too many program headers")?;

        let mut position = headers_size;
        let mut loads = Vec::new();
        for load in &program.loads {
            // Each starts a page of the file, so that no load shows bytes of another one around it.
            let offset = position.next_multiple_of(PAGE_SIZE) + load.address % PAGE_SIZE;
            position = offset + load.data.len() as u64;
            loads.push(offset);
        }
        let mut offsets = Vec::new();
        for section in sections {
            offsets.push(match &section.place {
                Place::Loose(data) => {
                    let align = section.align.clamp(1, LARGEST_LOOSE_ALIGNMENT);
                    let offset = position.next_multiple_of(align);
                    position = offset + data.len() as u64;
                    offset
                }
                Place::Mapped | Place::Empty => mapped_offset(program, &loads, section.address),
                Place::Names => 0,
            });
        }
        let program_headers = u32::try_from(count).map_err(|error| error.to_string())?;
        Ok(Layout { headers, headers_size, program_headers, loads, sections: offsets, end: position })
    }
}

/// Where `address` is in the file; for zeros of a load the end of its bytes, for addresses that
/// nothing is mapped at 0.
fn mapped_offset(program: &Program<'_>, offsets: &[u64], address: u64) -> u64 {
    let load = program.loads.iter().zip(offsets).rev().find(|(load, _)| load.covers(address, 0));
    load.map_or(0, |(load, offset)| offset + (address - load.address).min(load.data.len() as u64))
}

/// Adds a section for the section names if there is none.
fn with_names<'s>(sections: &'s [Section<'_>]) -> Cow<'s, [Section<'s>]> {
    if sections.iter().any(|section| matches!(section.place, Place::Names)) {
        return Cow::Borrowed(sections);
    }
    let mut sections = sections.to_vec();
    sections.push(Section {
        name: Cow::Borrowed(b".shstrtab"),
        kind: elf::SHT_STRTAB,
        flags: 0,
        address: 0,
        size: 0,
        link: 0,
        info: 0,
        align: 1,
        entry_size: 0,
        place: Place::Names,
    });
    Cow::Owned(sections)
}

/// Tells the writer what will come, in order; returns the sections' names.
fn reserve<'s>(
    writer: &mut Writer<'s>,
    sections: &'s [Section<'_>],
    layout: &Layout,
) -> Result<Vec<Option<StringId>>, String> {
    writer.reserve_file_header();
    writer.reserve_program_headers(layout.program_headers);
    writer.reserve_null_section_index();
    let mut names = Vec::new();
    for section in sections {
        names.push(match section.place {
            Place::Names => {
                writer.reserve_shstrtab_section_index_with_name(&section.name);
                None
            }
            _ => {
                writer.reserve_section_index();
                Some(writer.add_section_name(&section.name))
            }
        });
    }
    writer.reserve_until(position(layout.end)?);
    writer.reserve_shstrtab();
    writer.reserve_section_headers();
    Ok(names)
}

fn write_program_headers(writer: &mut Writer<'_>, program: &Program<'_>, layout: &Layout) {
    let table = ProgramHeader {
        p_type: elf::PT_PHDR,
        p_flags: elf::PF_R,
        p_offset: FILE_HEADER_SIZE,
        p_vaddr: layout.headers + FILE_HEADER_SIZE,
        p_paddr: layout.headers + FILE_HEADER_SIZE,
        p_filesz: layout.headers_size - FILE_HEADER_SIZE,
        p_memsz: layout.headers_size - FILE_HEADER_SIZE,
        p_align: 8,
    };
    writer.write_program_header(&table);
    writer.write_program_header(&ProgramHeader {
        p_type: elf::PT_LOAD,
        p_offset: 0,
        p_vaddr: layout.headers,
        p_paddr: layout.headers,
        p_filesz: layout.headers_size,
        p_memsz: layout.headers_size,
        p_align: PAGE_SIZE,
        ..table
    });
    for (load, offset) in program.loads.iter().zip(&layout.loads) {
        writer.write_program_header(&ProgramHeader {
            p_type: elf::PT_LOAD,
            p_flags: load.flags,
            p_offset: *offset,
            p_vaddr: load.address,
            p_paddr: load.address,
            p_filesz: load.data.len() as u64,
            p_memsz: load.memory_size,
            p_align: PAGE_SIZE,
        });
    }
    for mark in &program.marks {
        writer.write_program_header(&ProgramHeader {
            p_type: mark.kind,
            p_flags: mark.flags,
            p_offset: mapped_offset(program, &layout.loads, mark.address),
            p_vaddr: mark.address,
            p_paddr: mark.address,
            p_filesz: mark.file_size,
            p_memsz: mark.memory_size,
            p_align: mark.align,
        });
    }
}

fn header(section: &Section<'_>, offset: u64, name: Option<StringId>) -> SectionHeader {
    SectionHeader {
        name,
        sh_type: section.kind,
        sh_flags: section.flags,
        sh_addr: section.address,
        sh_offset: offset,
        sh_size: section.size,
        sh_link: section.link,
        sh_info: section.info,
        sh_addralign: section.align,
        sh_entsize: section.entry_size,
    }
}

fn position(offset: u64) -> Result<usize, String> {
    usize::try_from(offset).map_err(|error| error.to_string())
}
