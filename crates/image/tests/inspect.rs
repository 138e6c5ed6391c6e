//! The report says what the linker placed.

mod support;

use maize_abi::{Isa, layout};
use maize_image::{Image, Report, inspect, render_human};
use support::{FUNCTIONS, SITES, SLOT, TEXT, program};

fn report() -> Report {
    inspect(&Image::parse(program()).unwrap()).unwrap()
}

#[test]
fn functions_have_one_address_and_a_size_per_isa() {
    let report = report();
    let names: Vec<_> = report.functions.iter().map(|function| function.name.as_str()).collect();
    assert_eq!(names, FUNCTIONS);
    for (index, function) in report.functions.iter().enumerate() {
        assert_eq!((function.address, function.slot_bytes), (TEXT + index as u64 * SLOT, SLOT));
        assert_eq!(function.bytes.len(), 3);
        assert!(function.bytes.values().all(|size| (1..SLOT).contains(size)), "{function:?}");
    }
}

#[test]
fn padding_is_slots_less_sizes() {
    let report = report();
    for isa in &report.isas {
        let sizes: u64 = report.functions.iter().map(|function| function.bytes[&isa.isa]).sum();
        assert_eq!(isa.padding_bytes, FUNCTIONS.len() as u64 * SLOT - sizes);
        assert_eq!(isa.text_bytes, FUNCTIONS.len() as u64 * SLOT);
        assert_eq!(isa.functions, FUNCTIONS.len() as u64);
    }
}

#[test]
fn every_isa_has_its_tables_and_segments() {
    let report = report();
    assert_eq!(report.version, 1);
    assert_eq!(report.file_bytes, program().len() as u64);
    assert_eq!(report.isas.iter().map(|isa| isa.isa.as_str()).collect::<Vec<_>>(), Isa::ALL.map(Isa::name));
    for isa in &report.isas {
        assert_eq!((isa.call_sites, isa.entry, isa.text_start), (SITES, TEXT, TEXT));
        let descriptor = &isa.segments[0];
        assert_eq!((descriptor.address, descriptor.access.as_str()), (layout::DESCRIPTOR_BASE, "r--"));
        assert!(isa.segments.iter().any(|segment| segment.address <= TEXT && segment.access == "r-x"));
        assert!(isa.sections.iter().any(|section| section.name == ".debug_info" && !section.mapped));
        assert!(!isa.sections.iter().any(|section| section.name.starts_with(".maize.image")));
    }
    let parts: u64 = report.isas.iter().map(|isa| isa.file_bytes).sum();
    assert!(parts <= report.file_bytes && parts > report.file_bytes * 9 / 10);
}

#[test]
fn survives_json() {
    let report = report();
    let json = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
}

#[test]
fn people_see_a_line_per_isa_and_in_full_per_function() {
    let report = report();
    let short = render_human(&report, false);
    assert!(short.starts_with("multi-ISA executable for x86_64, aarch64, riscv64, "), "{short}");
    for isa in Isa::ALL {
        assert_eq!(short.lines().filter(|line| line.starts_with(isa.name())).count(), 1, "{short}");
    }
    let full = render_human(&report, true);
    for function in FUNCTIONS {
        assert_eq!(full.lines().filter(|line| line.split(' ').next() == Some(function)).count(), 1, "{full}");
    }
    assert!(full.lines().all(|line| line.trim_end() == line));
}
