//! Whatever happens to a file, reading it gives an error and never a panic.

mod support;

use maize_abi::Isa;
use maize_image::executable::seal;
use maize_image::{Image, ImageError, inspect};
use std::process::Command;
use support::{install, program};

/// Where the header (the note's contents) starts in the file.
fn header(file: &[u8]) -> usize {
    let name = file.windows(12).position(|bytes| bytes == b"\x01\0\0\0Maize\0\0\0").unwrap();
    name + 12
}

fn set(file: &mut [u8], position: usize, value: u64) {
    file[position..position + 8].copy_from_slice(&value.to_le_bytes());
}

/// Offsets of the entry for one part in the header: `docs/format.md`.
fn entry(file: &[u8], index: usize) -> usize {
    header(file) + 24 + index * 24
}

fn reason(file: &[u8]) -> String {
    match Image::parse(file) {
        Err(ImageError::Malformed { reason }) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn any_flipped_bit_is_noticed() {
    let mut file = program().to_vec();
    for bit in (0..file.len() * 8).step_by(997) {
        file[bit / 8] ^= 1 << (bit % 8);
        assert!(Image::parse(file.as_slice()).is_err(), "bit {bit}");
        file[bit / 8] ^= 1 << (bit % 8);
    }
    Image::parse(file).unwrap();
}

#[test]
fn any_bit_of_the_header_is_protected() {
    let mut file = program().to_vec();
    let (start, end) = (header(&file), header(&file) + 24 + 3 * 24);
    for bit in start * 8..end * 8 {
        file[bit / 8] ^= 1 << (bit % 8);
        assert!(Image::parse(file.as_slice()).is_err(), "bit {bit}");
        file[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn any_other_length_is_noticed() {
    let file = program();
    for length in (0..1000).chain((1000..file.len()).step_by(61)) {
        let error = Image::parse(&file[..length]).unwrap_err();
        // Four bytes make an ELF file.
        let cut_off = matches!(error, ImageError::CutOff { .. } | ImageError::WrongLength { .. });
        assert!(cut_off || length < 4, "{length} bytes: {error}");
    }
    let mut longer = file.to_vec();
    longer.push(0);
    let error = Image::parse(longer).unwrap_err();
    assert!(matches!(error, ImageError::WrongLength { .. }), "{error}");
}

#[test]
fn another_version_is_refused_by_number() {
    let mut file = program().to_vec();
    let header = header(&file);
    file[header] = 77;
    let error = Image::parse(file).unwrap_err();
    assert!(matches!(error, ImageError::Version { found: 77, supported: 2 }), "{error}");
}

#[test]
fn other_files_are_refused_with_a_next_step() {
    for bytes in [&b""[..], b"#!/bin/sh\n", b"\x7fEL"] {
        let error = Image::parse(bytes).unwrap_err();
        assert!(matches!(error, ImageError::NotElf), "{error}");
    }
    let plain = Image::parse(program()).unwrap().standalone(Isa::X86_64).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let error = Image::open(install(directory.path(), "plain", &plain)).unwrap_err().to_string();
    assert!(error.ends_with("plain: the file is not a multi-ISA executable: build it with `maize cc`"), "{error}");
    let error = Image::open(directory.path().join("missing")).unwrap_err();
    assert!(matches!(error, ImageError::Read { .. }), "{error}");
    // A 32-bit and a big-endian ELF file.
    for (position, value) in [(4, 1), (5, 2)] {
        let mut file = program().to_vec();
        file[position] = value;
        assert!(matches!(Image::parse(file), Err(ImageError::NotMultiIsa)));
    }
}

#[test]
fn parts_that_overlap_or_leave_the_file_are_refused() {
    let file = program();
    let size = file.len() as u64;
    let (first, second) = (entry(file, 1), entry(file, 2));
    let value = |position: usize| u64::from_le_bytes(file[position..position + 8].try_into().unwrap());
    let changed = |position, value| {
        let mut file = file.to_vec();
        set(&mut file, position, value);
        file
    };
    for (position, value) in [(first + 8, size + 1), (first + 16, size), (first + 16, u64::MAX), (first + 8, u64::MAX)]
    {
        assert!(reason(&changed(position, value)).contains("not within the file"));
    }
    let sealed = |position, value| {
        let mut file = changed(position, value);
        seal(&mut file).unwrap();
        reason(&file)
    };
    assert!(sealed(first + 16, value(first + 16) + 1).contains("overlap"));
    assert!(sealed(second + 8, value(second + 8) - 16).contains("overlap"));
    assert!(sealed(first + 16, value(first + 16) - 1).contains("not where the header says"));
    assert!(sealed(entry(file, 0) + 16, value(entry(file, 0) + 16) / 4).contains("x86_64's part"));
    // ISA numbers, with the checksum field beside them, which `seal` fills in.
    assert!(sealed(first, 3).contains("two parts for riscv64"));
    assert!(sealed(entry(file, 0), 2).contains("first part"));
    assert!(reason(&changed(first, 99)).contains("99"));
    assert!(reason(&changed(header(file) + 16, 4)).contains("number of parts"));
}

#[test]
fn damage_under_a_right_checksum_never_panics() {
    let original = program();
    let (mut accepted, mut refused) = (0, 0);
    for position in (0..original.len()).step_by(7) {
        let mut file = original.to_vec();
        file[position] ^= [0xff, 0x01, 0x80, 0x10][position % 4];
        if seal(&mut file).is_err() {
            continue;
        }
        match Image::parse(file) {
            Ok(image) => {
                accepted += 1;
                let _ = inspect(&image);
                for isa in image.isas() {
                    // What parsing accepts can be made standalone.
                    image.standalone(isa).unwrap_or_else(|error| panic!("byte {position}: {error}"));
                }
            }
            Err(_) => refused += 1,
        }
    }
    // Both kinds must be there, or the test would show nothing.
    assert!(accepted > 100 && refused > 20, "{accepted} accepted, {refused} refused");
}

/// Bytes of the file that a part has, by its entry in the header.
fn range(file: &[u8], index: usize) -> std::ops::Range<usize> {
    let field = |offset: usize| u64::from_le_bytes(file[offset..offset + 8].try_into().unwrap()) as usize;
    let entry = entry(file, index);
    field(entry + 8)..field(entry + 8) + field(entry + 16)
}

/// The file with another part in the place of one. What the part's frame leaves is filled by a skippable frame (RFC 8878, section 3.1.2).
fn with_part(file: &[u8], index: usize, part: &[u8]) -> Vec<u8> {
    let mut frames = zstd::bulk::compress(part, 22).unwrap();
    let range = range(file, index);
    let left = range.len().checked_sub(frames.len() + 8).expect("it takes more room");
    frames.extend(0x184d_2a50_u32.to_le_bytes());
    frames.extend((left as u32).to_le_bytes());
    frames.resize(range.len(), 0);
    let mut file = file.to_vec();
    file[range].copy_from_slice(&frames);
    seal(&mut file).unwrap();
    file
}

#[test]
fn damage_within_a_compressed_part_never_panics() {
    let original = program();
    let part = zstd::decode_all(&original[range(original, 1)]).unwrap();
    Image::parse(with_part(original, 1, &part)).unwrap();
    let (mut accepted, mut refused) = (0, 0);
    for position in (0..part.len()).step_by(211).chain(0..512) {
        let mut part = part.clone();
        part[position] ^= [0xff, 0x01, 0x80, 0x10][position % 4];
        match Image::parse(with_part(original, 1, &part)) {
            Ok(image) => {
                accepted += 1;
                let _ = inspect(&image);
                image.standalone(Isa::Aarch64).unwrap_or_else(|error| panic!("byte {position}: {error}"));
            }
            Err(_) => refused += 1,
        }
    }
    assert!(accepted > 100 && refused > 20, "{accepted} accepted, {refused} refused");
}

#[test]
fn parts_that_cannot_be_expanded_are_refused() {
    let mut file = program().to_vec();
    let start = range(&file, 1).start;
    file[start] ^= 0xff;
    seal(&mut file).unwrap();
    assert!(reason(&file).contains("cannot be expanded"));
}

#[test]
fn stripped_files_still_run_and_are_refused_cleanly() {
    let directory = tempfile::tempdir().unwrap();
    let path = install(directory.path(), "program", program());
    support::run(Command::new("llvm-strip-22").arg(&path));
    support::check_run(Isa::X86_64, &path);
    let error = Image::open(&path).unwrap_err().to_string();
    assert!(error.contains("`strip`"), "{error}");
}
