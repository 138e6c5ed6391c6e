//! A static ELF executable taken apart: what is mapped where, and its sections. Reading is here,
//! `write` puts programs together again. Nothing here knows what a multi-ISA file is.
//!
//! ELF header and program headers are not content: the reader drops them and the writer makes new
//! ones. Sections keep their order, so that indices in symbol tables stay right.

use maize_abi::Isa;
use maize_abi::layout::PAGE_SIZE;
use object::LittleEndian as Le;
use object::elf;
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};
use std::borrow::Cow;

/// Everything that is mapped lies below this address: code and data are within reach of every
/// ISA's small code model, and the portable range is free.
pub(crate) const LOW_END: u64 = 1 << 31;
/// Where the first load may start; the page below it takes the headers.
const LOW_START: u64 = 0x2_0000;

/// A static executable.
#[derive(Clone, Debug)]
pub(crate) struct Program<'a> {
    pub(crate) isa: Isa,
    pub(crate) entry: u64,
    /// `e_flags`: on RISC-V the extensions and the floating-point ABI.
    pub(crate) flags: u32,
    pub(crate) os_abi: u8,
    /// `PT_LOAD`s by rising address; their pages do not overlap.
    pub(crate) loads: Vec<Load<'a>>,
    pub(crate) marks: Vec<Mark>,
    /// Without section 0.
    pub(crate) sections: Vec<Section<'a>>,
}

/// What one `PT_LOAD` maps.
#[derive(Clone, Debug)]
pub(crate) struct Load<'a> {
    /// `PF_*`.
    pub(crate) flags: u32,
    pub(crate) address: u64,
    pub(crate) data: Cow<'a, [u8]>,
    /// Bytes in memory; those after `data` are zero.
    pub(crate) memory_size: u64,
}

/// A program header that says something about mapped bytes or, without bytes, about the process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    /// `PT_*`.
    pub(crate) kind: u32,
    pub(crate) flags: u32,
    pub(crate) address: u64,
    pub(crate) file_size: u64,
    pub(crate) memory_size: u64,
    pub(crate) align: u64,
}

/// One section.
#[derive(Clone, Debug)]
pub(crate) struct Section<'a> {
    pub(crate) name: Cow<'a, [u8]>,
    /// `SHT_*`.
    pub(crate) kind: u32,
    /// `SHF_*`.
    pub(crate) flags: u64,
    pub(crate) address: u64,
    pub(crate) size: u64,
    pub(crate) link: u32,
    pub(crate) info: u32,
    pub(crate) align: u64,
    pub(crate) entry_size: u64,
    pub(crate) place: Place<'a>,
}

/// Where a section's bytes are.
#[derive(Clone, Debug)]
pub(crate) enum Place<'a> {
    /// In the load that covers its address.
    Mapped,
    /// In the file only.
    Loose(Cow<'a, [u8]>),
    /// Nowhere.
    Empty,
    /// The section names, which the writer makes.
    Names,
}

impl Load<'_> {
    /// Address after the last byte. Loads of a `Program` end below [`LOW_END`].
    pub(crate) fn end(&self) -> u64 {
        self.address + self.memory_size
    }

    pub(crate) fn is_text(&self) -> bool {
        self.flags & elf::PF_X != 0
    }

    pub(crate) fn is_writable(&self) -> bool {
        self.flags & elf::PF_W != 0
    }

    /// Whether `size` bytes at `address` are all in memory.
    pub(crate) fn covers(&self, address: u64, size: u64) -> bool {
        address >= self.address && address.checked_add(size).is_some_and(|end| end <= self.end())
    }

    /// The bytes at `address`, if all are in the file.
    pub(crate) fn bytes_at(&self, address: u64, size: u64) -> Option<&[u8]> {
        let start = usize::try_from(address.checked_sub(self.address)?).ok()?;
        self.data.get(start..start.checked_add(usize::try_from(size).ok()?)?)
    }
}

impl Mark {
    /// Whether the bytes it speaks of are among those `load` has in the file.
    pub(crate) fn is_in(&self, load: &Load<'_>) -> bool {
        load.bytes_at(self.address, self.file_size).is_some()
    }
}

