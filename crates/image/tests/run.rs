//! A composed program runs as it is on x86-64, and standalone on every ISA.

mod support;

use maize_abi::Isa;
use maize_image::{Image, ImageError, IsaPart, Parts, compose};
use std::process::Command;
use support::{Headers, check_run, descriptor, install, parts, program, run};

#[test]
fn runs_directly_on_x86_64() {
    let directory = tempfile::tempdir().unwrap();
    check_run(Isa::X86_64, &install(directory.path(), "program", program()));
}

#[test]
fn standalone_runs_on_every_isa() {
    let directory = tempfile::tempdir().unwrap();
    let image = Image::parse(program()).unwrap();
    assert_eq!(image.isas(), Isa::ALL);
    for isa in Isa::ALL {
        let standalone = image.standalone(isa).unwrap();
        check_run(isa, &install(directory.path(), isa.name(), &standalone));
        assert!(matches!(Image::parse(standalone), Err(ImageError::NotMultiIsa)));
    }
}

#[test]
fn runs_when_text_leaves_no_room_for_headers() {
    let directory = tempfile::tempdir().unwrap();
    let file = compose(parts(Headers::Tight)).unwrap();
    check_run(Isa::X86_64, &install(directory.path(), "program", &file));
    let image = Image::parse(file).unwrap();
    for isa in Isa::ALL {
        check_run(isa, &install(directory.path(), isa.name(), &image.standalone(isa).unwrap()));
    }
}

#[test]
fn one_isa_is_enough() {
    let mut parts = parts(Headers::Apart);
    parts.isas.truncate(1);
    let image = Image::parse(compose(parts).unwrap()).unwrap();
    assert_eq!(image.isas(), [Isa::X86_64]);
    let error = image.standalone(Isa::Riscv64).unwrap_err();
    assert!(matches!(error, ImageError::NoSuchIsa { isa: Isa::Riscv64, .. }), "{error}");
    let directory = tempfile::tempdir().unwrap();
    check_run(Isa::X86_64, &install(directory.path(), "program", &image.standalone(Isa::X86_64).unwrap()));
}

#[test]
fn equal_parts_make_equal_files() {
    assert_eq!(compose(parts(Headers::Apart)).unwrap(), program());
}

/// A program with a libc has TLS, read-only-after-relocation data, notes and unwind tables.
#[test]
fn runs_with_a_libc() {
    let directory = tempfile::tempdir().unwrap();
    let (source, output) = (directory.path().join("hello.c"), directory.path().join("hello"));
    let text = "#include <stdio.h>\n#include <errno.h>\nstatic _Thread_local int t = 42;\n\
        int main(int c, char **v) { errno = c; return printf(\"%d %d\\n\", t, errno) != 5; }\n";
    std::fs::write(&source, text).unwrap();
    let mut clang = Command::new("clang-22");
    clang.args(["-static", "-fno-pie", "-fuse-ld=lld", "-Wl,-no-pie", "-o"]).arg(&output).arg(&source);
    if !clang.output().unwrap().status.success() {
        eprintln!("there is no static libc here: not tested");
        return;
    }
    let executable = std::fs::read(output).unwrap();
    let part = IsaPart { isa: Isa::X86_64, executable, descriptor: descriptor(Isa::X86_64) };
    let file = compose(Parts { isas: vec![part] }).unwrap();
    let standalone = Image::parse(file.as_slice()).unwrap().standalone(Isa::X86_64).unwrap();
    for (name, bytes) in [("file", file), ("standalone", standalone)] {
        let output = run(&mut Command::new(install(directory.path(), name, &bytes)));
        assert_eq!(String::from_utf8_lossy(&output.stdout), "42 1\n");
    }
}
