//! Shared objects are not there (docs/dynamic.md), and whoever asks for one is told so.

use anyhow::Result;
use maize_tests::{Checked, Compiler, ISAS, Placement, Run, fresh_directory};

#[test]
fn a_program_that_asks_for_a_library_is_told_what_to_do() -> Result<()> {
    let directory = fresh_directory(env!("CARGO_TARGET_TMPDIR"), "dynamic")?;
    let program = Compiler::Maize.build_program("dynamic", &directory)?;
    for isa in ISAS {
        let expected =
            "libexample.so.1: programs of several ISAs load no libraries; link what it has into the program\n";
        Run::new(&program).placed(Placement::On(isa)).run()?.printed(expected.as_bytes())?.succeeded()?;
    }
    Ok(())
}
