//! pugixml, built by its own make: its own tests of an XML parser and of XPath, which use exceptions, setjmp and allocators that fail.

use anyhow::{Context, Result, ensure};
use maize_tests::{Checked, Compiler, ISAS, Outcome, Placement, Run, build_pugixml, fresh_directory};
use std::path::PathBuf;
use std::sync::LazyLock;

struct Built {
    program: PathBuf,
    source: PathBuf,
    /// What the native build prints.
    expected: Vec<u8>,
}

static BUILT: LazyLock<Result<Built, String>> = LazyLock::new(|| build().map_err(|error| format!("{error:#}")));

fn build() -> Result<Built> {
    let directory = fresh_directory(env!("CARGO_TARGET_TMPDIR"), "pugixml")?;
    let (native, source) = build_pugixml(Compiler::Gcc, &directory).context("with g++")?;
    let expected = Run::new(native).directory(source).run()?.succeeded()?.stdout;
    ensure!(String::from_utf8_lossy(&expected).starts_with("Success: "), "not even natively");
    let (program, source) = build_pugixml(Compiler::Maize, &directory).context("with maize c++")?;
    Ok(Built { program, source, expected })
}

fn run(placement: Placement) -> Result<Outcome> {
    let built = BUILT.as_ref().map_err(|error| anyhow::anyhow!("{error}"))?;
    Run::new(&built.program).directory(&built.source).placed(placement).run()?.printed(&built.expected)?.succeeded()
}

#[test]
fn its_own_tests_pass_on_each_isa() -> Result<()> {
    ISAS.iter().try_for_each(|isa| run(Placement::On(isa)).map(drop))
}

#[test]
fn its_own_tests_pass_with_moves_that_are_counted() -> Result<()> {
    (1..=2).try_for_each(|seed| run(Placement::Counted { seed, mean: 1500, limit: 200 })?.moved(20).map(drop))
}

#[test]
fn its_own_tests_pass_with_moves_at_any_time() -> Result<()> {
    (1..=2).try_for_each(|seed| run(Placement::hopping("3ms", Some(seed)))?.moved(1).map(drop))
}