impl<'a> Program<'a> {
    /// Takes apart the static executable `data`, which must be for `isa`.
    pub(crate) fn read(data: &'a [u8], isa: Isa) -> Result<Program<'a>, String> {
        let text = |error: object::read::Error| error.to_string();
        let header = elf::FileHeader64::<Le>::parse(data).map_err(text)?;
        header.endian().map_err(text)?;
        if header.e_type(Le) != elf::ET_EXEC {
            return Err("it is not a static executable (ET_EXEC)".into());
        }
        if header.e_machine(Le) != isa.elf_machine() {
            return Err(format!("it is for ELF machine {}, not {}", header.e_machine(Le), isa.elf_machine()));
        }
        let headers = header.program_headers(Le, data).map_err(text)?;
        if headers.iter().any(|h| matches!(h.p_type(Le), elf::PT_INTERP | elf::PT_DYNAMIC)) {
            return Err("it is dynamically linked".into());
        }
        let table = header.sections(Le, data).map_err(text)?;
        // 0 if there are no sections.
        let names = header.shstrndx(Le, data).map_or(0, |index| index as usize);

        let mut program = Program {
            isa,
            entry: header.e_entry(Le),
            flags: header.e_flags(Le),
            os_abi: header.e_ident.os_abi,
            loads: Vec::new(),
            marks: Vec::new(),
            sections: Vec::new(),
        };
        if header.e_phoff(Le) != size_of_val(header) as u64 {
            return Err("its program headers do not follow the ELF header".into());
        }
        let headers_end = header.e_phoff(Le).saturating_add(size_of_val(headers) as u64);
        for segment in headers.iter().filter(|h| h.p_type(Le) == elf::PT_LOAD) {
            let mut load = read_load(segment, data)?;
            if segment.p_offset(Le) < headers_end && segment.p_memsz(Le) != 0 {
                let first = table.iter().filter(|s| s.sh_flags(Le) & u64::from(elf::SHF_ALLOC) != 0);
                let first = first.filter(|s| s.sh_size(Le) != 0 && load.covers(s.sh_addr(Le), s.sh_size(Le)));
                let first = first.map(|s| s.sh_addr(Le)).min();
                drop_headers(&mut load, first, headers_end - segment.p_offset(Le));
            }
            if load.memory_size != 0 {
                program.loads.push(load);
            }
        }
        program.check_loads()?;
        program.marks = headers.iter().filter_map(|h| read_mark(h, &program.loads)).collect();
        for (index, section) in table.enumerate().skip(1) {
            let name = table.section_name(Le, section).map_err(text)?;
            let section = read_section(section, name, data, index.0 == names, &program.loads)
                .map_err(|reason| format!("section {}: {reason}", String::from_utf8_lossy(name)))?;
            program.sections.push(section);
        }
        program.keep_shared_names(names, data, table.iter().nth(names));
        Ok(program)
    }

    /// Sorts the loads and checks that they can all be mapped.
    pub(crate) fn check_loads(&mut self) -> Result<(), String> {
        self.loads.sort_by_key(|load| load.address);
        for load in &self.loads {
            if load.address < LOW_START || load.end() > LOW_END {
                return Err(format!("the segment at {:#x} is not within {LOW_START:#x}..{LOW_END:#x}", load.address));
            }
        }
        for pair in self.loads.windows(2) {
            // Mapping is by pages, so not even a page may be shared.
            if page(pair[0].end() - 1) >= page(pair[1].address) {
                return Err(format!(
                    "the segments at {:#x} and {:#x} overlap or share a page",
                    pair[0].address, pair[1].address
                ));
            }
        }
        let entry_in_text = self.loads.iter().any(|load| load.is_text() && load.covers(self.entry, 1));
        if !entry_in_text {
            return Err(format!("its entry point {:#x} is not in executable memory", self.entry));
        }
        Ok(())
    }

    /// If a symbol table uses the section names as its strings, the names stay as they are and the
    /// writer adds others.
    fn keep_shared_names(&mut self, names: usize, data: &'a [u8], header: Option<&'a elf::SectionHeader64<Le>>) {
        let shared = |s: &Section<'_>| s.kind == elf::SHT_SYMTAB && s.link as usize == names;
        if !self.sections.iter().any(shared) {
            return;
        }
        if let (Some(index), Some(header)) = (names.checked_sub(1), header)
            && let (Some(section), Ok(bytes)) = (self.sections.get_mut(index), header.data(Le, data))
        {
            section.place = Place::Loose(Cow::Borrowed(bytes));
        }
    }
}

fn page(address: u64) -> u64 {
    address / PAGE_SIZE
}

fn read_load<'a>(segment: &elf::ProgramHeader64<Le>, data: &'a [u8]) -> Result<Load<'a>, String> {
    let address = segment.p_vaddr(Le);
    let bytes = segment.data(Le, data).map_err(|()| format!("the segment at {address:#x} is not in the file"))?;
    let memory_size = segment.p_memsz(Le);
    if memory_size < bytes.len() as u64 || address.checked_add(memory_size).is_none() {
        return Err(format!("the segment at {address:#x} has an impossible size"));
    }
    Ok(Load { flags: segment.p_flags(Le), address, data: Cow::Borrowed(bytes), memory_size })
}

