//! Reading bytes as a snapshot either gives all of it or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use maize_snapshot::Reader;
use std::io;
use std::path::Path;

fuzz_target!(|bytes: &[u8]| {
    let nothing = |_: &Path| Err(io::ErrorKind::NotFound.into());
    let mut reader = match Reader::new(bytes, nothing, |_, image| {
        assert!(image.runs().all(|(_, pages)| !pages.is_empty()));
        Ok(())
    }) {
        Ok(reader) => reader,
        Err(_) => return,
    };
    let promised: u64 = reader.metadata().processes.iter().map(|process| process.pages.min(1 << 40)).sum();
    let mut found = 0;
    loop {
        match reader.next_piece() {
            Ok(Some(piece)) if piece.kind == maize_snapshot::Kind::Pages => found += piece.bytes.len() as u64,
            Ok(Some(_)) => {}
            Ok(None) => break assert_eq!(found, promised),
            Err(_) => break,
        }
    }
});
