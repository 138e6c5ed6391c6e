//! Reading arbitrary bytes as a multi-ISA executable gives an image or an error: no panic, no
//! endless loop, no memory beyond a small multiple of the file. docs/format.md, section Reading.

#![no_main]

use libfuzzer_sys::fuzz_target;
use maize_image::executable::seal;
use maize_image::{Image, inspect, render_human};

fuzz_target!(|data: &[u8]| {
    let _ = Image::parse(data);
    // Nearly no input has right checksums by chance; with them the reader looks further.
    let mut sealed = data.to_vec();
    if seal(&mut sealed).is_err() {
        return;
    }
    let Ok(image) = Image::parse(sealed) else { return };
    for isa in image.isas() {
        // Promised: what parsing accepts can be made standalone.
        image.standalone(isa).expect("an accepted image can be made standalone");
        let _ = (image.sites(isa), image.points(isa));
    }
    if let Ok(report) = inspect(&image) {
        let _ = render_human(&report, true);
    }
});
