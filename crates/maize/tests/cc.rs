//! `maize cc` as build systems meet it: a process with a command line, streams and an exit status. Where clang's own
//! behaviour is the standard, clang runs beside it.

use maize_abi::Isa;
use maize_image::object_file::unbundle;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

const MAIZE: &str = env!("CARGO_BIN_EXE_maize");

fn directory(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    directory
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(' ').filter(|word| !word.is_empty())
}

/// Runs `maize cc` without headers, so that no sysroot is needed.
fn cc(directory: &Path, line: &str) -> Output {
    let mut command = Command::new(MAIZE);
    command.current_dir(directory).args(["cc", "-nostdinc"]).args(words(line)).stdin(Stdio::null()).output().unwrap()
}

fn clang(directory: &Path, line: &str) -> Output {
    let mut command = Command::new("clang-22");
    command.current_dir(directory).args(["--target=x86_64-linux-musl", "-nostdinc"]).args(words(line)).output().unwrap()
}

fn succeed(directory: &Path, line: &str) -> Output {
    let output = cc(directory, line);
    assert!(output.status.success(), "maize cc {line}\n{}", String::from_utf8_lossy(&output.stderr));
    output
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn dependency_files_are_clangs() {
    for line in [
        "-MD -c src/a.c",
        "-MMD -MP -c src/a.c -o out/x.y.o",
        "-MD -MF deps -c src/a.c -o out/a.o",
        "-MD -MT $(target) -MF deps -c src/a.c",
        "-MD -MQ $(target) -MF deps -c src/a.c",
        "-MMD -MF deps -c src/a.c -o out/with#hash.o",
        "-Wp,-MD,deps -c src/a.c -o out/a.o",
        "-Wp,-MMD,deps -MP -c src/a.c",
        "-MD -S src/a.c -o out/a.s",
        "-M src/a.c",
        "-MM -MT t src/a.c",
        "-MM -MF deps src/a.c",
        "-M -MG src/missing.c -o deps",
    ] {
        let files: &[(&str, &str)] = &[
            ("src/a.c", "#include \"b.h\"\n#include <c.h>\nint a;\n"),
            ("src/missing.c", "#include \"none.h\"\n"),
            ("src/b.h", "#include \"../include/d.h\"\n"),
            ("include/c.h", ""),
            ("include/d.h", ""),
            ("out/.keep", ""),
        ];
        let (ours, theirs) = (directory(files), directory(files));
        let line = format!("-isystem include {line}");
        let (output, expected) = (cc(ours.path(), &line), clang(theirs.path(), &line));
        assert_eq!(output.status.code(), expected.status.code(), "{line}\n{}", text(&output.stderr));
        assert_eq!(text(&output.stdout), text(&expected.stdout), "{line}");
        for sub in [".", "out"] {
            assert_eq!(names(&ours.path().join(sub)), names(&theirs.path().join(sub)), "{line}");
        }
        for name in ["deps", "a.d", "out/a.d", "out/x.y.d"] {
            let read = |directory: &TempDir| fs::read_to_string(directory.path().join(name)).ok();
            assert_eq!(read(&ours), read(&theirs), "{line}: {name}");
        }
    }
}

#[test]
fn errors_and_exit_statuses_are_clangs() {
    let files = [("a.c", "int f(void) { return x; }\nint g(void) { int unused; return 0; }\n"), ("ok.c", "int ok;\n")];
    let directory = directory(&files);
    for line in [
        "-c a.c",
        "-c -Wall -Werror ok.c a.c",
        "-c missing.c",
        "-c -fno-such-option ok.c",
        "-c -std=c1066 ok.c",
        "-E missing.c",
        "-fsyntax-only -Wall a.c",
        "",
        "-c",
        "-c -Wall -O2 ok.c -I missing",
    ] {
        let (output, expected) = (cc(directory.path(), line), clang(directory.path(), line));
        assert_eq!(output.status.code(), expected.status.code(), "{line}\n{}", text(&output.stderr));
        // clang counts errors once more for each source it is given.
        let relevant = |output: &Output| {
            let lines = text(&output.stderr);
            let lines = lines.lines().filter(|line| !line.contains("unused during compilation"));
            lines.map(String::from).collect::<Vec<_>>()
        };
        assert_eq!(relevant(&output), relevant(&expected), "{line}");
    }
}

#[test]
fn maizes_own_errors_name_cause_and_remedy() {
    let directory = directory(&[
        ("asm.c", "\n\nvoid f(void) { __asm__(\"rdtsc\"); }\n"),
        ("x86.s", ".text\nmovq %rax, %rbx\n"),
        ("a.f90", ""),
        ("a.c", "int main(void) { return 0; }"),
        ("b.c", ""),
    ]);
    for (line, expected) in [
        ("-c asm.c", "asm.c:3"),
        ("-c x86.s", "x86.s: does not assemble for aarch64"),
        ("-c a.f90", "a.f90: Fortran is not supported"),
        ("-c -shared a.c", "-shared: "),
        ("-c a.c b.c -o x.o", "cannot specify -o when generating multiple output files"),
        ("-o", "argument to '-o' is missing (expected 1 value)"),
    ] {
        let output = cc(directory.path(), line);
        assert_eq!(output.status.code(), Some(1), "{line}");
        let message = text(&output.stderr);
        let last = message.lines().find(|line| line.starts_with("maize: error: ")).unwrap_or_default();
        assert!(last.contains(expected), "{line}: {message}");
        assert_eq!(output.stdout, b"", "{line}");
    }
    assert!(!names(directory.path()).iter().any(|name| name.ends_with(".o")));
}

#[test]
fn a_source_can_come_from_standard_input() {
    let directory = directory(&[]);
    let run = |line: &str| {
        let mut command = Command::new(MAIZE);
        command.current_dir(directory.path()).arg("cc").args(words(line)).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(b"int from_stdin = __maize__;\n").unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{line}");
        text(&output.stdout)
    };
    assert!(run("-nostdinc -E -").contains("int from_stdin = 1;"));
    assert!(run("-nostdinc -xc -S -o - -").contains("from_stdin"));
    run("-nostdinc -c -x c - -o a.o");
    assert_eq!(names(directory.path()), ["a.o"]);
}

#[test]
fn response_files_hold_options() {
    let directory = directory(&[
        ("options", "-c \"-DNAME=with space\" '-DTEXT=\"a b\"'\n@more\n"),
        ("more", "-o out.o a.c\n"),
        ("a.c", "#define S(x) #x\n#define T(x) S(x)\nconst char *a = T(NAME), *b = TEXT;\n"),
    ]);
    succeed(directory.path(), "@options");
    assert!(directory.path().join("out.o").exists());
    let object = fs::read(directory.path().join("out.o")).unwrap();
    assert!(object.windows(10).any(|window| window == b"with space"));
    // More than a command line holds.
    let many: String = (0..200_000).map(|number| format!("-DMACRO_{number}=1\n")).collect();
    fs::write(directory.path().join("many"), many).unwrap();
    succeed(directory.path(), "@many @options -DLAST");
}

#[test]
fn several_sources_make_several_objects_and_messages_keep_their_order() {
    let sources: Vec<(String, String)> = (0..6)
        .map(|number| (format!("s{number}.c"), format!("#warning number {number}\nint variable_{number};\n")))
        .collect();
    let files: Vec<(&str, &str)> = sources.iter().map(|(name, content)| (name.as_str(), content.as_str())).collect();
    let directory = directory(&files);
    let output = succeed(directory.path(), "-c -MD s0.c s1.c s2.c s3.c s4.c s5.c");
    let warnings: Vec<String> =
        text(&output.stderr).lines().filter(|line| line.contains("warning:")).map(String::from).collect();
    assert_eq!(warnings.len(), 6);
    for (number, warning) in warnings.iter().enumerate() {
        assert!(warning.contains(&format!("s{number}.c:1")), "{warning}");
        assert!(directory.path().join(format!("s{number}.o")).exists());
        assert!(directory.path().join(format!("s{number}.d")).exists());
    }
}

#[test]
fn the_others_are_compiled_if_one_source_fails() {
    let directory = directory(&[("a.c", "int"), ("b.c", "int b;")]);
    let output = cc(directory.path(), "-c a.c b.c");
    assert_eq!(output.status.code(), Some(1));
    assert!(!directory.path().join("a.o").exists() && directory.path().join("b.o").exists());
}

#[test]
fn builds_are_reproducible_and_equal_units_of_different_places_stay_apart() {
    let source = "int g(int); static int hidden(int x) { return g(x) + 1; } int (*f(void))(int) { return hidden; }";
    let (one, other) = (directory(&[("a.c", source)]), directory(&[("a.c", source)]));
    let object = |directory: &TempDir, options: &str| {
        let place = directory.path().display().to_string();
        succeed(directory.path(), &format!("-O2 -g -c a.c {}", options.replace("HERE", &place)));
        fs::read(directory.path().join("a.o")).unwrap()
    };
    assert!(object(&one, "") == object(&one, ""), "not reproducible");
    assert!(object(&one, "") != object(&other, ""), "static functions would be taken for one another");
    let mapped = "-ffile-prefix-map=HERE=/build";
    assert!(object(&one, mapped) == object(&other, mapped), "depends on where it is built");
}

#[test]
fn assembly_is_the_instrumented_codes_for_the_isa_asked_for() {
    let directory = directory(&[("a.c", "int g(int); int f(int x) { return g(x) + g(x + 1); }")]);
    let assembly = |line: &str| text(&succeed(directory.path(), line).stdout);
    assert!(assembly("-O2 -S -o - a.c").contains("f.resume"));
    assert!(assembly("-O2 -S --maize-isa=aarch64 -o - a.c").contains("bl\tg"));
    assert!(assembly("-O2 -S --maize-isa=riscv64 -o - a.c").contains("call\tg"));
    succeed(directory.path(), "-S a.c");
    assert!(directory.path().join("a.s").exists());
}

#[test]
fn llvm_files_are_clangs_and_can_be_inputs() {
    let directory = directory(&[("a.c", "int a(void) { return 1; }")]);
    succeed(directory.path(), "-O1 -c -emit-llvm a.c");
    succeed(directory.path(), "-O1 -S -emit-llvm a.c");
    assert_eq!(names(directory.path()), ["a.bc", "a.c", "a.ll"]);
    for input in ["a.bc", "a.ll"] {
        succeed(directory.path(), &format!("-O2 -c {input} -o {input}.o"));
    }
}

#[test]
fn headers_can_be_precompiled() {
    let directory = directory(&[("a.h", "enum { FROM_HEADER = 4 };"), ("a.c", "int a = FROM_HEADER;")]);
    succeed(directory.path(), "-O2 -x c-header a.h -o a.pch");
    succeed(directory.path(), "-O2 -include-pch a.pch -c a.c");
    succeed(directory.path(), "-O2 a.h");
    assert_eq!(names(directory.path()), ["a.c", "a.h", "a.h.pch", "a.o", "a.pch"]);
    succeed(directory.path(), "-O2 -include a.h -c a.c -o b.o");
}

#[test]
fn fast_arithmetic_is_not_contracted() {
    let directory = directory(&[("a.c", "double f(double a, double b, double c) { return a * b + c; }")]);
    for isa in ["aarch64", "riscv64"] {
        let assembly =
            text(&succeed(directory.path(), &format!("-O3 -ffast-math --maize-isa={isa} -S -o - a.c")).stdout);
        assert!(assembly.contains("fmul") && !assembly.contains("fmadd"), "{assembly}");
    }
}

#[test]
fn debug_information_survives_instrumentation() {
    let source = "struct s { int a, b; }; int g(struct s *); int f(int n) { struct s s = {n, 1}; char c[n];\n\
                  for (int i = 0; i < n; i++) { s.a += g(&s); c[i] = s.b; s.b = i; } return s.a + c[n / 2]; }";
    let directory = directory(&[("a.c", source)]);
    for level in ["-O0", "-O1", "-O2", "-Os"] {
        succeed(directory.path(), &format!("-g {level} -c a.c"));
    }
}

#[test]
fn questions_have_answers() {
    let directory = directory(&[]);
    let sysroot = directory.path().join("sysroot");
    fs::create_dir_all(sysroot.join("lib")).unwrap();
    fs::write(sysroot.join("lib/libc.a"), "").unwrap();
    let ask = |line: &str| {
        let mut command = Command::new(MAIZE);
        let output = command.env("MAIZE_SYSROOT", &sysroot).arg("cc").args(words(line)).output().unwrap();
        assert!(output.status.success(), "{line}: {}", text(&output.stderr));
        text(&output.stdout).trim_end().to_owned()
    };
    let lib = |name: &str| sysroot.join("lib").join(name).display().to_string();
    assert_eq!(ask("-dumpmachine"), "x86_64-unknown-linux-musl");
    assert!(ask("-dumpversion").starts_with("22."));
    assert!(ask("--version").contains("clang version 22."));
    assert_eq!(ask("-print-sysroot"), sysroot.display().to_string());
    assert_eq!(ask("-print-file-name=libc.a"), lib("libc.a"));
    assert_eq!(ask("-print-file-name=libnone.a"), "libnone.a");
    assert!(ask("-print-libgcc-file-name").starts_with(&lib("")));
    assert!(ask("-print-prog-name=clang").ends_with("clang"));
    assert!(ask("-Wl,--version").contains("LLD 22."));
    assert!(ask("--help").contains("Examples:"));
}

#[test]
fn symbolic_links_name_the_tool() {
    let directory = directory(&[("a.c", "int a;"), ("b.hh", "class B;")]);
    for tool in ["cc", "c++", "ar", "nm", "ranlib", "strip"] {
        symlink(MAIZE, directory.path().join(format!("maize-{tool}"))).unwrap();
    }
    let run = |line: &str| {
        let mut words = words(line);
        let program = directory.path().join(words.next().unwrap());
        Command::new(program).current_dir(directory.path()).args(words).output().unwrap()
    };
    assert!(run("maize-cc -nostdinc -c a.c").status.success());
    assert!(run("maize-ar rcs liba.a a.o").status.success());
    assert!(run("maize-ranlib liba.a").status.success());
    assert!(text(&run("maize-nm liba.a").stdout).contains(" a\n"));
    for option in ["--strip-debug", "--strip-unneeded", ""] {
        assert!(run(&format!("maize-strip {option} a.o")).status.success());
        let object = fs::read(directory.path().join("a.o")).unwrap();
        for isa in [Isa::Aarch64, Isa::Riscv64] {
            assert!(unbundle(&object, isa).is_ok(), "{option} took the code for {}", isa.name());
        }
    }
    // As C++, which C is not.
    assert!(run("maize-c++ -Wno-deprecated -nostdinc -c -o b.o a.c -include b.hh").status.success());
}
