//! Arbitrary bytes from another node are a message or an error: no panic, no memory beyond a small multiple of what came. What is a message is read as it was written.
//! docs/nodes.md, section Messages.

#![no_main]

use libfuzzer_sys::fuzz_target;
use maize_daemon::message::{
    FromDestination, FromProgram, LIMIT, Reply, Request, ToDestination, ToProgram, decode, receive, send,
};
use serde::{Serialize, de::DeserializeOwned};

fn check<T: Serialize + DeserializeOwned + std::fmt::Debug>(data: &[u8]) {
    if let Ok(message) = decode::<T>(data) {
        let mut bytes = Vec::new();
        if send(&mut bytes, &message).is_ok() {
            let again: T = receive(&mut &bytes[..], LIMIT).expect("its own message").expect("one message");
            assert_eq!(format!("{again:?}"), format!("{message:?}"));
        }
    }
    // With a length in front.
    let mut stream = data;
    while let Ok(Some(_)) = receive::<T>(&mut stream, LIMIT) {}
}

fuzz_target!(|data: &[u8]| {
    check::<Request>(data);
    check::<Reply>(data);
    check::<ToProgram>(data);
    check::<FromProgram>(data);
    check::<ToDestination>(data);
    check::<FromDestination>(data);
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = text.parse::<maize_daemon::Token>();
        let _ = text.parse::<maize_daemon::PublicKey>();
    }
});
