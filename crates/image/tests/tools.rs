//! Tools for ELF files work on multi-ISA executables and on what is made of them.

mod support;

use maize_abi::Isa;
use maize_image::Image;
use std::path::PathBuf;
use std::process::Command;
use support::{FUNCTIONS, TEXT, install, program, run};
use tempfile::TempDir;

/// The multi-ISA executable, then the standalone ones.
fn files() -> (TempDir, Vec<PathBuf>) {
    let directory = tempfile::tempdir().unwrap();
    let image = Image::parse(program()).unwrap();
    let mut files = vec![install(directory.path(), "program", program())];
    for isa in Isa::ALL {
        files.push(install(directory.path(), isa.name(), &image.standalone(isa).unwrap()));
    }
    (directory, files)
}

/// Whether a tool that is not part of LLVM is installed.
fn installed(tool: &str) -> bool {
    let found = Command::new(tool).arg("--version").output().is_ok();
    if !found {
        eprintln!("{tool} is not installed: not tested");
    }
    found
}

#[test]
fn readelf_finds_nothing_wrong() {
    let (_directory, files) = files();
    for tool in ["llvm-readelf-22", "readelf"] {
        if tool != "readelf" || installed(tool) {
            for file in &files {
                let output = run(Command::new(tool).args(["-a", "-W"]).arg(file));
                assert!(output.stderr.is_empty(), "{tool}: {}", String::from_utf8_lossy(&output.stderr));
                assert!(!String::from_utf8_lossy(&output.stdout).contains("arning"));
            }
        }
    }
}

#[test]
fn nm_and_objdump_name_functions() {
    let (_directory, files) = files();
    for file in &files {
        let symbols = run(Command::new("llvm-nm-22").arg(file)).stdout;
        let symbols = String::from_utf8(symbols).unwrap();
        let code = run(Command::new("llvm-objdump-22").args(["-d", "--no-show-raw-insn"]).arg(file)).stdout;
        let code = String::from_utf8(code).unwrap();
        for (index, function) in FUNCTIONS.iter().enumerate() {
            let address = TEXT + index as u64 * support::SLOT;
            assert!(symbols.contains(&format!("{address:016x} T {function}\n")), "{symbols}");
            assert!(code.contains(&format!("{address:016x} <{function}>:\n")), "{code}");
        }
    }
}

#[test]
fn debug_information_names_lines() {
    let (_directory, files) = files();
    for file in &files {
        let mut command = Command::new("llvm-symbolizer-22");
        let output = run(command.arg("--obj").arg(file).arg(format!("{:#x}", TEXT + 2 * support::SLOT)));
        let output = String::from_utf8(output.stdout).unwrap();
        assert!(output.starts_with("say\n") && output.contains("program.c:"), "{output}");
    }
}

#[test]
fn gdb_stops_in_a_function() {
    if !installed("gdb") {
        return;
    }
    let (_directory, files) = files();
    let mut gdb = Command::new("gdb");
    gdb.args(["-nx", "-batch", "-ex", "break check_data", "-ex", "run", "-ex", "backtrace"]).arg(&files[0]);
    let output = String::from_utf8(run(&mut gdb).stdout).unwrap();
    assert!(output.contains("#0  check_data () at ") && output.contains(" in _start ()"), "{output}");
}

#[test]
fn the_other_parts_are_compressed_elf_files() {
    let (directory, files) = files();
    for isa in [Isa::Aarch64, Isa::Riscv64] {
        let part = directory.path().join(format!("{}.part", isa.name()));
        let option = format!("--dump-section=.maize.image.{}={}", isa.name(), part.display());
        run(Command::new("llvm-objcopy-22").arg(option).arg(&files[0]).arg("/dev/null"));
        let frame = std::fs::read(&part).unwrap();
        std::fs::write(&part, zstd::decode_all(frame.as_slice()).unwrap()).unwrap();
        let output = run(Command::new("llvm-readelf-22").args(["-a", "-W"]).arg(&part));
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
