//! Whole programs: compiled, linked and run. They need the sysroot, whose build takes minutes: `cargo test -- --ignored`.
//! It is built once, in cargo's directory for tests or where `MAIZE_SYSROOT` says.

use std::fs;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

const MAIZE: &str = env!("CARGO_BIN_EXE_maize");
const ISAS: [&str; 3] = ["x86_64", "aarch64", "riscv64"];

fn maize() -> Command {
    let default = || Path::new(env!("CARGO_TARGET_TMPDIR")).join("sysroot").into_os_string();
    let mut command = Command::new(MAIZE);
    command.env("MAIZE_SYSROOT", std::env::var_os("MAIZE_SYSROOT").unwrap_or_else(default));
    command
}

fn run(directory: &Path, line: &str) -> Output {
    let words = line.split(' ').filter(|word| !word.is_empty());
    maize().current_dir(directory).args(words).stdin(Stdio::null()).output().unwrap()
}

fn succeed(directory: &Path, line: &str) -> Output {
    let output = run(directory, line);
    assert!(output.status.success(), "maize {line}: {:?}\n{}", output.status, text(&output.stderr));
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A directory with the program `a`, compiled from this source.
fn program(source: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("a.c"), source).unwrap();
    succeed(directory.path(), "cc -O2 -Wall -Werror -o a a.c -lm -lpthread");
    directory
}

#[test]
#[ignore = "builds the sysroot"]
fn a_program_runs_on_every_isa_with_its_arguments_and_its_status() {
    let source = "#include <stdio.h>\n#include <stdlib.h>\n#include <math.h>\nint main(int argc, char **argv) {\n\
                  for (int i = 0; i < argc; i++) printf(\"%s;\", argv[i]);\nprintf(\"%.3f\\n\", sqrt(argc));\n\
                  return atoi(argv[1]); }";
    let directory = program(source);
    for isa in ISAS {
        let output = run(directory.path(), &format!("run --isa {isa} ./a 42 -x --hop"));
        assert_eq!(text(&output.stdout), "./a;42;-x;--hop;2.000\n", "{isa}: {}", text(&output.stderr));
        assert_eq!(output.status.code(), Some(42), "{isa}");
    }
    let native = Command::new(directory.path().join("a")).args(["7"]).output().unwrap();
    assert_eq!(native.status.code(), Some(7), "as an ordinary executable");
}

#[test]
#[ignore = "builds the sysroot"]
fn a_signal_that_ends_the_program_ends_maize_too() {
    let directory = program("#include <stdlib.h>\nint main(void) { abort(); }");
    for isa in ISAS {
        let output = run(directory.path(), &format!("run --isa {isa} ./a"));
        assert_eq!(output.status.signal(), Some(6), "{isa}: {}", text(&output.stderr));
    }
}

#[test]
#[ignore = "builds the sysroot"]
fn a_run_can_hop_and_leaves_a_record() {
    let source = "#include <stdio.h>\nint main(void) { unsigned long x = 1; for (long i = 0; i < 300000000; i++)\n\
                  x = x * 6364136223846793005u + (i ^ x >> 29);\n printf(\"%lu\\n\", x); return 0; }";
    let directory = program(source);
    let expected = text(&Command::new(directory.path().join("a")).output().unwrap().stdout);
    let line = "run --hop x86_64,aarch64,riscv64 --every 30ms --report report.json ./a";
    assert_eq!(text(&succeed(directory.path(), line).stdout), expected);
    let report = fs::read_to_string(directory.path().join("report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["exit"]["status"], 0);
    assert!(report["migrations"].as_array().is_some_and(|migrations| !migrations.is_empty()), "{report}");
}

#[test]
#[ignore = "builds the sysroot"]
fn standard_input_is_the_programs() {
    let directory =
        program("#include <stdio.h>\nint main(void) { int c; while ((c = getchar()) != EOF) putchar(c ^ 32); }");
    let mut command = maize();
    command.current_dir(directory.path()).args(["run", "--isa", "aarch64", "./a"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"Hello").unwrap();
    assert_eq!(text(&child.wait_with_output().unwrap().stdout), "hELLO");
}

#[test]
#[ignore = "builds the sysroot"]
fn dependency_files_name_the_sysroots_headers_where_clang_names_its_own() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("a.c"), "#include <stdio.h>\n#include \"b.h\"\n").unwrap();
    fs::write(directory.path().join("b.h"), "").unwrap();
    succeed(directory.path(), "cc -MD -c a.c -o out.o");
    let dependencies = fs::read_to_string(directory.path().join("out.d")).unwrap();
    let include = PathBuf::from(text(&succeed(directory.path(), "sysroot path").stdout).trim_end()).join("include");
    assert!(dependencies.starts_with("out.o: a.c "), "{dependencies}");
    assert!(dependencies.contains(&include.join("stdio.h").display().to_string()), "{dependencies}");
    // With `-MMD` they are left out: the rest is clang's.
    succeed(directory.path(), "cc -MMD -c a.c -o out.o");
    assert_eq!(fs::read_to_string(directory.path().join("out.d")).unwrap(), "out.o: a.c b.h\n");
}

#[test]
#[ignore = "builds the sysroot"]
fn a_makefile_and_an_archive_work_as_with_any_compiler() {
    let directory = tempfile::tempdir().unwrap();
    let makefile = "CFLAGS = -O2 -Wall -MMD -fPIC -march=native -flto\nLDFLAGS = -Wl,--gc-sections -Wl,-z,now -pie -s\n\
                    prog: main.o libpart.a\n\t$(CC) $(CFLAGS) $(LDFLAGS) -o $@ main.o -L. -lpart -lm\n\
                    libpart.a: part.o\n\t$(AR) rcs $@ $^\n\t$(RANLIB) $@\n";
    for (name, content) in [
        ("Makefile", makefile),
        ("main.c", "#include <stdio.h>\nint part(void);\nint main(void) { printf(\"%d\\n\", part()); return 0; }\n"),
        ("part.c", "static int value = 5;\nint part(void) { return value++; }\n"),
    ] {
        fs::write(directory.path().join(name), content).unwrap();
    }
    let tool = |name: &str| format!("{}={MAIZE} {}", name, name.to_lowercase());
    let sysroot = maize().get_envs().next().map(|(_, value)| value.unwrap().to_owned()).unwrap();
    let mut make = Command::new("make");
    make.current_dir(directory.path()).args(["-s", &tool("CC"), &tool("AR"), &tool("RANLIB")]);
    let output = make.env("MAIZE_SYSROOT", sysroot).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "");
    for isa in ISAS {
        assert_eq!(text(&succeed(directory.path(), &format!("run --isa {isa} prog")).stdout), "5\n", "{isa}");
    }
    let report = text(&succeed(directory.path(), "inspect --json prog").stdout);
    assert!(ISAS.iter().all(|isa| report.contains(isa)), "{report}");
    let note = text(&succeed(directory.path(), "strip prog").stderr);
    assert!(note.contains("prog: left as it is"), "{note}");
    assert_eq!(text(&succeed(directory.path(), "run prog").stdout), "5\n");
}

#[test]
#[ignore = "builds the sysroot"]
fn an_undefined_function_is_an_error_that_names_it() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("a.c"), "void nowhere(void);\nint main(void) { nowhere(); }\n").unwrap();
    let output = run(directory.path(), "cc a.c -o a");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("undefined symbol: nowhere"), "{}", text(&output.stderr));
    assert!(!directory.path().join("a").exists());
}
