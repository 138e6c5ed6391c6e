//! Reading arbitrary text as a list of moves gives a list that is written as it was read but for names of ISAs, or an error.

#![no_main]

use libfuzzer_sys::fuzz_target;
use maize_node::{MoveList, Report};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(list) = text.parse::<MoveList>() {
        assert_eq!(list.to_string().parse::<MoveList>().as_ref(), Ok(&list));
        assert!(list.moves().is_sorted_by_key(|one| one.event));
    }
    // What `maize chaos` reads of each run.
    let _ = serde_json::from_str::<Report>(text);
});
