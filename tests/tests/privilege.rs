//! What nodes refuse to the programs on them, and the limits that these have: the same on every ISA, and wherever they have come to (docs/security.md).

use anyhow::{Context as _, Result, ensure};
use maize_tests::{Cluster, Compiler, ISAS, Journey, fresh_directory, maize, text};
use std::process::Command;

/// What the calls of `refused.c` end with, in its order.
const REFUSED: &str = "mount EPERM, umount2 EPERM, pivot_root EPERM, setns EPERM, unshare EPERM, unshare EPERM, settimeofday EPERM, \
     clock_settime EPERM, adjtimex EPERM, clock_adjtime EPERM, reboot EPERM, swapon EPERM, swapoff EPERM, \
     sethostname EPERM, setdomainname EPERM, acct EPERM, syslog EPERM, fanotify_init ENOSYS, \
     personality EPERM, open_tree ENOSYS, move_mount ENOSYS, fsopen ENOSYS, fsconfig ENOSYS, fsmount ENOSYS, \
     fspick ENOSYS, mount_setattr ENOSYS, quotactl ENOSYS, open_by_handle_at EPERM, kcmp EPERM, pidfd_getfd EPERM, \
     init_module ENOSYS, finit_module ENOSYS, delete_module ENOSYS, kexec_load ENOSYS, kexec_file_load ENOSYS, \
     bpf ENOSYS, perf_event_open ENOSYS, io_uring_setup ENOSYS, io_uring_enter ENOSYS, io_uring_register ENOSYS, \
     add_key ENOSYS, request_key ENOSYS, keyctl ENOSYS, ptrace ENOSYS, process_vm_readv ENOSYS, \
     process_vm_writev ENOSYS, socket EAFNOSUPPORT, socket EAFNOSUPPORT, socket EAFNOSUPPORT, \
     socketpair EAFNOSUPPORT, ioctl EPERM, ioctl EPERM, CAP_SYS_ADMIN 0, unshare done, personality done, socket done";

/// What it prints.
fn expected(rounds: usize) -> String {
    (0..rounds).map(|round| format!("{round}: {REFUSED}\n")).collect()
}

#[test]
fn the_same_calls_are_refused_on_every_isa() -> Result<()> {
    let Some(cluster) = Cluster::new(1)? else { return Ok(()) };
    let directory = fresh_directory(env!("CARGO_TARGET_TMPDIR"), "privilege-isas")?;
    let program = Compiler::Maize.build_program("refused", &directory)?.display().to_string();
    let hop = ["--hop", "x86_64,aarch64,riscv64", "--every", "20ms", "--seed", "5"];
    for isa in ISAS {
        let output = cluster.succeed(0, &["run", "--node", "a", "--isa", isa, &program])?;
        ensure!(output == expected(1), "{isa}: {output}");
    }
    let line = [&["run", "--node", "a"][..], &hop, &[&program, "100", "5000"]].concat();
    let output = cluster.succeed(0, &line)?;
    ensure!(output == expected(100), "while it moves: {output}");
    // Who runs a program without a node may do what it may.
    let output = text(&cluster.command(0, &["run", &program]).output()?.stdout);
    ensure!(output.contains("adjtimex done"), "filtered without a node: {output}");
    Ok(())
}

#[test]
fn they_are_refused_wherever_a_program_goes() -> Result<()> {
    let Some(journey) = Journey::new(env!("CARGO_TARGET_TMPDIR"), "privilege-moves", "refused", 3)? else {
        return Ok(());
    };
    let mut name = journey.start(0, &["300", "30000"])?;
    for to in ["b", "c", "a", "b", "a"] {
        journey.wait_for_progress(&name)?;
        name = journey.cluster.succeed(0, &["migrate", &name, "--to", to])?.trim().to_owned();
    }
    let said = journey.wait_for_end(&name)?;
    ensure!(said.status == 0 && said.output == expected(300), "{said:?}");
    Ok(())
}

/// As of a caller, by `prlimit`: none that the machines set by themselves.
const LIMITS: [&str; 7] = [
    "--cpu=5000:6000",
    "--fsize=1000000000:2000000000",
    "--data=8000000000:9000000000",
    "--stack=4194304:16777216",
    "--core=0:1000000",
    "--nofile=1500:3000",
    "--as=16000000000:17000000000",
];

/// Runs a command with these limits; what it prints.
fn limited(mut command: Command, words: &[&str]) -> Result<String> {
    let output = command.args(LIMITS).args(words).output().context("prlimit")?;
    ensure!(output.status.success(), "{words:?}: {}", text(&output.stderr));
    ensure!(output.stderr.is_empty(), "{words:?}: {}", text(&output.stderr));
    Ok(text(&output.stdout))
}

#[test]
fn a_program_has_the_limits_of_who_starts_it_wherever_it_goes() -> Result<()> {
    let Some(journey) = Journey::new(env!("CARGO_TARGET_TMPDIR"), "privilege-limits", "limits", 3)? else {
        return Ok(());
    };
    let (program, maize) = (journey.program.display().to_string(), maize().display().to_string());
    let expected = |rounds: &str| limited(Command::new("prlimit"), &[&program, rounds]);
    let run = |words: &[&str]| {
        let mut command = journey.cluster.network.command(0, "prlimit");
        command.env("MAIZE_NODE_DIR", journey.cluster.directory(0));
        limited(command, &[&[&*maize, "run", "--node"], words].concat())
    };
    ensure!(run(&["a", &program, "10"])? == expected("10")?, "on the same machine");
    ensure!(run(&["b", "--isa", "aarch64", &program, "10"])? == expected("10")?, "on an emulator");
    let mut name = run(&["a", "--detach", &program, "300", "30000"])?.trim().to_owned();
    for to in ["b", "c", "a", "b", "a"] {
        journey.wait_for_progress(&name)?;
        name = journey.cluster.succeed(0, &["migrate", &name, "--to", to])?.trim().to_owned();
    }
    let said = journey.wait_for_end(&name)?;
    ensure!(said.status == 0 && said.output == expected("300")?, "{said:?}");
    Ok(())
}

#[test]
fn a_program_that_may_have_few_files_stays_and_is_not_harmed() -> Result<()> {
    let Some(journey) = Journey::new(env!("CARGO_TARGET_TMPDIR"), "privilege-few", "limits", 2)? else {
        return Ok(());
    };
    let mut command = journey.cluster.network.command(0, "prlimit");
    command.env("MAIZE_NODE_DIR", journey.cluster.directory(0)).args(["--nofile=500:600", "--"]).arg(maize());
    let output =
        command.args(["run", "--node", "a", "--detach"]).arg(&journey.program).args(["200", "30000"]).output()?;
    let name = text(&output.stdout).trim().to_owned();
    journey.wait_for_progress(&name)?;
    journey.cluster.fail(0, &["migrate", &name, "--to", "b"], "too many files are open")?;
    let said = journey.wait_for_end(&name)?;
    let lines: Vec<&str> = said.output.lines().collect();
    ensure!(said.status == 0 && lines.len() == 200, "{said:?}");
    ensure!(lines[0].contains(" 7 1f4/258 ") && lines[199].contains(" 7 1ea/244 "), "{said:?}");
    Ok(())
}
