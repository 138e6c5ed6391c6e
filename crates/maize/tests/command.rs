//! The command's manners: exit statuses, messages, help.

use std::fs;
use std::process::{Command, Output};

const MAIZE: &str = env!("CARGO_BIN_EXE_maize");

fn maize(line: &str) -> Output {
    let words = line.split(' ').filter(|word| !word.is_empty());
    Command::new(MAIZE).args(words).env_remove("MAIZE_SYSROOT").output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// An error message that names `what`, and the status.
fn fails(line: &str, status: i32, what: &str) {
    let output = maize(line);
    assert_eq!(output.status.code(), Some(status), "maize {line}: {}", text(&output.stderr));
    let message = text(&output.stderr);
    assert!(message.starts_with("maize: error: ") && message.contains(what), "maize {line}: {message}");
    assert!(!message.contains('\x1b'), "colours in a pipe: {message:?}");
    assert_eq!(text(&output.stdout), "");
}

#[test]
fn run_tells_what_kept_the_program_from_running() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("text");
    fs::write(&file, "no program").unwrap();
    let file = file.display();
    fails("run /no/such/program", 127, "/no/such/program: No such file");
    fails("run no-such-program-anywhere", 127, "no-such-program-anywhere");
    fails("run /", 126, "/: not a file");
    fails(&format!("run {file}"), 126, "maize cc");
    fails(&format!("run --hop x86_64,vax {file}"), 125, "vax");
    fails(&format!("run --seed 1 {file}"), 125, "--hop");
    fails(&format!("run --every 20 --hop x86_64 {file}"), 125, "20ms");
    fails(&format!("run --isa riscv64 --hop x86_64,riscv64 {file}"), 125, "name riscv64 first in --hop");
    fails(&format!("run --report /no/such/directory/report {file}"), 125, "/no/such/directory/report");
    fails("run", 125, "PROGRAM");
}

#[test]
fn inspect_tells_what_is_wrong_with_a_file() {
    fails("inspect /no/such/file", 1, "/no/such/file");
    fails("inspect /bin/sh", 1, "maize cc");
    fails("inspect", 2, "FILE");
}

#[test]
fn unknown_words_are_usage_errors() {
    fails("fly", 2, "fly");
    fails("sysroot destroy", 2, "destroy");
    assert_eq!(maize("").status.code(), Some(2));
}

#[test]
fn every_subcommand_explains_itself() {
    for name in ["run", "inspect", "sysroot", "completions", "man", "cc", "ar", "ranlib", "nm", "strip"] {
        let output = maize(&format!("{name} --help"));
        assert!(output.status.success(), "{name}");
        assert!(text(&output.stdout).contains("Example"), "{name}: {}", text(&output.stdout));
    }
    let version = text(&maize("--version").stdout);
    assert_eq!(version, format!("maize {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_sysroot_is_where_the_user_says() {
    let output = Command::new(MAIZE).args(["sysroot", "path"]).env("MAIZE_SYSROOT", "/some/where").output().unwrap();
    assert_eq!(text(&output.stdout), "/some/where\n");
    let mut command = Command::new(MAIZE);
    command.args(["sysroot", "path"]).env_clear().env("XDG_CACHE_HOME", "/cache");
    let path = text(&command.output().unwrap().stdout);
    assert_eq!(path, format!("/cache/maize/{}/sysroot\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn manual_pages_and_completions_cover_every_subcommand() {
    let directory = tempfile::tempdir().unwrap();
    let pages = directory.path().join("man/man1");
    assert!(maize(&format!("man {}", pages.display())).status.success());
    for name in ["maize", "maize-cc", "maize-run", "maize-inspect", "maize-sysroot-build"] {
        let page = fs::read_to_string(pages.join(format!("{name}.1"))).unwrap();
        assert!(page.contains(".SH NAME"), "{name}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let script = text(&maize(&format!("completions {shell}")).stdout);
        assert!(script.contains("--hop") || script.contains("-l hop"), "{shell}");
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let line = format!("{MAIZE} completions zsh | head -c 1 > /dev/null");
    let output = Command::new("sh").args(["-c", &line]).output().unwrap();
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn a_program_that_belongs_to_it_and_is_missing_is_named() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let alone = directory.path().join("maize");
    fs::hard_link(MAIZE, &alone).unwrap();
    for (words, status, name) in [(["cc", "hello.c"], 127, "maize-toolchain"), (["node", "start"], 1, "maized")] {
        let output = Command::new(&alone).args(words).env("PATH", directory.path()).output().unwrap();
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{message}");
        assert!(message.contains(&format!("cannot run {name}")) && message.contains("beside maize"), "{message}");
    }
}
