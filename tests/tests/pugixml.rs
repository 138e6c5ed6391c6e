//! pugixml, built by its own make: its own tests of an XML parser and of XPath, which use exceptions, setjmp and allocators that fail.

use anyhow::{Context, Result, ensure};
use maize_tests::{Checked, Compiler, ISAS, Outcome, Placement, Run, build_pugixml, fresh_directory};

#[test]
fn its_own_tests_pass_wherever_it_moves() -> Result<()> {
    let directory = fresh_directory(env!("CARGO_TARGET_TMPDIR"), "pugixml")?;
    let (native, source) = build_pugixml(Compiler::Gcc, &directory).context("with g++")?;
    let expected = Run::new(native).directory(source).run()?.succeeded()?.stdout;
    ensure!(String::from_utf8_lossy(&expected).starts_with("Success: "), "not even natively");
    let (program, source) = build_pugixml(Compiler::Maize, &directory).context("with maize c++")?;
    let run = |placement| -> Result<Outcome> {
        Run::new(&program).directory(&source).placed(placement).run()?.printed(&expected)?.succeeded()
    };
    ISAS.iter().try_for_each(|isa| run(Placement::On(isa)).map(drop))?;
    // It is over in a fraction of a second: moves are counted, too.
    for seed in 1..=2 {
        run(Placement::hopping("3ms", Some(seed)))?.moved(1)?;
        run(Placement::Counted { seed, mean: 1500, limit: 200 })?.moved(20)?;
    }
    Ok(())
}
