//! Multi-ISA object files: an ordinary x86-64 ELF object that carries the other ISAs' objects in sections of its own.
//!
//! Bundling makes the ISAs' objects alike where linking needs it: executable sections of the same names in the
//! same order, each of the same size and alignment ([`align`]), so that the same link lays them out alike; and stack maps
//! become relocatable site sections ([`stack_map`]), which any linker can concatenate.

mod align;
mod groups;
mod stack_map;

pub use stack_map::{FUNCTION_HEADER, SITES_SECTION};

use groups::Ungrouped;
use maize_abi::Isa;
use maize_abi::image::{OBJECT_SECTION_PREFIX, OBJECT_VERSION_SECTION, VERSION};
use object::build::elf::{Builder, SectionData, Symbol};
use object::elf;
use object::read::elf::ElfFile64;
use object::{LittleEndian, Object, ObjectSection};
use std::collections::BTreeSet;

/// Why objects could not be bundled or taken apart.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// Not a well-formed ELF object.
    #[error("damaged object ({isa}): {message}; compile it again")]
    Malformed {
        /// Which ISA's part.
        isa: &'static str,
        /// What is wrong.
        message: String,
    },
    /// Objects of several ISAs do not correspond.
    #[error(
        "the objects of {isa} and x86_64 do not correspond: {message}; assembly files must define the same sections for every ISA"
    )]
    Different {
        /// The other ISA.
        isa: &'static str,
        /// What differs.
        message: String,
    },
    /// An object that `maize cc` did not make.
    #[error("no code for {isa} in this object: compile it with `maize cc`")]
    MissingIsa {
        /// The first ISA without code.
        isa: &'static str,
    },
    /// An object of another version of Maize.
    #[error("the object has format version {found}, this Maize reads version {VERSION}: compile it again")]
    Version {
        /// Its version.
        found: u32,
    },
}

fn malformed(isa: Isa, message: impl ToString) -> ObjectError {
    ObjectError::Malformed { isa: isa.name(), message: message.to_string() }
}

/// Makes one multi-ISA object of one relocatable object per ISA, x86-64 among them.
///
/// # Errors
/// [`ObjectError`], if an object is malformed or the objects do not correspond.
pub fn bundle(objects: &[(Isa, Vec<u8>)]) -> Result<Vec<u8>, ObjectError> {
    let ungrouped: Result<Vec<Ungrouped>, ObjectError> =
        objects.iter().map(|(isa, bytes)| Ungrouped::new(*isa, bytes)).collect();
    let ungrouped = ungrouped?;
    let mut parsed = Vec::new();
    for ((isa, _), object) in objects.iter().zip(&ungrouped) {
        let mut builder = Builder::read64(object.bytes.as_slice()).map_err(|error| malformed(*isa, error))?;
        stack_map::convert(*isa, &mut builder)?;
        parsed.push((*isa, builder));
    }
    align::align(&mut parsed)?;
    let mut carrier = None;
    let mut others = Vec::new();
    for ((isa, builder), object) in parsed.into_iter().zip(&ungrouped) {
        match isa {
            Isa::X86_64 => carrier = Some((builder, object)),
            _ => others.push((isa, builder, object)),
        }
    }
    let Some((mut carrier, carrier_object)) = carrier else {
        return Err(ObjectError::MissingIsa { isa: Isa::X86_64.name() });
    };
    for (_, other, _) in &others {
        add_undefined(&mut carrier, other);
    }
    add_section(&mut carrier, OBJECT_VERSION_SECTION, VERSION.to_le_bytes().to_vec(), 4);
    for (isa, other, object) in others {
        add_section(&mut carrier, &format!("{OBJECT_SECTION_PREFIX}{}", isa.name()), write(other, object)?, 8);
    }
    write(carrier, carrier_object)
}

/// The object of one ISA other than x86-64 within a multi-ISA object; x86-64's is the file itself.
///
/// # Errors
/// [`ObjectError`].
pub fn unbundle(bytes: &[u8], isa: Isa) -> Result<&[u8], ObjectError> {
    let file = ElfFile64::<LittleEndian>::parse(bytes).map_err(|error| malformed(Isa::X86_64, error))?;
    let version = file.section_by_name(OBJECT_VERSION_SECTION).and_then(|section| section.data().ok());
    let version: [u8; 4] = match version.map(TryInto::try_into) {
        Some(Ok(version)) => version,
        _ => return Err(ObjectError::MissingIsa { isa: isa.name() }),
    };
    let found = u32::from_le_bytes(version);
    if found != VERSION {
        return Err(ObjectError::Version { found });
    }
    let section = file.section_by_name(&format!("{OBJECT_SECTION_PREFIX}{}", isa.name()));
    let section = section.ok_or(ObjectError::MissingIsa { isa: isa.name() })?;
    section.data().map_err(|error| malformed(isa, error))
}

fn write(mut builder: Builder<'_>, object: &Ungrouped) -> Result<Vec<u8>, ObjectError> {
    // LLVM keeps the names of sections and symbols in one table.
    if !builder.sections.iter().any(|section| matches!(section.data, SectionData::SectionString)) {
        let names = builder.sections.add();
        names.name = ".shstrtab".into();
        names.sh_type = elf::SHT_STRTAB;
        names.sh_addralign = 1;
        names.data = SectionData::SectionString;
    }
    object.write(builder)
}

/// Adds a section that linkers leave out of their output.
fn add_section(builder: &mut Builder<'_>, name: &str, data: Vec<u8>, alignment: u64) {
    let section = builder.sections.add();
    section.name = name.as_bytes().to_vec().into();
    section.sh_type = elf::SHT_PROGBITS;
    section.sh_flags = u64::from(elf::SHF_EXCLUDE);
    section.sh_addralign = alignment;
    section.data = SectionData::Data(data.into());
}

/// Gives the carrier the undefined symbols that only another ISA's code has (helpers such as `fmod`), so
/// that archive members are taken for them when x86-64 is linked.
fn add_undefined(carrier: &mut Builder<'_>, other: &Builder<'_>) {
    let known: BTreeSet<Vec<u8>> = carrier.symbols.iter().map(|symbol| symbol.name.as_slice().to_vec()).collect();
    for symbol in other.symbols.iter().filter(|symbol| is_undefined(symbol) && !known.contains(symbol.name.as_slice()))
    {
        let added = carrier.symbols.add();
        added.name = symbol.name.as_slice().to_vec().into();
        added.set_st_info(elf::STB_GLOBAL, elf::STT_NOTYPE);
        added.st_shndx = elf::SHN_UNDEF;
    }
}

fn is_undefined(symbol: &Symbol<'_>) -> bool {
    symbol.section.is_none() && symbol.st_shndx == elf::SHN_UNDEF && !symbol.name.is_empty()
}
