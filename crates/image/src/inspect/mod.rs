//! What a multi-ISA executable holds, for people (`render`) and as data (`report`).

mod functions;
mod render;
mod report;

pub use render::render_human;
pub use report::{FunctionReport, IsaReport, Report, SectionReport, SegmentReport};

use crate::executable::{Head, Place, Program};
use crate::{Image, ImageError};
use functions::Functions;
use maize_abi::Isa;
use object::elf;

/// Version of [`Report`] as data. New fields do not change it.
const REPORT_VERSION: u32 = 1;

/// Looks into a multi-ISA executable.
///
/// # Errors
/// [`ImageError::Malformed`] if a symbol table cannot be read. A file without symbol tables is no
/// error; its report lists no functions.
pub fn inspect(image: &Image) -> Result<Report, ImageError> {
    let (mut functions, mut isas) = (Functions::default(), Vec::new());
    for isa in image.isas() {
        let in_part = |reason| ImageError::malformed(format!("part for {}: {reason}", isa.name()));
        let program = image.program(isa)?;
        let head = Head::of(&program).map_err(in_part)?;
        functions.add(isa, image.elf(isa)?, &head.text).map_err(in_part)?;
        isas.push(IsaReport {
            isa: isa.name().to_owned(),
            entry: program.entry,
            file_bytes: image.part(isa)?.range.len() as u64,
            text_start: head.text.start,
            text_bytes: head.text.end.saturating_sub(head.text.start),
            padding_bytes: 0,
            functions: 0,
            call_sites: head.site_count,
            table_bytes: head.total_size,
            segments: segments(&program),
            sections: sections(&program, isa),
        });
    }
    let functions = functions.finish();
    for report in &mut isas {
        let sizes = functions.iter().map(|f| (f.slot_bytes, f.bytes.get(&report.isa)));
        for (slot, size) in sizes {
            report.functions += u64::from(size.is_some());
            report.padding_bytes += slot.saturating_sub(size.copied().unwrap_or(0));
        }
    }
    Ok(Report { version: REPORT_VERSION, file_bytes: image.bytes().len() as u64, isas, functions })
}

fn segments(program: &Program<'_>) -> Vec<SegmentReport> {
    let letter = |load_flags: u32, flag, letter| if load_flags & flag != 0 { letter } else { '-' };
    let report = program.loads.iter().map(|load| SegmentReport {
        address: load.address,
        memory_bytes: load.memory_size,
        file_bytes: load.data.len() as u64,
        access: [(elf::PF_R, 'r'), (elf::PF_W, 'w'), (elf::PF_X, 'x')]
            .map(|(flag, name)| letter(load.flags, flag, name))
            .iter()
            .collect(),
    });
    report.collect()
}

fn sections(program: &Program<'_>, isa: Isa) -> Vec<SectionReport> {
    let foreign = maize_abi::image::IMAGE_SECTION_PREFIX.as_bytes();
    // The other ISAs' parts are sections of the file, but not of x86-64's part.
    let own = program.sections.iter().filter(|s| isa != Isa::X86_64 || !s.name.starts_with(foreign));
    let own = own.filter(|s| !matches!(s.place, Place::Names));
    let report = own.map(|section| SectionReport {
        name: String::from_utf8_lossy(&section.name).into_owned(),
        address: section.address,
        bytes: section.size,
        mapped: section.flags & u64::from(elf::SHF_ALLOC) != 0,
    });
    report.collect()
}