/// Takes the file's headers, `header_bytes` long, off the start of a load: its content starts at
/// `first`, or without sections right after the headers.
fn drop_headers(load: &mut Load<'_>, first: Option<u64>, header_bytes: u64) {
    let bytes = first.map_or(header_bytes, |first| first - load.address).min(load.memory_size);
    let in_file = usize::try_from(bytes).unwrap_or(usize::MAX).min(load.data.len());
    load.address += bytes;
    load.memory_size -= bytes;
    load.data = match &load.data {
        Cow::Borrowed(data) => Cow::Borrowed(&data[in_file..]),
        Cow::Owned(data) => Cow::Owned(data[in_file..].to_vec()),
    };
}

/// Keeps program headers that speak of mapped bytes or of none; drops those of bytes elsewhere
/// in the file (`PT_RISCV_ATTRIBUTES`), which nobody reads in an executable.
fn read_mark(header: &elf::ProgramHeader64<Le>, loads: &[Load<'_>]) -> Option<Mark> {
    let mark = Mark {
        kind: header.p_type(Le),
        flags: header.p_flags(Le),
        address: header.p_vaddr(Le),
        file_size: header.p_filesz(Le),
        memory_size: header.p_memsz(Le),
        align: header.p_align(Le),
    };
    let kept = !matches!(mark.kind, elf::PT_NULL | elf::PT_LOAD | elf::PT_PHDR)
        && (mark.file_size == 0 || loads.iter().any(|load| mark.is_in(load)));
    kept.then_some(mark)
}

fn read_section<'a>(
    header: &elf::SectionHeader64<Le>,
    name: &'a [u8],
    data: &'a [u8],
    is_names: bool,
    loads: &[Load<'_>],
) -> Result<Section<'a>, String> {
    let (kind, flags, address, size) =
        (header.sh_type(Le), header.sh_flags(Le), header.sh_addr(Le), header.sh_size(Le));
    let allocated = flags & u64::from(elf::SHF_ALLOC) != 0;
    let place = if is_names && !allocated {
        Place::Names
    } else if kind == elf::SHT_NOBITS || kind == elf::SHT_NULL || (allocated && size == 0) {
        Place::Empty
    } else {
        let bytes = header.data(Le, data).map_err(|_| "its bytes are not in the file")?;
        if allocated {
            // The very same bytes of the file: a section at another offset would show wrong contents.
            if !loads.iter().any(|load| load.bytes_at(address, size).is_some_and(|mapped| std::ptr::eq(mapped, bytes)))
            {
                return Err("it is to be in memory, but no segment holds it".into());
            }
            Place::Mapped
        } else {
            Place::Loose(Cow::Borrowed(bytes))
        }
    };
    Ok(Section {
        name: Cow::Borrowed(name),
        kind,
        flags,
        address,
        size,
        link: header.sh_link(Le),
        info: header.sh_info(Le),
        align: header.sh_addralign(Le),
        entry_size: header.sh_entsize(Le),
        place,
    })
}
