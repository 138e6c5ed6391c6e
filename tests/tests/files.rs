//! Programs that see the files of the node they were started from, wherever they are.

use anyhow::{Context as _, Result, ensure};
use maize_tests::{Journey, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Of the first node's directory, which is a file system of its own.
const MOUNTED: &str = "mounted";

/// Three nodes of which the first has the files. For what is to be compared there is a directory that the others have, too, where they have others: none; in it
/// the first has one that is a file system of its own, [`MOUNTED`].
fn journey(test: &str) -> Result<Option<(Journey, PathBuf)>> {
    if !Path::new("/dev/fuse").exists() {
        eprintln!("skipped: there is no /dev/fuse");
        return Ok(None);
    }
    let Some(mut journey) = Journey::new(env!("CARGO_TARGET_TMPDIR"), test, "home", 3)? else { return Ok(None) };
    let kept = journey.directory.join("kept");
    let mounted = kept.join(MOUNTED);
    fs::create_dir_all(&mounted)?;
    for (node, directory) in [(0, &mounted), (1, &kept), (2, &kept)] {
        journey.cluster.succeed(node, &["node", "stop"])?;
        journey.cluster.hide(node, directory);
        journey.start_daemon(node, &[])?;
    }
    for node in [1, 2] {
        journey.cluster.wait_for_state(0, node, "ready")?;
        journey.cluster.wait_for_state(node, 0, "ready")?;
    }
    Ok(Some((journey, kept)))
}

/// Starts the program on the second node, from the first.
fn start(journey: &Journey, arguments: &[&str]) -> Result<String> {
    let program = journey.program.display().to_string();
    let line = [&["run", "--node", "b", "--isa", "aarch64", "--home-files", "--detach", &program], arguments].concat();
    Ok(journey.cluster.succeed(0, &line)?.trim().to_owned())
}

/// What is in a directory: by name, its mode, and what it holds or where it leads.
fn contents(directory: &Path) -> Result<BTreeMap<PathBuf, (u32, Vec<u8>)>> {
    use std::os::unix::fs::MetadataExt as _;
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let (path, metadata) = (entry.path(), entry.metadata()?);
        let name = PathBuf::from(entry.file_name());
        let held = match metadata.file_type() {
            kind if kind.is_dir() => {
                for (below, what) in contents(&path)? {
                    found.insert(name.join(below), what);
                }
                Vec::new()
            }
            kind if kind.is_symlink() => fs::read_link(&path)?.into_os_string().into_encoded_bytes(),
            _ => fs::read(&path)?,
        };
        found.insert(name, (metadata.mode(), held));
    }
    Ok(found)
}

#[test]
fn a_program_has_its_home_s_files_wherever_it_is() -> Result<()> {
    let Some((journey, kept)) = journey("files-moving")? else { return Ok(()) };
    let (natively, moving) = (kept.join("natively"), kept.join(MOUNTED).join("moving"));
    let at_home = Path::new("/proc").join(journey.cluster.daemon(0).context("no daemon")?.to_string()).join("root");
    let left = at_home.join(moving.strip_prefix("/")?);
    fs::create_dir(&natively)?;
    fs::create_dir(&left)?;
    let expected = journey.natively(&[&natively.display().to_string(), "400"])?;
    ensure!(expected.status == 4, "{expected:?}");
    let mut name = start(&journey, &[&moving.display().to_string(), "400", "30000"])?;
    for to in ["c", "a", "b", "a", "c", "b"] {
        journey.wait_for_progress(&name)?;
        name = journey.cluster.succeed(0, &["migrate", &name, "--to", to])?.trim().to_owned();
    }
    journey.wait_for_end(&name)?.ensure_is(&expected)?;
    let (found, wanted) = (contents(&left)?, contents(&natively)?);
    ensure!(found.keys().eq(wanted.keys()), "{:?} instead of {:?}", found.keys(), wanted.keys());
    for (path, what) in &found {
        ensure!(Some(what) == wanted.get(path), "{} is another", path.display());
    }
    ensure!(!found.is_empty(), "nothing to compare");
    Ok(())
}

#[test]
fn without_them_what_is_missing_is_said() -> Result<()> {
    let Some((journey, kept)) = journey("files-missing")? else { return Ok(()) };
    let program = journey.program.display().to_string();
    let line = [
        "run",
        "--node",
        "b",
        "--isa",
        "aarch64",
        "--directory",
        &kept.join("none").display().to_string(),
        &program,
        ".",
    ];
    journey.cluster.fail(0, &line, "--home-files")?;
    // One that sees the files of the node that it is on cannot go where they are not.
    let directory = kept.join("here");
    fs::create_dir(&directory)?;
    let name = journey.start(0, &[&directory.display().to_string(), "100000", "10000"])?;
    journey.wait_for_progress(&name)?;
    journey.cluster.fail(0, &["migrate", &name, "--to", "b"], "--home-files")?;
    journey.cluster.succeed(0, &["node", "kill", &name])?;
    wait_until("it has ended", || Ok(journey.state(&name)?["ended"]["signal"] == 15))
}

#[test]
fn a_program_whose_home_is_lost_hears_of_errors() -> Result<()> {
    let Some((journey, kept)) = journey("files-lost")? else { return Ok(()) };
    let name = start(&journey, &[&kept.display().to_string(), "100000", "10000"])?;
    journey.wait_for_progress(&name)?;
    kill_process(server(&journey)?, Signal::KILL)?;
    let said = journey.wait_for_end(&name)?;
    ensure!(said.status == 5 && said.output.contains("I/O error"), "{said:?}");
    ensure!(said.error.contains("the connection to a is lost"), "{said:?}");
    Ok(())
}

/// The process that serves files at the first node: a child of its daemon.
fn server(journey: &Journey) -> Result<Pid> {
    let daemon = journey.cluster.daemon(0).context("no daemon")?;
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let status = fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        if line.starts_with(b"maize-files\0") && status.contains(&format!("PPid:\t{daemon}\n")) {
            return Pid::from_raw(pid).context("no process");
        }
    }
    anyhow::bail!("nobody serves files")
}
