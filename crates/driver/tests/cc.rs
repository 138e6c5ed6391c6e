//! The C compiler as a library: what the sysroot's build and `maize cc` call. The command as a process, with what it
//! prints, is tested in crates/maize/tests/cc.rs.

use maize_abi::Isa;
use maize_driver::cc::{self, Compiler};
use maize_driver::sysroot::{Language, Unit, UnitCompiler};
use maize_image::object_file::unbundle;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

struct Bench {
    directory: TempDir,
}

impl Bench {
    fn new(files: &[(&str, &str)]) -> Bench {
        let directory = tempfile::tempdir().unwrap();
        for (name, content) in files {
            fs::write(directory.path().join(name), content).unwrap();
        }
        Bench { directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// `maize cc` without headers; `@` at a word's start stands for the directory.
    fn cc(&self, line: &str) -> i32 {
        let directory = format!("{}/", self.directory.path().display());
        let word = |word: &str| OsString::from(word.replacen('@', &directory, usize::from(word.contains('@'))));
        cc::main(Language::C, &["-nostdinc", "-w"].into_iter().chain(line.split(' ')).map(word).collect::<Vec<_>>())
    }

    fn unit(&self, name: &str, instrument: bool) -> Unit {
        Unit {
            name: format!("test/{name}"),
            source: self.path(name),
            output: self.path("unit.o"),
            flags: vec!["-O2".into(), "-w".into()],
            instrument,
        }
    }
}

/// The names of an ISA's functions in a multi-ISA object, by way of `nm`.
fn functions(object: &Path, isa: Isa) -> Vec<String> {
    let bytes = fs::read(object).unwrap();
    let part = if isa == Isa::X86_64 { bytes.as_slice() } else { unbundle(&bytes, isa).unwrap() };
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), part).unwrap();
    let output = Command::new("llvm-nm-22").args(["--defined-only", "-g"]).arg(file.path()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut names: Vec<String> = text
        .lines()
        .filter(|line| line.contains(" T "))
        .filter_map(|line| line.split(' ').next_back().map(String::from))
        .collect();
    names.sort();
    names
}

const TWO: &str = "int g(int); static int n; int f(int x) { for (int i = 0; i < x; i++) n += g(i); return n; } int h(void) { return 1; }";

#[test]
fn an_object_holds_code_for_every_isa() {
    let bench = Bench::new(&[("a.c", TWO)]);
    assert_eq!(bench.cc("-O2 -c @a.c -o @a.o"), 0);
    for isa in Isa::ALL {
        assert_eq!(functions(&bench.path("a.o"), isa), ["f", "h"], "{}", isa.name());
    }
}

#[test]
fn an_assembly_file_is_assembled_for_each_isa() {
    let source = "#if defined(__x86_64__)\n#define NAME on_x86\n#elif defined(__aarch64__)\n#define NAME on_arm\n#elif defined(__riscv)\n\
                  #define NAME on_riscv\n#endif\n.section .text.f,\"ax\",%progbits\n.globl NAME\nNAME: ret\n";
    let bench = Bench::new(&[("a.S", source)]);
    assert_eq!(bench.cc("-c @a.S -o @a.o"), 0);
    for (isa, name) in Isa::ALL.into_iter().zip(["on_x86", "on_arm", "on_riscv"]) {
        assert_eq!(functions(&bench.path("a.o"), isa), [name]);
    }
}

#[test]
fn units_of_the_sysroot_compile_from_c_assembly_and_bitcode() {
    let bench = Bench::new(&[("a.c", TWO), ("b.S", ".text\n.globl s\ns: ret\n")]);
    let compiler = Compiler::new();
    for instrument in [true, false] {
        compiler.compile(&bench.unit("a.c", instrument)).unwrap();
        assert_eq!(functions(&bench.path("unit.o"), Isa::Riscv64), ["f", "h"]);
    }
    compiler.compile(&bench.unit("b.S", false)).unwrap();
    assert_eq!(functions(&bench.path("unit.o"), Isa::Aarch64), ["s"]);
    assert_eq!(bench.cc("-c -O2 -emit-llvm @a.c -o @a.bc"), 0);
    compiler.compile(&bench.unit("a.bc", false)).unwrap();
    assert_eq!(functions(&bench.path("unit.o"), Isa::Aarch64), ["f", "h"]);
}

#[test]
fn a_unit_that_does_not_compile_says_why() {
    let bench = Bench::new(&[("a.c", "int f(void) { return undeclared; }")]);
    let error = Compiler::new().compile(&bench.unit("a.c", true)).unwrap_err().to_string();
    assert!(error.contains("undeclared identifier"), "{error}");
    let identity = Compiler::new().identity();
    assert!(identity.contains("LLVM 22."), "{identity}");
}

#[test]
fn a_failure_leaves_no_result() {
    let bench = Bench::new(&[("bad.c", "int f("), ("asm.c", "void f(void) { __asm__(\"nop\"); }")]);
    for name in ["bad", "asm"] {
        assert_eq!(bench.cc(&format!("-c @{name}.c -o @{name}.o")), 1, "{name}");
        assert!(!bench.path(&format!("{name}.o")).exists());
    }
    assert_eq!(fs::read_dir(bench.directory.path()).unwrap().count(), 2, "temporary files left");
}

#[test]
fn an_output_that_is_no_regular_file_is_written_to() {
    let bench = Bench::new(&[("a.c", TWO)]);
    assert_eq!(bench.cc("-c @a.c -o /dev/null"), 0);
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
}
