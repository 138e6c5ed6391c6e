//! zlib, configured and built by its own scripts: its own test program and minigzip.

use anyhow::{Context, Result};
use maize_tests::{Checked, Compiler, ISAS, Input, Placement, Run, build_zlib, compressible, fresh_directory};
use std::fs;

#[test]
fn example_and_minigzip_do_as_the_native_build_does() -> Result<()> {
    let directory = fresh_directory(env!("CARGO_TARGET_TMPDIR"), "zlib")?;
    let native = build_zlib(Compiler::Gcc, &directory).context("with gcc")?;
    let ours = build_zlib(Compiler::Maize, &directory).context("with maize cc")?;
    let plain = directory.join("plain");
    fs::write(&plain, compressible(30_000_000))?;
    let example = Run::new(native.join("example")).directory(&native).run()?.succeeded()?.stdout;
    let packed = Run::new(native.join("minigzip")).input(Input::File(plain.clone())).run()?.succeeded()?.stdout;
    let packed_file = directory.join("plain.gz");
    fs::write(&packed_file, &packed)?;

    let alone = ISAS.iter().map(|isa| Placement::On(isa));
    for placement in alone.chain([Some(1), Some(2)].map(|seed| Placement::hopping("20ms", seed))) {
        Run::new(ours.join("example"))
            .directory(&ours)
            .placed(placement.clone())
            .run()?
            .printed(&example)?
            .succeeded()?;
        let minigzip = Run::new(ours.join("minigzip")).placed(placement.clone());
        let compressed = minigzip.clone().input(Input::File(plain.clone())).run()?.printed(&packed)?.succeeded()?;
        let decompress = minigzip.arguments(["-d"]).input(Input::File(packed_file.clone()));
        decompress.run()?.printed(&fs::read(&plain)?)?.succeeded()?;
        if matches!(placement, Placement::Hopping { .. }) {
            compressed.moved(2)?;
        }
    }
    Ok(())
}
