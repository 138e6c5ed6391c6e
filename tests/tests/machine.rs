//! Moves to and from a kernel of another ISA itself, instead of an emulator of programs: Debian's for AArch64 in a virtual machine, which is a node like any other (docs/nodes.md).

use anyhow::{Context as _, Result, ensure};
use maize_tests::{Journey, KERNELS, Kernel, text};
use std::time::Instant;

/// On AArch64 kernels have had it since Linux 6.10, and what else it takes before.
const TELLS_CHANGES: &str = "CONFIG_HAVE_ARCH_USERFAULTFD_WP";
/// What is said of a program that has ended, or is about to.
const ENDS: [&str; 4] = ["has ended", "executes another program", "no program", "cannot ask"];

/// Moves a program there and back until it ends; how often, and how often it waited there for a page. What it does is what it does natively, and its memory follows it by userfaultfd wherever the kernel that it comes from lets it go ahead.
fn there_and_back(kernel: &Kernel, test: &str, arguments: [u64; 4]) -> Result<Option<(usize, u64)>> {
    let Some(journey) = Journey::with_machine(env!("CARGO_TARGET_TMPDIR"), test, "large", kernel)? else {
        return Ok(None);
    };
    let arguments = arguments.map(|number| number.to_string());
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let expected = journey.natively(&arguments)?;
    let mut names = vec![journey.start(0, &arguments)?];
    for node in [1, 0].iter().cycle() {
        let began = Instant::now();
        let moving = journey.begin_move(names.last().context("no name")?, *node)?.wait_with_output()?;
        if !moving.status.success() {
            let reason = text(&moving.stderr);
            ensure!(ENDS.iter().any(|end| reason.contains(end)), "move {}: {reason}", names.len());
            break;
        }
        eprintln!("{test}: move {} took {:?}", names.len(), began.elapsed());
        names.push(text(&moving.stdout).trim().to_owned());
    }
    let moves = names.len() - 1;
    let last = names.pop().context("no name")?;
    let said = journey.wait_for_end(&last)?;
    said.ensure_is(&expected).with_context(|| format!("after {moves} moves of large {}", arguments.join(" ")))?;
    let tells_changes = kernel.has(TELLS_CHANGES)?;
    let mut faults = 0;
    // It left each of these when all of its memory had come there.
    for name in names.iter().skip(1) {
        let status = journey.status(name)?;
        eprintln!("{test}: {name}: {}", status["fetched"]);
        let is_expected = name.starts_with('b') || tells_changes;
        ensure!(status["fetched"].is_object() == is_expected, "{name}: {status}");
        if name.starts_with('b') {
            ensure!(status["fetched"]["bytes"].as_u64() > Some(0), "{name}: {status}");
            faults += status["fetched"]["faults"].as_u64().unwrap_or(0);
        }
    }
    Ok(Some((moves, faults)))
}

#[test]
#[ignore = "takes minutes; run by ./test --all"]
fn memory_follows_a_program_to_a_kernel_of_another_isa_and_back() -> Result<()> {
    for (index, package) in KERNELS.into_iter().enumerate() {
        let Some(kernel) = Kernel::find(package)? else { continue };
        let mut waits = 0;
        for arguments in [[31, 60, 200_000, 1], [32, 20, 120_000, 3]] {
            let test = format!("machine-{index}-{}", arguments[0]);
            let gone = there_and_back(&kernel, &test, arguments).context(package)?;
            let Some((moves, faults)) = gone else { return Ok(()) };
            ensure!(moves >= 2, "{package}, large {arguments:?}: {moves} moves");
            waits += faults;
        }
        ensure!(waits > 0, "{package}: no program ever waited for a page there");
    }
    Ok(())
}
