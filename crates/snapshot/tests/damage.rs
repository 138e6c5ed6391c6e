//! What has been written is read, and whatever is changed in it is noticed.

use maize_snapshot::{
    CHUNK, Content, Descriptor, Executable, File, FileKind, Image, Kind, Lineage, Metadata, Packs, Pipe, Process,
    Reader, Relation, SnapshotError, Terminal, VERSION, Writer,
};
use std::io;

fn metadata() -> Metadata {
    let process = Process {
        id: 7,
        isa: String::from("x86_64"),
        regions: 2,
        runs: 1,
        tables: 200,
        image: 1,
        pages: CHUNK as u64 + 4096,
        descriptors: vec![Descriptor { number: 3, close_on_exec: true, file: 0 }],
        times: [1, 2],
        ..Process::default()
    };
    let relation = Relation { id: 7, parent: 1, group: 7, session: 7, ..Relation::default() };
    Metadata {
        maize: String::from("0.1.0"),
        taken_ns: 1,
        monotonic_ns: 2,
        main: 7,
        arguments: vec![b"program".to_vec(), vec![0xff]],
        executables: vec![Executable { path: "/program".into(), size: 9, sha256: "00".repeat(32) }],
        processes: vec![process],
        relations: vec![relation],
        files: vec![File { flags: 1, offset: 0, kind: FileKind::Pipe { pipe: 0, writes: true } }],
        pipes: vec![Pipe { capacity: 65536, content: 0 }],
        terminals: vec![Terminal { number: 3, content: 0, ..Terminal::default() }],
        contents: vec![Content { size: 5 }],
    }
}

/// Memory some of which gets smaller.
fn pages() -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(1);
    (0..CHUNK + 4096).map(|index| if index < CHUNK { (index / 64) as u8 } else { random.u8(..) }).collect()
}

/// Two pages by their addresses.
const IMAGE: [(u64, u8); 2] = [(0x10_0000_0000, 5), (0x11_0000_0000, 6)];

fn write() -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), &Lineage::default(), Packs::When(|_| true)).unwrap();
    let mut image = Image::default();
    for (address, byte) in IMAGE {
        image.room()[..4096].fill(byte);
        image.add(address, 0..4096);
    }
    writer.image(7, &image).unwrap();
    writer.metadata(&metadata()).unwrap();
    writer.tables(0, &[3; 200]).unwrap();
    for (index, chunk) in pages().chunks(CHUNK).enumerate() {
        writer.pages(0, (index * CHUNK) as u64, chunk).unwrap();
    }
    writer.content(0, 0, b"hello").unwrap();
    let size = writer.end().unwrap();
    let bytes = writer.into_output();
    assert_eq!(bytes.len() as u64, size);
    bytes
}

fn read(bytes: &[u8]) -> Result<(Metadata, Vec<u8>), SnapshotError> {
    let mut reader = Reader::new(
        bytes,
        |_| Err(io::ErrorKind::NotFound.into()),
        |process, found| {
            let found: Vec<(u64, Vec<u8>)> = found.runs().map(|(address, pages)| (address, pages.to_vec())).collect();
            assert_eq!((process, found), (7, IMAGE.map(|(address, byte)| (address, vec![byte; 4096])).to_vec()));
            Ok(())
        },
    )?;
    let mut pages = Vec::new();
    while let Some(piece) = reader.next_piece()? {
        if piece.kind == Kind::Pages {
            assert_eq!(piece.start, pages.len() as u64);
            pages.extend(piece.bytes);
        }
    }
    Ok((reader.metadata().clone(), pages))
}

#[test]
fn what_is_written_is_read() {
    let (found, found_pages) = read(&write()).unwrap();
    assert_eq!((found, found_pages), (metadata(), pages()));
}

#[test]
fn a_part_of_a_snapshot_is_none() {
    let bytes = write();
    let step = bytes.len() / 200;
    for length in (0..bytes.len()).filter(|length| length % step == 0 || *length < 400 || bytes.len() - length < 200) {
        let error = read(&bytes[..length]).unwrap_err();
        let is_right = matches!(error, SnapshotError::Cut(_)) || length < 8 && matches!(error, SnapshotError::Other);
        assert!(is_right, "{length} bytes: {error}");
    }
    let error = read(&[&bytes[..], b"x"].concat()).unwrap_err();
    assert!(matches!(error, SnapshotError::Long(_)), "{error}");
}

#[test]
fn every_flipped_bit_is_noticed() {
    let bytes = write();
    let mut random = fastrand::Rng::with_seed(2);
    let drawn = (0..3000).map(|_| random.usize(..bytes.len() * 8)).collect::<Vec<_>>();
    for bit in (0..1600).chain(drawn) {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(read(&damaged).is_err(), "bit {bit} of {}", bytes.len() * 8);
    }
}

#[test]
fn damage_is_located() {
    let bytes = write();
    let mut damaged = bytes.clone();
    let at = bytes.len() - 2000;
    damaged[at] ^= 1;
    let Err(SnapshotError::Checksum(place)) = read(&damaged) else { panic!("no wrong checksum") };
    assert_eq!(place.kind, Kind::Pages);
    assert!((place.offset..place.offset + 10_000).contains(&(at as u64)), "{place}");
}

#[test]
fn sections_that_are_left_out_or_swapped_are_noticed() {
    let mut writer = Writer::new(Vec::new(), &Lineage::default(), Packs::When(|_| false)).unwrap();
    writer.metadata(&metadata()).unwrap();
    writer.tables(0, &[3; 200]).unwrap();
    writer.end().unwrap();
    let error = read(&writer.into_output()).unwrap_err();
    assert!(matches!(error, SnapshotError::Contradiction(_)), "{error}");
    let mut writer = Writer::new(Vec::new(), &Lineage::default(), Packs::When(|_| false)).unwrap();
    writer.metadata(&metadata()).unwrap();
    writer.pages(0, 4096, &[0; 4096]).unwrap();
    writer.end().unwrap();
    let error = read(&writer.into_output()).unwrap_err();
    assert!(matches!(error, SnapshotError::Contradiction(_)), "{error}");
    let mut writer = Writer::new(Vec::new(), &Lineage::default(), Packs::When(|_| false)).unwrap();
    writer.metadata(&metadata()).unwrap();
    let mut image = Image::default();
    for (address, byte) in IMAGE {
        image.room()[..4096].fill(byte);
        image.add(address, 0..4096);
    }
    writer.image(7, &image).unwrap();
    writer.end().unwrap();
    let error = read(&writer.into_output()).unwrap_err();
    assert!(matches!(error, SnapshotError::Contradiction(_)), "{error}");
}

#[test]
fn other_files_and_versions_are_refused() {
    assert!(matches!(read(b"\x7fELF and so on, quite long"), Err(SnapshotError::Other)));
    let mut bytes = write();
    let next = VERSION + 1;
    bytes[8..12].copy_from_slice(&next.to_le_bytes());
    assert!(matches!(read(&bytes), Err(SnapshotError::Version(version)) if version == next));
}
