//! Parts that break the rules of docs/format.md are refused, with the ISA at fault.

mod support;

use maize_abi::Isa;
use maize_image::{ImageError, Parts, compose};
use std::sync::OnceLock;
use support::Headers;

/// Index of aarch64's part.
const FOREIGN: usize = 1;

fn parts() -> Parts {
    static PARTS: OnceLock<Parts> = OnceLock::new();
    PARTS.get_or_init(|| support::parts(Headers::Apart)).clone()
}

/// What `compose` says of the parts that `change` makes.
fn fault(change: impl FnOnce(&mut Parts)) -> ImageError {
    let mut parts = parts();
    change(&mut parts);
    compose(parts).map(|file| file.len()).unwrap_err()
}

/// Offset of the program header with index `index` in a linker's output.
fn program_header(index: usize) -> usize {
    64 + index * 56
}

#[test]
fn the_list_of_parts_has_x86_64_first_and_no_isa_twice() {
    for error in [
        fault(|parts| parts.isas.clear()),
        fault(|parts| parts.isas.swap(0, 1)),
        fault(|parts| parts.isas[2] = parts.isas[1].clone()),
    ] {
        assert!(matches!(error, ImageError::Parts { .. }), "{error}");
    }
}

#[test]
fn executables_must_be_static_and_of_their_isa() {
    let linked = |error| match error {
        ImageError::Linked { isa: Isa::Aarch64, reason } => reason,
        other => panic!("{other}"),
    };
    let other_machine = linked(fault(|parts| parts.isas[FOREIGN].executable = parts.isas[0].executable.clone()));
    assert!(other_machine.contains("machine 62"), "{other_machine}");
    let position_independent = linked(fault(|parts| parts.isas[FOREIGN].executable[16] = 3));
    assert!(position_independent.contains("ET_EXEC"), "{position_independent}");
    let dynamic = linked(fault(|parts| parts.isas[FOREIGN].executable[program_header(2)] = 2));
    assert!(dynamic.contains("dynamically"), "{dynamic}");
    let entry = linked(fault(|parts| parts.isas[FOREIGN].executable[24 + 3] = 0x11));
    assert!(entry.contains("entry point"), "{entry}");
    let no_elf = linked(fault(|parts| parts.isas[FOREIGN].executable.truncate(10)));
    assert!(!no_elf.is_empty());
}

#[test]
fn only_x86_64_may_have_variables() {
    // Segments: headers, text, private rodata.
    let error = fault(|parts| parts.isas[FOREIGN].executable[program_header(2) + 4] = 6);
    assert!(error.to_string().contains("writable"), "{error}");
}

#[test]
fn segments_must_not_overlap_those_of_the_common_data() {
    // Text of three MiB in memory reaches x86-64's data.
    let error = fault(|parts| parts.isas[FOREIGN].executable[program_header(1) + 40 + 2] = 0x30);
    assert!(matches!(error, ImageError::Linked { isa: Isa::Aarch64, .. }), "{error}");
    assert!(error.to_string().contains("overlap"), "{error}");
}

#[test]
fn descriptors_must_be_of_their_isa_and_whole() {
    let faults = [
        fault(|parts| parts.isas[FOREIGN].descriptor[0] = 0),
        fault(|parts| parts.isas[FOREIGN].descriptor[8] = 200),
        fault(|parts| parts.isas[FOREIGN].descriptor[12] = 1),
        fault(|parts| parts.isas[FOREIGN].descriptor.truncate(20)),
        fault(|parts| parts.isas[FOREIGN].descriptor.truncate(100)),
        fault(|parts| parts.isas[FOREIGN].descriptor.push(0)),
        fault(|parts| parts.isas[FOREIGN].descriptor.clear()),
    ];
    for error in faults {
        assert!(matches!(error, ImageError::Descriptor { isa: Isa::Aarch64, .. }), "{error}");
    }
}

#[test]
fn a_multi_isa_executable_is_no_part() {
    let error = fault(|parts| parts.isas[0].executable = support::program().to_vec());
    assert!(error.to_string().contains(".maize.descriptor"), "{error}");
}
