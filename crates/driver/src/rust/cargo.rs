//! `maize cargo`: cargo with an environment in which what it builds for the target is portable.

use super::error::RustError;
use super::flags::{TARGET, Tools};
use super::rustc::{check_target, values};
use super::toolchain;
use crate::cc::exit_code;
use std::env;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::Command;

/// Separates the flags in `CARGO_ENCODED_RUSTFLAGS`.
const SEPARATOR: &str = "\x1f";

/// Runs cargo and returns its exit status.
///
/// # Errors
/// If it cannot be run, or its target or version will not do.
pub fn run(arguments: &[OsString]) -> Result<i32, RustError> {
    let toolchain: Vec<OsString> =
        arguments.first().filter(|first| first.to_string_lossy().starts_with('+')).cloned().into_iter().collect();
    toolchain::check(&set("RUSTC").unwrap_or_else(|| "rustc".into()), &toolchain)?;
    // What follows `--` is the program's.
    let own: Vec<OsString> = arguments.iter().take_while(|argument| *argument != "--").cloned().collect();
    check_target(&own)?;
    let tools = Tools::install()?;
    let mut command = Command::new("cargo");
    command.args(arguments);
    command.env("CARGO_BUILD_TARGET", TARGET).env("CARGO_ENCODED_RUSTFLAGS", flags(&tools)).env_remove("RUSTFLAGS");
    for profile in profiles(&own) {
        let name = profile.to_uppercase().replace('-', "_");
        command.env(format!("CARGO_PROFILE_{name}_LTO"), "fat");
    }
    if let Some(directory) = target_directory(&toolchain, &own) {
        command.env("CARGO_TARGET_DIR", directory);
    }
    // What the `cc` crate looks at, in build scripts that compile C.
    for (name, tool) in [("CC", "maize-cc"), ("AR", "maize-ar")] {
        let variable = format!("{name}_{}", TARGET.replace('-', "_"));
        if set(&variable).is_none() {
            command.env(variable, tools.path(tool));
        }
    }
    let start = |source| RustError::Start { program: String::from("cargo"), source };
    Ok(exit_code(command.status().map_err(start)?))
}

fn set(variable: &str) -> Option<OsString> {
    env::var_os(variable).filter(|value| !value.is_empty())
}

/// The user's flags and ours, which come last and win.
fn flags(tools: &Tools) -> OsString {
    let mut flags: Vec<OsString> = match (set("CARGO_ENCODED_RUSTFLAGS"), set("RUSTFLAGS")) {
        (Some(encoded), _) => vec![encoded],
        (None, Some(text)) => text.to_string_lossy().split_whitespace().map(OsString::from).collect(),
        (None, None) => Vec::new(),
    };
    flags.extend(tools.rustc_flags());
    flags.join(OsStr::new(SEPARATOR))
}

/// Profiles that this command may use: cargo's own, and the one that it names.
fn profiles(arguments: &[OsString]) -> Vec<String> {
    let mut profiles = vec![String::from("dev"), String::from("release")];
    profiles.extend(values(arguments, "--profile"));
    profiles
}

/// `maize` in the target directory of the workspace, so that native and portable builds do not replace each other; none outside of workspaces, and
/// where the user names one.
fn target_directory(toolchain: &[OsString], arguments: &[OsString]) -> Option<PathBuf> {
    if !values(arguments, "--target-dir").is_empty() {
        return None;
    }
    if let Some(directory) = set("CARGO_TARGET_DIR") {
        return Some(PathBuf::from(directory).join("maize"));
    }
    let mut locate = Command::new("cargo");
    locate.args(toolchain).args(["locate-project", "--workspace", "--message-format=plain"]);
    for manifest in values(arguments, "--manifest-path") {
        locate.args(["--manifest-path", &manifest]);
    }
    let output = locate.stderr(std::process::Stdio::null()).output().ok().filter(|output| output.status.success())?;
    let manifest = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim_end());
    Some(manifest.parent()?.join("target").join("maize"))
}
