//! zstd, built by its own make: what it compresses is what the native build does, and what it decompresses is what was compressed; its own
//! fuzzers find nothing.
//!
//! Only decompression is tested unless tests may take minutes: compressing is ten times the code.

use anyhow::{Context, Result, ensure};
use maize_tests::{
    Checked, Compiler, ISAS, Input, Outcome, Package, Placement, Run, compressible, fresh_directory, thorough,
};
use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

/// Libraries for formats of others are there for the native build only.
const SETTINGS: [&str; 4] = ["HAVE_ZLIB=0", "HAVE_LZMA=0", "HAVE_LZ4=0", "ZSTD_LEGACY_SUPPORT=0"];
/// Without these the command has threads, and events of programs of several threads are not counted.
const ONE_THREAD: [&str; 2] = ["--single-thread", "--no-asyncio"];
const SIZE: usize = 3_000_000;

/// Natively all of zstd; ours, what decompresses, or all of it if tests may take minutes.
struct Built {
    native: PathBuf,
    ours: PathBuf,
    plain: PathBuf,
}

static BUILT: LazyLock<Result<Built, String>> = LazyLock::new(|| build().map_err(|error| format!("{error:#}")));

fn build() -> Result<Built> {
    let directory = fresh_directory(env!("CARGO_TARGET_TMPDIR"), "zstd")?;
    let with = |compiler: Compiler, targets: &[&str]| -> Result<PathBuf> {
        let directory = directory.join(compiler.name());
        fs::create_dir_all(&directory)?;
        let source = Package::Zstd.source().unpack(&directory)?;
        compiler.make(&source.join("programs"), &[&SETTINGS[..], &["-j2"], targets].concat())?;
        Ok(source)
    };
    let native = with(Compiler::Clang, &["CFLAGS=-O1", "zstd"]).context("with clang")?;
    let targets: &[&str] = if thorough() { &["zstd", "zstd-decompress"] } else { &["zstd-decompress"] };
    let ours = with(Compiler::Maize, targets).context("with maize cc")?;
    let plain = directory.join("plain");
    fs::write(&plain, compressible(SIZE))?;
    Ok(Built { native, ours, plain })
}

fn built() -> Result<&'static Built> {
    BUILT.as_ref().map_err(|error| anyhow::anyhow!("{error}"))
}

fn moves(outcome: &Outcome) -> usize {
    outcome.report.as_ref().map_or(0, |report| report.migrations.len())
}

fn compress(zstd: PathBuf, level: &str, options: &[&str]) -> Result<Run> {
    let run = Run::new(zstd).arguments(["-q", "-c", level]).arguments(options.iter().copied());
    Ok(run.input(Input::File(built()?.plain.clone())))
}

/// Decompresses, with `zstd-decompress`, what the native build has compressed at `level`; returns how often it moved.
fn decompress(level: &str, placement: &Placement) -> Result<usize> {
    let built = built()?;
    let plain = fs::read(&built.plain)?;
    let packed = compress(built.native.join("programs/zstd"), level, &[])?.run()?.succeeded()?.stdout;
    ensure!(packed.len() * 2 < plain.len(), "{} bytes of {}", packed.len(), plain.len());
    let run = Run::new(built.ours.join("programs/zstd-decompress")).arguments(["-q", "-d", "-c"]);
    let outcome = run.input(Input::Bytes(packed)).placed(placement.clone()).run()?.printed(&plain)?.succeeded()?;
    Ok(moves(&outcome))
}

#[test]
fn decompresses_what_was_compressed_elsewhere() -> Result<()> {
    for level in ["--fast=3", "-1", "-9", "-19"] {
        ISAS.iter().try_for_each(|isa| decompress(level, &Placement::On(isa)).map(drop))?;
        for seed in [1, 2] {
            let moves = decompress(level, &Placement::Counted { seed, mean: 40, limit: 30 })?;
            ensure!(moves >= 10, "only {moves} moves at level {level}");
        }
    }
    Ok(())
}

#[test]
#[ignore = "takes minutes; run by ./test --all"]
fn compresses_to_the_same_bytes() -> Result<()> {
    let built = built()?;
    let (native, ours) = (built.native.join("programs/zstd"), built.ours.join("programs/zstd"));
    let with_threads = compress(native.clone(), "-3", &[])?.run()?.succeeded()?.stdout;
    for isa in ISAS {
        compress(ours.clone(), "-3", &[])?.placed(Placement::On(isa)).run()?.printed(&with_threads)?.succeeded()?;
    }
    let with_threads = compress(native.clone(), "-16", &["-T3"])?.run()?.succeeded()?.stdout;
    for seed in 1..=3 {
        let run = compress(ours.clone(), "-16", &["-T3"])?.placed(Placement::hopping("50ms", Some(seed)));
        run.run()?.printed(&with_threads)?.moved(3)?;
    }
    for (seed, level) in (1..).zip(["--fast=3", "-1", "-4", "-6", "-9", "-13", "-16", "-19"]) {
        let packed = compress(native.clone(), level, &ONE_THREAD)?.run()?.succeeded()?.stdout;
        let moving = Placement::Counted { seed, mean: 100, limit: 30 };
        for placement in ISAS.map(Placement::On).into_iter().chain([moving]) {
            let hops = matches!(placement, Placement::Counted { .. });
            let outcome = compress(ours.clone(), level, &ONE_THREAD)?.placed(placement).run()?;
            let moves = moves(&outcome.printed(&packed)?.succeeded()?);
            ensure!(!hops || moves >= 10, "only {moves} moves at level {level}");
        }
    }
    Ok(())
}

/// `tests/fuzzer` and `tests/zstreamtest`, built without threads, from seeds of their own.
#[test]
#[ignore = "takes minutes; run by ./test --all"]
fn its_fuzzers_find_nothing() -> Result<()> {
    let tests = built()?.ours.join("tests");
    Compiler::Maize.make(&tests, &["-j2", "MULTITHREAD_CPP=", "MULTITHREAD_LD=", "fuzzer", "zstreamtest"])?;
    for (program, cases, mean) in [("fuzzer", "-i100", 2000), ("zstreamtest", "-i30", 300)] {
        let run = |placement: &Placement| {
            let run = Run::new(tests.join(program)).arguments(["-s4711", "-t1", cases]).placed(placement.clone());
            run.directory(&tests).run()?.succeeded()
        };
        for isa in ISAS {
            run(&Placement::On(isa))?;
        }
        for seed in [1, 2] {
            run(&Placement::Counted { seed, mean, limit: 60 })?.moved(60)?;
        }
    }
    Ok(())
}
