//! Snapshots that build on others: pages of newer ones replace those of older ones, and what is missing, damaged or another one is named.

use maize_snapshot::{
    Base, Executable, Id, Image, LONGEST, Lineage, Metadata, Packs, Process, Reader, Relation, SnapshotError, Writer,
};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};

const PAGE: u64 = 4096;

/// Files by their names.
type Files = HashMap<PathBuf, Vec<u8>>;

fn metadata() -> Metadata {
    Metadata {
        main: 7,
        executables: vec![Executable { path: "/program".into(), size: 9, sha256: "00".repeat(32) }],
        processes: vec![Process { id: 7, isa: String::from("x86_64"), ..Process::default() }],
        relations: vec![Relation { id: 7, parent: 1, group: 7, session: 7, ..Relation::default() }],
        ..Metadata::default()
    }
}

fn id(number: u8) -> Id {
    Id([number; 16])
}

fn name(number: u8) -> PathBuf {
    PathBuf::from(format!("link-{number}"))
}

/// A snapshot with these pages, each filled with one byte.
fn link(number: u8, base: Option<u8>, pages: &[(u64, u8)]) -> Vec<u8> {
    let base = base.map(|base| Base { id: id(base), name: name(base) });
    let mut writer = Writer::new(Vec::new(), &Lineage { id: id(number), base }, Packs::When(|_| true)).unwrap();
    for &(page, byte) in pages {
        let mut image = Image::default();
        image.room()[..PAGE as usize].fill(byte);
        image.add(page * PAGE, 0..PAGE as usize);
        writer.image(7, &image).unwrap();
    }
    writer.metadata(&metadata()).unwrap();
    writer.end().unwrap();
    writer.into_output()
}

/// What the pages hold.
fn read(files: &Files, newest: u8) -> Result<BTreeMap<u64, u8>, SnapshotError> {
    let open = |name: &Path| files.get(name).map(Vec::as_slice).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound));
    let mut pages = BTreeMap::new();
    let mut reader = Reader::new(open(&name(newest)).unwrap(), open, |process, image| {
        assert_eq!(process, 7);
        pages.extend(image.runs().map(|(address, bytes)| (address / PAGE, bytes[0])));
        Ok(())
    })?;
    while reader.next_piece()?.is_some() {}
    Ok(pages)
}

fn three() -> Files {
    HashMap::from([
        (name(1), link(1, None, &[(1, 1), (2, 1), (3, 1)])),
        (name(2), link(2, Some(1), &[(2, 2), (2, 3), (4, 2)])),
        (name(3), link(3, Some(2), &[(1, 4)])),
    ])
}

#[test]
fn newer_pages_replace_older_ones() {
    let files = three();
    assert_eq!(read(&files, 1).unwrap(), BTreeMap::from([(1, 1), (2, 1), (3, 1)]));
    assert_eq!(read(&files, 2).unwrap(), BTreeMap::from([(1, 1), (2, 3), (3, 1), (4, 2)]));
    assert_eq!(read(&files, 3).unwrap(), BTreeMap::from([(1, 4), (2, 3), (3, 1), (4, 2)]));
}

#[test]
fn a_base_that_is_missing_or_another_one_is_named() {
    let mut files = three();
    files.insert(name(1), link(9, None, &[(1, 1)]));
    let error = read(&files, 3).unwrap_err();
    assert!(matches!(&error, SnapshotError::OtherBase(base) if *base == name(1)), "{error}");
    files.remove(&name(1));
    let error = read(&files, 3).unwrap_err();
    assert!(matches!(&error, SnapshotError::NoBase(base) if *base == name(1)), "{error}");
}

#[test]
fn a_base_that_is_damaged_or_cut_off_is_named() {
    let whole = three();
    for base in [1, 2] {
        let bytes = &whole[&name(base)];
        // What comes after the metadata of a base is not needed.
        let needed = bytes.len() - 40;
        for at in (0..needed).step_by(7) {
            let mut files = whole.clone();
            files.get_mut(&name(base)).unwrap()[at] ^= 0x10;
            let error = read(&files, 3).unwrap_err();
            let is_named = matches!(&error, SnapshotError::Base { name: found, .. } if *found == name(base));
            assert!(is_named, "byte {at} of {base}: {error}");
            files.insert(name(base), bytes[..at].to_vec());
            let error = read(&files, 3).unwrap_err();
            let is_named = matches!(&error, SnapshotError::Base { name: found, .. } if *found == name(base));
            assert!(is_named, "{at} bytes of {base}: {error}");
        }
    }
}

#[test]
fn images_of_a_base_that_are_left_out_are_noticed() {
    let mut files = three();
    let bytes = files[&name(1)].clone();
    let shorter = link(1, None, &[(1, 1), (2, 1)]);
    // All of them are stored in the same way.
    let image = bytes.len() - shorter.len();
    // Behind the heads of the file and of the lineage, and that.
    let first = 16 + 40 + 32;
    files.insert(name(1), [&bytes[..first], &bytes[first + image..]].concat());
    let error = read(&files, 3).unwrap_err();
    assert!(error.to_string().contains("sections are missing"), "{error}");
}

#[test]
fn chains_that_do_not_end_are_refused() {
    let mut files = three();
    files.insert(name(1), link(1, Some(3), &[]));
    let error = read(&files, 3).unwrap_err();
    assert!(matches!(error, SnapshotError::Loop(_)), "{error}");
    files.insert(name(1), link(1, Some(1), &[]));
    let error = read(&files, 3).unwrap_err();
    assert!(matches!(error, SnapshotError::Loop(_)), "{error}");
    let long = |count: u8| (0..=count).map(|number| (name(number), link(number, number.checked_sub(1), &[]))).collect();
    read(&long(LONGEST as u8), LONGEST as u8).unwrap();
    let error = read(&long(LONGEST as u8 + 1), LONGEST as u8 + 1).unwrap_err();
    assert!(matches!(error, SnapshotError::LongChain), "{error}");
}
