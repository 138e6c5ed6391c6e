//! Files that name each other as bases, however they do: reading one of them ends, and reads each of the others once at most. Lineages and images are drawn from the input, and their
//! checksums are right, so that more than the first check is reached; then one byte of one file is changed, or none.
#![no_main]

use libfuzzer_sys::fuzz_target;
use maize_snapshot::{Base, Id, Image, Lineage, Packs, Reader, Writer};
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

const PAGE: usize = 4096;

fn name(index: u8) -> PathBuf {
    PathBuf::from(format!("link-{}", index % 8))
}

fn link([id, base, base_name, pages]: [u8; 4]) -> Vec<u8> {
    let base = (base > 0).then(|| Base { id: Id([base % 8; 16]), name: name(base_name) });
    let mut writer = Writer::new(Vec::new(), &Lineage { id: Id([id % 8; 16]), base }, Packs::When(|_| true)).unwrap();
    for page in 0..u64::from(pages % 4) {
        let mut image = Image::default();
        assert_eq!(image.add(page * PAGE as u64, &[pages; PAGE]), PAGE);
        writer.image(1, &image).unwrap();
    }
    writer.end().unwrap();
    writer.into_output()
}

fuzz_target!(|bytes: &[u8]| {
    let Some(([first, second, third, change], links)) = bytes.split_first_chunk::<4>() else { return };
    let (links, _) = links.as_chunks::<4>();
    let mut files: HashMap<PathBuf, Vec<u8>> =
        (0..8).zip(links).map(|(index, &numbers)| (name(index), link(numbers))).collect();
    if let Some(file) = files.get_mut(&name(*first)) {
        let at = usize::from(u16::from_le_bytes([*second, *third])) % file.len();
        file[at] ^= change;
    }
    let Some(newest) = files.get(&name(0)) else { return };
    let mut opened = Vec::new();
    let open = |name: &Path| {
        assert!(!opened.iter().any(|known| known == name) || opened.len() < 8, "one is read again and again");
        opened.push(name.to_owned());
        files.get(name).map(Vec::as_slice).ok_or_else(|| io::ErrorKind::NotFound.into())
    };
    // None of them has metadata.
    assert!(Reader::new(newest.as_slice(), open, |_, _| Ok(())).is_err());
});
