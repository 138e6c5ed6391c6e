//! Reads multi-ISA executables.

use super::compose::check_foreign;
use super::compression::expand;
use super::descriptor::Head;
use super::note::{Header, PartEntry};
use super::program::{Place, Program};
use super::standalone;
use crate::ImageError;
use maize_abi::Isa;
use maize_abi::image::IMAGE_SECTION_PREFIX;
use std::path::Path;

/// A multi-ISA executable that has been checked.
#[derive(Clone)]
pub struct Image {
    bytes: Vec<u8>,
    parts: Vec<PartEntry>,
    /// For each part, the ELF file that it is, expanded. Empty for x86-64, whose is the file.
    expanded: Vec<Vec<u8>>,
}

impl std::fmt::Debug for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Image").field("file_bytes", &self.bytes.len()).field("isas", &self.isas()).finish()
    }
}

impl Image {
    /// Reads and checks the file at `path`.
    ///
    /// # Errors
    /// [`ImageError::Read`] if it cannot be read; [`ImageError::InFile`] with an error of
    /// [`Self::parse`] if its contents are wrong.
    pub fn open(path: impl AsRef<Path>) -> Result<Image, ImageError> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|source| ImageError::Read { path: path.to_owned(), source })?;
        Image::parse(bytes).map_err(|fault| fault.in_file(path))
    }

    /// Checks a multi-ISA executable completely: what has been parsed is intact, and can be made
    /// standalone for each of its ISAs.
    ///
    /// # Errors
    /// [`ImageError::NotElf`], [`ImageError::NotMultiIsa`], [`ImageError::Version`],
    /// [`ImageError::WrongLength`], [`ImageError::Changed`], or [`ImageError::Malformed`] if the
    /// file is not what [`crate::compose`] makes.
    pub fn parse(bytes: impl Into<Vec<u8>>) -> Result<Image, ImageError> {
        let bytes = bytes.into();
        let (header, place) = Header::find(&bytes)?;
        header.check(&bytes, &place)?;
        check_parts(&header.parts)?;
        let mut image = Image { bytes, parts: header.parts, expanded: Vec::new() };
        check_sections(&image.program(Isa::X86_64)?, &image)?;
        for part in &image.parts {
            let frames = image.bytes.get(part.range.clone()).filter(|_| part.isa != Isa::X86_64);
            let whole = frames.map_or(Ok(Vec::new()), expand);
            image.expanded.push(whole.map_err(|reason| in_part(part.isa, &reason))?);
        }
        let native = image.program(Isa::X86_64)?;
        for isa in image.isas() {
            let program = image.program(isa)?;
            let wrong = |reason: String| in_part(isa, &reason);
            Head::of(&program).map_err(wrong)?;
            if isa != Isa::X86_64 {
                check_foreign(&program, &native.loads).map_err(wrong)?;
            }
        }
        Ok(image)
    }

    /// The ISAs the program can run on, x86-64 first.
    pub fn isas(&self) -> Vec<Isa> {
        self.parts.iter().map(|part| part.isa).collect()
    }

    /// A plain static ELF executable for `isa`, which Linux runs on that ISA and qemu-user elsewhere:
    /// the ISA's own text, private read-only data, descriptor, symbols and debug sections, and
    /// the data all ISAs share, everything at the addresses it has in the multi-ISA executable.
    ///
    /// # Errors
    /// [`ImageError::NoSuchIsa`] if the file has no code for `isa`.
    pub fn standalone(&self, isa: Isa) -> Result<Vec<u8>, ImageError> {
        let native = self.program(Isa::X86_64)?;
        let result = match isa {
            Isa::X86_64 => standalone::native(native),
            _ => standalone::foreign(self.program(isa)?, &native),
        };
        result.map_err(|reason| in_part(isa, &reason))
    }

    /// All bytes of the file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The part for `isa`: bytes of the file.
    pub(crate) fn part(&self, isa: Isa) -> Result<&PartEntry, ImageError> {
        self.parts.iter().find(|part| part.isa == isa).ok_or_else(|| {
            let names: Vec<_> = self.parts.iter().map(|part| part.isa.name()).collect();
            ImageError::NoSuchIsa { isa, available: names.join(", ") }
        })
    }

    /// The ELF file that holds the code for `isa`: for x86-64 the whole file.
    pub(crate) fn elf(&self, isa: Isa) -> Result<&[u8], ImageError> {
        if isa == Isa::X86_64 {
            return Ok(&self.bytes);
        }
        let part = self.part(isa)?;
        let index = self.parts.iter().position(|known| known == part);
        Ok(index.and_then(|index| self.expanded.get(index)).map_or(&[], Vec::as_slice))
    }

    /// The code for `isa` taken apart.
    pub(crate) fn program(&self, isa: Isa) -> Result<Program<'_>, ImageError> {
        Program::read(self.elf(isa)?, isa).map_err(|reason| in_part(isa, &reason))
    }
}

/// Something that is wrong with one ISA's part.
fn in_part(isa: Isa, reason: &str) -> ImageError {
    ImageError::malformed(format!("part for {}: {reason}", isa.name()))
}

/// Checks that parts do not overlap and that x86-64 is the first.
fn check_parts(parts: &[PartEntry]) -> Result<(), ImageError> {
    if !parts.first().is_some_and(|part| part.isa == Isa::X86_64 && part.range.start == 0) {
        return Err(ImageError::malformed("the first part is not x86_64's"));
    }
    for pair in parts.windows(2) {
        if pair[0].range.end > pair[1].range.start {
            let (first, second) = (pair[0].isa.name(), pair[1].isa.name());
            return Err(ImageError::malformed(format!("the parts for {first} and {second} overlap")));
        }
    }
    for (index, part) in parts.iter().enumerate() {
        if parts[..index].iter().any(|earlier| earlier.isa == part.isa) {
            return Err(ImageError::malformed(format!("there are two parts for {}", part.isa.name())));
        }
    }
    Ok(())
}

/// Checks that what the kernel maps is within x86-64's part, and that sections and header agree.
fn check_sections(native: &Program<'_>, image: &Image) -> Result<(), ImageError> {
    let offset = |data: &[u8]| (data.as_ptr() as usize).checked_sub(image.bytes.as_ptr() as usize);
    let end = image.part(Isa::X86_64)?.range.end;
    for load in native.loads.iter().filter(|load| !load.data.is_empty()) {
        if offset(&load.data).is_none_or(|start| start + load.data.len() > end) {
            return Err(ImageError::malformed(format!("the segment at {:#x} is not in x86_64's part", load.address)));
        }
    }
    for part in image.parts.iter().filter(|part| part.isa != Isa::X86_64) {
        let name = format!("{IMAGE_SECTION_PREFIX}{}", part.isa.name());
        let agrees = native.sections.iter().filter(|section| *section.name == *name.as_bytes()).any(|section| {
            matches!(&section.place, Place::Loose(data)
                if offset(data) == Some(part.range.start) && data.len() == part.range.len())
        });
        if !agrees {
            return Err(ImageError::malformed(format!("section {name} is not where the header says")));
        }
    }
    Ok(())
}
